package squashfs

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"golang.org/x/sys/unix"
)

// DiffTree compares an image with what Build would put into one of the directory root now: the tree
// with the excludes, the mounts, the overlay and the id offset of o. Old is the image's side, New
// the tree's. Of o, nothing else counts; for the superblock's time the image's own stands.
//
// A file that changes while it is read differs.
func DiffTree(ctx context.Context, r *Reader, root string, o Options) ([]Difference, error) {
	b, err := newBuilder(nil, root, Options{
		Exclude: o.Exclude, Mounts: o.Mounts, SkipSnapshots: o.SkipSnapshots, Overlay: o.Overlay, IDOffset: o.IDOffset,
		Time: r.Time(),
	})
	if err != nil {
		return nil, err
	}
	defer unix.Close(b.root)
	t, err := b.readTree(ctx)
	if err != nil {
		return nil, fmt.Errorf("compare with %s: %w", root, err)
	}
	files := &treeComparer{r: r, tree: t, opener: treeOpener{root: b.root}}
	defer files.opener.close()
	return newComparer(newImageSide(r), newTreeSide(t), files.sameFile).compare(ctx)
}

// newTreeSide shows a tree as an image of it would.
func newTreeSide(t *tree) side {
	return side{entries: t.listEntries(), xattrs: func(e *Entry) ([]Xattr, error) {
		if set := t.inodes[e.Inode-1].xattrs; set != nil {
			return set.attrs, nil
		}
		return nil, nil
	}}
}

func (t *tree) listEntries() iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		for _, name := range t.names {
			i := name.inode
			e := &Entry{
				Path: name.path, Mode: i.mode, UID: i.uid, GID: i.gid, Mtime: i.mtime,
				Inode: i.number, Links: i.links, Target: i.target,
			}
			switch i.mode & unix.S_IFMT {
			case unix.S_IFDIR:
				if e.Path == "" {
					e.Path = "."
				}
			case unix.S_IFREG:
				e.Size = i.contentSize()
			case unix.S_IFBLK, unix.S_IFCHR:
				e.Device = decodeDevice(encodeDevice(i.device))
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// treeComparer compares the content of files in an image and in a tree.
type treeComparer struct {
	r      *Reader
	tree   *tree
	opener treeOpener
	buffer blockPair
}

func (f *treeComparer) sameFile(old, now *Entry) (bool, error) {
	c, err := f.r.newFileReader(old)
	if err != nil {
		return false, err
	}
	if now.Size == 0 {
		return true, nil
	}
	same, err := f.compareToTree(c, &content{inode: f.tree.inodes[now.Inode-1], size: now.Size})
	if _, changed := errors.AsType[*changedError](err); changed {
		return false, nil
	}
	return same, err
}

func (f *treeComparer) compareToTree(c *fileReader, on *content) (bool, error) {
	disk, err := f.opener.open(on)
	if err != nil {
		return false, err
	}
	defer disk.close()
	if same, err := f.buffer.compareStreams(c, disk, c.size); err != nil || !same {
		return same, err
	}
	return true, disk.checkUnchanged()
}
