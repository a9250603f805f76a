package squashfs

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash/fnv"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// A group of small files ends where it is full, and behind one in groupEvery of them, chosen by a
// hash of its path. So what a change does to the files that share blocks ends, on average, within
// that many files.
const groupEvery = 32

// maxFileSize keeps the list of one file's blocks to 128 MB at the default block size. Writer and
// reader pass over the zeros in it as runs, but what mounts the image may not.
const maxFileSize = 4 << 40

// A plan says what data an image holds, and in which order.
type plan struct {
	blockSize int
	contents  []*content
	groups    []*group
	regions   []*region // in the order of the image, touching one another
	hashed    int64     // bytes of files that were read to lay it out
}

// A content is what one or more equal files hold. One of a block or more has blocks of its own, the
// last of which may be shorter. A smaller one is part of a group.
type content struct {
	inode  *inode // the first in order that has it
	number uint32 // in the plan
	size   int64
	hashed bool
	hash   [sha256.Size]byte
	old    *oldContent // the same content in the previous image, or nil

	// Set while the data is written, or taken over from the previous image.
	blocks blockSizes
	region *region // of the blocks

	group  *group // or nil
	offset int    // in the uncompressed group
}

// A group is small contents that are compressed together: a fragment block.
type group struct {
	number   uint32
	contents []*content
	length   int    // uncompressed
	size     uint32 // as in the fragment table
	region   *region
}

// A region is a stretch of the image that one content or one group alone decides.
type region struct {
	content *content // or
	group   *group
	old     *oldRegion // where the previous image has the same bytes, or nil
	start   uint64
	length  uint64
	sum     uint32 // CRC-32C
}

// countSource counts the files, and their bytes, that stand behind a region.
func (r *region) countSource() (bytes int64, files int) {
	if r.group != nil {
		return int64(r.group.length), len(r.group.contents)
	}
	return r.content.size, 1
}

// countOwnBlocks is the number of blocks of its own that a content of a size has.
func countOwnBlocks(size int64, blockSize int) int64 {
	if size < int64(blockSize) {
		return 0
	}
	return countBlocks(size, blockSize)
}

// countBlocks is the number of blocks that so many bytes take, the last of which may be shorter.
func countBlocks(size int64, blockSize int) int64 {
	return (size + int64(blockSize) - 1) / int64(blockSize)
}

// newPlan finds the distinct contents of a tree's files and lays them out.
func newPlan(ctx context.Context, t *tree, root int, o *Options, old *oldImage) (*plan, error) {
	p := &plan{blockSize: o.BlockSize}
	if err := p.findContents(ctx, t, root, o, old); err != nil {
		return nil, err
	}
	p.layOut()
	p.reuseRegions()
	return p, nil
}

