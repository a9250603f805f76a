package squashfs

import (
	"context"
	"crypto/sha256"
	"hash"
	"hash/fnv"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// packTails says that the end of a file that is no whole block shares a block with other files' ends, also where the
// file has whole blocks, too.
const packTails = true

// A group of tails ends where it is full, and behind one in groupEvery tails, chosen by a hash of its file's path. So
// what a changed file does to the tails that share blocks ends, on average, that many files further on.
const groupEvery = 32

// A plan says what data an image holds, and in which order.
type plan struct {
	blockSize int
	contents  []*content
	groups    []*group
	regions   []*region // in the order of the image, touching one another
}

// A content is what one or more equal files hold.
type content struct {
	inode  *inode // the first in order that has it
	size   int64
	hashed bool
	hash   [sha256.Size]byte
	old    *oldContent // the same content in the previous image, or nil

	// Set while the data is written, or taken over from the previous image.
	blocks []uint32 // as in a file's inode
	sparse uint64
	start  uint64

	group  *group // of the tail; nil without one
	offset int    // in the uncompressed group
}

// A group is tails that are compressed together: a fragment block.
type group struct {
	number uint32
	tails  []*content
	length int    // uncompressed
	size   uint32 // as in the fragment table
	start  uint64
}

// A region is a stretch of the image that one file or one group alone decides: either all of a content's blocks or one
// group.
type region struct {
	content *content // or
	group   *group
	old     *oldRegion // where the previous image has the same bytes, or nil
	length  uint64
	sum     uint32 // CRC-32C
}

// source is how many bytes of files stand behind a region.
func (r *region) source(blockSize int) int64 {
	if r.group != nil {
		return int64(r.group.length)
	}
	return r.content.size - int64(r.content.tail(blockSize))
}

// tail is the number of bytes behind the whole blocks, if they go into a group.
func (c *content) tail(blockSize int) int {
	if !packTails && c.size >= int64(blockSize) {
		return 0
	}
	return int(c.size % int64(blockSize))
}

// blockCount is the number of blocks of its own.
func (c *content) blockCount(blockSize int) int {
	return int((c.size - int64(c.tail(blockSize)) + int64(blockSize) - 1) / int64(blockSize))
}

// blockLength is the uncompressed length of one of a content's blocks.
func (c *content) blockLength(blockSize, block int) int {
	return int(min(int64(blockSize), c.size-int64(block)*int64(blockSize)))
}

// newPlan finds the distinct contents of a tree's files and lays them out.
func newPlan(ctx context.Context, t *tree, root int, o *Options, prev *previous) (*plan, error) {
	p := &plan{blockSize: o.BlockSize}
	if err := p.findContents(ctx, t, root, o, prev); err != nil {
		return nil, err
	}
	p.lay()
	if prev != nil {
		p.reuse()
	}
	return p, nil
}

// findContents gives each file its content, the same to equal files. It reads files only where sizes agree.
func (p *plan) findContents(ctx context.Context, t *tree, root int, o *Options, prev *previous) error {
	var all []*content
	sizes := make(map[int64]int)
	for _, i := range t.inodes {
		if !i.isRegular() {
			continue
		}
		size := i.stat.size
		if i.held {
			size = int64(len(i.data))
		}
		if size == 0 {
			continue
		}
		c := &content{inode: i, size: size}
		if prev != nil && !i.held {
			c.old = prev.content(i.stat)
		}
		if c.old != nil && c.old.hashed {
			c.hashed, c.hash = true, c.old.hash
		}
		i.content = c
		all = append(all, c)
		sizes[size]++
	}
	var unknown []*content
	for _, c := range all {
		if c.hashed {
			continue
		}
		if sizes[c.size] > 1 || c.inode.held || c.inode.stat.ctime >= t.scanned || prev != nil && prev.knowsHash(c.inode.stat) {
			unknown = append(unknown, c)
		}
	}
	if err := hashContents(ctx, unknown, root, p.blockSize, o.Jobs); err != nil {
		return err
	}
	type key struct {
		size int64
		hash [sha256.Size]byte
	}
	first := make(map[key]*content)
	for _, c := range all {
		if c.hashed {
			if c.old == nil && prev != nil {
				c.old = prev.byHash(c.size, c.hash)
			}
			k := key{c.size, c.hash}
			if same := first[k]; same != nil {
				if same.old == nil {
					same.old = c.old
				}
				c.inode.content = same
				continue
			}
			first[k] = c
		}
		p.contents = append(p.contents, c)
	}
	return nil
}

// lay puts the contents into regions: each file's blocks in the files' order, each group behind the file that closes it.
func (p *plan) lay() {
	var open *group
	closeGroup := func() {
		if open != nil {
			p.regions = append(p.regions, &region{group: open})
			open = nil
		}
	}
	for _, c := range p.contents {
		if n := c.blockCount(p.blockSize); n > 0 {
			c.blocks = make([]uint32, n)
			p.regions = append(p.regions, &region{content: c})
		}
		tail := c.tail(p.blockSize)
		if tail == 0 {
			continue
		}
		if open != nil && open.length+tail > p.blockSize {
			closeGroup()
		}
		if open == nil {
			open = &group{number: uint32(len(p.groups))}
			p.groups = append(p.groups, open)
		}
		c.group, c.offset = open, open.length
		open.tails = append(open.tails, c)
		open.length += tail
		if open.length == p.blockSize || endsGroup(c.inode.first.path) {
			closeGroup()
		}
	}
	closeGroup()
}

func endsGroup(path string) bool {
	h := fnv.New64a()
	h.Write([]byte(path))
	return h.Sum64()>>20%groupEvery == 0
}

// reuse finds the regions that the previous image has.
func (p *plan) reuse() {
	for _, r := range p.regions {
		if c := r.content; c != nil && c.old != nil {
			r.old = c.old.region
			c.blocks, c.sparse = c.old.blocks, c.old.sparse
		}
		if g := r.group; g != nil {
			if old := g.tails[0].old; old != nil && old.group.holds(g) {
				r.old, g.size = &old.group.region, old.group.size
			}
		}
		if r.old != nil {
			r.length, r.sum = r.old.length, r.old.sum
		}
	}
}

// hashContents computes the hash of each content, several at a time.
func hashContents(ctx context.Context, contents []*content, root, blockSize, jobs int) error {
	var next atomic.Int64
	work, ctx := errgroup.WithContext(ctx)
	for range min(jobs, len(contents)) {
		work.Go(func() error {
			files := &opener{root: root}
			defer files.close()
			h, buf := sha256.New(), make([]byte, blockSize)
			for {
				n := int(next.Add(1)) - 1
				if n >= len(contents) {
					return nil
				}
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := contents[n].sum(files, h, buf); err != nil {
					return err
				}
			}
		})
	}
	return work.Wait()
}

// sum hashes a content: block by block, with a mark in front of each that says whether it is all zeros and left out.
func (c *content) sum(files *opener, h hash.Hash, buf []byte) error {
	f, err := files.openContent(c)
	if err != nil {
		return err
	}
	defer f.close()
	h.Reset()
	for offset := int64(0); offset < c.size; offset += int64(len(buf)) {
		b := buf[:min(int64(len(buf)), c.size-offset)]
		zero, err := f.readAt(b, offset)
		if err != nil {
			return err
		}
		if zero {
			h.Write([]byte{0})
		} else {
			h.Write([]byte{1})
			h.Write(b)
		}
	}
	h.Sum(c.hash[:0])
	c.hashed = true
	return f.check()
}
