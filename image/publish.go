package image

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"ltskeeper/internal/durable"
	"ltskeeper/internal/regular"
)

// Publish makes a built generation the current one: its image, kernel, initrd and lts.conf become
// visible together, each side by one rename, the image first. What was at those names before
// ltskeeper came is kept as generation 0, and an image that somebody else put there later as a
// generation of its own. It returns the generation as published.
//
// An error leaves what clients see as it was, or, if it occurs between the two renames, to Repair.
// A full disk cannot fail there: everything that takes room is made by then.
func (s *Store) Publish(b *Built, now time.Time) (Generation, error) {
	if err := s.publishBuilt(b, now); err != nil {
		return Generation{}, fmt.Errorf("publish image: %w", errors.Join(explainFull(err), s.clean()))
	}
	g := b.Generation
	g.Published, g.Current = true, true
	return g, nil
}

func (s *Store) publishBuilt(b *Built, now time.Time) error {
	if err := s.disk.MkdirAll(s.bootSide()); err != nil {
		return err
	}
	if err := s.takeOver(b.dir); err != nil {
		return err
	}
	n := b.Generation.Number
	if err := s.stageBoot(n, b.dir); err != nil {
		return err
	}
	if err := s.disk.Rename(b.dir, s.folder(n)); err != nil {
		return err
	}
	return s.switchTo(n, now, nil)
}

// switchTo makes generation n current, the image first, and writes that down, after the first
// replacements that the caller has ready. All that takes room on a disk is done before the first
// change.
func (s *Store) switchTo(n int, now time.Time, first []durable.Replacement) error {
	link, err := s.disk.PrepareLink(s.linkTarget(n), s.Link())
	if err != nil {
		return err
	}
	boot, err := s.prepareBoot(n)
	if err != nil {
		return err
	}
	records, err := s.prepareRecords(n, now)
	if err != nil {
		return err
	}
	return s.disk.Replace(slices.Concat(first, link, boot, records), nil)
}

// takeOver makes generation 0 of the regular files that are at the published names on the first
// day, if the generation in dir replaces them. The names go on meaning the same bytes, in the same
// inodes: clients have them open.
func (s *Store) takeOver(dir string) error {
	stranger, found, err := s.numberStranger()
	if err != nil {
		return err
	}
	if stranger > 0 {
		return s.takeIn(stranger)
	}
	if found {
		if err := s.keepAs(s.Link(), filepath.Join(s.folder(0), imageFile)); err != nil {
			return err
		}
		if err := s.writeRecord(s.folder(0), s.readGeneration(0)); err != nil {
			return err
		}
		if err := s.disk.Replace(s.disk.PrepareLink(s.linkTarget(0), s.Link())); err != nil {
			return err
		}
	}
	return s.takeOverBoot(dir)
}

// numberStranger returns the number for the image that somebody else put at the published name, if
// there is one: that of the generation which has the same file already, otherwise 0 on the first
// day, and a number that no generation has ever had on a later day.
func (s *Store) numberStranger() (n int, found bool, err error) {
	if !isRegular(s.Link()) {
		return 0, false, nil
	}
	image, err := os.Stat(s.Link())
	if err != nil {
		return 0, false, err
	}
	numbers, err := listNumbers(s.imageSide())
	if err != nil {
		return 0, false, err
	}
	for _, n := range numbers {
		if kept, err := os.Stat(filepath.Join(s.folder(n), imageFile)); err == nil && os.SameFile(image, kept) {
			return n, true, nil
		}
	}
	n, err = s.firstUnused()
	return n, true, err
}

// takeIn makes generation n of somebody else's image, unless it is one, and of what clients were
// served with it. The names go on meaning the same bytes until the next generation takes them.
func (s *Store) takeIn(n int) error {
	if _, err := os.Stat(s.folder(n)); err == nil {
		return nil
	}
	temp := filepath.Join(s.imageSide(), strangerFolder)
	if err := s.disk.MkdirNew(temp); err != nil {
		return err
	}
	if err := s.keepAs(s.Link(), filepath.Join(temp, imageFile)); err != nil {
		return err
	}
	for _, b := range bootFiles {
		served := filepath.Join(s.bootSide(), b.link)
		if target, err := os.Readlink(served); err == nil && target == filepath.Join("current", b.file) {
			served = filepath.Join(s.bootSide(), target)
		}
		if !isRegular(served) {
			continue
		}
		if err := copyFile(s.disk.Create, served, filepath.Join(temp, b.file)); err != nil {
			return err
		}
	}
	info, err := os.Stat(s.Link())
	if err != nil {
		return err
	}
	g := Generation{Number: n, Time: info.ModTime().UTC(), Size: info.Size(), Foreign: true, Published: true}
	if err := s.writeRecord(temp, g); err != nil {
		return err
	}
	if err := s.stageBoot(n, temp); err != nil {
		return err
	}
	return s.disk.Rename(temp, s.folder(n))
}

