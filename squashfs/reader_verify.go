package squashfs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"path"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"
)

// maxProblems is how many problems Verify names.
const maxProblems = 10

// Verify reads every table and every block of an image and checks that they agree with one another,
// as far as Linux relies on it and further. If something is wrong, the error holds one line a
// problem, the first ten, each with the path it is about.
//
// Data that was changed and still expands to the right length goes unnoticed: squashfs has no
// checksums of its own, but for gzip's. Previous.Verify compares an image with the digests in its
// index.
func (r *Reader) Verify(ctx context.Context) error {
	v := &verifier{
		r:       r,
		linked:  make(map[uint32]linkedFile),
		sets:    make(map[uint32]bool),
		layouts: make(map[blockLayout]bool),
		seed:    maphash.MakeSeed(),
	}
	for _, step := range []func(context.Context){v.checkTables, v.checkInodes, v.checkFragments, v.checkEntries} {
		step(ctx)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	v.checkLinks()
	return errors.Join(v.problems...)
}

// A verifier is a Verify on its way.
type verifier struct {
	r             *Reader
	refs          []uint64 // of the inodes + 1, by number - 1; nil if they are not known
	names         []uint32 // how many names each inode has been seen under
	linked        map[uint32]linkedFile
	open          []verifiedDirectory // from the root to where the walk is
	sets          map[uint32]bool     // numbers of the xattr sets that have been read
	fragmentSizes []uint32            // lengths of the fragment blocks, expanded
	layouts       map[blockLayout]bool
	listed        uint64 // sizes of blocks in the lists that have been read
	seed          maphash.Seed
	dataBytes     uint64

	mu       sync.Mutex
	problems []error
}

// linkedFile is a file that has several names.
type linkedFile struct {
	path  string // the first
	links uint32
}

// A blockLayout is all blocks of a file. Files with equal content have the same.
type blockLayout struct {
	start, size, words uint64
	length             int64
}

func (v *verifier) report(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.problems) < maxProblems {
		v.problems = append(v.problems, err)
	}
}

func (v *verifier) isFull() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.problems) == maxProblems
}

// reportAt notes a problem with an entry, if there is one.
func (v *verifier) reportAt(place string, err error) {
	if err != nil {
		v.report(fmt.Errorf("verify %s: %w", place, err))
	}
}

// checkTables reads every metadata block.
func (v *verifier) checkTables(ctx context.Context) {
	for _, t := range []*metadataTable{&v.r.inodes, &v.r.directories, &v.r.xattrKeys} {
		for i := range t.blocks {
			if _, err := v.r.readTableBlock(t, i); err != nil {
				v.report(err)
			}
			if ctx.Err() != nil {
				return
			}
		}
	}
	for _, l := range []*lookupTable{&v.r.fragments, &v.r.export, &v.r.xattrSets} {
		for i := uint64(0); i < l.count; i += metadataSize / l.entry {
			last := min(i+metadataSize/l.entry, l.count) - 1
			var entry [16]byte
			if err := v.r.readLookupEntry(l, last, entry[:l.entry]); err != nil {
				v.report(err)
			}
		}
	}
}

// checkInodes reads the inode table from its beginning to its end.
func (v *verifier) checkInodes(ctx context.Context) {
	r := v.r
	v.names = make([]uint32, r.super.Inodes)
	if len(v.problems) > 0 {
		return // it cannot be read on from where a block is missing
	}
	refs := make([]uint64, r.super.Inodes)
	c := cursor{r: r, t: &r.inodes}
	for range r.super.Inodes {
		if ctx.Err() != nil {
			return
		}
		if c.block >= len(c.t.blocks) {
			v.report(errTableEnd(c.t))
			return
		}
		ref := packInodeRef(c.t.blocks[c.block]-c.t.start, c.offset)
		e, err := r.readInode(ref)
		if err == nil && refs[e.Inode-1] != 0 {
			err = fmt.Errorf("inode %d: stands in the table twice", e.Inode)
		}
		if err == nil {
			refs[e.Inode-1] = ref + 1
			err = r.checkExport(e)
		}
		if err == nil {
			c, err = r.skipInode(e)
		}
		if err != nil {
			v.report(err)
			return
		}
	}
	if last, err := r.readTableBlock(c.t, len(c.t.blocks)-1); err == nil &&
		(c.block < len(c.t.blocks)-1 || c.block < len(c.t.blocks) && c.offset < len(last)) {
		v.report(errors.New("inode table: goes on behind the last inode"))
	}
	v.refs = refs
}

