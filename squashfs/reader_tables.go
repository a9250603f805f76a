package squashfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// A metadataTable is a run of metadata blocks that touch one another. What it holds is found by
// references: a block, and an offset in it.
type metadataTable struct {
	name       string
	start, end uint64
	blocks     []uint64 // where each begins, in the image
}

// maxSize returns how much the table holds, expanded, at most.
func (t *metadataTable) maxSize() uint64 { return uint64(len(t.blocks)) * metadataSize }

// openMetadataTable finds the table's blocks.
func (r *Reader) openMetadataTable(t *metadataTable) error {
	if t.start > t.end || t.end > r.super.BytesUsed {
		return fmt.Errorf("%s: begins at %d and ends at %d", t.name, t.start, t.end)
	}
	for at := t.start; at < t.end; {
		size, _, err := r.readMetadataHeader(at, t.end)
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		t.blocks = append(t.blocks, at)
		at += 2 + uint64(size)
	}
	return nil
}

// readMetadataHeader reads what stands in front of a metadata block. The block must end at end or
// before.
func (r *Reader) readMetadataHeader(at, end uint64) (size int, stored bool, err error) {
	var header uint16
	if err := r.readStruct(at, &header); err != nil {
		return 0, false, err
	}
	size, stored = int(header&^metadataStored), header&metadataStored != 0
	if size == 0 || size > metadataSize || at+2+uint64(size) > end {
		return 0, false, fmt.Errorf("metadata block at %d: size %d", at, size)
	}
	return size, stored, nil
}

// readMetadata returns a metadata block's content. It must not be changed. The list of a large file
// of zeros has thousands of blocks of zeros: those are expanded once.
func (r *Reader) readMetadata(at, end uint64) ([]byte, error) {
	return r.metadataCache.get(at, func() ([]byte, error) {
		size, stored, err := r.readMetadataHeader(at, end)
		if err != nil {
			return nil, err
		}
		src := make([]byte, size)
		if err := r.read(at+2, src); err != nil || stored {
			return src, err
		}
		if packed := r.zeroMetadata.Load(); packed != nil && bytes.Equal(src, *packed) {
			return zeros[:metadataSize], nil
		}
		b, err := r.decompress(at+2, src, metadataSize)
		if err == nil && len(b) == metadataSize && allZero(b) {
			r.zeroMetadata.Store(&src)
		}
		return b, err
	})
}

// readTableBlock returns the content of t's i-th block.
func (r *Reader) readTableBlock(t *metadataTable, i int) ([]byte, error) {
	b, err := r.readMetadata(t.blocks[i], t.end)
	if err == nil && len(b) < metadataSize && i < len(t.blocks)-1 {
		err = fmt.Errorf("metadata block at %d: %d bytes, and it is not the last", t.blocks[i], len(b))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.name, err)
	}
	return b, nil
}

// A cursor reads on from some place in a table.
type cursor struct {
	r      *Reader
	t      *metadataTable
	block  int
	offset int // inside the block
}

// newCursor returns one for the reference (start, offset), where start counts from the table's own.
func (r *Reader) newCursor(t *metadataTable, start uint64, offset int) (cursor, error) {
	i, ok := slices.BinarySearch(t.blocks, t.start+start)
	if !ok || offset >= metadataSize {
		return cursor{}, fmt.Errorf("%s: no block at %d, or no offset %d in it", t.name, start, offset)
	}
	return cursor{r, t, i, offset}, nil
}

// left returns how many bytes there may be left to read.
func (c *cursor) left() uint64 {
	return uint64(len(c.t.blocks)-c.block)*metadataSize - uint64(c.offset)
}

// rest returns what is left of the block that the cursor is in: one byte or more.
func (c *cursor) rest() ([]byte, error) {
	if c.block >= len(c.t.blocks) {
		return nil, errTableEnd(c.t)
	}
	b, err := c.r.readTableBlock(c.t, c.block)
	if err != nil {
		return nil, err
	}
	if c.offset >= len(b) {
		return nil, errTableEnd(c.t)
	}
	return b[c.offset:], nil
}

// pass moves on by n bytes, which are in the rest of the block.
func (c *cursor) pass(n int) {
	if c.offset += n; c.offset == metadataSize {
		c.block, c.offset = c.block+1, 0
	}
}

func (c *cursor) read(p []byte) error {
	for len(p) > 0 {
		b, err := c.rest()
		if err != nil {
			return err
		}
		n := copy(p, b)
		p = p[n:]
		c.pass(n)
	}
	return nil
}

