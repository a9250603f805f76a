package squashfs

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"ltskeeper/internal/excludes"
)

// Options say how an image is made. The zero value makes a zstd image of everything.
type Options struct {
	Compression Compression        // 0 is Zstd
	BlockSize   int                // 4 KiB to 1 MiB, a power of two; 0 is 128 KiB
	Exclude     *excludes.Patterns // what of the tree stays out; may be nil
	// what is mounted below the root; nil: it is not known, and each mount is an empty folder
	Mounts []Mount
	// what is in the image beside, or in place of, what is in the tree
	Overlay []OverlayFile
	// SkipSnapshots leaves out folders that hold snapshots of the tree: .snapshots, timeshift,
	// timeshift-btrfs and .zfs, at the root and where a mount or a subvolume begins.
	SkipSnapshots bool
	// IDOffset is taken off every uid and gid of the tree, which must be IDOffset to IDOffset +
	// 65535: the tree belongs to a user namespace. File capabilities of that namespace become those
	// of clients. 0 takes ids as they are.
	IDOffset uint32
	Time     time.Time // the superblock's; zero is the newest mtime in the image
	Jobs     int       // compressors at work at once; 0 is GOMAXPROCS. The image does not depend on it.

	// Previous is the image to build upon; nil makes a clean build.
	Previous *Previous
	// Index takes what a later build needs to know of this one; may be nil. It is written last,
	// once, in one piece.
	Index io.Writer

	// Inspector, if not nil, is asked for each name of every file that may be new or changed, or
	// has a new name, and again for one that could not be read to its end. What was inspected for
	// Previous, under the same names, is not read again for it.
	Inspector Inspector

	// Progress is told how far the data is, from one goroutine; may be nil.
	Progress func(Progress)
	// Warn is told what a person should know though the image is sound; may be nil. One call is one
	// sentence.
	Warn func(string)
	// SetAnew names directories that whoever starts from the image gives their ACLs anew: Warn is
	// not told of those.
	SetAnew []string
}

// Progress counts the distinct contents of files. What is stored once counts once.
type Progress struct {
	Files, TotalFiles int
	Bytes, TotalBytes int64
}

// A Result says what Build has made.
type Result struct {
	Size   int64             // of the image file, a multiple of 4 KiB
	Digest [sha256.Size]byte // names the image: over superblock, tables and the digests of all data
	Time   time.Time         // the superblock's
	Inodes int

	// Unchanged: the image would be, byte for byte, the previous one. What is in out then is of no
	// use. Options.Index has been written only if much had to be read to find that out: put it in
	// the old one's place, and the next build need not.
	Unchanged bool
	// Reason why there is a clean build although Options.Previous was given; else empty.
	Reason string
	// Damaged: the previous image's data is not what was written once. This one is sound: it was
	// built clean.
	Damaged bool

	Copied int64 // bytes of data taken from the previous image as they were
	Packed int64 // bytes of data compressed anew
	Read   int64 // bytes of files read for it
}

// Build writes an image of the directory root to out, from out's start on, and cuts out off behind
// it. It does not sync. The same tree and options give the same bytes.
//
// An error names the file that it is about. What is in out then is no image.
func Build(ctx context.Context, out *os.File, root string, options Options) (Result, error) {
	b, err := newBuilder(out, root, options)
	if err != nil {
		return Result{}, err
	}
	defer unix.Close(b.root)
	b.openPrevious()
	if err := b.retry(ctx, b.buildOnce); err != nil {
		return Result{}, fmt.Errorf("build image of %s: %w", root, err)
	}
	if !b.result.Unchanged {
		b.warnOfOmissions()
	}
	return b.result, nil
}

