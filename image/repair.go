package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"ltskeeper/internal/kernels"
	"ltskeeper/internal/regular"
	"ltskeeper/internal/remedy"
)

// Check looks for what a crash or somebody else left apart, and changes nothing. The problem is nil
// if it found nothing.
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
	apart, err := s.isBootApart(current.Number)
	if err != nil || !apart {
		return nil, err
	}
	problem = fmt.Errorf("%s is not at generation %d as the image is", s.bootSide(), current.Number)
	return remedy.AttachTo(problem, remedy.Command{"update-image"}), nil
}

// Repair puts right what a crash left apart, and removes the litter of unfinished runs. The image's
// link is right; the TFTP side follows it.
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
	// A run may have been killed before it synced these names. They must last, because more is
	// built on them now.
	for _, dir := range []string{s.Images, s.bootSide(), s.bootFolder(n)} {
		if err := s.disk.SyncFolder(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("repair %s: %w", s.Name, err)
		}
	}
	if _, err := os.Stat(s.folder(n)); err != nil {
		return nil // the next build makes another generation
	}
	apart, err := s.isBootApart(n)
	if err == nil && apart {
		err = s.restoreBoot(n)
	}
	if err == nil {
		err = s.disk.Replace(s.prepareRecords(n, now))
	}
	if err != nil {
		return fmt.Errorf("bring %s to generation %d: %w", s.bootSide(), n, err)
	}
	return nil
}

// restoreBoot brings the TFTP side to generation n and makes it current. Generation 0 has its files
// on the TFTP side only.
func (s *Store) restoreBoot(n int) error {
	if n != 0 {
		if err := s.disk.MkdirAll(s.bootSide()); err != nil {
			return err
		}
		if err := s.takeOverBoot(s.folder(n)); err != nil {
			return err
		}
		if err := s.restageBoot(n); err != nil {
			return err
		}
	}
	return s.disk.Replace(s.prepareBoot(n))
}

// restageBoot makes the TFTP side's folder n what generation n holds. A folder that exists may be
// served: its files are replaced one by one.
func (s *Store) restageBoot(n int) error {
	if _, err := os.Stat(s.bootFolder(n)); errors.Is(err, fs.ErrNotExist) {
		return s.stageBoot(n, s.folder(n))
	}
	stale, err := s.listStaleBoot(n)
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

// restageFile makes a file in the TFTP side's folder n what generation n holds. A kernel or initrd
// comes from its image, if that can be read: the copy beside the image may be damaged.
func (s *Store) restageFile(n int, file string) error {
	served := filepath.Join(s.bootFolder(n), file)
	img, place := s.openBootImage(n, file)
	if img == nil {
		return copyFile(s.disk.Write, filepath.Join(s.folder(n), file), served)
	}
	defer img.Close()
	content, err := img.FS().Open(place)
	if err != nil {
		return err
	}
	defer content.Close()
	return s.disk.Write(served, content)
}

// openBootImage opens the image of generation n, and returns where in it a kernel or initrd of the
// generation is. The image is nil if the file comes from elsewhere, or if it cannot be read.
func (s *Store) openBootImage(n int, file string) (img *openedImage, place string) {
	if g := s.readGeneration(n); file == confFile || !g.isBuilt() {
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
	img, place := s.openBootImage(n, file)
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

// isBootApart reports whether what clients fetch over TFTP is not what generation n holds.
func (s *Store) isBootApart(n int) (bool, error) {
	stale, err := s.listStaleBoot(n)
	if err != nil || len(stale) > 0 {
		return true, err
	}
	served := false
	for _, b := range bootFiles {
		if !isRegular(filepath.Join(s.bootFolder(n), b.file)) {
			continue
		}
		served = true
		if target, err := os.Readlink(filepath.Join(s.bootSide(), b.link)); err != nil ||
			target != filepath.Join("current", b.file) {
			return true, nil
		}
	}
	target, err := os.Readlink(filepath.Join(s.bootSide(), "current"))
	if errors.Is(err, fs.ErrNotExist) && !served {
		return false, nil // a generation 0 without anything under TFTP
	}
	return err != nil || target != strconv.Itoa(n), nil
}

// listStaleBoot lists the files in the TFTP side's folder n that are not what generation n holds. A
// kernel or initrd that is in its image is good, whatever was done to the copy beside the image.
func (s *Store) listStaleBoot(n int) ([]string, error) {
	if n == 0 {
		return nil, nil // its files are nowhere else
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

// isCopy reports whether one file is a copy of another: an lts.conf by its bytes, and a kernel or
// initrd, which only a failing disk changes, by its size. A copy that does not exist, or is not a
// regular file, is not one.
func isCopy(path, original string) (bool, error) {
	want, err := os.Stat(original)
	if err != nil {
		return false, err
	}
	have, err := regular.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || regular.IsOdd(err) {
		return false, nil
	}
	if err != nil || have.Size() != want.Size() {
		return false, err
	}
	if filepath.Base(original) != confFile {
		return true, nil
	}
	return regular.HaveSameContent(path, original)
}
