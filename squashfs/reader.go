package squashfs

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A Reader reads an image, made by this package or by another: squashfs 4.0 with any of the
// compressors that Compression names. It is safe for use by several goroutines.
//
// It believes nothing an image says before it has checked it against what the image holds: one that
// was damaged, or made to do harm, gives errors, and takes no more memory than its own size
// warrants.
type Reader struct {
	src   io.ReaderAt
	super superblock
	ids   []uint32

	inodes      metadataTable
	directories metadataTable
	xattrKeys   metadataTable
	fragments   lookupTable // of fragmentEntry
	export      lookupTable // of inode references
	xattrSets   lookupTable // of xattrEntry

	decoders      sync.Pool
	metadataCache blockCache
	fragmentCache blockCache
	zeroMetadata  atomic.Pointer[[]byte] // what a metadata block of zeros is before it is expanded
}

// Open reads the superblock and the tables' outlines of an image of size bytes, padding included.
func Open(src io.ReaderAt, size int64) (*Reader, error) {
	r := &Reader{
		src:           src,
		metadataCache: blockCache{max: 64, blocks: make(map[uint64][]byte)},
		fragmentCache: blockCache{max: 4, blocks: make(map[uint64][]byte)},
	}
	if err := r.open(size); err != nil {
		return nil, fmt.Errorf("open squashfs image: %w", err)
	}
	return r, nil
}

func (r *Reader) open(size int64) error {
	s := &r.super
	if size < superblockSize {
		return fmt.Errorf("%d bytes are too few", size)
	}
	s.BytesUsed = superblockSize // until we know better
	if err := r.readStruct(0, s); err != nil {
		return err
	}
	switch log := bits.TrailingZeros32(s.BlockSize); {
	case s.Magic != magic:
		return errors.New("it does not begin as one")
	case s.VersionMajor != versionMajor || s.VersionMinor != versionMinor:
		return fmt.Errorf("version %d.%d is not %d.%d", s.VersionMajor, s.VersionMinor, versionMajor, versionMinor)
	case s.BytesUsed > uint64(size):
		return fmt.Errorf("cut off: %d bytes of %d", size, s.BytesUsed)
	case s.BytesUsed < superblockSize:
		return fmt.Errorf("%d bytes used are too few", s.BytesUsed)
	case s.BlockSize < minBlockSize || s.BlockSize > maxBlockSize || s.BlockSize != 1<<log || int(s.BlockLog) != log:
		return fmt.Errorf("block size %d (log %d)", s.BlockSize, s.BlockLog)
	}
	d, err := newDecoder(r.Compressor())
	if err != nil {
		return err
	}
	r.decoders.New = func() any {
		d, _ := newDecoder(r.Compressor()) // no error, as there was none above
		return d
	}
	r.decoders.Put(d)
	return r.openTables()
}

// openTables finds the tables from the image's end to its middle, each of which must end before the
// one that follows.
func (r *Reader) openTables() (err error) {
	s := &r.super
	end := s.BytesUsed
	if s.XattrTable != noTable {
		if end, err = r.openXattrTables(end); err != nil {
			return err
		}
	}
	ids := lookupTable{name: "id table", at: s.IDTable, count: uint64(s.IDs), entry: 4}
	if end, err = r.openLookupTable(&ids, end); err != nil {
		return err
	}
	r.ids = make([]uint32, ids.count)
	for i := range r.ids {
		if err := r.readLookupEntry(&ids, uint64(i), &r.ids[i]); err != nil {
			return err
		}
	}
	if s.ExportTable != noTable {
		r.export = lookupTable{name: "export table", at: s.ExportTable, count: uint64(s.Inodes), entry: 8}
		if end, err = r.openLookupTable(&r.export, end); err != nil {
			return err
		}
	}
	if s.Fragments > 0 {
		r.fragments = lookupTable{name: "fragment table", at: s.FragmentTable, count: uint64(s.Fragments), entry: 16}
		if end, err = r.openLookupTable(&r.fragments, end); err != nil {
			return err
		}
	}
	r.directories = metadataTable{name: "directory table", start: s.DirectoryTable, end: end}
	r.inodes = metadataTable{name: "inode table", start: s.InodeTable, end: s.DirectoryTable}
	if err := cmp.Or(r.openMetadataTable(&r.directories), r.openMetadataTable(&r.inodes)); err != nil {
		return err
	}
	if s.InodeTable < superblockSize {
		return errors.New("inode table: begins inside the superblock")
	}
	const smallestInode = 20 // a fifo's or socket's
	if uint64(s.Inodes) > r.inodes.maxSize()/smallestInode {
		return fmt.Errorf("inode table: too small for %d inodes", s.Inodes)
	}
	return nil
}

