package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"ltskeeper/internal/durable"
	"ltskeeper/internal/kernels"
	"ltskeeper/internal/regular"
	"ltskeeper/internal/remedy"

	"golang.org/x/sys/unix"
)

// Check finds what a crash or a stranger left apart: problem is nil if it found nothing. It only
// looks.
func (s *Store) Check() (problem, err error) {
	current, err := s.Current()
	if err != nil || current == nil {
		return nil, err
	}
	build := remedy.Command{"image", "build", s.Name}
	if _, err := regular.Stat(s.Link()); regular.IsOdd(err) {
		return remedy.AttachTo(err, build), nil
	} else if err != nil {
		return remedy.AttachTo(fmt.Errorf("%s leads nowhere", s.Link()), build), nil
	}
	apart, err := s.bootApart(current.Number)
	if err != nil || !apart {
		return nil, err
	}
	problem = fmt.Errorf("%s is not at generation %d as the image is", s.boot(), current.Number)
	return remedy.AttachTo(problem, remedy.Command{"update-image"}), nil
}

// Repair puts right what a crash parted and removes the litter of unfinished runs. The image's link
// is right; the TFTP side follows it.
func (s *Store) Repair(now time.Time) error {
	current, err := s.Current()
	if err != nil {
		return err
	}
	if err := s.clean(); err != nil {
		return fmt.Errorf("remove what an unfinished run left of %s: %w", s.Name, err)
	}
	if current == nil {
		return nil
	}
	n := current.Number
	// The names that are to be seen may be those of a run that was killed before it synced them.
	// They must last, for more is built on them now.
	for _, dir := range []string{s.Images, s.boot(), s.bootFolder(n)} {
		if err := s.disk.SyncFolder(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("repair %s: %w", s.Name, err)
		}
	}
	if _, err := os.Stat(s.folder(n)); err != nil {
		return nil // the next build makes another
	}
	apart, err := s.bootApart(n)
	if err == nil && apart {
		err = s.restoreBoot(n)
	}
	if err == nil {
		err = s.settle(n, now)
	}
	if err != nil {
		return fmt.Errorf("bring %s to generation %d: %w", s.boot(), n, err)
	}
	return nil
}

// restoreBoot brings the TFTP side to generation n and makes it current. Generation 0 has its files
// on the TFTP side only.
func (s *Store) restoreBoot(n int) error {
	if n != 0 {
		if err := s.disk.MkdirAll(s.boot()); err != nil {
			return err
		}
		if err := s.takeOverBoot(s.folder(n)); err != nil {
			return err
		}
		if err := s.restage(n); err != nil {
			return err
		}
	}
	return s.switchBoot(n)
}

// restage makes the TFTP side's folder n what generation n holds. One that is there may be served:
// its files are replaced one by one.
func (s *Store) restage(n int) error {
	if _, err := os.Stat(s.bootFolder(n)); errors.Is(err, fs.ErrNotExist) {
		return s.stageBoot(n, s.folder(n))
	}
	stale, err := s.staleBoot(n)
	if err != nil {
		return err
	}
	for _, file := range stale {
		if served := filepath.Join(s.bootFolder(n), file); isFolder(served) {
			return remedy.AttachTo(fmt.Errorf("%s is a folder and not a regular file", served),
				remedy.Advice("move it away"))
		}
		if err := s.restageFile(n, file); err != nil {
			return err
		}
	}
	return nil
}

// restageFile makes a file in the TFTP side's folder n what generation n holds: a kernel or initrd
// what its image holds, if that can be read, for the copy beside the image may be damaged.
func (s *Store) restageFile(n int, file string) error {
	served := filepath.Join(s.bootFolder(n), file)
	img, place := s.openSource(n, file)
	if img == nil {
		return copyBy(s.disk.Write, filepath.Join(s.folder(n), file), served)
	}
	defer img.Close()
	content, err := img.FS().Open(place)
	if err != nil {
		return err
	}
	defer content.Close()
	return s.disk.Write(served, content)
}

