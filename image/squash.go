package image

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"ltskeeper/internal/regular"
	"ltskeeper/squashfs"
)

// squashed is the result of squash.
type squashed struct {
	squashfs.Result
	full     string // why nothing was taken over from the previous image
	warnings []string
}

// squash makes the image file and its index in the folder dir, upon the generation current, and
// syncs them.
func (s *Store) squash(ctx context.Context, from Source, current *Generation, dir string) (squashed, error) {
	var m squashed
	switch {
	case !current.isBuilt():
	case from.Full:
		m.full = "asked for"
	case current.Inspection != from.inspectorName():
		m.full = "every file is to be inspected, because what to look for has changed"
	}
	previous, done, err := s.openPrevious(current, m.full != "")
	if regular.IsOdd(err) {
		m.full, err = "cannot build upon the previous image: "+err.Error(), nil
	}
	if err != nil {
		return m, err
	}
	defer done()
	if current != nil {
		if _, unread := s.readRecord(current.Number); regular.IsOdd(unread) {
			m.warnings = append(m.warnings, unread.Error()+": move it away, or every image is built from nothing")
		}
	}
	out, err := s.disk.Open(filepath.Join(dir, imageFile))
	if err != nil {
		return m, err
	}
	defer out.Close()
	var index bytes.Buffer
	options := from.Options
	options.Previous, options.Index, options.Inspector = previous, &index, from.Inspector
	options.Warn = func(sentence string) { m.warnings = append(m.warnings, sentence) }
	if m.Result, err = squashfs.Build(ctx, out, from.Root, options); err != nil {
		return m, err
	}
	m.full = cmp.Or(m.full, m.Reason)
	if !m.Unchanged && current != nil {
		if m.Unchanged, err = s.isSameImage(current.Number, out); err != nil {
			return m, err
		}
	}
	if m.Unchanged {
		if index.Len() == 0 {
			return m, nil
		}
		// The same image, but the index was of little use.
		path := filepath.Join(s.folder(current.Number), indexFile)
		if isFolder(path) {
			m.warnings = append(m.warnings,
				path+" is a folder and not a regular file: move it away, or every image is built from nothing")
			path = filepath.Join(dir, indexFile) // for a generation that shares the image
		}
		return m, s.disk.Write(path, &index)
	}
	if err := s.disk.Create(filepath.Join(dir, indexFile), &index); err != nil {
		return m, err
	}
	return m, s.disk.Sync(out)
}

// openPrevious opens the generation to build upon. It returns nil on the first day, if everything
// is to be made anew, and for somebody else's image, which has no index. An error for which
// regular.IsOdd is true says why it returns nil, or why there is no index.
func (s *Store) openPrevious(current *Generation, full bool) (p *squashfs.Previous, done func(), err error) {
	if full || !current.isBuilt() {
		return nil, func() {}, nil
	}
	dir := s.folder(current.Number)
	p = new(squashfs.Previous)
	done = func() {
		for _, f := range []*os.File{p.Image, p.Index} {
			if f != nil {
				f.Close()
			}
		}
	}
	if p.Image, err = regular.Open(filepath.Join(dir, imageFile)); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, func() {}, nil // its folder is gone; the new one takes its place
		}
		return nil, func() {}, err
	}
	switch p.Index, err = regular.Open(filepath.Join(dir, indexFile)); {
	case errors.Is(err, fs.ErrNotExist):
		err = nil
	case err != nil && !regular.IsOdd(err):
		done()
		return nil, func() {}, err
	}
	return p, done, err
}

// isSameImage reports whether a new image is byte for byte that of generation n, which is another
// if it is not a regular file or cannot be read.
func (s *Store) isSameImage(n int, image *os.File) (bool, error) {
	old, err := regular.Open(filepath.Join(s.folder(n), imageFile))
	if errors.Is(err, fs.ErrNotExist) || regular.IsOdd(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer old.Close()
	if _, err := image.Seek(0, io.SeekStart); err != nil {
		return false, err
	}
	same, err := regular.GiveSameBytes(old, image)
	return same && err == nil, nil
}
