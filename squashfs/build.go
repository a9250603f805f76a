package squashfs

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Options say how an image is made. The zero value makes a zstd image of everything.
type Options struct {
	Compression Compression // 0 is Zstd
	BlockSize   int         // 4 KiB to 1 MiB, a power of two; 0 is 128 KiB
	Exclude     *Excludes   // what of the tree stays out; may be nil
	Overlay     []File      // what is in the image beside, or in place of, what is in the tree
	Time        time.Time   // the superblock's; zero is the newest mtime in the image
	Jobs        int         // compressors at work at once; 0 is GOMAXPROCS. The image does not depend on it.

	// Previous is the image to build upon; nil makes a clean build.
	Previous *Previous
	// Index takes what a later build needs to know of this one; may be nil. It is written last, once, in one piece.
	Index io.Writer

	// Progress is told how far the data is, from one goroutine; may be nil.
	Progress func(Progress)
	// Warn is told what a person should know though the image is sound; may be nil. One call is one sentence.
	Warn func(string)
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

	// Unchanged: the image would be, byte for byte, the previous one.
	Unchanged bool
	// Reason why there is a clean build although Options.Previous was given; else empty.
	Reason string
	// Damaged: the previous image's data is not what was written once. This one is sound: it was built clean.
	Damaged bool

	Copied int64 // bytes of data taken from the previous image as they were
	Packed int64 // bytes of data compressed anew
	Read   int64 // bytes of files read for it
}

// buildTries is how often a tree that changes while it is read is begun anew.
const buildTries = 5

// Build writes an image of the directory root to out, from out's start on, and cuts out off behind it. It does not sync.
// The same tree and options give the same bytes.
//
// An error names the file that it is about. What is in out then is no image.
func Build(ctx context.Context, out *os.File, root string, options Options) (Result, error) {
	b, err := newBuilder(out, root, options)
	if err != nil {
		return Result{}, err
	}
	defer unix.Close(b.root)
	b.openPrevious()
	for try := 1; ; try++ {
		err := b.build(ctx)
		var changed *errChanged
		var rot *errRot
		switch {
		case errors.As(err, &rot) && b.previous != nil:
			b.result.Reason, b.result.Damaged = rot.Error(), true
			b.warn("the previous image is damaged: " + rot.Error() + "; built clean instead")
			b.previous = nil
		case errors.As(err, &changed) && try < buildTries && ctx.Err() == nil:
			b.hold[changed.path] = true
		case err != nil:
			return Result{}, fmt.Errorf("build image of %s: %w", root, err)
		default:
			return b.result, nil
		}
	}
}

type builder struct {
	options  Options
	out      *os.File
	root     int
	previous *previous
	hold     map[string]bool
	result   Result
}

func newBuilder(out *os.File, root string, o Options) (*builder, error) {
	if o.Compression == 0 {
		o.Compression = Zstd
	}
	if o.BlockSize == 0 {
		o.BlockSize = defaultBlockSize
	}
	if o.Jobs <= 0 {
		o.Jobs = runtime.GOMAXPROCS(0)
	}
	if o.BlockSize < minBlockSize || o.BlockSize > maxBlockSize || bits.OnesCount(uint(o.BlockSize)) != 1 {
		return nil, fmt.Errorf("block size %d: must be a power of two from %d to %d", o.BlockSize, minBlockSize, maxBlockSize)
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

func (b *builder) warn(sentence string) {
	if b.options.Warn != nil {
		b.options.Warn(sentence)
	}
}

// build makes one attempt.
func (b *builder) build(ctx context.Context) error {
	t, err := b.readTree(ctx)
	if err != nil {
		return err
	}
	p, err := newPlan(ctx, t, b.root, &b.options, b.previous)
	if err != nil {
		return err
	}
	head := compressorOptions(b.options.Compression)
	dataStart := uint64(superblockSize + len(head))
	out := newOutput(b.out, int64(dataStart))
	w := &dataWriter{plan: p, root: b.root, options: &b.options, previous: b.previous, out: out, progress: b.progress(p)}
	if err := w.write(ctx); err != nil {
		return err
	}
	p.place(dataStart)
	tables := tables{tree: t, plan: p, compression: b.options.Compression}
	sb, all, err := tables.build(uint64(out.pos))
	if err != nil {
		return err
	}
	if err := out.write(all); err != nil {
		return err
	}
	if err := out.flush(); err != nil {
		return err
	}
	if _, err := b.out.WriteAt(append(appendStruct(nil, sb), head...), 0); err != nil {
		return fmt.Errorf("write image: %w", err)
	}
	b.result.Size = (out.pos + padding - 1) / padding * padding
	if err := b.out.Truncate(b.result.Size); err != nil {
		return fmt.Errorf("write image: %w", err)
	}
	b.result.Time = time.Unix(int64(t.time), 0)
	b.result.Inodes = len(t.inodes)
	return nil
}

// readTree reads the tree as it is now and lays the overlay over it.
func (b *builder) readTree(ctx context.Context) (*tree, error) {
	scanned := time.Now().UnixNano()
	w := &walker{exclude: b.options.Exclude, previous: b.previous, hold: b.hold}
	root, err := w.walk(ctx, b.root, b.options.Jobs)
	if err != nil {
		return nil, err
	}
	for n := range b.options.Overlay {
		if err := b.options.Overlay[n].lay(root); err != nil {
			return nil, err
		}
	}
	return newTree(root, scanned, b.options.Time), nil
}

// progress returns what counts for Options.Progress.
func (b *builder) progress(p *plan) func(bytes int64, files int) {
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
