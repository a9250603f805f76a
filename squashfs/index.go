package squashfs

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// An index is what a later build must know of an image, beside the image itself: for each inode
// what a stat said when it was read, and which content it has; for each content its hash, if
// anybody computed it, and where its data is; for each region of data its digest. It is only an
// aid. Whatever is wrong with it, a clean build makes up for it.
//
// On disk, all little endian: indexHeader, the sections that it counts, and the SHA-256 of all
// that.

const (
	indexMagic   = 0x7864697366717371 // "qsqfsidx"
	indexVersion = 3
)

// indexHeader begins an index.
type indexHeader struct {
	Magic       uint64
	Version     uint32
	Encoder     uint32 // encoderNumber
	Compression uint32
	BlockSize   uint32
	Image       [sha256.Size]byte // the image's digest
	Tree        [sha256.Size]byte // tree.digest
	IDOffset    uint32            // Options.IDOffset
	Volumes     uint32            // number of indexVolume
	Inodes      uint32            // number of indexInode
	Contents    uint32            // number of indexContent
	Blocks      uint32            // number of words of blockSizes, in the order of the contents
	Groups      uint32            // number of indexGroup
	Sets        uint32            // number of xattr sets
	SetBytes    uint32            // of all their names and values, each behind its 32-bit length
}

// The sections of an index, in order.
const (
	volumeSection = iota
	inodeSection
	contentSection
	blockSection
	groupSection
	setSection
	sectionCount
)

// sectionSizes returns the size in bytes of each section.
func (h *indexHeader) sectionSizes() [sectionCount]uint64 {
	inode, content := binary.Size(indexInode{}), binary.Size(indexContent{})
	if h.Version == indexVersion2 {
		inode, content = index2InodeSize, index2ContentSize
	}
	return [sectionCount]uint64{
		uint64(h.Volumes) * uint64(binary.Size(indexVolume{})), uint64(h.Inodes) * uint64(inode),
		uint64(h.Contents) * uint64(content), uint64(h.Blocks) * 4,
		uint64(h.Groups) * uint64(binary.Size(indexGroup{})), uint64(h.SetBytes),
	}
}

// size returns the size in bytes of what an index begins with.
func (h *indexHeader) size() uint64 {
	if h.Version == indexVersion2 {
		return index2HeaderSize
	}
	return uint64(binary.Size(h))
}

// totalSize returns the size in bytes of the index that begins with a header.
func (h *indexHeader) totalSize() uint64 {
	size := h.size() + sha256.Size
	for _, section := range h.sectionSizes() {
		size += section
	}
	return size
}

// indexVolume is one volume that inodes were read from.
type indexVolume struct {
	ID      [sha256.Size]byte // volume.id
	Scanned int64             // volume.scanned
}

// indexInode is what an inode was like when it was read. They are sorted by Volume and Ino, and no
// two have the same.
type indexInode struct {
	Volume  uint32 // its number in the index
	Ino     uint64
	Size    int64
	Mtime   int64
	Ctime   int64
	Content uint32 // noContent without one
	Xattrs  uint32 // noXattrs without any
	ACL     uint32 // 1 if it has one, which is not in the image
	Names   uint64 // inode.names
}

const noContent = math.MaxUint32

// indexContent is one content, in the order of the plan. Start and Sum are those of its blocks, if
// it has any; Group and Offset say where it is if not.
type indexContent struct {
	Size   int64
	Start  uint64
	Sum    uint32
	Group  uint32
	Offset uint32
	Hashed uint32
	Hash   [sha256.Size]byte
}

// indexGroup is one group, in the order of the plan.
type indexGroup struct {
	Start  uint64
	Size   uint32 // as in the fragment table
	Length uint32 // uncompressed
	Sum    uint32
}

