package image

import (
	"bytes"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"ltskeeper/internal/clientfs"
	"ltskeeper/internal/excludes"
	"ltskeeper/squashfs"
)

// contents is what the image of a tree will hold, as a file system for package clientfs: the tree
// without what is excluded and without mounts that stay out, and with the overlay.
type contents struct {
	tree    fs.ReadLinkFS
	exclude *excludes.Patterns
	covered map[string]bool                  // where something is mounted that stays out of the image
	overlay map[string]*squashfs.OverlayFile // by path
	folders map[string]bool                  // that hold something of the overlay, directly or further down
}

func newContents(tree fs.ReadLinkFS, o squashfs.Options) *contents {
	c := &contents{tree, o.Exclude, map[string]bool{}, map[string]*squashfs.OverlayFile{}, map[string]bool{}}
	for _, m := range o.Mounts {
		c.covered[m.Path] = !m.IsTaken
	}
	for i, f := range o.Overlay {
		c.overlay[f.Path] = &o.Overlay[i]
		for dir := path.Dir(f.Path); dir != "."; dir = path.Dir(dir) {
			c.folders[dir] = true
		}
	}
	return c
}

// isHidden reports whether what the tree has at a path stays out of the image.
func (c *contents) isHidden(name string) bool {
	if name == "." {
		return false
	}
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if c.covered[dir] {
			return true
		}
	}
	return c.exclude.Match(name)
}

func (c *contents) Lstat(name string) (fs.FileInfo, error) {
	if !clientfs.ValidPath(name) {
		return nil, &fs.PathError{Op: "lstat", Path: name, Err: fs.ErrInvalid}
	}
	info, err := fs.FileInfo(nil), fs.ErrNotExist
	if !c.isHidden(name) {
		info, err = c.tree.Lstat(name)
	}
	switch f := c.overlay[name]; {
	case f == nil:
	case f.ContentOnly:
		if err == nil {
			return fileInfo{name, info.Mode(), int64(len(f.Content)), info.ModTime()}, nil
		}
	default:
		return fileInfo{name, f.Mode.Perm(), int64(len(f.Content)), f.Mtime}, nil
	}
	switch {
	case err == nil && info.Mode().IsRegular() && c.covered[name]:
		return fileInfo{name, info.Mode(), 0, info.ModTime()}, nil
	case err != nil && c.folders[name]:
		return fileInfo{name, fs.ModeDir | 0o755, 0, time.Time{}}, nil
	case err == fs.ErrNotExist:
		return nil, &fs.PathError{Op: "lstat", Path: name, Err: err}
	}
	return info, err
}

func (c *contents) ReadLink(name string) (string, error) {
	info, err := c.Lstat(name)
	if err != nil {
		return "", err
	}
	if info.Mode()&fs.ModeSymlink == 0 {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	return c.tree.ReadLink(name)
}

func (c *contents) Open(name string) (fs.File, error) {
	info, err := c.Lstat(name)
	if err != nil {
		return nil, err
	}
	switch f := c.overlay[name]; {
	case info.IsDir():
		entries, err := c.ReadDir(name)
		return &memoryFolder{info, entries}, err
	case f != nil:
		return memoryFile{bytes.NewReader(f.Content), info}, nil
	case info.Mode().IsRegular() && c.covered[name]:
		return memoryFile{bytes.NewReader(nil), info}, nil
	}
	return c.tree.Open(name)
}

func (c *contents) ReadDir(name string) ([]fs.DirEntry, error) {
	info, err := c.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: syscall.ENOTDIR}
	}
	names := map[string]bool{}
	if _, err := c.tree.Lstat(name); err == nil && !c.isHidden(name) && (name == "." || !c.covered[name]) {
		entries, err := fs.ReadDir(c.tree, name)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if !c.exclude.Match(path.Join(name, e.Name())) {
				names[e.Name()] = true
			}
		}
	}
	prefix := name + "/"
	if name == "." {
		prefix = ""
	}
	for file := range c.overlay {
		if inside, ok := strings.CutPrefix(file, prefix); ok {
			child, _, _ := strings.Cut(inside, "/")
			names[child] = true
		}
	}
	var entries []fs.DirEntry
	for _, child := range slices.Sorted(maps.Keys(names)) {
		info, err := c.Lstat(path.Join(name, child))
		if err != nil {
			return nil, err
		}
		entries = append(entries, fs.FileInfoToDirEntry(info))
	}
	return entries, nil
}

// fileInfo describes what is in the image other than in the tree.
type fileInfo struct {
	path  string
	mode  fs.FileMode
	size  int64
	mtime time.Time
}

func (i fileInfo) Name() string       { return path.Base(i.path) }
func (i fileInfo) Mode() fs.FileMode  { return i.mode }
func (i fileInfo) Size() int64        { return i.size }
func (i fileInfo) ModTime() time.Time { return i.mtime }
func (i fileInfo) IsDir() bool        { return i.mode.IsDir() }
func (i fileInfo) Sys() any           { return nil }

// memoryFile is a file with the content that it has in the image only.
type memoryFile struct {
	*bytes.Reader
	info fs.FileInfo
}

func (f memoryFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f memoryFile) Close() error               { return nil }

// memoryFolder is a folder with the entries that are still to be read.
type memoryFolder struct {
	info    fs.FileInfo
	entries []fs.DirEntry
}

func (f *memoryFolder) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *memoryFolder) Close() error               { return nil }

func (f *memoryFolder) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: f.info.Name(), Err: syscall.EISDIR}
}

func (f *memoryFolder) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 {
		n = len(f.entries)
	} else if len(f.entries) == 0 {
		return nil, io.EOF
	}
	n = min(n, len(f.entries))
	list := f.entries[:n]
	f.entries = f.entries[n:]
	return list, nil
}