// openSource opens the image of generation n, and says where in it a kernel or initrd of the
// generation comes from. It returns nil if the file comes from elsewhere, or if the image cannot be
// read.
func (s *Store) openSource(n int, file string) (img *openedImage, place string) {
	if g := s.record(n); file == confFile || !g.isBuilt() {
		return nil, ""
	}
	img, err := s.open(n)
	if err != nil {
		return nil, ""
	}
	kernel, err := kernels.Choose(img.FS())
	if err != nil || kernel == nil {
		img.Close()
		return nil, ""
	}
	if file == initrdFile {
		return img, kernel.Initrd
	}
	return img, kernel.Path
}

// isServedFromImage reports whether a kernel or initrd in the TFTP side's folder n is that of the
// image of generation n.
func (s *Store) isServedFromImage(n int, file string) bool {
	img, place := s.openSource(n, file)
	if img == nil {
		return false
	}
	defer img.Close()
	entry, err := img.Lookup(place)
	if err != nil {
		return false
	}
	same, err := img.holds(entry, filepath.Join(s.bootFolder(n), file))
	return err == nil && same
}

// bootApart says whether what clients fetch over TFTP is not what generation n holds.
func (s *Store) bootApart(n int) (bool, error) {
	stale, err := s.staleBoot(n)
	if err != nil || len(stale) > 0 {
		return true, err
	}
	served := false
	for _, b := range bootFiles {
		if !isRegular(filepath.Join(s.bootFolder(n), b.file)) {
			continue
		}
		served = true
		if target, err := os.Readlink(filepath.Join(s.boot(), b.link)); err != nil ||
			target != filepath.Join("current", b.file) {
			return true, nil
		}
	}
	target, err := os.Readlink(filepath.Join(s.boot(), "current"))
	if errors.Is(err, fs.ErrNotExist) && !served {
		return false, nil // a generation 0 without anything under TFTP
	}
	return err != nil || target != strconv.Itoa(n), nil
}

// staleBoot lists the files in the TFTP side's folder n that are not what generation n holds. A
// kernel or initrd that is its image's is sound, whatever was done to the copy beside the image.
func (s *Store) staleBoot(n int) ([]string, error) {
	if n == 0 {
		return nil, nil // its files are there and nowhere else
	}
	var stale []string
	for _, b := range bootFiles {
		ours := filepath.Join(s.folder(n), b.file)
		if !isRegular(ours) {
			continue
		}
		same, err := isCopy(filepath.Join(s.bootFolder(n), b.file), ours)
		if err != nil {
			return nil, err
		}
		if !same && !s.isServedFromImage(n, b.file) {
			stale = append(stale, b.file)
		}
	}
	return stale, nil
}

// isCopy reports whether the file at copied is a copy of a boot file, whose path is original: an
// lts.conf byte by byte, and a kernel or initrd, which only a failing disk changes, by its size. What
// is missing or not a regular file is no copy.
func isCopy(copied, original string) (bool, error) {
	infoA, err := os.Stat(original)
	if err != nil {
		return false, err
	}
	infoB, err := regular.Stat(copied)
	if errors.Is(err, fs.ErrNotExist) || regular.IsOdd(err) {
		return false, nil
	}
	if err != nil || infoA.Size() != infoB.Size() || filepath.Base(original) != confFile {
		return err == nil && infoA.Size() == infoB.Size(), err
	}
	return regular.HaveSameContent(original, copied)
}

// clean removes what begins like a temporary name of ours, and generations that were complete but
// never became current.
func (s *Store) clean() error {
	current, err := s.Current()
	if err != nil {
		return err
	}
	gone, err := s.halfRemoved(current)
	if err != nil {
		return err
	}
	for _, n := range gone {
		if err := s.remove(n); err != nil {
			return err
		}
	}
	for _, dir := range []string{s.Images, s.dir(), s.boot()} {
		if err := s.removeLitter(dir); err != nil {
			return err
		}
	}
	numbers, err := numbered(s.dir())
	if err != nil {
		return err
	}
	for _, n := range numbers {
		g, unread := s.readRecord(n)
		// nothing says of that one that it never became current
		if current.isNumber(n) || g.Published || unread != nil {
			if err := errors.Join(s.removeLitter(s.folder(n)), s.removeLitter(s.bootFolder(n))); err != nil {
				return err
			}
			continue
		}
		if err := s.remove(n); err != nil {
			return err
		}
	}
	return nil
}

