package squashfs

import (
	"bytes"
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
		Time: r.Info().Time,
	})
	if err != nil {
		return nil, err
	}
	defer unix.Close(b.root)
	t, err := b.readTree(ctx)
	if err != nil {
		return nil, fmt.Errorf("compare with %s: %w", root, err)
	}
	files := &treeFiles{r: r, tree: t, opener: opener{root: b.root}}
	defer files.opener.close()
	return newDiffer(imageSide(r), treeSide(t), files.sameContent).compare(ctx)
}

// treeSide shows a tree as an image of it would.
func treeSide(t *tree) side {
	return side{entries: t.entries(), xattrs: func(e *Entry) (list []Xattr, err error) {
		if set := t.inodes[e.Inode-1].xattrs; set != nil {
			for _, x := range set.attrs {
				list = append(list, Xattr{x.name, []byte(x.value)})
			}
		}
		return list, nil
	}}
}

func (t *tree) entries() iter.Seq2[*Entry, error] {
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
				if e.Size = i.stat.size; i.held {
					e.Size = int64(len(i.data))
				}
			case unix.S_IFBLK, unix.S_IFCHR:
				e.Device = decodeDevice(encodeDevice(i.device))
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// treeFiles compares the content of files in an image and in a tree.
type treeFiles struct {
	r      *Reader
	tree   *tree
	opener opener
	buffer [maxBlockSize]byte
}

func (f *treeFiles) sameContent(old, now *Entry) (bool, error) {
	c, err := f.r.newFileReader(old)
	if err != nil {
		return false, err
	}
	if now.Size == 0 {
		return true, nil
	}
	i := f.tree.inodes[now.Inode-1]
	same, err := f.sameAs(c, &content{inode: i, size: now.Size})
	if _, changed := errors.AsType[*errChanged](err); changed {
		return false, nil
	}
	return same, err
}

func (f *treeFiles) sameAs(c *fileReader, on *content) (bool, error) {
	disk, err := f.opener.openContent(on)
	if err != nil {
		return false, err
	}
	defer disk.close()
	for off := int64(0); off < c.size; {
		i := off / int64(f.r.super.BlockSize)
		b := f.buffer[:c.blockLen(i)]
		n, zero, err := disk.readNext(b, off)
		if err != nil {
			return false, err
		}
		if zero { // perhaps for many blocks, on both sides
			zeros, err := c.zeros(off)
			if err != nil {
				return false, err
			}
			if zeros > 0 {
				off += min(n, zeros)
				continue
			}
		}
		want, err := c.block(i)
		if err != nil {
			return false, err
		}
		if zero && !allZero(want) || !zero && !bytes.Equal(b, want) {
			return false, nil
		}
		off += int64(len(b))
	}
	return true, disk.check()
}