// encodeIndex makes the index of an image that has just been built.
func encodeIndex(h indexHeader, t *tree, p *plan) []byte {
	volumes, inodes, sets := listIndexInodes(t)
	h.Magic, h.Version, h.Encoder = indexMagic, indexVersion, encoderNumber
	h.Volumes = uint32(len(volumes))
	h.Inodes, h.Contents, h.Groups, h.Sets = uint32(len(inodes)), uint32(len(p.contents)), uint32(len(p.groups)),
		uint32(len(sets))
	var contents, blocks, groups, setBytes []byte
	for _, c := range p.contents {
		x := indexContent{Size: c.size, Hash: c.hash}
		if c.hashed {
			x.Hashed = 1
		}
		if c.group != nil {
			x.Group, x.Offset = c.group.number, uint32(c.offset)
		} else {
			x.Start, x.Sum = c.region.start, c.region.sum
		}
		contents = appendStruct(contents, x)
		blocks = appendStruct(blocks, []uint32(c.blocks))
		h.Blocks += uint32(len(c.blocks))
	}
	for _, g := range p.groups {
		groups = appendStruct(groups,
			indexGroup{Start: g.region.start, Size: g.size, Length: uint32(g.length), Sum: g.region.sum})
	}
	for _, s := range sets {
		setBytes = appendString(setBytes, s.key)
	}
	h.SetBytes = uint32(len(setBytes))
	b := slices.Concat(appendStruct(nil, h, volumes), appendStruct(nil, inodes), contents, blocks, groups, setBytes)
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// listIndexInodes lists what a later build can recognise: not what is in the image only, nor what
// overlay file systems report as being elsewhere, nor what does not identify a file.
func listIndexInodes(t *tree) (volumes []indexVolume, inodes []indexInode, sets []*xattrSet) {
	known := make(map[*volume]uint32)
	for _, v := range t.volumes {
		if isUniqueVolume(v, t.volumes) {
			known[v] = uint32(len(volumes))
			volumes = append(volumes, indexVolume{v.id, v.scanned})
		}
	}
	numbers := make(map[*xattrSet]uint32)
	for _, i := range t.inodes {
		number, isKnown := known[i.volume]
		if !isKnown || !i.isIndexed() {
			continue
		}
		x := indexInode{
			Volume: number,
			Ino:    i.stat.ino, Size: i.stat.size, Mtime: i.stat.mtime, Ctime: i.stat.ctime,
			Content: noContent, Xattrs: noXattrs, Names: i.names,
		}
		if i.content != nil && !i.replaced {
			x.Content = i.content.number
		}
		if i.xattrs != nil {
			n, ok := numbers[i.xattrs]
			if !ok {
				n = uint32(len(sets))
				numbers[i.xattrs] = n
				sets = append(sets, i.xattrs)
			}
			x.Xattrs = n
		}
		if i.hasACL {
			x.ACL = 1
		}
		inodes = append(inodes, x)
	}
	slices.SortFunc(inodes, indexInode.compare)
	return volumes, inodes, sets
}

func (i indexInode) compare(other indexInode) int {
	return cmp.Or(cmp.Compare(i.Volume, other.Volume), cmp.Compare(i.Ino, other.Ino))
}

// isUniqueVolume reports whether no other volume of a tree has the same id, as a copy of a whole
// disk has.
func isUniqueVolume(v *volume, all []*volume) bool {
	return !slices.ContainsFunc(all, func(other *volume) bool { return other != v && other.id == v.id })
}

var errIndexDamaged = errors.New("its index is damaged")

// decodeIndex reads an index. What it returns is safe to use with the image that the index belongs
// to, and with no other: see oldImage.checkImage.
func decodeIndex(b []byte) (*oldImage, error) {
	p := new(oldImage)
	if len(b) < sha256.Size {
		return nil, errIndexDamaged
	}
	body, sum := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	if s := sha256.Sum256(body); !bytes.Equal(s[:], sum) {
		return nil, errIndexDamaged
	}
	var err error
	if p.header, err = parseIndexHeader(body); err != nil {
		return nil, err
	}
	h := &p.header
	if uint64(len(b)) != h.totalSize() || h.BlockSize < minBlockSize || h.BlockSize > maxBlockSize ||
		h.BlockSize&(h.BlockSize-1) != 0 {
		return nil, errIndexDamaged
	}
	var sections [sectionCount][]byte
	body = body[h.size():]
	for n, size := range h.sectionSizes() {
		sections[n], body = body[:size], body[size:]
	}
	if !p.decodeSections(sections) {
		return nil, errIndexDamaged
	}
	return p, nil
}

// parseIndexHeader reads what an index begins with. That of indexVersion2 is converted, but for its
// version.
func parseIndexHeader(b []byte) (h indexHeader, err error) {
	if _, err = binary.Decode(b, binary.LittleEndian, &h); err != nil || h.Magic != indexMagic {
		return h, errIndexDamaged
	}
	switch {
	case h.Version == indexVersion:
		return h, nil
	case h.Version != indexVersion2:
		return h, fmt.Errorf("its index has version %d, and this program reads %d", h.Version, indexVersion)
	case len(b) < index2HeaderSize:
		return h, errIndexDamaged
	}
	_, err = binary.Decode(convertIndex2Header(b[:index2HeaderSize]), binary.LittleEndian, &h)
	return h, err
}

// decodeSections reads what follows the header.
func (p *oldImage) decodeSections(sections [sectionCount][]byte) bool {
	words := make([]uint32, p.header.Blocks)
	binary.Decode(sections[blockSection], binary.LittleEndian, words) // of that size
	if !p.decodeGroups(sections[groupSection]) || !p.decodeContents(sections[contentSection], words) {
		return false
	}
	if p.header.Version == indexVersion2 {
		return true
	}
	p.volumes = make([]indexVolume, p.header.Volumes)
	binary.Decode(sections[volumeSection], binary.LittleEndian, p.volumes)
	return p.decodeSets(sections[setSection]) && p.decodeInodes(sections[inodeSection])
}

// cutUint32 takes a number of 32 bits off the front of b, cutUint64 one of 64 bits.
func cutUint32(b *[]byte) (v uint32) {
	v = binary.LittleEndian.Uint32(*b)
	*b = (*b)[4:]
	return v
}

func cutUint64(b *[]byte) (v uint64) {
	v = binary.LittleEndian.Uint64(*b)
	*b = (*b)[8:]
	return v
}

func (p *oldImage) decodeGroups(b []byte) bool {
	p.groups = make([]oldGroup, p.header.Groups)
	for n := range p.groups {
		g := &p.groups[n]
		g.region.start, g.size, g.length, g.region.sum = cutUint64(&b), cutUint32(&b), int(cutUint32(&b)), cutUint32(&b)
		g.region.length = uint64(g.size &^ blockStored)
		if g.region.length == 0 || g.region.length > uint64(p.header.BlockSize) || g.length > int(p.header.BlockSize) ||
			g.region.start > math.MaxInt64/2 {
			return false
		}
	}
	return true
}

// decodeContents reads contents, whose blocks have the sizes that are given, one list after the
// other.
func (p *oldImage) decodeContents(b []byte, sizes []uint32) bool {
	cutSizes, isVersion2 := cutBlockSizes, p.header.Version == indexVersion2
	if isVersion2 {
		cutSizes = cutBlockWords
	}
	p.contents = make([]oldContent, p.header.Contents)
	for n := range p.contents {
		c := &p.contents[n]
		c.number = uint32(n)
		c.size = int64(cutUint64(&b))
		region := oldRegion{start: cutUint64(&b)}
		if isVersion2 {
			cutUint64(&b) // how many bytes are zeros
		}
		region.sum = cutUint32(&b)
		group := cutUint32(&b)
		c.offset, c.hashed = int(cutUint32(&b)), cutUint32(&b) != 0
		b = b[copy(c.hash[:], b):]
		if c.size <= 0 || c.size > math.MaxInt64/2 || region.start > math.MaxInt64/2 {
			return false
		}
		count := countOwnBlocks(c.size, int(p.header.BlockSize))
		if count == 0 {
			if group >= uint32(len(p.groups)) || int64(c.offset)+c.size > int64(p.groups[group].length) {
				return false
			}
			c.group = &p.groups[group]
			continue
		}
		var ok bool
		if c.blocks, region.length, ok = cutSizes(&sizes, count, p.header.BlockSize); !ok {
			return false
		}
		c.region = &region
	}
	return len(sizes) == 0
}

func (p *oldImage) decodeSets(b []byte) bool {
	for range p.header.Sets {
		key, isWhole := cutString(&b)
		set, isSet := parseXattrSet(key)
		if !isWhole || !isSet {
			return false
		}
		p.sets = append(p.sets, set)
	}
	return len(b) == 0
}

func (p *oldImage) decodeInodes(b []byte) bool {
	p.inodes = make([]indexInode, p.header.Inodes)
	for n := range p.inodes {
		p.inodes[n] = indexInode{
			Volume: cutUint32(&b), Ino: cutUint64(&b), Size: int64(cutUint64(&b)), Mtime: int64(cutUint64(&b)),
			Ctime:   int64(cutUint64(&b)),
			Content: cutUint32(&b), Xattrs: cutUint32(&b), ACL: cutUint32(&b), Names: cutUint64(&b),
		}
		i := &p.inodes[n]
		if n > 0 && p.inodes[n-1].compare(*i) >= 0 || i.Volume >= uint32(len(p.volumes)) ||
			i.Xattrs != noXattrs && i.Xattrs >= uint32(len(p.sets)) ||
			i.Content != noContent && (i.Content >= uint32(len(p.contents)) || p.contents[i.Content].size != i.Size) {
			return false
		}
	}
	return true
}

// parseXattrSet is the inverse of newXattrSet.
func parseXattrSet(key string) (*xattrSet, bool) {
	s := &xattrSet{key: key}
	for b := []byte(key); len(b) > 0; {
		name, hasName := cutString(&b)
		value, hasValue := cutString(&b)
		_, short, isKnown := splitXattr(name)
		if !hasName || !hasValue || !isKnown || len(short) > math.MaxUint16 {
			return nil, false
		}
		s.attrs = append(s.attrs, Xattr{name, []byte(value)})
	}
	return s, len(s.attrs) > 0
}

// cutString takes off the front of b what appendString has put there.
func cutString(b *[]byte) (s string, ok bool) {
	if len(*b) < 4 {
		return "", false
	}
	n := cutUint32(b)
	if uint64(n) > uint64(len(*b)) {
		return "", false
	}
	s, *b = string((*b)[:n]), (*b)[n:]
	return s, true
}
