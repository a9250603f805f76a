package image

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"ltskeeper/internal/kernels"
	"ltskeeper/internal/regular"
	"ltskeeper/internal/remedy"
	"ltskeeper/squashfs"
)

// ErrNone means that there is no image yet.
var ErrNone = remedy.AttachTo(errors.New("there is no image yet"), remedy.Command{"update-image"})

// Verify reads all of the current image back and says whether it is what was built: byte for byte
// as its index has it, an image that holds together, the kernel and initrd in it those that clients
// boot, and the lts.conf that they fetch the one that was published. It returns the generation it
// looked at.
func (s *Store) Verify(ctx context.Context) (int, error) {
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
				filepath.Join(s.folder(current), indexFile)))
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
	if err := s.verifyConf(current); err != nil {
		problems = append(problems, err)
	}
	return current, errors.Join(problems...)
}

// verifyConf says whether the lts.conf of generation n, in its folder and under TFTP, is the one
// that was published.
func (s *Store) verifyConf(n int) error {
	want := s.record(n).Conf
	if want == "" {
		return nil
	}
	var problems []error
	for _, dir := range []string{s.folder(n), s.bootFolder(n)} {
		path := filepath.Join(dir, confFile)
		data, err := regular.Read(path, regular.MaxText)
		if err != nil {
			problems = append(problems, err)
		} else if digest(data) != want {
			problems = append(problems, fmt.Errorf("%s is not what was published", path))
		}
	}
	return errors.Join(problems...)
}

// verifyKernel says whether kernel and initrd of generation n, in its folder and under TFTP, are
// those of its image.
func (s *Store) verifyKernel(n int, img *openedImage) error {
	kernel, err := kernels.Choose(img.FS())
	if err != nil || kernel == nil || !s.madeHere(n) {
		return err
	}
	var problems []error
	for _, f := range []struct{ place, name string }{{kernel.Path, kernelFile}, {kernel.Initrd, initrdFile}} {
		entry, err := img.Lookup(f.place)
		if err != nil {
			return err
		}
		for _, dir := range []string{s.folder(n), s.bootFolder(n)} {
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

// holds says whether the file at path has the content of an entry.
func (i *openedImage) holds(e *squashfs.Entry, path string) (bool, error) {
	content, err := i.OpenFile(e)
	if err != nil {
		return false, err
	}
	f, err := regular.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() != e.Size {
		return false, err
	}
	want, have := sha256.New(), sha256.New()
	if _, err := io.Copy(want, content); err != nil {
		return false, err
	}
	if _, err := io.Copy(have, io.LimitReader(f, e.Size)); err != nil {
		return false, err
	}
	return bytes.Equal(want.Sum(nil), have.Sum(nil)), nil
}

// DiffTree compares the current image with what would be built from the tree now.
func (s *Store) DiffTree(ctx context.Context, from Source) (int, []squashfs.Difference, error) {
	current, img, err := s.openCurrent()
	if err != nil {
		return current, nil, err
	}
	defer img.Close()
	differences, err := squashfs.DiffTree(ctx, img.Reader, from.Root, from.Options)
	return current, differences, err
}

// Diff says what changed from generation a to generation b. A folder that both leave empty is not
// told of for the time that its image lends it.
func (s *Store) Diff(ctx context.Context, a, b int) ([]squashfs.Difference, error) {
	var images [2]*openedImage
	for i, n := range []int{a, b} {
		if err := s.exists(n); err != nil {
			return nil, err
		}
		img, err := openImage(filepath.Join(s.folder(n), imageFile))
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

// lends tells whether an entry may be a folder that has its time from the image, as one that was
// left empty has.
func (i *openedImage) lends(e *squashfs.Entry) bool {
	return e.IsDir() && e.Links == 2 && int64(e.Mtime) == i.Info().Time.Unix()
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

func (s *Store) openCurrent() (int, *openedImage, error) {
	current, err := s.Current()
	if err != nil {
		return None, nil, err
	}
	if current == None {
		return None, nil, ErrNone
	}
	img, err := openImage(filepath.Join(s.folder(current), imageFile))
	return current, img, err
}

// Conf is the lts.conf that generation n was published with, nil if there is none.
func (s *Store) Conf(n int) ([]byte, error) {
	data, err := regular.Read(filepath.Join(s.folder(n), confFile), regular.MaxText)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}