// IsUnchanged reports whether Build would make the image that options.Previous is once more, and
// shows options.Inspector what Build would show it. It writes nothing. Without an index that can be
// used the answer is no: only a build would tell.
func IsUnchanged(ctx context.Context, root string, options Options) (isSame bool, err error) {
	b, err := newBuilder(nil, root, options)
	if err != nil {
		return false, err
	}
	defer unix.Close(b.root)
	b.openPrevious()
	if b.old == nil && b.options.Inspector == nil {
		return false, nil
	}
	err = b.retry(ctx, func(ctx context.Context) (err error) {
		isSame, err = b.compareOnce(ctx)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("read %s: %w", root, err)
	}
	return isSame, nil
}

// buildTries is how often a tree that changes while it is read is begun anew.
const buildTries = 5

// retry makes attempts, the next one if the tree changed while it was read, or if the image to
// build upon proved to be damaged.
func (b *builder) retry(ctx context.Context, attempt func(context.Context) error) error {
	for try := 1; ; try++ {
		err := attempt(ctx)
		var changed *changedError
		var rot *rotError
		switch {
		case errors.As(err, &rot) && b.old != nil:
			b.dropPrevious(rot)
		case errors.As(err, &changed) && try < buildTries && ctx.Err() == nil:
			b.hold[changed.path] = true
			b.holdChanged()
		default:
			return err
		}
	}
}

// compareOnce makes one attempt of IsUnchanged.
func (b *builder) compareOnce(ctx context.Context) (bool, error) {
	t, p, err := b.planImage(ctx)
	if err != nil {
		return false, err
	}
	if isSame := b.old.givesAgain(t.digest(), p); isSame || t.inspect == nil {
		return isSame, nil
	}
	var unseen []*content
	for _, c := range p.contents {
		if c.old == nil && !c.inode.inspected {
			unseen = append(unseen, c)
		}
	}
	return false, hashContents(ctx, unseen, b.root, p.blockSize, b.options.Jobs, t.inspect)
}

type builder struct {
	options Options
	out     *os.File
	root    int
	old     *oldImage
	hold    map[string]bool // files that change while they are read, by path
	tree    *tree           // as it was last read
	result  Result
}

func newBuilder(out *os.File, root string, o Options) (*builder, error) {
	o.Compression, o.BlockSize = cmp.Or(o.Compression, Zstd), cmp.Or(o.BlockSize, defaultBlockSize)
	if o.Jobs <= 0 {
		o.Jobs = runtime.GOMAXPROCS(0)
	}
	if o.Warn == nil {
		o.Warn = func(string) {}
	}
	if o.BlockSize < minBlockSize || o.BlockSize > maxBlockSize || bits.OnesCount(uint(o.BlockSize)) != 1 {
		return nil, fmt.Errorf("block size %d: must be a power of two from %d to %d", o.BlockSize, minBlockSize,
			maxBlockSize)
	}
	if _, err := newEncoder(o.Compression, o.BlockSize); err != nil {
		return nil, err
	}
	fd, err := unix.Open(root, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", root, err)
	}
	return &builder{options: o, out: out, root: fd, hold: make(map[string]bool)}, nil
}

// holdChanged adds all files that are not as they were when the tree was last read, so that a
// system at work, where many files change now and then, does not take one attempt for each.
func (b *builder) holdChanged() {
	if b.tree == nil {
		return
	}
	files := &treeOpener{root: b.root}
	defer files.close()
	for _, i := range b.tree.inodes {
		if i.isRegular() && !i.held && files.hasChanged(i) {
			b.hold[i.first.path] = true
		}
	}
}

// warnOfOmissions tells what of the tree is not in the image.
func (b *builder) warnOfOmissions() {
	var acls, covered []string
	for _, i := range b.tree.inodes {
		if i.hasACL && !slices.Contains(b.options.SetAnew, i.first.path) {
			acls = append(acls, i.first.path)
		}
	}
	switch n := len(acls); {
	case n == 1:
		b.options.Warn(fmt.Sprintf("the ACL of %s is left out: squashfs cannot hold it", acls[0]))
	case n > 1:
		b.options.Warn(fmt.Sprintf("the ACLs of %s and %d more are left out: squashfs cannot hold them", acls[0], n-1))
	}
	for _, e := range b.tree.names {
		if e.inode.mounted && !b.options.Exclude.Empties(e.path) {
			covered = append(covered, e.path)
		}
	}
	b.warnOfPaths(covered, " is empty in the image: another file system is mounted there",
		" are empty in the image: other file systems are mounted there")
	b.warnOfPaths(b.tree.snapshots, " is left out of the image: it holds snapshots",
		" are left out of the image: they hold snapshots")
}

// warnOfPaths warns of paths, if there are any: what follows them in the sentence is one or
// several.
func (b *builder) warnOfPaths(paths []string, one, several string) {
	if len(paths) > 1 {
		one = several
	}
	if len(paths) > 0 {
		b.options.Warn("/" + strings.Join(paths, ", /") + one)
	}
}

// buildOnce makes one attempt.
func (b *builder) buildOnce(ctx context.Context) error {
	t, p, err := b.planImage(ctx)
	if err != nil {
		return err
	}
	b.result.Time, b.result.Inodes = time.Unix(int64(t.time), 0), len(t.inodes)
	b.result.Read, b.result.Packed, b.result.Copied = p.hashed, 0, 0
	header := indexHeader{
		Compression: uint32(b.options.Compression),
		BlockSize:   uint32(b.options.BlockSize),
		Tree:        t.digest(),
		IDOffset:    b.options.IDOffset,
	}
	old := b.old
	if old.givesAgain(header.Tree, p) {
		b.result.Unchanged = true
		header.Image = old.header.Image
		b.result.Digest, b.result.Size = header.Image, padSize(int64(old.super.BytesUsed))
		if p.hashed < indexWorth {
			return nil
		}
		p.keepPlaces()
		return b.writeIndex(header, t, p)
	}
	if header.Image, err = b.writeImage(ctx, t, p); err != nil {
		return err
	}
	b.result.Digest = header.Image
	b.result.Unchanged = old != nil && old.header.Image == header.Image
	return b.writeIndex(header, t, p)
}

// indexWorth is how much must have been read in vain for an index to be written though nothing has
// changed, so that the next build does not read it again.
const indexWorth = 16 << 20

// writeImage writes the image and returns its digest.
func (b *builder) writeImage(ctx context.Context, t *tree, p *plan) (digest [sha256.Size]byte, err error) {
	head := encodeCompressorOptions(b.options.Compression)
	dataStart := uint64(superblockSize + len(head))
	out := &output{file: b.out, pos: int64(dataStart), buf: make([]byte, 0, outputBuffer)}
	w := &dataWriter{plan: p, root: b.root, options: &b.options, old: b.old, out: out,
		progress: b.countProgress(p), inspect: t.inspect}
	if err := w.write(ctx); err != nil {
		return digest, err
	}
	p.placeRegions(dataStart)
	tables := tableWriter{tree: t, plan: p, compression: b.options.Compression}
	sb, all, err := tables.encode(uint64(out.pos))
	if err != nil {
		return digest, err
	}
	if err := out.write(all); err != nil {
		return digest, err
	}
	if err := out.flush(); err != nil {
		return digest, err
	}
	head = append(appendStruct(nil, sb), head...)
	if _, err := b.out.WriteAt(head, 0); err != nil {
		return digest, fmt.Errorf("write image: %w", err)
	}
	b.result.Size = padSize(out.pos)
	if err := b.out.Truncate(b.result.Size); err != nil {
		return digest, fmt.Errorf("write image: %w", err)
	}
	b.result.Read += w.bytesRead
	b.result.Packed, b.result.Copied = w.packed, w.copied
	d := imageDigest{sha256.New()}
	d.Write(head)
	d.Write(all)
	for _, r := range p.regions {
		d.addRegion(r.length, r.sum)
	}
	return d.sum(), nil
}

func (b *builder) writeIndex(header indexHeader, t *tree, p *plan) error {
	if b.options.Index == nil {
		return nil
	}
	if _, err := b.options.Index.Write(encodeIndex(header, t, p)); err != nil {
		return fmt.Errorf("write index: %w", err)
	}
	return nil
}

func padSize(n int64) int64 { return (n + padding - 1) / padding * padding }

// planImage reads the tree and lays out the image.
func (b *builder) planImage(ctx context.Context) (*tree, *plan, error) {
	t, err := b.readTree(ctx)
	if err != nil {
		return nil, nil, err
	}
	b.tree = t
	p, err := newPlan(ctx, t, b.root, &b.options, b.old)
	return t, p, err
}

// readTree reads the tree as it is now and lays the overlay over it.
func (b *builder) readTree(ctx context.Context) (*tree, error) {
	w := &treeWalker{options: &b.options, old: b.old, hold: b.hold}
	root, err := w.walk(ctx, b.root)
	if err != nil {
		return nil, err
	}
	inspect := newInspection(b.options.Inspector)
	l := &linker{walker: w, files: treeOpener{root: b.root, inspect: inspect}}
	if err := l.linkNames(ctx, root); err != nil {
		return nil, err
	}
	if b.options.IDOffset != 0 {
		if err := w.mapOwners(root, b.options.IDOffset); err != nil {
			return nil, err
		}
	}
	for _, file := range b.options.Overlay {
		if err := file.putInto(root); err != nil {
			return nil, fmt.Errorf("put %s into the image: %w", file.Path, err)
		}
	}
	t := newTree(root, b.options.Time)
	// a folder may be listed again
	t.volumes, t.snapshots = w.volumes, slices.Compact(slices.Sorted(slices.Values(w.snapshots)))
	t.inspect = inspect
	inspect.addNames(t)
	return t, nil
}

// countProgress returns what counts for Options.Progress.
func (b *builder) countProgress(p *plan) func(bytes int64, files int) {
	if b.options.Progress == nil {
		return func(int64, int) {}
	}
	now := Progress{TotalFiles: len(p.contents)}
	for _, c := range p.contents {
		now.TotalBytes += c.size
	}
	b.options.Progress(now)
	var told int64
	return func(bytes int64, files int) {
		now.Bytes += bytes
		now.Files += files
		if now.Bytes-told >= 1<<20 || now.Bytes == now.TotalBytes {
			told = now.Bytes
			b.options.Progress(now)
		}
	}
}
