package squashfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"

	"golang.org/x/sys/unix"
)

// tableWriter makes everything in an image that is not data.
type tableWriter struct {
	tree        *tree
	plan        *plan
	compression Compression

	enc         encoder
	inodes      *metadataWriter
	directories *metadataWriter
	ids         []uint32
	idIndex     map[uint32]uint16
	sets        []*xattrSet
}

// encodeCompressorOptions is what stands between the superblock and the data: lz4 cannot be read
// without.
func encodeCompressorOptions(c Compression) []byte {
	if c != LZ4 {
		return nil
	}
	b := binary.LittleEndian.AppendUint16(nil, 8|metadataStored)
	b = binary.LittleEndian.AppendUint32(b, 1)    // the block format, without frames
	return binary.LittleEndian.AppendUint32(b, 0) // not the slow encoder
}

// encode returns the superblock and all tables, the first of which begins at the image's offset at.
// The data must be in place: the positions and sizes of all regions known.
func (t *tableWriter) encode(at uint64) (superblock, []byte, error) {
	var err error
	if t.enc, err = newEncoder(t.compression, t.plan.blockSize); err != nil {
		return superblock{}, nil, err
	}
	t.inodes, t.directories = newMetadataWriter(t.enc), newMetadataWriter(t.enc)
	if err := t.assignNumbers(); err != nil {
		return superblock{}, nil, err
	}
	if err := t.writeTree(t.tree.root); err != nil {
		return superblock{}, nil, err
	}
	if err := t.writeInode(t.tree.root); err != nil {
		return superblock{}, nil, err
	}
	sb := superblock{
		Magic:        magic,
		Inodes:       uint32(len(t.tree.inodes)),
		Time:         t.tree.time,
		BlockSize:    uint32(t.plan.blockSize),
		Fragments:    uint32(len(t.plan.groups)),
		Compression:  uint16(t.compression),
		BlockLog:     uint16(bits.TrailingZeros(uint(t.plan.blockSize))),
		Flags:        flagDuplicates | flagExportable,
		IDs:          uint16(len(t.ids)),
		VersionMajor: versionMajor,
		VersionMinor: versionMinor,
		RootInode:    t.tree.root.inode.ref,
	}
	if encodeCompressorOptions(t.compression) != nil {
		sb.Flags |= flagCompressorOptions
	}
	b, err := t.assemble(&sb, at)
	return sb, b, err
}

// assemble puts the tables one behind the other, as the kernel wants them: without gaps, in this
// order.
func (t *tableWriter) assemble(sb *superblock, at uint64) (all []byte, err error) {
	add := func(b []byte, failed error) uint64 {
		start := at + uint64(len(all))
		all = append(all, b...)
		err = errors.Join(err, failed)
		return start
	}
	lookup := func(records, header []byte) uint64 {
		if len(records) == 0 {
			return noTable
		}
		blocks, list, failed := encodeLookupTable(t.enc, records, at+uint64(len(all)))
		add(blocks, failed)
		return add(append(header, list...), nil)
	}
	sb.InodeTable = add(t.inodes.finish())
	sb.DirectoryTable = add(t.directories.finish())
	sb.FragmentTable = lookup(t.encodeFragments(), nil)
	sb.ExportTable = lookup(t.encodeExport(), nil)
	sb.IDTable = lookup(appendStruct(nil, t.ids), nil)
	keys, sets, failed := t.encodeXattrs()
	header := xattrHeader{KeysStart: add(keys, failed), Sets: uint32(len(t.sets))}
	sb.XattrTable = lookup(sets, appendStruct(nil, header))
	sb.BytesUsed = at + uint64(len(all))
	return all, err
}

// assignNumbers gives ids and xattr sets their numbers, in the order of the tree.
func (t *tableWriter) assignNumbers() error {
	t.idIndex = make(map[uint32]uint16)
	seen := make(map[*xattrSet]bool)
	for _, i := range t.tree.inodes {
		for _, id := range []uint32{i.uid, i.gid} {
			if _, ok := t.idIndex[id]; ok {
				continue
			}
			if len(t.ids) == math.MaxUint16 {
				return fmt.Errorf("number owners: more than %d uids and gids, which is all that squashfs can hold",
					len(t.ids))
			}
			t.idIndex[id] = uint16(len(t.ids))
			t.ids = append(t.ids, id)
		}
		if i.xattrs != nil && !seen[i.xattrs] {
			seen[i.xattrs] = true
			i.xattrs.index = uint32(len(t.sets))
			t.sets = append(t.sets, i.xattrs)
		}
	}
	return nil
}

