package squashfs

import (
	"errors"
	"fmt"
	"io"
	"sync"
)

// A fileReader reads what a regular file of an image holds. ReadAt may be called from several
// goroutines.
type fileReader struct {
	r    *Reader
	path string
	size int64

	list     blockList     // of its blocks, in front of the first
	fragment fragmentEntry // where the tail is, if it is in none of them
	offset   int           // of the tail there

	mu   sync.Mutex
	run  blockList // as list, at the run that was asked for last
	data []byte    // of the run's block, expanded; nil if it was not asked for
}

// A blockList is the list of a file's blocks. It is read run by run, as it is needed: that of a
// large file of zeros fills next to nothing in an image, but would take much memory. A run is one
// block, or as many blocks of zeros as follow one another.
type blockList struct {
	count int64 // of all blocks

	// The run at which the list is: blocks from first to end, without end.
	first, end int64
	block      dataBlock // the run's only one, unless its size is 0

	sizes cursor // behind the run
	at    uint64 // of the data behind the run
}

// A dataBlock is a block of data as it stands in the image. If size is 0, it stands nowhere, and is
// all zeros.
type dataBlock struct {
	at     uint64
	size   int
	stored bool // not compressed
}

// parseDataBlock checks the position and the 32-bit size of a data block.
func (r *Reader) parseDataBlock(at uint64, word uint32) (dataBlock, error) {
	b := dataBlock{at, int(word &^ blockStored), word&blockStored != 0}
	switch {
	case b.size > int(r.super.BlockSize) || b.size == 0 && b.stored:
		return b, fmt.Errorf("block at %d: size %#x", at, word)
	case at > r.super.InodeTable || uint64(b.size) > r.super.InodeTable-at:
		return b, fmt.Errorf("block at %d: its %d bytes are not in front of the tables", at, b.size)
	}
	return b, nil
}

// next moves on to the next run. There must be one: end is less than count.
func (l *blockList) next() error {
	zeros, word, err := l.sizes.readRun(l.count - l.end)
	if err != nil {
		return err
	}
	l.first, l.end = l.end, l.end+max(1, zeros)
	l.block, err = l.sizes.r.parseDataBlock(l.at, word)
	l.at += uint64(l.block.size)
	return err
}

// isZero reports whether the run is of zeros.
func (l *blockList) isZero() bool { return l.block.size == 0 }

// OpenFile opens e, a regular file of r. The file needs no closing.
func (r *Reader) OpenFile(e *Entry) (*io.SectionReader, error) {
	f, err := r.newFileReader(e)
	if err != nil {
		return nil, err
	}
	return io.NewSectionReader(f, 0, f.size), nil
}

func (r *Reader) newFileReader(e *Entry) (*fileReader, error) {
	c := &fileReader{r: r, path: e.Path, size: e.Size}
	blockSize := int64(r.super.BlockSize)
	var err error
	switch tail := e.Size % blockSize; {
	case !e.IsRegular():
		err = errors.New("it is no regular file")
	case e.fragment == noFragment:
	case tail == 0:
		err = errors.New("it has a fragment, but no tail")
	case int64(e.fragmentOffset)+tail > blockSize:
		err = fmt.Errorf("%d bytes at %d of a fragment are too many", tail, e.fragmentOffset)
	default:
		c.offset = int(e.fragmentOffset)
		err = r.readLookupEntry(&r.fragments, uint64(e.fragment), &c.fragment)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s in the image: %w", e.Path, err)
	}
	c.list = blockList{sizes: e.end, count: r.blockCount(e), at: e.start}
	c.run = c.list
	return c, nil
}

// blockLen returns how long the i-th block is, expanded.
func (c *fileReader) blockLen(i int64) int {
	size := int64(c.r.super.BlockSize)
	return int(min(size, c.size-i*size))
}

// seek brings c.run to the run that the i-th block is in, which is not the tail in a fragment.
func (c *fileReader) seek(i int64) error {
	if i < c.run.first {
		c.run, c.data = c.list, nil
	}
	for i >= c.run.end {
		c.data = nil
		if err := c.run.next(); err != nil {
			c.run = c.list
			return err
		}
	}
	return nil
}

// readBlock returns the i-th block, expanded; nil if it is all zeros. It must not be changed.
func (c *fileReader) readBlock(i int64) (data []byte, err error) {
	if i == c.list.count {
		return c.readTail()
	}
	if err := c.seek(i); err != nil {
		return nil, err
	}
	if c.data == nil && !c.run.isZero() {
		c.data, err = c.r.expandBlock(c.run.block, c.blockLen(i))
	}
	return c.data, err
}

// countZeros returns how many bytes from off on are in blocks of zeros that the image does not
// store.
func (c *fileReader) countZeros(off int64) (int64, error) {
	size := int64(c.r.super.BlockSize)
	i := off / size
	if i == c.list.count {
		return 0, nil
	}
	if err := c.seek(i); err != nil || !c.run.isZero() {
		return 0, err
	}
	return min(c.run.end*size, c.size) - off, nil
}

func (c *fileReader) readTail() ([]byte, error) {
	b, err := c.r.readFragmentBlock(c.fragment)
	if err != nil {
		return nil, err
	}
	size := c.blockLen(c.list.count)
	if c.offset+size > len(b) {
		return nil, fmt.Errorf("%d bytes at %d of a fragment of %d", size, c.offset, len(b))
	}
	return b[c.offset:][:size], nil
}

// expandBlock reads a data block that holds size bytes, expanded; nil if it is all zeros.
func (r *Reader) expandBlock(b dataBlock, size int) ([]byte, error) {
	if b.size == 0 {
		return nil, nil
	}
	data, err := r.readBlock(b.at, b.size, b.stored, size)
	if err == nil && len(data) != size {
		err = fmt.Errorf("block at %d: %d bytes instead of %d", b.at, len(data), size)
	}
	return data, err
}

// readFragmentBlock returns a fragment block, expanded. It must not be changed.
func (r *Reader) readFragmentBlock(entry fragmentEntry) ([]byte, error) {
	b, err := r.parseDataBlock(entry.Start, entry.Size)
	if err != nil {
		return nil, err
	}
	return r.fragmentCache.get(b.at, func() ([]byte, error) {
		return r.readBlock(b.at, b.size, b.stored, int(r.super.BlockSize))
	})
}

// ReadAt is io.ReaderAt's. It is made for reading forward.
func (c *fileReader) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("read %s in the image: negative offset %d", c.path, off)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	size := int64(c.r.super.BlockSize)
	for n < len(p) && off < c.size {
		i, inside := off/size, int(off%size)
		b, err := c.readBlock(i)
		if err != nil {
			return n, fmt.Errorf("read %s in the image: %w", c.path, err)
		}
		part := p[n:min(len(p), n+c.blockLen(i)-inside)]
		if b == nil {
			clear(part)
		} else {
			copy(part, b[inside:])
		}
		n += len(part)
		off += int64(len(part))
	}
	if n < len(p) {
		err = io.EOF
	}
	return n, err
}