// checkExport looks the inode up in the export table, if there is one.
func (r *Reader) checkExport(e *Entry) error {
	if r.export.count == 0 {
		return nil
	}
	var ref uint64
	if err := r.readLookupEntry(&r.export, uint64(e.Inode-1), &ref); err != nil {
		return err
	}
	if ref != e.ref {
		return fmt.Errorf("export table: inode %d is at %#x, not at %#x", e.Inode, e.ref, ref)
	}
	return nil
}

// skipInode returns a cursor to what follows an inode in the table.
func (r *Reader) skipInode(e *Entry) (cursor, error) {
	c := e.end
	switch {
	case e.IsRegular():
		return c, c.skip(4 * uint64(r.blockCount(e)))
	case e.IsDir():
		for range e.indexCount {
			if _, _, err := c.readDirectoryIndex(); err != nil {
				return c, err
			}
		}
	}
	return c, nil
}

// checkFragments expands each fragment block.
func (v *verifier) checkFragments(ctx context.Context) {
	v.fragmentSizes = make([]uint32, v.r.super.Fragments)
	var work errgroup.Group
	work.SetLimit(runtime.GOMAXPROCS(0))
	for i := range v.fragmentSizes {
		var entry fragmentEntry
		if err := v.r.readLookupEntry(&v.r.fragments, uint64(i), &entry); err != nil {
			v.report(err)
			break
		}
		work.Go(func() error {
			b, err := v.r.parseDataBlock(entry.Start, entry.Size)
			var data []byte
			if err == nil {
				data, err = v.r.readBlock(b.at, b.size, b.stored, int(v.r.super.BlockSize))
			}
			if err != nil {
				v.report(fmt.Errorf("verify fragment block %d: %w", i, err))
			}
			v.fragmentSizes[i] = uint32(len(data))
			return nil
		})
		if ctx.Err() != nil {
			break
		}
	}
	work.Wait()
}

// checkEntries walks through the image.
func (v *verifier) checkEntries(ctx context.Context) {
	var work errgroup.Group
	work.SetLimit(runtime.GOMAXPROCS(0))
	defer work.Wait()
	for e, err := range v.r.Entries() {
		if ctx.Err() != nil || v.isFull() {
			return
		}
		if err != nil {
			v.report(err)
			continue
		}
		for len(v.open) > 0 && v.open[len(v.open)-1].Path != path.Dir(e.Path) {
			v.leaveDirectory()
		}
		if e.IsDir() {
			v.enterDirectory(e)
		}
		v.checkEntry(e, &work)
	}
	for len(v.open) > 0 {
		v.leaveDirectory()
	}
}

type verifiedDirectory struct {
	*Entry
	subdirectories uint32
}

// enterDirectory checks what a directory says of its parent, and its index.
func (v *verifier) enterDirectory(e *Entry) {
	parent := v.r.super.Inodes + 1
	if n := len(v.open); n > 0 {
		parent = v.open[n-1].Inode
		v.open[n-1].subdirectories++
	}
	if e.parent != parent {
		v.reportAt(e.Path, fmt.Errorf("its parent is inode %d, and it says %d", parent, e.parent))
	}
	v.reportAt(e.Path, v.r.checkDirectoryIndex(e))
	v.open = append(v.open, verifiedDirectory{Entry: e})
}

// leaveDirectory checks the link count of the innermost directory.
func (v *verifier) leaveDirectory() {
	last := len(v.open) - 1
	d := v.open[last]
	v.open = v.open[:last]
	if d.Links != d.subdirectories+2 {
		v.reportAt(d.Path, fmt.Errorf("%d links, and %d subdirectories", d.Links, d.subdirectories))
	}
}

// checkEntry checks an inode when it is seen first, and its names.
func (v *verifier) checkEntry(e *Entry, work *errgroup.Group) {
	if v.refs != nil && v.refs[e.Inode-1] != e.ref+1 {
		v.reportAt(e.Path, fmt.Errorf("inode %d is not at %#x", e.Inode, e.ref))
	}
	v.names[e.Inode-1]++
	if v.names[e.Inode-1] > 1 {
		return
	}
	if !e.IsDir() && e.Links != 1 {
		v.linked[e.Inode] = linkedFile{e.Path, e.Links}
	}
	if e.xattrs != noXattrs && !v.sets[e.xattrs] {
		v.sets[e.xattrs] = true
		if _, err := v.r.Xattrs(e); err != nil {
			v.report(err)
		}
	}
	if e.IsRegular() {
		v.reportAt(e.Path, v.checkContent(e, work))
	}
}

