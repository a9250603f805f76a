package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"ltskeeper/internal/kernels"
	"ltskeeper/internal/regular"
	"ltskeeper/internal/remedy"
	"ltskeeper/squashfs"

	"golang.org/x/sys/unix"
)

// ErrNone means that there is no image yet.
var ErrNone = remedy.AttachTo(errors.New("there is no image yet"), remedy.Command{"update-image"})

// Verify reads all of the current image back, and fails if it is not byte for byte what was built,
// if it is not a sound image, if its kernel and initrd are not those that clients boot, or if the
// lts.conf that they fetch is not the one that was published. It returns the generation that it
// verified, nil if there is none.
func (s *Store) Verify(ctx context.Context) (*Generation, error) {
	current, img, err := s.openCurrent()
	if err != nil {
		return current, err
	}
	defer img.Close()
	previous, done, err := s.openPrevious(current, false)
	if err != nil && !regular.IsOdd(err) {
		return current, err
	}
	defer done()
	switch {
	case err != nil || previous == nil: // somebody else has built it
	case previous.Index == nil:
		err = fmt.Errorf("its index is gone (%s), so that nothing says what was built",
			filepath.Join(s.folder(current.Number), indexFile))
	default:
		_, err = previous.Verify(ctx)
	}
	imageErr := img.Verify(ctx)
	if imageErr == nil {
		imageErr = s.verifyKernel(current, img)
	}
	return current, errors.Join(err, imageErr, s.verifyConf(*current))
}

// verifyConf fails if the lts.conf of a generation, in its folder or under TFTP, is not the one
// that was published.
func (s *Store) verifyConf(g Generation) error {
	if g.Conf == "" {
		return nil
	}
	var problems []error
	for _, dir := range []string{s.folder(g.Number), s.bootFolder(g.Number)} {
		path := filepath.Join(dir, confFile)
		data, err := regular.Read(path, regular.MaxText)
		if err == nil && hashContent(data) != g.Conf {
			err = fmt.Errorf("%s is not what was published", path)
		}
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

// verifyKernel fails if kernel or initrd of a generation, in its folder or under TFTP, is not that
// of its image.
func (s *Store) verifyKernel(g *Generation, img *openedImage) error {
	kernel, err := kernels.Choose(img.FS())
	if err != nil || kernel == nil || !g.isBuilt() {
		return err
	}
	var problems []error
	for _, f := range []struct{ place, name string }{{kernel.Path, kernelFile}, {kernel.Initrd, initrdFile}} {
		entry, err := img.Lookup(f.place)
		if err != nil {
			return err
		}
		for _, dir := range []string{s.folder(g.Number), s.bootFolder(g.Number)} {
			path := filepath.Join(dir, f.name)
			same, err := img.holds(entry, path)
			if err == nil && !same {
				err = fmt.Errorf("%s is not %s of the image", path, f.place)
			}
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

// DiffTree compares the current image with what would be built from the tree now.
func (s *Store) DiffTree(ctx context.Context, from Source) ([]squashfs.Difference, error) {
	_, img, err := s.openCurrent()
	if err != nil {
		return nil, err
	}
	defer img.Close()
	return squashfs.DiffTree(ctx, img.Reader, from.Root, from.Options)
}

// Diff returns what changed from generation a to generation b. The times of a folder that both
// leave empty are not compared, because they come from the image.
func (s *Store) Diff(ctx context.Context, a, b int) ([]squashfs.Difference, error) {
	var images [2]*openedImage
	for i, n := range []int{a, b} {
		if err := s.checkExists(n); err != nil {
			return nil, err
		}
		img, err := s.open(n)
		if err != nil {
			return nil, err
		}
		defer img.Close()
		images[i] = img
	}
	differences, err := squashfs.DiffImages(ctx, images[0].Reader, images[1].Reader)
	var shown []squashfs.Difference
	for i, d := range differences {
		isInside := i+1 < len(differences) && strings.HasPrefix(differences[i+1].Path, d.Path+"/")
		if isInside || !slices.Equal(d.What, []string{"mtime"}) || !images[0].lends(d.Old) || !images[1].lends(d.New) {
			shown = append(shown, d)
		}
	}
	return shown, err
}

// checkExists fails if there is no generation n, and names those that exist.
func (s *Store) checkExists(n int) error {
	list, err := s.List()
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return ErrNone
	}
	var have []string
	for _, g := range list {
		if g.Number == n {
			return nil
		}
		have = append(have, strconv.Itoa(g.Number))
	}
	return fmt.Errorf("%s has no generation %d; it has %s", s.Name, n, strings.Join(have, ", "))
}

// sampled is how many regions of a new image's data are read back before it is published.
const sampled = 256

// verifyWritten reads a new image in the folder dir back from the disk, past the page cache. It
// fails if superblock, tables or a sample of its data are not what was written.
func (s *Store) verifyWritten(ctx context.Context, dir string) error {
	var opened [2]*os.File
	for i, name := range []string{imageFile, indexFile} {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		defer f.Close()
		if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
			return fmt.Errorf("read %s back: %w", name, err)
		}
		opened[i] = f
	}
	written := squashfs.Previous{Image: opened[0], Index: opened[1]}
	return explainRot(written.Sample(ctx, sampled))
}

// explainRot adds to the error of an image that is not read as it was written what a person can do
// about it. A disk is to blame only if it reported an error.
func explainRot(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if _, isDisk := errors.AsType[syscall.Errno](err); isDisk {
		return fmt.Errorf("the disk does not give back what was written; see what the kernel says of it (dmesg): %w",
			err)
	}
	return fmt.Errorf("the new image is not read as it was written, although the disk reports no error: "+
		"build it anew from nothing; if that fails, too, please report it: %w", err)
}
