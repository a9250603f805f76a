package squashfs

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// An Entry is one name in an image, with what the image holds of it.
type Entry struct {
	Path   string // from the root, which is "."; slashes between names
	Mode   uint32 // as st_mode: the kind and the permission bits
	UID    uint32
	GID    uint32
	Mtime  uint32 // in seconds since 1970
	Inode  uint32 // the same for names of the same file
	Links  uint32 // names of a file; for a directory subdirectories + 2
	Size   int64  // of a regular file, in bytes; else 0
	Device uint64 // of a device, as st_rdev
	Target string // of a symbolic link

	inodeType uint16
	ref       uint64 // of the inode
	end       cursor // behind the inode: a list of blocks, or a directory's index
	xattrs    uint32 // number of the set, or noXattrs

	// Of a directory.
	listing     cursor
	listingSize int
	parent      uint32
	indexCount  int

	// Of a regular file.
	start          uint64 // of its blocks in the image
	fragment       uint32
	fragmentOffset uint32
	sparse         uint64
}

// kind is the S_IFMT part of the mode.
func (e *Entry) kind() uint32 { return e.Mode & unix.S_IFMT }

// IsDir reports whether the entry is a directory.
func (e *Entry) IsDir() bool { return e.kind() == unix.S_IFDIR }

// IsRegular reports whether the entry is a regular file.
func (e *Entry) IsRegular() bool { return e.kind() == unix.S_IFREG }

// readInode reads the inode that ref refers to. The entry has no path yet.
func (r *Reader) readInode(ref uint64) (*Entry, error) {
	c, err := r.newCursor(&r.inodes, ref>>16, int(ref&0xffff))
	if err != nil {
		return nil, err
	}
	var header inodeHeader
	if err := c.readStruct(&header); err != nil {
		return nil, err
	}
	kind := decodeFileType(header.Type)
	switch {
	case kind == 0:
		return nil, fmt.Errorf("inode %d: unknown type %d", header.Number, header.Type)
	case header.Number == 0 || header.Number > r.super.Inodes:
		return nil, fmt.Errorf("inode %d is not one of %d", header.Number, r.super.Inodes)
	case header.Mode&^0o7777 != 0:
		return nil, fmt.Errorf("inode %d: mode %#o", header.Number, header.Mode)
	case int(header.UID) >= len(r.ids) || int(header.GID) >= len(r.ids):
		return nil, fmt.Errorf("inode %d: owner %d or group %d of %d", header.Number, header.UID, header.GID,
			len(r.ids))
	}
	e := &Entry{
		Mode: kind | uint32(header.Mode), UID: r.ids[header.UID], GID: r.ids[header.GID],
		Mtime: header.Mtime, Inode: header.Number,
		inodeType: header.Type, ref: ref, xattrs: noXattrs, fragment: noFragment,
	}
	if err := r.readInodeBody(e, &c); err != nil {
		return nil, fmt.Errorf("inode %d: %w", e.Inode, err)
	}
	e.end = c
	if e.IsRegular() && uint64(r.blockCount(e)) > c.left()/4 {
		return nil, fmt.Errorf("inode %d: the table ends before its list of blocks does", e.Inode)
	}
	return e, nil
}

// readInodeBody reads what follows an inode's header.
func (r *Reader) readInodeBody(e *Entry, c *cursor) (err error) {
	switch e.inodeType {
	case typeDirectory:
		var i directoryInode
		if err = c.readStruct(&i); err == nil {
			e.Links, e.parent = i.Links, i.Parent
			err = r.setListing(e, i.Start, i.Offset, uint32(i.Size))
		}
	case typeExtDirectory:
		var i extDirectoryInode
		if err = c.readStruct(&i); err == nil {
			e.Links, e.parent, e.xattrs, e.indexCount = i.Links, i.Parent, i.Xattrs, int(i.IndexCount)
			err = r.setListing(e, i.Start, i.Offset, i.Size)
		}
	case typeFile:
		var i fileInode
		err = c.readStruct(&i)
		e.Links, e.Size, e.start = 1, int64(i.Size), uint64(i.Start)
		e.fragment, e.fragmentOffset = i.Fragment, i.FragmentOffset
	case typeExtFile:
		var i extFileInode
		if err = c.readStruct(&i); int64(i.Size) < 0 {
			return fmt.Errorf("size %d", i.Size)
		}
		e.Links, e.Size, e.start = i.Links, int64(i.Size), i.Start
		e.fragment, e.fragmentOffset = i.Fragment, i.FragmentOffset
		e.xattrs, e.sparse = i.Xattrs, i.Sparse
	case typeSymlink, typeExtSymlink:
		var i symlinkInode
		if err := c.readStruct(&i); err != nil {
			return err
		}
		const maxTarget = 1<<16 - 1
		if i.TargetSize == 0 || i.TargetSize > maxTarget {
			return fmt.Errorf("a target of %d bytes", i.TargetSize)
		}
		e.Links = i.Links
		e.Target, err = c.readString(int(i.TargetSize))
	case typeBlockDevice, typeCharDevice, typeExtBlockDevice, typeExtCharDevice:
		var i deviceInode
		err = c.readStruct(&i)
		e.Links, e.Device = i.Links, decodeDevice(i.Device)
	default:
		var i ipcInode
		err = c.readStruct(&i)
		e.Links = i.Links
	}
	if err == nil && e.inodeType >= typeExtSymlink {
		err = c.readStruct(&e.xattrs)
	}
	return err
}

