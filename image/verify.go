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

// Verify reads all of the current image back and fails if it is not what was built: byte for byte
// as its index has it, an image that holds together, the kernel and initrd in it those that clients
// boot, and the lts.conf that they fetch the one that was published. It returns the generation it
// looked at, nil if it found none.
func (s *Store) Verify(ctx context.Context) (*Generation, error) {
	current, img, err := s.openCurrent()
	if err != nil {
		return current, err
	}
	defer img.Close()
	previous, done, err := s.previous(current, false)
	if err != nil && !regular.IsOdd(err) {
		return current, err
	}
	defer done()
	var problems []error
	switch {
	case err != nil:
		problems = append(problems, err)
	case previous == nil: // one that nobody here has built
	case previous.Index == nil:
		problems = append(problems,
			fmt.Errorf("its index is gone (%s), so that nothing says what was built",
				filepath.Join(s.folder(current.Number), indexFile)))
	default:
		if _, err := previous.Verify(ctx); err != nil {
			problems = append(problems, err)
		}
	}
	if err := img.Verify(ctx); err != nil {
		problems = append(problems, err)
	} else if err := s.verifyKernel(current, img); err != nil {
		problems = append(problems, err)
	}
	if err := s.verifyConf(*current); err != nil {
		problems = append(problems, err)
	}
	return current, errors.Join(problems...)
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
		if err != nil {
			problems = append(problems, err)
		} else if digest(data) != g.Conf {
			problems = append(problems, fmt.Errorf("%s is not what was published", path))
		}
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
			if err != nil {
				problems = append(problems, err)
			} else if !same {
				problems = append(problems, fmt.Errorf("%s is not %s of the image", path, f.place))
			}
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

// Diff says what changed from generation a to generation b. A folder that both leave empty is not
// told of for the time that its image lends it.
func (s *Store) Diff(ctx context.Context, a, b int) ([]squashfs.Difference, error) {
	var images [2]*openedImage
	for i, n := range []int{a, b} {
		if err := s.exists(n); err != nil {
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
	var told []squashfs.Difference
	for i, d := range differences {
		within := i+1 < len(differences) && strings.HasPrefix(differences[i+1].Path, d.Path+"/")
		if within || !slices.Equal(d.What, []string{"mtime"}) || !images[0].lends(d.Old) || !images[1].lends(d.New) {
			told = append(told, d)
		}
	}
	return told, err
}

// exists fails, and names those that do, if there is no generation n.
func (s *Store) exists(n int) error {
	list, err := s.List()
	if err != nil {
		return err
	}
	var have []string
	for _, g := range list {
		have = append(have, strconv.Itoa(g.Number))
	}
	if slices.Contains(have, strconv.Itoa(n)) {
		return nil
	}
	if len(have) == 0 {
		return ErrNone
	}
	return fmt.Errorf("%s has no generation %d; it has %s", s.Name, n, strings.Join(have, ", "))
}

// sampled is how many regions of a new image's data are read back before it is published.
const sampled = 256

// sound reads a new image in the folder dir back from the disk, past the page cache: superblock,
// tables and a sample of its data must be what was written.
func (s *Store) sound(ctx context.Context, dir string) error {
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

// explainRot says of an image that is not read as it was written what a person can do about that. A
// disk is to blame only if it reported an error.
func explainRot(err error) error {
	switch errno := syscall.Errno(0); {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &errno):
		return fmt.Errorf("the disk does not give back what was written; see what the kernel says of it (dmesg): %w",
			err)
	}
	return fmt.Errorf("the new image is not read as it was written, although the disk reports no error: "+
		"build it anew from nothing; if that fails, too, please report it: %w", err)
}