// checkContent checks where a file's data is, and has its blocks expanded.
func (v *verifier) checkContent(e *Entry, work *errgroup.Group) error {
	c, err := v.r.newFileReader(e)
	if err != nil {
		return err
	}
	if e.sparse > 0 && e.sparse >= uint64(e.Size) {
		return fmt.Errorf("%d bytes of zeros in %d", e.sparse, e.Size)
	}
	if e.fragment != noFragment {
		if length := v.fragmentSizes[e.fragment]; uint32(c.offset+c.blockLen(c.list.count)) > length {
			return fmt.Errorf("its tail at %d reaches beyond the %d bytes of fragment %d", c.offset, length, e.fragment)
		}
	}
	if v.listed += uint64(c.list.count); v.listed > v.r.inodes.maxSize()/4 {
		return errors.New("its list of blocks overlaps those of other files")
	}
	layout, err := v.readLayout(c)
	if err != nil || layout.size == 0 || v.layouts[layout] {
		return err
	}
	v.layouts[layout] = true
	if v.dataBytes += layout.size; v.dataBytes > v.r.super.InodeTable {
		return errors.New("its data overlaps that of other files")
	}
	for list := c.list; list.end < list.count; {
		if err := list.next(); err != nil {
			return err
		}
		if list.isZero() {
			continue
		}
		i, b := list.first, list.block
		work.Go(func() error {
			_, err := v.r.expandBlock(b, c.blockLen(i))
			v.reportAt(e.Path, err)
			return nil
		})
	}
	return nil
}

// readLayout reads a file's list of blocks.
func (v *verifier) readLayout(c *fileReader) (blockLayout, error) {
	var words maphash.Hash
	words.SetSeed(v.seed)
	var buf [12]byte
	list := c.list
	for list.end < list.count {
		if err := list.next(); err != nil {
			return blockLayout{}, err
		}
		word := uint32(list.block.size)
		if list.block.stored {
			word |= blockStored
		}
		words.Write(binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint32(buf[:0], word),
			uint64(list.end-list.first)))
	}
	length := min(c.size, c.list.count*int64(v.r.super.BlockSize))
	return blockLayout{c.list.at, list.at - c.list.at, words.Sum64(), length}, nil
}

// checkLinks checks that each inode has as many names as it says.
func (v *verifier) checkLinks() {
	if len(v.problems) > 0 {
		return // names may be missing for another reason
	}
	for i, names := range v.names {
		number := uint32(i + 1)
		switch file, ok := v.linked[number]; {
		case names == 0:
			v.report(fmt.Errorf("inode %d: has no name", number))
		case ok && names != file.links:
			v.reportAt(file.path, fmt.Errorf("%d links, and %d names", file.links, names))
		case !ok && names > 1:
			v.report(fmt.Errorf("inode %d: one link, and %d names", number, names))
		}
	}
}

// checkDirectoryIndex checks the index of a directory's listing: each entry of it must point to a
// header and repeat the first name there, in order.
func (r *Reader) checkDirectoryIndex(dir *Entry) error {
	c := dir.end
	last := ""
	for i := range dir.indexCount {
		index, name, err := c.readDirectoryIndex()
		if err != nil {
			return err
		}
		if name <= last || int64(index.Position) >= int64(dir.listingSize) {
			return fmt.Errorf("entry %d of its index is out of order", i)
		}
		if !r.pointsTo(dir, index, name) {
			return fmt.Errorf("entry %d of its index points elsewhere than to %q", i, name)
		}
		last = name
	}
	return nil
}

// pointsTo reports whether the entry of a directory's index points to a header that the name
// follows.
func (r *Reader) pointsTo(dir *Entry, index directoryIndex, name string) bool {
	at := dir.listing
	if at.skip(uint64(index.Position)) != nil || at.block >= len(r.directories.blocks) ||
		r.directories.blocks[at.block] != r.directories.start+uint64(index.Start) {
		return false
	}
	l := &directoryReader{r: r, at: at, left: dir.listingSize - int(index.Position)}
	d, err := l.readDirent()
	return err == nil && d.name == name
}