// writeTree writes everything below a directory, then the inodes of its entries side by side, then
// its listing.
func (t *tableWriter) writeTree(dir *treeEntry) error {
	for _, e := range dir.entries {
		if e.inode.isDir() {
			if err := t.writeTree(e); err != nil {
				return err
			}
		}
	}
	for _, e := range dir.entries {
		if e.inode.kind == 0 { // else another name's turn was before
			if err := t.writeInode(e); err != nil {
				return err
			}
		}
	}
	dir.listing = t.writeListing(dir.entries)
	return nil
}

// A writtenListing says where a directory's entries stand.
type writtenListing struct {
	start  uint64
	offset int
	size   int
	index  []listingIndexEntry
}

type listingIndexEntry struct {
	directoryIndex
	name string
}

// writeListing writes a directory's entries in runs, each behind a header. A run's inodes share a
// metadata block, and it begins anew in each metadata block of the listing, so that the index finds
// it.
func (t *tableWriter) writeListing(entries []*treeEntry) writtenListing {
	var l writtenListing
	l.start, l.offset = t.directories.position()
	indexed := l.start // the last metadata block that needs no entry in the index any more
	var buf []byte
	for len(entries) > 0 {
		start, offset := t.directories.position()
		n := t.countRun(entries, offset)
		first := entries[0].inode
		if start != indexed {
			indexed = start
			name := entries[0].name()
			l.index = append(l.index, listingIndexEntry{
				directoryIndex{Position: uint32(l.size), Start: uint32(start), NameSize: uint32(len(name) - 1)}, name,
			})
		}
		buf = appendStruct(buf[:0],
			directoryHeader{Count: uint32(n - 1), Start: uint32(first.ref >> 16), Number: first.number})
		for _, e := range entries[:n] {
			name, i := e.name(), e.inode
			buf = appendStruct(buf, directoryEntry{
				Offset:   uint16(i.ref),
				Number:   int16(int64(i.number) - int64(first.number)),
				Type:     toBasicType(i.kind),
				NameSize: uint16(len(name) - 1),
			})
			buf = append(buf, name...)
		}
		t.directories.write(buf)
		l.size += len(buf)
		entries = entries[n:]
	}
	return l
}

// countRun counts the entries that one header can serve, if it is written at an offset in its
// metadata block.
func (t *tableWriter) countRun(entries []*treeEntry, offset int) int {
	first := entries[0].inode
	at := offset + binary.Size(directoryHeader{})
	for n, e := range entries {
		delta := int64(e.inode.number) - int64(first.number)
		if n == maxHeaderEntries || n > 0 && at >= metadataSize || e.inode.ref>>16 != first.ref>>16 ||
			delta < math.MinInt16 || delta > math.MaxInt16 {
			return n
		}
		at += binary.Size(directoryEntry{}) + len(e.name())
	}
	return len(entries)
}

// writeInode writes the inode that an entry stands for.
func (t *tableWriter) writeInode(e *treeEntry) error {
	i := e.inode
	basic, err := chooseInodeType(i.mode)
	if err != nil {
		return fmt.Errorf("%s: %w", e.path, err)
	}
	xattrs := uint32(noXattrs)
	i.kind = basic
	if i.xattrs != nil {
		xattrs = i.xattrs.index
		i.kind += extended
	}
	var body []byte
	switch basic {
	case typeDirectory:
		body, err = t.encodeDirectory(e, xattrs)
	case typeFile:
		body = t.encodeFile(i, xattrs)
	case typeSymlink:
		body = appendStruct(nil, symlinkInode{i.links, uint32(len(i.target))})
		body = append(body, i.target...)
	case typeBlockDevice, typeCharDevice:
		body = appendStruct(nil, deviceInode{i.links, encodeDevice(i.device)})
	default:
		body = appendStruct(nil, ipcInode{i.links})
	}
	if err != nil {
		return err
	}
	if i.xattrs != nil && basic != typeDirectory && basic != typeFile {
		body = binary.LittleEndian.AppendUint32(body, xattrs)
	}
	start, offset := t.inodes.position()
	i.ref = packInodeRef(start, offset)
	t.inodes.write(appendStruct(nil, inodeHeader{
		Type:   i.kind,
		Mode:   uint16(i.mode &^ unix.S_IFMT),
		UID:    t.idIndex[i.uid],
		GID:    t.idIndex[i.gid],
		Mtime:  i.mtime,
		Number: i.number,
	}))
	t.inodes.write(body)
	if i.content != nil {
		t.inodes.writeSizes(i.content.blocks)
	}
	return nil
}