// findContents gives each file its content, the same to equal files. It reads files only where
// sizes agree, or where one that has not changed is to be inspected under a new name.
func (p *plan) findContents(ctx context.Context, t *tree, root int, o *Options, old *oldImage) error {
	// A file that has not changed was not seen by Options.Inspector if it has another name now.
	unseen := func(c *content) bool { return c.old != nil && t.inspect != nil && old.wasRenamed(c.inode) }
	var all []*content
	sizes := make(map[int64]int)
	for _, i := range t.inodes {
		if !i.isRegular() {
			continue
		}
		size := i.contentSize()
		if size == 0 {
			continue
		}
		if size > maxFileSize {
			return fmt.Errorf("%s: a file in an image has at most 4 TiB, holes included: exclude it", i.first.path)
		}
		c := &content{inode: i, size: size}
		if !i.held {
			c.old = old.findContent(i)
		}
		if c.old != nil && c.old.hashed && !unseen(c) {
			c.hashed, c.hash = true, c.old.hash
		}
		if i.hash != nil && !unseen(c) {
			c.hashed, c.hash = true, *i.hash
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
		// A later build finds the content of a file that is not in the index, or may have changed
		// already, by its hash alone.
		isUnsure := c.inode.held || !c.inode.isIndexed() || c.inode.stat.ctime >= c.inode.volume.scanned
		if unseen(c) || sizes[c.size] > 1 || isUnsure || old.knowsHash(c.inode) {
			unknown = append(unknown, c)
		}
	}
	if err := hashContents(ctx, unknown, root, p.blockSize, o.Jobs, t.inspect); err != nil {
		return err
	}
	for _, c := range unknown {
		p.hashed += c.size
	}
	p.deduplicate(all, old)
	return nil
}

// deduplicate keeps the first of equal contents, and looks for those with a hash in the previous
// image.
func (p *plan) deduplicate(all []*content, old *oldImage) {
	first := make(map[contentKey]*content)
	for _, c := range all {
		if !c.hashed {
			p.contents = append(p.contents, c)
			continue
		}
		key := contentKey{c.size, c.hash}
		if c.old == nil && old != nil {
			c.old = old.findByHash(key)
		}
		if same := first[key]; same != nil {
			c.inode.content = same
			if same.old == nil {
				same.old = c.old
			}
			continue
		}
		first[key] = c
		p.contents = append(p.contents, c)
	}
}

// layOut puts the contents into regions: each file's blocks in the files' order, each group behind
// the file that ends it.
func (p *plan) layOut() {
	var open *group
	end := func() {
		if open != nil {
			p.regions = append(p.regions, open.region)
			open = nil
		}
	}
	for n, c := range p.contents {
		c.number = uint32(n)
		if countOwnBlocks(c.size, p.blockSize) > 0 {
			c.region = &region{content: c}
			p.regions = append(p.regions, c.region)
			continue
		}
		if open != nil && open.length+int(c.size) > p.blockSize {
			end()
		}
		if open == nil {
			open = &group{number: uint32(len(p.groups))}
			open.region = &region{group: open}
			p.groups = append(p.groups, open)
		}
		c.group, c.offset = open, open.length
		open.contents = append(open.contents, c)
		open.length += int(c.size)
		if endsGroup(c.inode.first.path) {
			end()
		}
	}
	end()
}

func endsGroup(path string) bool {
	h := fnv.New64a()
	h.Write([]byte(path))
	return h.Sum64()>>20%groupEvery == 0
}

// reuseRegions finds the regions that the previous image has.
func (p *plan) reuseRegions() {
	for _, r := range p.regions {
		if c := r.content; c != nil && c.old != nil {
			r.old = c.old.region
			c.blocks = c.old.blocks
		}
		if g := r.group; g != nil {
			if old := g.contents[0].old; old != nil && old.group.holds(g) {
				r.old, g.size = &old.group.region, old.group.size
			}
		}
		if r.old != nil {
			r.length, r.sum = r.old.length, r.old.sum
		}
	}
}

// keepPlaces takes over where everything is in the previous image, for a plan that is the same.
func (p *plan) keepPlaces() {
	for _, r := range p.regions {
		r.start = r.old.start
	}
}

// placeRegions gives every region its position, from the image's offset at on.
func (p *plan) placeRegions(at uint64) {
	for _, r := range p.regions {
		r.start = at
		at += r.length
	}
}

// hashContents computes the hash of each content, several at a time.
func hashContents(ctx context.Context, contents []*content, root, blockSize, jobs int, inspect *inspection) error {
	var next atomic.Int64
	work, ctx := errgroup.WithContext(ctx)
	for range min(jobs, len(contents)) {
		work.Go(func() error {
			files := &treeOpener{root: root, inspect: inspect}
			defer files.close()
			h, buf := &contentHash{hash: sha256.New()}, make([]byte, blockSize)
			for {
				n := int(next.Add(1)) - 1
				if n >= len(contents) {
					return nil
				}
				if err := contents[n].computeHash(ctx, files, h, buf); err != nil {
					return err
				}
			}
		})
	}
	return work.Wait()
}

// computeHash hashes a content. Buf is for one block.
func (c *content) computeHash(ctx context.Context, files *treeOpener, h *contentHash, buf []byte) error {
	f, err := files.open(c)
	if err != nil {
		return err
	}
	defer f.close()
	h.reset()
	for offset := int64(0); offset < c.size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := buf[:min(int64(len(buf)), c.size-offset)]
		n, zero, err := f.readNext(b, offset)
		if err != nil {
			return err
		}
		if zero {
			h.addZeros(countBlocks(n, len(buf)))
		} else {
			h.addBlock(b)
		}
		offset += n
	}
	c.hash, c.hashed = h.sum(), true
	return f.checkUnchanged()
}