// setListing notes where a directory's entries are. The size includes 3 bytes that are not there.
func (r *Reader) setListing(e *Entry, start uint32, offset uint16, size uint32) (err error) {
	if size <= 3 {
		return nil
	}
	if e.listing, err = r.newCursor(&r.directories, uint64(start), int(offset)); err != nil {
		return err
	}
	e.listingSize = int(size) - 3
	if uint64(e.listingSize) > e.listing.left() {
		return errTableEnd(&r.directories)
	}
	return nil
}

// blockCount returns how many blocks a file has, its tail in a fragment block not counted.
func (r *Reader) blockCount(e *Entry) int64 {
	n := e.Size / int64(r.super.BlockSize)
	if e.fragment == noFragment && e.Size%int64(r.super.BlockSize) > 0 {
		n++
	}
	return n
}

// maxDepth bounds how many directories stand one in the other, the root included, in images that
// are written and that are read.
const maxDepth = 4096

// Entries walks the whole image: depth first, a directory before what it holds, names of a
// directory in bytewise order. This is the order of the inode numbers in images of this package,
// too.
//
// An error names the path it is about, and stands for one entry, or for the rest of one directory;
// the walk goes on behind it if the loop does.
func (r *Reader) Entries() iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		root, err := r.readRoot()
		if !yield(root, err) || err != nil {
			return
		}
		w := imageWalk{r: r, seen: make(map[uint64]bool)}
		w.push(root)
		for len(w.open) > 0 {
			e, err := w.next()
			if e == nil && err == nil {
				w.open = w.open[:len(w.open)-1]
				continue
			}
			if !yield(e, err) {
				return
			}
			if e != nil && e.IsDir() {
				if err := w.push(e); err != nil && !yield(nil, err) {
					return
				}
			}
		}
	}
}

func (r *Reader) readRoot() (*Entry, error) {
	e, err := r.readInode(r.super.RootInode)
	if err == nil && !e.IsDir() {
		err = errors.New("is no directory")
	}
	if err != nil {
		return nil, fmt.Errorf("read root directory: %w", err)
	}
	e.Path = "."
	return e, nil
}

// imageWalk is a walk through the image, on its way.
type imageWalk struct {
	r    *Reader
	open []*directoryReader // from the root to where we are
	// Directories have one name each, and their listings are disjoint. An image where that is not
	// so could keep us busy for ever.
	seen map[uint64]bool // inode references of directories
	read uint64          // bytes of listings
}

func (w *imageWalk) push(dir *Entry) error {
	w.read += uint64(dir.listingSize)
	switch {
	case w.seen[dir.ref]:
		return fmt.Errorf("read %s: the directory has several names", dir.Path)
	case w.read > w.r.directories.maxSize():
		return fmt.Errorf("read %s: directories overlap", dir.Path)
	case len(w.open) == maxDepth:
		return fmt.Errorf("read %.100s...: more than %d directories deep", dir.Path, maxDepth)
	}
	w.seen[dir.ref] = true
	w.open = append(w.open, w.r.newDirectoryReader(dir))
	return nil
}

// next returns the next entry of the innermost directory, or nil at its end.
func (w *imageWalk) next() (*Entry, error) {
	l := w.open[len(w.open)-1]
	d, err := l.next()
	if err != nil {
		*l = directoryReader{}
		return nil, err
	}
	if d == nil {
		return nil, nil
	}
	return l.readEntry(d)
}