func (r *Reader) openXattrTables(end uint64) (start uint64, err error) {
	var header xattrHeader
	if err := r.readStruct(r.super.XattrTable, &header); err != nil {
		return 0, fmt.Errorf("xattr table: %w", err)
	}
	if header.Sets == 0 {
		return 0, errors.New("xattr table: is empty, which Linux refuses")
	}
	const headerSize = 16
	r.xattrSets = lookupTable{name: "xattr table", at: r.super.XattrTable, skip: headerSize, count: uint64(header.Sets),
		entry: 16}
	if end, err = r.openLookupTable(&r.xattrSets, end); err != nil {
		return 0, err
	}
	r.xattrKeys = metadataTable{name: "xattr keys", start: header.KeysStart, end: end}
	return header.KeysStart, r.openMetadataTable(&r.xattrKeys)
}

// Compressor returns what the image's blocks are compressed by.
func (r *Reader) Compressor() Compression { return Compression(r.super.Compression) }

// Time returns when the image was made, or the time that stands for it.
func (r *Reader) Time() time.Time { return time.Unix(int64(r.super.Time), 0) }

// Size returns the image's size in bytes, without the padding at the end.
func (r *Reader) Size() int64 { return int64(r.super.BytesUsed) }

// read fills p from the image at offset at.
func (r *Reader) read(at uint64, p []byte) error {
	if at > r.super.BytesUsed || uint64(len(p)) > r.super.BytesUsed-at {
		return fmt.Errorf("%d bytes at %d are beyond the image's end at %d", len(p), at, r.super.BytesUsed)
	}
	n, err := r.src.ReadAt(p, int64(at))
	if n == len(p) {
		return nil
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// readStruct reads a value of fixed size.
func (r *Reader) readStruct(at uint64, v any) error {
	var buf [superblockSize]byte // nothing is larger
	p := buf[:binary.Size(v)]
	if err := r.read(at, p); err != nil {
		return err
	}
	_, err := binary.Decode(p, binary.LittleEndian, v)
	return err
}

// readBlock reads size bytes at offset at. Unless they are stored as they are, it expands them. The
// result must be no longer than limit.
func (r *Reader) readBlock(at uint64, size int, stored bool, limit int) ([]byte, error) {
	if size == 0 || size > limit {
		return nil, fmt.Errorf("block at %d: size %d", at, size)
	}
	src := make([]byte, size)
	if err := r.read(at, src); err != nil {
		return nil, err
	}
	if stored {
		return src, nil
	}
	return r.decompress(at, src, limit)
}

// decompress expands what was read at offset at.
func (r *Reader) decompress(at uint64, src []byte, limit int) ([]byte, error) {
	d := r.decoders.Get().(decoder)
	defer r.decoders.Put(d)
	dst := make([]byte, limit)
	n, err := d.decode(dst, src)
	if err != nil {
		return nil, fmt.Errorf("block at %d: %w", at, err)
	}
	return dst[:n], nil
}

// blockCache keeps the last few blocks that were read, by where they begin.
type blockCache struct {
	max    int
	mu     sync.Mutex
	blocks map[uint64][]byte
	order  []uint64 // the oldest first
}

// get returns the block at offset at, from load if it is not in the cache.
func (c *blockCache) get(at uint64, load func() ([]byte, error)) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if b, ok := c.blocks[at]; ok {
		return b, nil
	}
	b, err := load()
	if err != nil {
		return nil, err
	}
	if len(c.order) == c.max {
		delete(c.blocks, c.order[0])
		c.order = slices.Delete(c.order, 0, 1)
	}
	c.blocks[at] = b
	c.order = append(c.order, at)
	return b, nil
}
