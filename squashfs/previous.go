package squashfs

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"slices"
	"sort"
)

// Previous is an image that Build has made, with the index that it wrote then. Both stay the
// caller's to close.
type Previous struct {
	Image *os.File
	Index *os.File // nil: there is none, and so a clean build
}

// An oldImage is the image to build upon. It answers what a new one can take over.
type oldImage struct {
	header   indexHeader
	volumes  []indexVolume
	inodes   []indexInode // by volume and number
	contents []oldContent
	groups   []oldGroup
	sets     []*xattrSet

	image  *os.File
	super  superblock
	hashes map[contentKey]*oldContent
}

type oldContent struct {
	number uint32
	size   int64
	hashed bool
	hash   [sha256.Size]byte
	blocks blockSizes
	region *oldRegion // of the blocks
	group  *oldGroup  // or
	offset int
}

type oldGroup struct {
	region oldRegion
	size   uint32
	length int
}

type oldRegion struct {
	start, length uint64
	sum           uint32
}

// A contentKey tells contents apart.
type contentKey struct {
	size int64
	hash [sha256.Size]byte
}

// rotError says that an image is not any more what was written once.
type rotError struct {
	what  string
	cause error // what the disk said; nil if it gave back other bytes without a word
}

func (e *rotError) Error() string { return e.what }
func (e *rotError) Unwrap() error { return e.cause }

func newRotError(what string) error { return &rotError{what: what + " is not what was written"} }

// newReadError is what a disk that fails makes of an image.
func newReadError(at int64, err error) error {
	if err == io.EOF {
		return newRotError("its length")
	}
	return &rotError{fmt.Sprintf("it cannot be read at byte %d: %v", at, err), err}
}

func newRegionRotError(r *oldRegion) error {
	return newRotError(fmt.Sprintf("data at byte %d, %d bytes long,", r.start, r.length))
}

// openPrevious reads what Options.Previous gives. A reason for a clean build goes into the result.
func (b *builder) openPrevious() {
	from := b.options.Previous
	if from == nil {
		return
	}
	p, err := readPrevious(from)
	if err == nil {
		h := &p.header
		switch {
		case h.Compression != uint32(b.options.Compression) || h.BlockSize != uint32(b.options.BlockSize):
			err = fmt.Errorf("it has %v in blocks of %d bytes", Compression(h.Compression), h.BlockSize)
		case h.Version != indexVersion:
			err = fmt.Errorf("its index has version %d, and this program builds upon %d", h.Version, indexVersion)
		case h.IDOffset != b.options.IDOffset:
			err = fmt.Errorf("it was made with id-offset %d", h.IDOffset)
		case h.Encoder != encoderNumber:
			err = fmt.Errorf("it was made by encoder %d, and this is %d", h.Encoder, encoderNumber)
		}
	}
	if b.old = p; err != nil {
		b.dropPrevious(err)
	}
}

// dropPrevious has the image built clean, for a reason. Bit rot is a reason to warn, too.
func (b *builder) dropPrevious(reason error) {
	b.old = nil
	b.result.Reason = "cannot build upon the previous image: " + reason.Error()
	if _, isRot := errors.AsType[*rotError](reason); isRot {
		b.result.Damaged = true
		b.options.Warn("the previous image is damaged, or its index is another's: " + reason.Error() +
			"; built clean instead")
	}
}

// readPrevious reads an index and makes sure that it belongs to the image.
func readPrevious(from *Previous) (*oldImage, error) {
	if from.Index == nil {
		return nil, errors.New("it has no index")
	}
	info, err := from.Index.Stat()
	if err != nil {
		return nil, err
	}
	err = checkIndexSize(from.Index, info.Size())
	if err == nil && info.Size() > largeIndex {
		err = checkIndexSum(from.Index, info.Size())
	}
	if err != nil {
		return nil, err
	}
	b := make([]byte, info.Size())
	if _, err := from.Index.ReadAt(b, 0); err != nil {
		return nil, fmt.Errorf("read index: %w", err)
	}
	p, err := decodeIndex(b)
	if err != nil {
		return nil, err
	}
	p.image = from.Image
	return p, p.checkImage()
}