// encodeDirectory makes a directory's inode: the extended one if it has extended attributes or a
// listing of more than one metadata block, which then has an index.
func (t *tableWriter) encodeDirectory(e *treeEntry, xattrs uint32) ([]byte, error) {
	i, l := e.inode, e.listing
	parent := uint32(len(t.tree.inodes) + 1)
	if e.parent != nil {
		parent = e.parent.inode.number
	}
	if l.start > math.MaxUint32 || uint64(l.size)+3 > math.MaxUint32 || len(l.index) > math.MaxUint16 {
		return nil, fmt.Errorf("%s: too many names for squashfs", e.path)
	}
	size := l.size + 3
	if size <= metadataSize {
		l.index = nil
		if xattrs == noXattrs {
			return appendStruct(nil, directoryInode{
				Start: uint32(l.start), Links: i.links, Size: uint16(size), Offset: uint16(l.offset), Parent: parent,
			}), nil
		}
	}
	i.kind = typeExtDirectory
	b := appendStruct(nil, extDirectoryInode{
		Links: i.links, Size: uint32(size), Start: uint32(l.start), Parent: parent,
		IndexCount: uint16(len(l.index)), Offset: uint16(l.offset), Xattrs: xattrs,
	})
	for _, x := range l.index {
		b = append(appendStruct(b, x.directoryIndex), x.name...)
	}
	return b, nil
}

// encodeFile makes a file's inode without the sizes of its blocks: the basic one unless something
// does not fit it.
func (t *tableWriter) encodeFile(i *inode, xattrs uint32) []byte {
	f := extFileInode{Links: i.links, Fragment: noFragment, Xattrs: xattrs}
	if c := i.content; c != nil {
		f.Size = uint64(c.size)
		f.Sparse = min(c.blocks.countSparse(c.size, t.plan.blockSize), f.Size-1)
		if c.region != nil {
			f.Start = c.region.start
		}
		if c.group != nil {
			f.Fragment, f.FragmentOffset = c.group.number, uint32(c.offset)
		}
	}
	if xattrs == noXattrs && f.Links == 1 && f.Sparse == 0 && f.Size <= math.MaxUint32 && f.Start <= math.MaxUint32 {
		return appendStruct(nil, fileInode{
			Start: uint32(f.Start), Fragment: f.Fragment, FragmentOffset: f.FragmentOffset, Size: uint32(f.Size),
		})
	}
	i.kind = typeExtFile
	return appendStruct(nil, f)
}

func (t *tableWriter) encodeFragments() (b []byte) {
	for _, g := range t.plan.groups {
		b = appendStruct(b, fragmentEntry{Start: g.region.start, Size: g.size})
	}
	return b
}

// encodeExport makes the table from inode numbers to inodes, which a server of NFS needs.
func (t *tableWriter) encodeExport() []byte {
	b := make([]byte, 0, 8*len(t.tree.inodes))
	for _, i := range t.tree.inodes {
		b = binary.LittleEndian.AppendUint64(b, i.ref)
	}
	return b
}

// encodeXattrs makes the metadata blocks with all names and values, and the table of the sets.
func (t *tableWriter) encodeXattrs() (keys, entries []byte, err error) {
	m := newMetadataWriter(t.enc)
	var b []byte
	for _, set := range t.sets {
		b = b[:0]
		for _, a := range set.attrs {
			prefix, rest, _ := splitXattr(a.Name)
			b = append(appendStruct(b, xattrKey{prefix, uint16(len(rest))}), rest...)
			b = append(appendStruct(b, uint32(len(a.Value))), a.Value...)
		}
		start, offset := m.position()
		entries = appendStruct(entries, xattrEntry{
			Ref: packInodeRef(start, offset), Count: uint32(len(set.attrs)), Size: uint32(len(b)),
		})
		m.write(b)
	}
	keys, err = m.finish()
	return keys, entries, err
}
