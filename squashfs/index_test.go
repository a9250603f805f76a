package squashfs

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"os"
	"testing"
)

// FuzzIndex reads indexes that are not what encodeIndex writes, though their checksum is right. They must be refused,
// or do no harm.
func FuzzIndex(f *testing.F) {
	c := newChanger(f, 1)
	for range 30 {
		c.addFile()
	}
	c.setXattr()
	c.hole()
	c.sparse("holes", 100*minBlockSize+1, piece{3 * minBlockSize, []byte("x")}, piece{70 * minBlockSize, []byte("x")})
	g := buildGeneration(f, c.root, nil, Options{BlockSize: minBlockSize})
	index := readFile(f, g.path+".index")
	body := index[:len(index)-sha256.Size]
	f.Add(body)
	f.Add(body[:binary.Size(indexHeader{})])
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
		p.check()
		for _, i := range p.inodes {
			p.volumes[i.Volume].Scanned = math.MaxInt64
			now := &inode{
				stat:   stat{1, i.Ino, i.Size, i.Mtime, i.Ctime},
				volume: &volume{device: 1, traits: traits{ctimes: true}, old: int(i.Volume)},
			}
			p.xattrs(now)
			p.knowsHash(now)
			if old := p.content(now); old != nil && old.group != nil {
				old.group.holds(&group{length: old.group.length, contents: []*content{{old: old}}})
			}
		}
		p.byHash(contentKey{})
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
			if want := blockCount(c.size, int(p.header.BlockSize)); blocks != want {
				t.Errorf("a content of %d blocks has the sizes of %d", want, blocks)
			}
			if zeros := c.blocks.sparse(c.size, int(p.header.BlockSize)); zeros > uint64(c.size) {
				t.Errorf("a content of %d bytes has %d in blocks of zeros", c.size, zeros)
			}
		}
	})
}
