package image

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"ltskeeper/internal/clientfs"
	"ltskeeper/internal/regular"
	"ltskeeper/squashfs"
)

// openedImage is an image file being read.
type openedImage struct {
	*squashfs.Reader
	file *os.File
}

func openImage(path string) (*openedImage, error) {
	f, err := regular.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		var r *squashfs.Reader
		if r, err = squashfs.Open(f, info.Size()); err == nil {
			return &openedImage{r, f}, nil
		}
	}
	f.Close()
	return nil, fmt.Errorf("read %s: %w", path, err)
}

// open opens the image of generation n.
func (s *Store) open(n int) (*openedImage, error) {
	return openImage(filepath.Join(s.folder(n), imageFile))
}

// openCurrent opens the current image. It fails with ErrNone if there is none.
func (s *Store) openCurrent() (*Generation, *openedImage, error) {
	current, err := s.Current()
	if err != nil {
		return nil, nil, err
	}
	if current == nil {
		return nil, nil, ErrNone
	}
	img, err := s.open(current.Number)
	return current, img, err
}

func (i *openedImage) Close() error { return i.file.Close() }

// holds reports whether the file at path has the content of an entry.
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
	return regular.GiveSameBytes(content, f)
}

// lends reports whether an entry may be a folder that has its time from the image, as one that was
// left empty has.
func (i *openedImage) lends(e *squashfs.Entry) bool {
	return e.IsDir() && e.Links == 2 && int64(e.Mtime) == i.Time().Unix()
}

// ReadFile returns the content of a file of the current image, nil if there is no such file or no
// image.
func (s *Store) ReadFile(path string) ([]byte, error) {
	current, err := s.Current()
	if err != nil || current == nil {
		return nil, err
	}
	return s.ReadFileOf(current.Number, path)
}

// ReadFileOf is ReadFile for generation n.
func (s *Store) ReadFileOf(n int, path string) ([]byte, error) {
	img, err := s.open(n)
	if err != nil {
		return nil, err
	}
	defer img.Close()
	place, info, err := clientfs.Stat(img.FS(), path)
	if clientfs.IsMissing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := regular.CheckSize(info.Size(), regular.MaxText); err != nil {
		return nil, fmt.Errorf("read %s in the image: %w", place, err)
	}
	content, err := img.FS().Open(place)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(content)
}

// ReadConf returns the lts.conf that generation n was published with, nil if there is none.
func (s *Store) ReadConf(n int) (*LTSConf, error) {
	data, err := regular.Read(filepath.Join(s.folder(n), confFile), regular.MaxText)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &LTSConf{data}, nil
}

// hashContent names a content: its SHA-256 in hexadecimal.
func hashContent(data []byte) string { return fmt.Sprintf("%x", sha256.Sum256(data)) }