// removeLitter removes the entries of dir with temporary names; in the images' folder, which
// chroots share, only those of this one.
func (s *Store) removeLitter(dir string) error {
	entries, err := readFolder(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		litter := strings.HasPrefix(e.Name(), durable.TempPrefix)
		if dir == s.Images {
			litter = e.Name() == durable.TempName(filepath.Base(s.Link()))
		}
		if !litter {
			continue
		}
		if err := s.disk.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// readFolder lists a folder; one that does not exist is empty.
func readFolder(dir string) ([]fs.DirEntry, error) {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
		return nil, remedy.AttachTo(fmt.Errorf("%s is not a folder", dir), remedy.Advice("move it away"))
	}
	return entries, err
}

// remove deletes generation n on both sides. Each folder first takes a temporary name, durably, so
// that a generation is never seen half deleted; the TFTP side's goes last, for it says to a later
// run what is to be finished.
func (s *Store) remove(n int) error {
	var going []string
	for _, folder := range []string{s.bootFolder(n), s.folder(n)} {
		temp := filepath.Join(filepath.Dir(folder), oldPrefix+strconv.Itoa(n))
		going = append(going, temp)
		if _, err := os.Lstat(folder); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := s.disk.RemoveAll(temp); err != nil {
			return err
		}
		if err := s.disk.Rename(folder, temp); err != nil {
			return err
		}
		if err := s.disk.SyncFolder(filepath.Dir(folder)); err != nil {
			return err
		}
	}
	slices.Reverse(going)
	for _, temp := range going {
		if err := s.disk.RemoveAll(temp); err != nil {
			return err
		}
	}
	return nil
}

// halfRemoved lists the generations that an unfinished run began to delete, and the folders on the
// TFTP side for which there is no generation: a run put them there that did not come to publish it.
// What is served stays, and so does the first day's, of which there may have been no image.
func (s *Store) halfRemoved(current *Generation) ([]int, error) {
	entries, err := readFolder(s.boot())
	if err != nil {
		return nil, err
	}
	var gone []int
	for _, e := range entries {
		if number, going := strings.CutPrefix(e.Name(), oldPrefix); going {
			if n, err := strconv.Atoi(number); err == nil && !current.isNumber(n) {
				gone = append(gone, n)
			}
		}
	}
	staged, err := numbered(s.boot())
	if err != nil {
		return nil, err
	}
	served, _ := os.Readlink(filepath.Join(s.boot(), "current"))
	for _, n := range staged {
		_, err := os.Lstat(s.folder(n))
		if errors.Is(err, fs.ErrNotExist) && n != 0 && served != strconv.Itoa(n) {
			gone = append(gone, n)
		}
	}
	return gone, nil
}

// Prune deletes generations that are beyond the newest keep and were replaced longer than keepFor
// ago, but for those that are pinned, and those that something on this machine visibly uses.
// Clients that read an image over NFSv3 cannot be seen from here: only keepFor is for them. It
// returns the numbers it deleted.
func (s *Store) Prune(keep int, keepFor time.Duration, now time.Time) ([]int, error) {
	list, err := s.List()
	if err != nil {
		return nil, err
	}
	var old []Generation
	for _, g := range list[:max(0, len(list)-keep)] {
		if !g.Current && !g.Pinned && !g.Replaced.IsZero() && now.Sub(g.Replaced) > keepFor {
			old = append(old, g)
		}
	}
	if len(old) == 0 {
		return nil, nil
	}
	used := inUse()
	var gone []int
	for _, g := range old {
		busy, err := s.isUsed(g.Number, used)
		if err == nil && !busy {
			err = s.remove(g.Number)
		}
		if err != nil {
			return gone, fmt.Errorf("prune generation %d of %s: %w", g.Number, s.Name, err)
		}
		if !busy {
			gone = append(gone, g.Number)
		}
	}
	return gone, nil
}
