package squashfs

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"iter"
	"slices"
)

// A Difference is a path that is not the same on both sides of a comparison.
type Difference struct {
	Path     string
	Old, New *Entry // nil on the side that does not have the path
	// What differs, where both have it: "type", "mode", "owner", "group", "mtime", "content",
	// "target", "device", "xattrs" or "links". The last says that a file has other names beside
	// this one.
	What []string
}

// DiffImages compares two images and returns the paths that differ, in the order of Entries. It
// compares every attribute but a directory's link count, and all content: compressed bytes where
// they are equal, else what they stand for.
func DiffImages(ctx context.Context, before, after *Reader) ([]Difference, error) {
	pair := &imageComparer{a: before, b: after}
	return newComparer(newImageSide(before), newImageSide(after), pair.sameFile).compare(ctx)
}

// A side is what a comparison has to know of one of its sides.
type side struct {
	entries iter.Seq2[*Entry, error]
	xattrs  func(*Entry) ([]Xattr, error)
	first   map[uint32]string // the first name of each file with several, by inode
}

func newImageSide(r *Reader) side { return side{entries: r.Entries(), xattrs: r.Xattrs} }

// see returns the first name of a file with several; else "".
func (s *side) see(e *Entry) string {
	if e.IsDir() || e.Links <= 1 {
		return ""
	}
	if s.first[e.Inode] == "" {
		s.first[e.Inode] = e.Path
	}
	return s.first[e.Inode]
}

// A comparer compares two sides.
type comparer struct {
	a, b side
	// sameData compares two regular files of one size.
	sameData func(a, b *Entry) (bool, error)
	// What sameData said of files with several names, by inode numbers.
	known map[[2]uint32]bool
}

func newComparer(a, b side, sameData func(a, b *Entry) (bool, error)) *comparer {
	a.first, b.first = make(map[uint32]string), make(map[uint32]string)
	return &comparer{a, b, sameData, make(map[[2]uint32]bool)}
}

func (d *comparer) compare(ctx context.Context) (differences []Difference, err error) {
	nextA, stopA := iter.Pull2(d.a.entries)
	defer stopA()
	nextB, stopB := iter.Pull2(d.b.entries)
	defer stopB()
	a, errA, _ := nextA()
	b, errB, _ := nextB()
	for {
		if err := cmp.Or(ctx.Err(), errA, errB); err != nil {
			return nil, err
		}
		if a == nil && b == nil {
			return differences, nil
		}
		order := 0
		switch {
		case a == nil:
			order = 1
		case b == nil:
			order = -1
		default:
			order = comparePaths(a.Path, b.Path)
		}
		switch {
		case order < 0:
			d.a.see(a)
			differences = append(differences, Difference{Path: a.Path, Old: a})
		case order > 0:
			d.b.see(b)
			differences = append(differences, Difference{Path: b.Path, New: b})
		default:
			what, err := d.compareEntries(a, b)
			if err != nil {
				return nil, err
			}
			if len(what) > 0 {
				differences = append(differences, Difference{a.Path, a, b, what})
			}
		}
		if order <= 0 {
			a, errA, _ = nextA()
		}
		if order >= 0 {
			b, errB, _ = nextB()
		}
	}
}

// compareEntries returns what differs between two entries of the same path.
func (d *comparer) compareEntries(a, b *Entry) (what []string, err error) {
	differ := func(name string, really bool) {
		if really {
			what = append(what, name)
		}
	}
	sameKind := a.kind() == b.kind()
	differ("type", !sameKind)
	differ("mode", a.Mode&0o7777 != b.Mode&0o7777)
	differ("owner", a.UID != b.UID)
	differ("group", a.GID != b.GID)
	differ("mtime", a.Mtime != b.Mtime)
	if sameKind {
		differ("target", a.Target != b.Target)
		differ("device", a.Device != b.Device)
	}
	if sameKind && a.IsRegular() {
		same, err := d.compareContent(a, b)
		if err != nil {
			return nil, err
		}
		differ("content", !same)
	}
	same, err := d.sameXattrs(a, b)
	if err != nil {
		return nil, err
	}
	differ("xattrs", !same)
	firstA, firstB := d.a.see(a), d.b.see(b)
	differ("links", sameKind && !a.IsDir() && (a.Links != b.Links || firstA != firstB))
	return what, nil
}

func (d *comparer) sameXattrs(a, b *Entry) (bool, error) {
	as, errA := d.a.xattrs(a)
	bs, errB := d.b.xattrs(b)
	if err := cmp.Or(errA, errB); err != nil {
		return false, err
	}
	slices.SortFunc(as, compareXattrNames)
	slices.SortFunc(bs, compareXattrNames)
	return slices.EqualFunc(as, bs, func(a, b Xattr) bool {
		return a.Name == b.Name && bytes.Equal(a.Value, b.Value)
	}), nil
}

