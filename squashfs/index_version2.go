package squashfs

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
)

// indexVersion2 is the version of the index that the release before wrote. Nothing is built upon
// such an index, but an image that clients have is still compared with it. It knew one volume, and
// had a word for each block of zeros.
const indexVersion2 = 2

// index2Header begins an index of indexVersion2.
type index2Header struct {
	Magic       uint64
	Version     uint32
	Encoder     uint32
	Compression uint32
	BlockSize   uint32
	Image       [sha256.Size]byte
	Tree        [sha256.Size]byte
	FileSystem  [sha256.Size]byte
	Scanned     int64
	Inodes      uint32
	Contents    uint32
	Blocks      uint32
	Groups      uint32
	Sets        uint32
	SetBytes    uint32
}

type (
	index2Inode   [52]byte
	index2Content struct {
		Size   int64
		Start  uint64
		Sparse uint64
		Rest   [4*4 + sha256.Size]byte // as in indexContent
	}
)

// parseIndexHeader reads what an index begins with. That of indexVersion2 is converted, but for
// its version.
func parseIndexHeader(b []byte) (h indexHeader, err error) {
	if _, err := binary.Decode(b, binary.LittleEndian, &h); err != nil || h.Magic != indexMagic {
		return h, errIndexDamaged
	}
	switch h.Version {
	case indexVersion:
		return h, nil
	case indexVersion2:
		var old index2Header
		if _, err := binary.Decode(b, binary.LittleEndian, &old); err != nil {
			return h, errIndexDamaged
		}
		return indexHeader{
			Magic: old.Magic, Version: old.Version, Encoder: old.Encoder, Compression: old.Compression,
			BlockSize: old.BlockSize,
			Image:     old.Image, Tree: old.Tree,
			Inodes: old.Inodes, Contents: old.Contents, Blocks: old.Blocks, Groups: old.Groups, Sets: old.Sets,
			SetBytes: old.SetBytes,
		}, nil
	}
	return h, fmt.Errorf("its index has version %d, and this program reads %d", h.Version, indexVersion)
}

// decodeVersion2 reads what follows the header in an index of indexVersion2: only what says where
// data is in the image.
func (p *oldImage) decodeVersion2(sections [sectionCount][]byte) bool {
	contents, words := sections[contentSection], cutWords(sections[blockSection])
	var converted []byte
	var sizes []uint32
	for len(contents) > 0 {
		var c index2Content
		n, err := binary.Decode(contents, binary.LittleEndian, &c)
		count := countOwnBlocks(c.Size, int(p.header.BlockSize))
		if err != nil || c.Size > math.MaxInt64/2 || count > int64(len(words)) {
			return false
		}
		contents = contents[n:]
		converted = append(appendStruct(converted, c.Size, c.Start), c.Rest[:]...)
		var runs blockSizes
		for _, word := range words[:count] {
			switch {
			case word == 0:
				runs.addZeros(1)
			case word&zeroRun != 0:
				return false
			default:
				runs.add(word)
			}
		}
		words, sizes = words[count:], append(sizes, runs...)
	}
	return len(words) == 0 && p.decodeGroups(sections[groupSection]) && p.decodeContents(converted, sizes)
}
