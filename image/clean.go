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
	"ltskeeper/internal/remedy"

	"golang.org/x/sys/unix"
)

// clean removes what has a temporary name, and generations that were complete but never became
// current.
func (s *Store) clean() error {
	current, err := s.Current()
	if err != nil {
		return err
	}
	gone, err := s.listHalfRemoved(current)
	if err != nil {
		return err
	}
	for _, n := range gone {
		if err := s.removeGeneration(n); err != nil {
			return err
		}
	}
	for _, dir := range []string{s.Images, s.imageSide(), s.bootSide()} {
		if err := s.removeLitter(dir); err != nil {
			return err
		}
	}
	numbers, err := listNumbers(s.imageSide())
	if err != nil {
		return err
	}
	for _, n := range numbers {
		g, unread := s.readRecord(n) // one that cannot be read may have been current
		if current.isNumber(n) || g.Published || unread != nil {
			err = errors.Join(s.removeLitter(s.folder(n)), s.removeLitter(s.bootFolder(n)))
		} else {
			err = s.removeGeneration(n)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// removeLitter removes the entries of dir with temporary names. In the folder of images, which
// chroots share, it removes only those of this chroot.
func (s *Store) removeLitter(dir string) error {
	entries, err := listFolder(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		isLitter := strings.HasPrefix(e.Name(), durable.TempPrefix)
		if link := filepath.Base(s.Link()); dir == s.Images {
			isLitter = e.Name() == durable.TempName(link) || e.Name() == oldLinkPrefix+link
		}
		if !isLitter {
			continue
		}
		if err := s.disk.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// listFolder lists a folder. One that does not exist is empty.
func listFolder(dir string) ([]fs.DirEntry, error) {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
		return nil, remedy.AttachTo(fmt.Errorf("%s is not a folder", dir), remedy.Advice("move it away"))
	}
	return entries, err
}

// removeGeneration deletes generation n on both sides. Each folder first takes a temporary name,
// durably, so that a generation is never seen half deleted. The TFTP side's goes last, because it
// tells a later run what is not finished.
func (s *Store) removeGeneration(n int) error {
	var temps []string
	for _, folder := range []string{s.bootFolder(n), s.folder(n)} {
		temp := filepath.Join(filepath.Dir(folder), oldPrefix+strconv.Itoa(n))
		temps = append(temps, temp)
		if _, err := os.Lstat(folder); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := s.disk.RemoveAll(temp); err != nil {
			return err
		}
		if err := s.disk.Rename(folder, temp); err != nil {
			return err
		}
	}
	slices.Reverse(temps)
	for _, temp := range temps {
		if err := s.disk.RemoveAll(temp); err != nil {
			return err
		}
	}
	return nil
}

// listHalfRemoved lists the generations that an unfinished run began to delete, and the folders on
// the TFTP side for which there is no generation, because a run did not get to publish it. What is
// served stays, and so does the first day's, which may have had no image.
func (s *Store) listHalfRemoved(current *Generation) ([]int, error) {
	entries, err := listFolder(s.bootSide())
	if err != nil {
		return nil, err
	}
	var gone []int
	for _, e := range entries {
		number, isOld := strings.CutPrefix(e.Name(), oldPrefix)
		if n, err := strconv.Atoi(number); isOld && err == nil && !current.isNumber(n) {
			gone = append(gone, n)
		}
	}
	staged, err := listNumbers(s.bootSide())
	if err != nil {
		return nil, err
	}
	served, _ := os.Readlink(filepath.Join(s.bootSide(), "current"))
	for _, n := range staged {
		_, err := os.Lstat(s.folder(n))
		if errors.Is(err, fs.ErrNotExist) && n != 0 && served != strconv.Itoa(n) {
			gone = append(gone, n)
		}
	}
	return gone, nil
}

// Prune deletes generations that are not among the newest keep and were replaced longer than
// keepFor ago, except those that are pinned, and those that something on this machine visibly uses.
// Clients that read an image over NFSv3 cannot be seen from here: keepFor is for them. It returns
// the numbers of what it deleted.
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
	used := listFilesInUse()
	var gone []int
	for _, g := range old {
		isInUse, err := s.isInUse(g.Number, used)
		if err == nil && !isInUse {
			err = s.removeGeneration(g.Number)
		}
		if err != nil {
			return gone, fmt.Errorf("prune generation %d of %s: %w", g.Number, s.Name, err)
		}
		if !isInUse {
			gone = append(gone, g.Number)
		}
	}
	return gone, nil
}