// compareContent reports whether two regular files have equal content.
func (d *comparer) compareContent(a, b *Entry) (same bool, err error) {
	if a.Size != b.Size {
		return false, nil
	}
	key := [2]uint32{a.Inode, b.Inode}
	same, ok := d.known[key]
	if ok {
		return same, nil
	}
	if same, err = d.sameData(a, b); err != nil {
		return false, fmt.Errorf("compare %s: %w", a.Path, err)
	}
	if a.Links > 1 && b.Links > 1 {
		d.known[key] = same
	}
	return same, nil
}

// imageComparer compares the content of files in two images.
type imageComparer struct {
	a, b   *Reader
	buffer blockPair
	// The fragment blocks that were compared last, by where they begin.
	fragmentA, fragmentB uint64
	fragmentsSame        bool
}

func (p *imageComparer) sameFile(a, b *Entry) (bool, error) {
	ca, errA := p.a.newFileReader(a)
	cb, errB := p.b.newFileReader(b)
	if err := cmp.Or(errA, errB); err != nil {
		return false, err
	}
	sa, sb := &p.a.super, &p.b.super
	if sa.BlockSize != sb.BlockSize || sa.Compression != sb.Compression || ca.list.count != cb.list.count {
		return p.buffer.compareStreams(ca, cb, a.Size)
	}
	for i := int64(0); i < ca.list.count; {
		if err := cmp.Or(ca.seek(i), cb.seek(i)); err != nil {
			return false, err
		}
		if ca.run.isZero() && cb.run.isZero() {
			i = min(ca.run.end, cb.run.end)
			continue
		}
		same, err := p.sameBlock(ca.run.block, cb.run.block, ca.blockLen(i))
		if err != nil || !same {
			return same, err
		}
		i++
	}
	if a.fragment == noFragment {
		return true, nil
	}
	return p.sameTail(ca, cb)
}

// sameBlock compares a block of two files, of size bytes when expanded.
func (p *imageComparer) sameBlock(a, b dataBlock, size int) (bool, error) {
	if same, err := p.sameStored(a, b); err != nil || same {
		return same, err
	}
	dataA, errA := p.a.expandBlock(a, size)
	dataB, errB := p.b.expandBlock(b, size)
	if dataA == nil || dataB == nil { // all zeros
		return allZero(dataA) && allZero(dataB), cmp.Or(errA, errB)
	}
	return bytes.Equal(dataA, dataB), cmp.Or(errA, errB)
}

// sameStored reports whether two blocks are the same as they stand in the images.
func (p *imageComparer) sameStored(a, b dataBlock) (bool, error) {
	if a.size != b.size || a.stored != b.stored {
		return false, nil
	}
	bufferA, bufferB := p.buffer.a[:a.size], p.buffer.b[:b.size]
	if err := cmp.Or(p.a.read(a.at, bufferA), p.b.read(b.at, bufferB)); err != nil {
		return false, err
	}
	return bytes.Equal(bufferA, bufferB), nil
}

// sameTail compares what two files have in fragments.
func (p *imageComparer) sameTail(a, b *fileReader) (bool, error) {
	if a.offset == b.offset {
		if same, err := p.sameFragments(a.fragment, b.fragment); err != nil || same {
			return same, err
		}
	}
	dataA, errA := a.readTail()
	dataB, errB := b.readTail()
	return bytes.Equal(dataA, dataB), cmp.Or(errA, errB)
}

// sameFragments is stored for two fragment blocks.
func (p *imageComparer) sameFragments(a, b fragmentEntry) (bool, error) {
	if p.fragmentA == a.Start && p.fragmentB == b.Start {
		return p.fragmentsSame, nil
	}
	blockA, errA := p.a.parseDataBlock(a.Start, a.Size)
	blockB, errB := p.b.parseDataBlock(b.Start, b.Size)
	err := cmp.Or(errA, errB)
	if err != nil {
		return false, err
	}
	p.fragmentA, p.fragmentB = a.Start, b.Start
	p.fragmentsSame, err = p.sameStored(blockA, blockB)
	return p.fragmentsSame, err
}

// A blockPair is room for a block of each side.
type blockPair struct{ a, b [maxBlockSize]byte }

// A stream is what a regular file holds, in an image or in a tree.
type stream interface {
	io.ReaderAt
	// countZeros returns how many bytes from an offset on are zeros that are not stored.
	countZeros(off int64) (int64, error)
}

// compareStreams compares two contents of one size, whatever their blocks are.
func (p *blockPair) compareStreams(a, b stream, size int64) (bool, error) {
	const most = 64 << 10
	for off := int64(0); off < size; {
		zerosA, errA := a.countZeros(off)
		zerosB, errB := b.countZeros(off)
		if err := cmp.Or(errA, errB); err != nil {
			return false, err
		}
		if n := min(zerosA, zerosB); n > 0 {
			off += n
			continue
		}
		n := min(most, size-off)
		if k, err := a.ReadAt(p.a[:n], off); int64(k) < n {
			return false, err
		}
		if k, err := b.ReadAt(p.b[:n], off); int64(k) < n {
			return false, err
		}
		if !bytes.Equal(p.a[:n], p.b[:n]) {
			return false, nil
		}
		off += n
	}
	return true, nil
}
