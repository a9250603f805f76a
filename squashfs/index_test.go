package squashfs

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestOldIndex: an image whose index an earlier release has written is compared with it all the
// same, and not built upon.
func TestOldIndex(t *testing.T) {
	t.Parallel()
	c := newChanger(t, 1)
	for range 30 {
		c.addFile()
	}
	c.sparse("holes", 100*minBlockSize+1, piece{3 * minBlockSize, []byte("x")}, piece{70 * minBlockSize, []byte("x")})
	c.sparse("zeros", 10*minBlockSize)
	c.settle()
	o := Options{BlockSize: minBlockSize}
	g := buildGeneration(t, c.root, nil, o)
	old := oldIndex(t, readFile(t, g.path+".index"))
	image := g.bytes(t)
	verify := func(image []byte) error {
		p, closePrevious := writeGeneration(t, image, old).open(t)
		defer closePrevious()
		digest, err := p.Verify(t.Context())
		if err == nil && digest != g.result.Digest {
			t.Errorf("another digest: %x", digest)
		}
		return err
	}
	if err := verify(image); err != nil {
		t.Error(err)
	}
	if err := verify(flip(image, superblockSize+1)); err == nil {
		t.Error("data was changed, and nothing is found")
	}
	next := buildGeneration(t, c.root, writeGeneration(t, image, old), o)
	sameImage(t, "with an old index", next, g)
	if !strings.Contains(next.result.Reason, "version 2") || next.result.Damaged || next.result.Copied > 0 {
		t.Errorf("got %+v", next.result)
	}
}

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

// oldIndex makes an index of indexVersion2 of one that a build has written.
func oldIndex(t testing.TB, index []byte) []byte {
	t.Helper()
	p, err := decodeIndex(index)
	if err != nil {
		t.Fatal(err)
	}
	rest := index[binary.Size(indexHeader{}) : len(index)-sha256.Size]
	rest = rest[len(p.volumes)*binary.Size(indexVolume{})+len(p.inodes)*binary.Size(indexInode{}):]
	inodes := make([]byte, len(p.inodes)*index2InodeSize)
	var contents, blocks []byte
	h := index2Header{
		Magic: indexMagic, Version: indexVersion2, Encoder: p.header.Encoder, Compression: p.header.Compression,
		BlockSize: p.header.BlockSize, Image: p.header.Image, Tree: p.header.Tree,
		Inodes: p.header.Inodes, Contents: p.header.Contents, Groups: p.header.Groups, Sets: p.header.Sets,
		SetBytes: p.header.SetBytes,
	}
	size := binary.Size(indexContent{})
	for n := range p.contents {
		c := &p.contents[n]
		const startEnd = 16 // of what is in front of the bytes of zeros
		contents = append(contents, rest[:startEnd]...)
		contents = binary.LittleEndian.AppendUint64(contents, c.blocks.countSparse(c.size, int(h.BlockSize)))
		contents = append(contents, rest[startEnd:size]...)
		rest = rest[size:]
		for _, word := range c.blocks {
			if word&zeroRun == 0 {
				blocks = binary.LittleEndian.AppendUint32(blocks, word)
				h.Blocks++
			} else {
				blocks = append(blocks, make([]byte, 4*(word&^zeroRun))...)
				h.Blocks += word &^ zeroRun
			}
		}
	}
	rest = rest[4*p.header.Blocks:]
	body := slices.Concat(appendStruct(nil, h), inodes, contents, blocks, rest)
	sum := sha256.Sum256(body)
	return append(body, sum[:]...)
}

// FuzzIndex reads indexes that are not what encodeIndex writes, though their checksum is right.
// They must be refused, or do no harm.
func FuzzIndex(f *testing.F) {
	c := newChanger(f, 1)
	for range 30 {
		c.addFile()
	}
	c.changeXattr()
	c.hole()
	c.sparse("holes", 100*minBlockSize+1, piece{3 * minBlockSize, []byte("x")}, piece{70 * minBlockSize, []byte("x")})
	g := buildGeneration(f, c.root, nil, Options{BlockSize: minBlockSize})
	index := readFile(f, g.path+".index")
	body := index[:len(index)-sha256.Size]
	f.Add(body)
	f.Add(body[:binary.Size(indexHeader{})])
	old := oldIndex(f, index)
	f.Add(old[:len(old)-sha256.Size])
	for at := 0; at < len(body); at += 1 + len(body)/50 {
		f.Add(flip(body, at))
	}
	image, err := os.Open(g.path)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { image.Close() })
	f.Fuzz(func(t *testing.T, body []byte) {
		sum := sha256.Sum256(body)
		p, err := decodeIndex(append(body[:len(body):len(body)], sum[:]...))
		if err != nil {
			return
		}
		p.image = image
		p.checkImage()
		for _, i := range p.inodes {
			p.volumes[i.Volume].Scanned = math.MaxInt64
			now := &inode{
				stat:   fileStat{1, i.Ino, i.Size, i.Mtime, i.Ctime},
				volume: &volume{device: 1, traits: traits{ctimes: true}, old: int(i.Volume)},
			}
			p.findXattrs(now)
			p.knowsHash(now)
			if old := p.findContent(now); old != nil && old.group != nil {
				old.group.holds(&group{length: old.group.length, contents: []*content{{old: old}}})
			}
		}
		p.findByHash(contentKey{})
		for n := range p.contents {
			c := &p.contents[n]
			if c.group != nil {
				continue
			}
			blocks := int64(0)
			for _, word := range c.blocks {
				if word&zeroRun != 0 {
					blocks += int64(word &^ zeroRun)
				} else {
					blocks++
				}
			}
			if want := countOwnBlocks(c.size, int(p.header.BlockSize)); blocks != want {
				t.Errorf("a content of %d blocks has the sizes of %d", want, blocks)
			}
			if zeros := c.blocks.countSparse(c.size, int(p.header.BlockSize)); zeros > uint64(c.size) {
				t.Errorf("a content of %d bytes has %d in blocks of zeros", c.size, zeros)
			}
		}
	})
}