// checkIndexSize makes sure that an index has the size that its header tells. One that was
// replaced, or is as long as somebody made it, costs no memory and no time.
func checkIndexSize(index io.ReaderAt, size int64) error {
	b := make([]byte, min(size, index2HeaderSize)) // the longer of the two
	if _, err := index.ReadAt(b, 0); err != nil && err != io.EOF {
		return fmt.Errorf("read index: %w", err)
	}
	h, err := parseIndexHeader(b)
	if err != nil {
		return err
	}
	if uint64(size) != h.totalSize() || size > 1<<31 {
		return errIndexDamaged
	}
	return nil
}

// largeIndex is the size in bytes of an index that is read in pieces first, to see whether it is
// worth the memory.
const largeIndex = 64 << 20

// checkIndexSum compares an index with the digest at its end, and takes no memory for it.
func checkIndexSum(index io.ReaderAt, size int64) error {
	h := sha256.New()
	body := size - sha256.Size
	_, err := hashRange(h, index, 0, body, nil)
	var sum [sha256.Size]byte
	if err == nil {
		_, err = index.ReadAt(sum[:], body)
	}
	if err != nil && err != io.EOF {
		return fmt.Errorf("read index: %w", err)
	}
	if !bytes.Equal(h.Sum(nil), sum[:]) {
		return errIndexDamaged
	}
	return nil
}

// checkImage compares superblock, tables and the digests of all regions with the digest that names
// the image.
func (p *oldImage) checkImage() error {
	info, err := p.image.Stat()
	if err != nil {
		return err
	}
	var b [superblockSize]byte
	if _, err := p.image.ReadAt(b[:], 0); err != nil {
		return newReadError(0, err)
	}
	if _, err := binary.Decode(b[:], binary.LittleEndian, &p.super); err != nil {
		return err
	}
	head, sb := p.headSize(), &p.super
	if sb.Magic != magic || sb.InodeTable < head || sb.BytesUsed < sb.InodeTable ||
		sb.BytesUsed > uint64(info.Size()) {
		return newRotError("its superblock")
	}
	if info.Size() != padSize(int64(sb.BytesUsed)) {
		return newRotError("its length")
	}
	regions, err := p.listRegions(head)
	if err != nil {
		return err
	}
	digest := imageDigest{sha256.New()}
	if err := digest.addRange(p.image, 0, int64(head)); err != nil {
		return err
	}
	if err := digest.addRange(p.image, int64(sb.InodeTable), int64(sb.BytesUsed)); err != nil {
		return err
	}
	for _, r := range regions {
		digest.addRegion(r.length, r.sum)
	}
	if digest.sum() != p.header.Image {
		return newRotError("its superblock or a table")
	}
	return nil
}

// headSize is how many bytes stand in front of the data.
func (p *oldImage) headSize() uint64 {
	return uint64(superblockSize + len(encodeCompressorOptions(Compression(p.header.Compression))))
}

// listRegions lists all regions that are not empty in the order of the image, where they must touch
// one another.
func (p *oldImage) listRegions(at uint64) ([]*oldRegion, error) {
	var all []*oldRegion
	for n := range p.contents {
		if r := p.contents[n].region; r != nil && r.length > 0 {
			all = append(all, r)
		}
	}
	for n := range p.groups {
		all = append(all, &p.groups[n].region)
	}
	slices.SortFunc(all, func(a, b *oldRegion) int { return cmp.Compare(a.start, b.start) })
	for _, r := range all {
		if r.start != at {
			return nil, errIndexDamaged
		}
		at += r.length
	}
	if at != p.super.InodeTable {
		return nil, newRotError("its superblock")
	}
	return all, nil
}

// findVolume returns where the index has a volume, noVolume if nowhere.
func (p *oldImage) findVolume(id [sha256.Size]byte) int {
	return slices.IndexFunc(p.volumes, func(v indexVolume) bool { return v.ID == id })
}

// findInode returns the record of an inode that has all of its stat as it was, if a change since
// then must show in that.
func (p *oldImage) findInode(i *inode) (old *indexInode, isSame bool) {
	if p == nil || !i.isIndexed() || i.volume.old == noVolume {
		return nil, false
	}
	volume, s := uint32(i.volume.old), &i.stat
	n := sort.Search(len(p.inodes), func(n int) bool {
		x := &p.inodes[n]
		return x.Ino >= s.ino && x.Volume == volume || x.Volume > volume
	})
	if n == len(p.inodes) || p.inodes[n].Volume != volume || p.inodes[n].Ino != s.ino {
		return nil, false
	}
	old = &p.inodes[n]
	return old, old.Size == s.size && old.Mtime == s.mtime && old.Ctime == s.ctime &&
		s.ctime < p.volumes[old.Volume].Scanned
}

