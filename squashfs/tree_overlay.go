package squashfs

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// An OverlayFile is a regular file, of uid and gid 0, that is in the image whatever the tree has in
// its place.
type OverlayFile struct {
	Path    string // from the root, without a slash in front
	Content []byte
	Mode    fs.FileMode // permission bits
	Mtime   time.Time   // zero: the superblock's time

	// ContentOnly: the tree has the file, and only its content is another in the image. All of its
	// names get it.
	ContentOnly bool
}

// putInto puts a file into the tree whose root is dir. Directories on its way that the tree lacks
// are made, with the superblock's time.
func (f *OverlayFile) putInto(dir *treeEntry) error {
	if !fs.ValidPath(f.Path) || f.Path == "." {
		return errors.New("no path from the root, without a slash in front")
	}
	components := strings.Split(f.Path, "/")
	if slices.ContainsFunc(components, func(name string) bool { return len(name) > maxNameLen }) {
		return errors.New("name too long")
	}
	last := len(components) - 1
	for i, name := range components[:last] {
		path := strings.Join(components[:i+1], "/")
		at, found := dir.find(name)
		if !found {
			made := &inode{mode: unix.S_IFDIR | 0o755, links: 1, borrowed: true}
			dir.entries = slices.Insert(dir.entries, at, &treeEntry{path: path, parent: dir, inode: made})
		}
		if dir = dir.entries[at]; !dir.inode.isDir() {
			return fmt.Errorf("%s is no directory", path)
		}
	}
	at, found := dir.find(components[last])
	switch {
	case f.ContentOnly && (!found || !dir.entries[at].inode.isRegular()):
		return errors.New("the tree has no regular file there")
	case f.ContentOnly:
		i := dir.entries[at].inode
		i.held, i.data, i.replaced = true, f.Content, true
		return nil
	case found && dir.entries[at].inode.isDir():
		return errors.New("the tree has a directory there")
	case !found:
		dir.entries = slices.Insert(dir.entries, at, nil)
	}
	dir.entries[at] = &treeEntry{path: f.Path, parent: dir, inode: &inode{
		mode:     unix.S_IFREG | uint32(f.Mode.Perm()),
		mtime:    clampTime(f.Mtime.Unix()),
		borrowed: f.Mtime.IsZero(),
		links:    1,
		held:     true,
		data:     f.Content,
	}}
	return nil
}

// find returns where name stands, or would stand, among a directory's entries.
func (e *treeEntry) find(name string) (int, bool) {
	return slices.BinarySearchFunc(e.entries, name, func(e *treeEntry, name string) int {
		return strings.Compare(e.name(), name)
	})
}