// Lookup returns the entry at a place, which is relative to the root and not cleaned:
// "usr/bin/env". It follows no symbolic link. If there is no such entry, the error is
// fs.ErrNotExist.
func (r *Reader) Lookup(place string) (*Entry, error) {
	e, err := r.readRoot()
	if err != nil {
		return nil, err
	}
	if place == "." {
		return e, nil
	}
	for name := range strings.SplitSeq(place, "/") {
		if e, err = r.lookupIn(e, name); err != nil {
			return nil, fmt.Errorf("look up %s in the image: %w", place, err)
		}
	}
	return e, nil
}

func (r *Reader) lookupIn(dir *Entry, name string) (*Entry, error) {
	if !dir.IsDir() {
		return nil, fs.ErrNotExist
	}
	l := r.newDirectoryReader(dir)
	for {
		d, err := l.next()
		switch {
		case err != nil:
			return nil, err
		case d == nil || d.name > name:
			return nil, fs.ErrNotExist
		case d.name == name:
			return l.readEntry(d)
		}
	}
}

// A directoryReader is a directory that is being read.
type directoryReader struct {
	r      *Reader
	dir    string
	at     cursor
	left   int // bytes
	header directoryHeader
	count  int // entries left below the header
	last   string
}

type dirent struct {
	name string
	kind uint16 // the inode's basic type
	ref  uint64
	num  uint32
}

func (r *Reader) newDirectoryReader(dir *Entry) *directoryReader {
	return &directoryReader{r: r, dir: dir.Path, at: dir.listing, left: dir.listingSize}
}

// next returns the next entry, or nil at the end.
func (l *directoryReader) next() (*dirent, error) {
	if l.left == 0 && l.count == 0 {
		return nil, nil
	}
	d, err := l.readDirent()
	if err == nil {
		err = checkName(d.name, l.last)
	}
	if err != nil {
		return nil, fmt.Errorf("read directory %s: %w", l.dir, err)
	}
	l.last = d.name
	return d, nil
}

func (l *directoryReader) readDirent() (*dirent, error) {
	if l.count == 0 {
		if err := cmp.Or(l.consume(12), l.at.readStruct(&l.header)); err != nil {
			return nil, err
		}
		if l.header.Count >= maxHeaderEntries {
			return nil, fmt.Errorf("a header of %d entries", l.header.Count)
		}
		l.count = int(l.header.Count) + 1
	}
	var entry directoryEntry
	if err := cmp.Or(l.consume(8), l.at.readStruct(&entry)); err != nil {
		return nil, err
	}
	size := int(entry.NameSize) + 1
	if size > maxNameLen {
		return nil, fmt.Errorf("a name of %d bytes", size)
	}
	if err := l.consume(size); err != nil {
		return nil, err
	}
	name, err := l.at.readString(size)
	if err != nil {
		return nil, err
	}
	l.count--
	return &dirent{
		name: name,
		kind: entry.Type,
		ref:  packInodeRef(uint64(l.header.Start), int(entry.Offset)),
		num:  l.header.Number + uint32(int32(entry.Number)),
	}, nil
}

func (l *directoryReader) consume(n int) error {
	if l.left -= n; l.left < 0 {
		return errors.New("it ends in the middle of an entry")
	}
	return nil
}

// checkName reports whether name may follow the name last in a directory.
func checkName(name, last string) error {
	switch {
	case name == "." || name == ".." || strings.ContainsAny(name, "/\x00"):
		return fmt.Errorf("the name %q cannot be", name)
	case name <= last:
		return fmt.Errorf("the name %q does not follow %q in bytewise order", name, last)
	}
	return nil
}

// readEntry reads the inode that d names.
func (l *directoryReader) readEntry(d *dirent) (*Entry, error) {
	name := path.Join(l.dir, d.name)
	e, err := l.r.readInode(d.ref)
	if err == nil && (e.Inode != d.num || toBasicType(e.inodeType) != d.kind) {
		err = fmt.Errorf("the directory says inode %d of type %d, the inode %d of type %d",
			d.num, d.kind, e.Inode, toBasicType(e.inodeType))
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	e.Path = name
	return e, nil
}

// comparePaths orders paths as Entries does: component by component, so that what is in "a" comes
// before "a-b".
func comparePaths(a, b string) int { return strings.Compare(orderingKey(a), orderingKey(b)) }

func orderingKey(place string) string {
	if place == "." {
		return ""
	}
	return strings.ReplaceAll(place, "/", "\x00") // which is in no name
}