// findXattrs returns the extended attributes of an inode that has not changed.
func (p *oldImage) findXattrs(of *inode) (set *xattrSet, acl, ok bool) {
	i, same := p.findInode(of)
	if !same {
		return nil, false, false
	}
	if i.Xattrs != noXattrs {
		set = p.sets[i.Xattrs]
	}
	return set, i.ACL != 0, true
}

// findContent returns the content of a file that has not changed.
func (p *oldImage) findContent(of *inode) *oldContent {
	i, same := p.findInode(of)
	if !same || i.Content == noContent {
		return nil
	}
	return &p.contents[i.Content]
}

// wasRenamed says of a file that has not changed whether it had other names.
func (p *oldImage) wasRenamed(i *inode) bool {
	old, _ := p.findInode(i)
	return old != nil && old.Names != i.names
}

// knowsHash says that a file may have changed, but that a hash would tell whether it has.
func (p *oldImage) knowsHash(of *inode) bool {
	i, _ := p.findInode(of)
	return i != nil && i.Content != noContent && i.Size == of.stat.size && p.contents[i.Content].hashed
}

// findByHash finds a content.
func (p *oldImage) findByHash(key contentKey) *oldContent {
	if p.hashes == nil {
		p.hashes = make(map[contentKey]*oldContent)
		for n := range p.contents {
			if c := &p.contents[n]; c.hashed {
				p.hashes[contentKey{c.size, c.hash}] = c
			}
		}
	}
	return p.hashes[key]
}

// holds says whether a group has, byte for byte, what g will have.
func (old *oldGroup) holds(g *group) bool {
	if old == nil || old.length != g.length {
		return false
	}
	for _, c := range g.contents {
		if c.old == nil || c.old.group != old || c.old.offset != c.offset {
			return false
		}
	}
	return true
}

// givesAgain says whether a build of the tree with that digest, by that plan, gives the previous
// image again. It is false where there is none.
func (p *oldImage) givesAgain(tree [sha256.Size]byte, plan *plan) bool {
	return p != nil && p.header.Tree == tree && p.isLaidOutLike(plan)
}

// isLaidOutLike says whether a plan has the contents of the previous image, in the same order.
func (p *oldImage) isLaidOutLike(plan *plan) bool {
	if len(plan.contents) != len(p.contents) {
		return false
	}
	for n, c := range plan.contents {
		if c.old != &p.contents[n] {
			return false
		}
	}
	return !slices.ContainsFunc(plan.regions, func(r *region) bool { return r.old == nil })
}

// Verify reads all of the image and compares it with the digests in its index. The error says what
// is not as it was written. It returns the image's digest.
func (from *Previous) Verify(ctx context.Context) ([sha256.Size]byte, error) {
	return from.verifyRegions(ctx, math.MaxInt)
}

// Sample is Verify for superblock, tables and about so many regions of data, evenly spread.
func (from *Previous) Sample(ctx context.Context, regions int) error {
	_, err := from.verifyRegions(ctx, regions)
	return err
}

func (from *Previous) verifyRegions(ctx context.Context, most int) (digest [sha256.Size]byte, err error) {
	var regions []*oldRegion
	p, err := readPrevious(from)
	if err == nil {
		regions, err = p.listRegions(p.headSize())
	}
	buf := make([]byte, 1<<20)
	for n := 0; err == nil && n < len(regions); n += max(1, len(regions)/most) {
		if err := ctx.Err(); err != nil {
			return digest, err
		}
		err = p.verifyRegion(regions[n], buf)
	}
	if err != nil {
		return digest, fmt.Errorf("verify image: %w", err)
	}
	return p.header.Image, nil
}

func (p *oldImage) verifyRegion(r *oldRegion, buf []byte) error {
	h := crc32.New(castagnoli)
	if _, err := hashRange(h, p.image, int64(r.start), int64(r.start+r.length), buf); err != nil {
		return err
	}
	if h.Sum32() != r.sum {
		return newRegionRotError(r)
	}
	return nil
}