// takeOverBoot is takeOver for kernel, initrd and lts.conf under TFTP. The names become links once
// `current` is in place, so that one rename can switch them all. What somebody puts there later is
// not part of the first day's generation.
func (s *Store) takeOverBoot(dir string) error {
	current, err := s.Current()
	if err != nil {
		return err
	}
	if _, err := os.Stat(s.folder(0)); current != nil && current.Number > 0 && err == nil {
		return nil
	}
	found := false
	for _, b := range bootFiles {
		at := filepath.Join(s.bootSide(), b.link)
		if !isRegular(at) || !isRegular(filepath.Join(dir, b.file)) {
			continue
		}
		found = true
		kept := filepath.Join(s.bootFolder(0), b.file)
		if isRegular(kept) {
			continue // kept on an earlier day, or by a run that was cut off
		}
		if err := s.keepAs(at, kept); err != nil {
			return err
		}
	}
	if !found {
		return nil
	}
	// A run may have been killed before it synced what it had kept.
	if err := s.disk.SyncFolder(s.bootFolder(0)); err != nil {
		return err
	}
	if target, err := os.Readlink(filepath.Join(s.bootSide(), "current")); err == nil && target != "0" {
		return nil
	}
	return s.disk.Replace(s.prepareBoot(0))
}

// keepAs gives the file at path a second name, in a folder that is made if it does not exist.
func (s *Store) keepAs(path, second string) error {
	if err := s.disk.MkdirAll(filepath.Dir(second)); err != nil {
		return err
	}
	if err := s.disk.Link(path, second); err != nil {
		return fmt.Errorf("keep %s: %w", path, err)
	}
	return s.disk.SyncFolder(filepath.Dir(second))
}

// stageBoot puts what clients fetch over TFTP from the generation folder dir into the TFTP side's
// folder n, complete and synced, where no link leads to it yet.
func (s *Store) stageBoot(n int, dir string) error {
	temp := filepath.Join(s.bootSide(), newFolder)
	if err := s.disk.MkdirNew(temp); err != nil {
		return err
	}
	for _, b := range bootFiles {
		from := filepath.Join(dir, b.file)
		if _, err := os.Stat(from); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := copyFile(s.disk.Create, from, filepath.Join(temp, b.file)); err != nil {
			return err
		}
	}
	if err := s.disk.SyncFolder(temp); err != nil {
		return err
	}
	if err := s.disk.RemoveAll(s.bootFolder(n)); err != nil {
		return err
	}
	return s.disk.Rename(temp, s.bootFolder(n))
}

// maxCopied is how large a file that clients fetch over TFTP may be, in bytes. They hold it in
// memory.
const maxCopied = 4 << 30

// copyFile writes what is in a file to another path, with one of the disk's methods. What is added
// to the file meanwhile is not copied.
func copyFile(write func(path string, content io.Reader) error, from, to string) error {
	in, err := regular.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err == nil {
		err = regular.CheckSize(info.Size(), maxCopied)
	}
	if err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	return write(to, io.LimitReader(in, info.Size()))
}

// prepareBoot prepares the links that make generation n current on the TFTP side, and those by
// which boot menus know its files. A name whose file this generation lacks stays as it is.
func (s *Store) prepareBoot(n int) (ready []durable.Replacement, err error) {
	links := []struct{ name, target string }{{"current", strconv.Itoa(n)}}
	for _, b := range bootFiles {
		if _, err := os.Stat(filepath.Join(s.bootFolder(n), b.file)); err == nil {
			links = append(links, struct{ name, target string }{b.link, filepath.Join("current", b.file)})
		}
	}
	for _, l := range links {
		path := filepath.Join(s.bootSide(), l.name)
		if have, err := os.Readlink(path); err == nil && have == l.target {
			continue
		}
		link, err := s.disk.PrepareLink(l.target, path)
		if err != nil {
			return nil, err
		}
		ready = append(ready, link...)
	}
	return ready, nil
}

// prepareRecords prepares the records that change when the generation current takes its place: it
// is published, and the others have been replaced. A record that cannot be read stays as it is: it
// may say that the generation is pinned.
func (s *Store) prepareRecords(current int, now time.Time) (ready []durable.Replacement, err error) {
	numbers, err := listNumbers(s.imageSide())
	if err != nil {
		return nil, err
	}
	for _, n := range numbers {
		g, unread := s.readRecord(n)
		isRecordedCurrent := g.Published && g.Replaced.IsZero()
		if unread != nil || isRecordedCurrent == (n == current) {
			continue
		}
		g.Published, g.Replaced = true, time.Time{}
		if n != current {
			g.Replaced = now.UTC().Truncate(time.Second)
		}
		record, err := s.prepareRecord(s.folder(n), g)
		if err != nil {
			return nil, err
		}
		ready = append(ready, record...)
	}
	return ready, nil
}

func isFolder(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.IsDir()
}

func isRegular(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode().IsRegular()
}