// readRun reads a word of 32 bits that is not 0, or else as many that are 0 as follow one another,
// up to most, and returns their number.
func (c *cursor) readRun(most int64) (zeros int64, word uint32, err error) {
	b, err := c.rest()
	if err != nil {
		return 0, 0, err
	}
	if len(b) >= 4 && binary.LittleEndian.Uint32(b) != 0 {
		c.pass(4)
		return 0, binary.LittleEndian.Uint32(b), nil
	}
	if zeros, err = c.countZeros(most); err == nil && zeros == 0 {
		err = c.readStruct(&word) // its bytes are in two blocks
	} else if err == nil {
		err = c.skip(4 * uint64(zeros))
	}
	return zeros, word, err
}

// countZeros counts the words of zeros that follow, up to most, a block at a time.
func (c *cursor) countZeros(most int64) (int64, error) {
	passed := int64(0)
	for at := *c; passed < 4*most; {
		b, err := at.rest()
		if err != nil {
			return 0, err
		}
		b = b[:min(int64(len(b)), 4*most-passed)]
		n := len(b)
		if !allZero(b) {
			n -= len(bytes.TrimLeft(b, "\x00"))
		}
		passed += int64(n)
		if n < len(b) {
			break
		}
		at.pass(n)
	}
	return passed / 4, nil
}

func errTableEnd(t *metadataTable) error {
	return fmt.Errorf("%s: ends in the middle of an entry", t.name)
}

// readStruct reads a value of fixed size.
func (c *cursor) readStruct(v any) error {
	var buf [64]byte // no struct in a table is larger
	p := buf[:binary.Size(v)]
	if err := c.read(p); err != nil {
		return err
	}
	_, err := binary.Decode(p, binary.LittleEndian, v)
	return err
}

// readString reads n bytes, if the table may hold so many.
func (c *cursor) readString(n int) (string, error) {
	if uint64(n) > c.left() {
		return "", errTableEnd(c.t)
	}
	p := make([]byte, n)
	err := c.read(p)
	return string(p), err
}

// skip moves on by n bytes.
func (c *cursor) skip(n uint64) error {
	if n > c.left() {
		return errTableEnd(c.t)
	}
	n += uint64(c.offset)
	c.block, c.offset = c.block+int(n/metadataSize), int(n%metadataSize)
	return nil
}

// readDirectoryIndex reads an entry of a directory's index, and the name in it.
func (c *cursor) readDirectoryIndex() (index directoryIndex, name string, err error) {
	if err = c.readStruct(&index); err != nil {
		return index, "", err
	}
	if index.NameSize >= maxNameLen {
		return index, "", fmt.Errorf("a name of %d bytes", index.NameSize)
	}
	name, err = c.readString(int(index.NameSize) + 1)
	return index, name, err
}

// A lookupTable is a table of entries of one size, found by their number: metadata blocks, and
// behind them, at at, where each of the blocks begins.
type lookupTable struct {
	name   string
	at     uint64
	skip   uint64 // bytes between at and the first position
	count  uint64
	entry  uint64 // size of an entry
	blocks []uint64
}

// openLookupTable finds the table's blocks. All of it must lie in front of end; start is where it
// begins.
func (r *Reader) openLookupTable(l *lookupTable, end uint64) (start uint64, err error) {
	n := (l.count*l.entry + metadataSize - 1) / metadataSize
	if n == 0 {
		return 0, fmt.Errorf("%s: is empty", l.name)
	}
	at := l.at + l.skip
	if l.at > end || at > end || n > (end-at)/8 {
		return 0, fmt.Errorf("%s: %d entries at %d do not end before %d", l.name, l.count, l.at, end)
	}
	for i := range n {
		var block uint64
		if err := r.readStruct(at+8*i, &block); err != nil {
			return 0, fmt.Errorf("%s: %w", l.name, err)
		}
		if block >= l.at || i > 0 && block <= l.blocks[i-1] {
			return 0, fmt.Errorf("%s: block %d at %d is out of order", l.name, i, block)
		}
		l.blocks = append(l.blocks, block)
	}
	return l.blocks[0], nil
}

// readLookupEntry reads the i-th entry of l into v.
func (r *Reader) readLookupEntry(l *lookupTable, i uint64, v any) error {
	if i >= l.count {
		return fmt.Errorf("%s: no entry %d of %d", l.name, i, l.count)
	}
	perBlock := metadataSize / l.entry
	block, offset := i/perBlock, i%perBlock*l.entry
	end := l.at
	if block+1 < uint64(len(l.blocks)) {
		end = l.blocks[block+1]
	}
	b, err := r.readMetadata(l.blocks[block], end)
	if err == nil && offset+l.entry > uint64(len(b)) {
		err = errors.New("ends in the middle of an entry")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", l.name, err)
	}
	_, err = binary.Decode(b[offset:], binary.LittleEndian, v)
	return err
}
