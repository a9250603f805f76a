package squashfs

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
)

// oldIndexVersion is the version of the index that the release before wrote. Nothing is built upon
// such an index, but an image that clients have is still compared with it. It knew one volume, and
// had a word for each block of zeros.
const oldIndexVersion = 2

// oldIndexHeader begins an index of oldIndexVersion.
type oldIndexHeader struct {
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
	oldIndexInode   [52]byte
	oldIndexContent struct {
		Size   int64
		Start  uint64
		Sparse uint64
		Rest   [4*4 + sha256.Size]byte // as in indexContent
	}
)

// decodeIndexHeader reads what an index begins with. That of oldIndexVersion is converted, but for
// its version.
func decodeIndexHeader(b []byte) (h indexHeader, err error) {
	if _, err := binary.Decode(b, binary.LittleEndian, &h); err != nil || h.Magic != indexMagic {
		return h, errIndexDamaged
	}
	switch h.Version {
	case indexVersion:
		return h, nil
	case oldIndexVersion:
		var old oldIndexHeader
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

// decodeOld reads what follows the header in an index of oldIndexVersion: only what says where data
// is in the image.
func (p *previous) decodeOld(b []byte) bool {
	h := &p.header
	s := sections{rest: b}
	s.take(h.Inodes, oldIndexInode{})
	contents := s.take(h.Contents, oldIndexContent{})
	words := cutWords(s.take(h.Blocks, uint32(0)))
	groups := s.take(h.Groups, indexGroup{})
	s.take(h.SetBytes, byte(0))
	if s.short || len(s.rest) > 0 {
		return false
	}
	var converted []byte
	var sizes []uint32
	for len(contents) > 0 {
		var c oldIndexContent
		n, err := binary.Decode(contents, binary.LittleEndian, &c)
		count := blockCount(c.Size, int(h.BlockSize))
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
	return len(words) == 0 && p.decodeGroups(groups) && p.decodeContents(converted, sizes)
}
