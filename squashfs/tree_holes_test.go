package squashfs

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"ltskeeper/internal/testkit"
)

// A piece is data at an offset of a file with holes.
type piece struct {
	at   int64
	data []byte
}

// sparse makes a file of a size that holds only the pieces. All else is a hole, as far as the file
// system makes one.
func (t *tortureTree) sparse(name string, size int64, pieces ...piece) string {
	t.Helper()
	path := t.file(name, nil)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	t.check(err)
	for _, p := range pieces {
		_, err := f.WriteAt(p.data, p.at)
		t.check(err)
	}
	t.check(f.Truncate(size))
	t.check(f.Close())
	return path
}

// alternating returns pieces of a length at each multiple of a distance below size.
func (t *tortureTree) alternating(size, distance int64, length int) (pieces []piece) {
	for at := int64(0); at < size; at += distance {
		pieces = append(pieces, piece{at, t.text(length)})
	}
	return pieces
}

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
)

// holes fills the tree with files whose holes lie in every way to blocks of 4 KiB to 1 MiB.
func (t *tortureTree) holes() {
	one := []byte("x")
	t.sparse("all/small", 4*kib-1)
	t.sparse("all/aligned", 4*mib)
	t.sparse("all/odd", 3*mib+1)
	t.sparse("tail/in-hole", 10*mib+77, piece{0, t.text(5)})
	t.sparse("tail/behind-hole", 10*mib+77, piece{10*mib + 70, t.text(7)})
	t.sparse("tail/block-behind-hole", 10*mib, piece{10*mib - 1, one})
	t.sparse("inside/begins", 9*mib, piece{0, t.text(mib + 5*kib)}, piece{7*mib - 3, t.text(9)})
	t.sparse("inside/ends", 9*mib, piece{3*mib - 5*kib, t.text(6 * mib)})
	// Zeros that are stored touch zeros that are not.
	t.sparse("stored/zeros", 8*mib, piece{2 * mib, make([]byte, mib)}, piece{3 * mib, one},
		piece{3*mib + 1, make([]byte, mib)}, piece{7 * mib, make([]byte, mib)})
	for _, block := range []int64{4 * kib, 128 * kib, mib} {
		t.sparse(fmt.Sprintf("alternating/%d", block), 24*block, t.alternating(24*block, 2*block, int(block))...)
		t.sparse(fmt.Sprintf("alternating/odd-%d", block), 24*block+1,
			t.alternating(24*block, 3*block, int(block)+1)...)
	}
	t.sparse("long", 24*mib, piece{9 * mib, one}, piece{23 * mib, t.text(2 * kib)})
	t.sparse("long-again", 24*mib, piece{9 * mib, one}, piece{23 * mib, t.text(2 * kib)})
	t.link("long", "long-link")
	t.file("last", one)
	t.oldTimes()
}

// oldTimes gives everything in the tree one time, and modes that do not depend on who runs the
// test.
func (t *tortureTree) oldTimes() {
	t.Helper()
	t.check(filepath.WalkDir(t.root, func(path string, d os.DirEntry, err error) error {
		t.check(err)
		mode := os.FileMode(0o644)
		if d.IsDir() {
			mode = 0o755
		}
		return errors.Join(os.Chmod(path, mode), os.Chtimes(path, time.Unix(1e9, 0), time.Unix(1e9, 0)))
	}))
}

var holesOptions = []Options{
	{Compression: Zstd}, {Compression: Zstd, BlockSize: minBlockSize}, {Compression: Zstd, BlockSize: maxBlockSize},
	{Compression: Gzip}, {Compression: Gzip, BlockSize: minBlockSize}, {Compression: Gzip, BlockSize: maxBlockSize},
	{Compression: LZ4}, {Compression: LZ4, BlockSize: minBlockSize}, {Compression: LZ4, BlockSize: maxBlockSize},
}

func (o *Options) name() string { return fmt.Sprintf("%v %d", o.Compression, o.BlockSize) }

// TestHolesDigest pins the images of a tree with holes: they are those of the release that kept
// each block of zeros by itself. Beside what TestEncoders pins, nothing may change them.
func TestHolesDigest(t *testing.T) {
	t.Parallel()
	testkit.NeedRoot(t) // so that all is root's
	want := map[string]string{
		"zstd 0":       "f85cb6b2403486d99210e6e9fff614f9682d0332945a874a7dc8c2fa408dbf05",
		"zstd 4096":    "e72ad2724fc070a0783b494b0257580ae2a96daa43253bab714914b6bf3ff822",
		"zstd 1048576": "8145934215a6ffb28f3d86a2400f86d02aa0d3e0e89caff7196b323551638190",
		"gzip 0":       "2e6aff8eec646abfaba3929434055a82b63178c6445d9002f6fcf5ab034a7873",
		"gzip 4096":    "de7fe1f96da7090671509288e08339f0c9b2e7cc68b772f32c4e4ca3079ae3c8",
		"gzip 1048576": "bb525052f199970c89f4c7e689d5e5d94895a81b816a9f4238be7c32c60770dd",
		"lz4 0":        "39b3ebcc00a3ce3b20065f001db13eaa21694629b662ba2273fe3cb4598991e9",
		"lz4 4096":     "44ecc98f8edcc54f5983f438904b89006aaf2c7cab86058272a9a5901ebb854b",
		"lz4 1048576":  "5456b608f45c557c7d4c1fcce76a4bf2d30c58efb83cbc9ed91f650ba5758bf5",
	}
	tree := newTorture(t)
	tree.holes()
	for _, o := range holesOptions {
		image := readImage(t, buildImage(t, tree.root, o))
		if got := fmt.Sprintf("%x", sha256.Sum256(image)); got != want[o.name()] {
			t.Errorf("%s: got %s, want %s", o.name(), got, want[o.name()])
		}
	}
}

// TestHoles has images of a tree with holes read back by the kernel, by unsquashfs and by our
// reader, and compares them with mksquashfs's. The tree with zeros in place of its holes has the
// same image, and so has a tree that came to be like that.
func TestHoles(t *testing.T) {
	t.Parallel()
	testkit.NeedRoot(t)
	testkit.NeedPrograms(t, "mksquashfs", "unsquashfs", "cp", "mount")
	tree := newTorture(t)
	tree.holes()
	want := snapshot(t, tree.root)
	stored := filepath.Join(t.TempDir(), "stored")
	testkit.Run(t, "cp", "-a", "--sparse=never", tree.root, stored)
	theirs := openImage(t, mksquashfs(t, tree.root, "-comp", "lz4"))
	var before []*generation
	for _, o := range holesOptions {
		g := buildGeneration(t, tree.root, nil, o)
		before = append(before, g)
		sameImage(t, o.name()+": zeros that are stored", buildGeneration(t, stored, nil, o), g)
		if next := buildGeneration(t, stored, g, o); !next.result.Unchanged {
			t.Errorf("%s: upon it, zeros that are stored make another image", o.name())
		}
		readsBack(t, o.name(), g, tree.root, want)
		r := openImage(t, g.path)
		for what, other := range map[string]*Reader{"mksquashfs's": theirs, "its own": r,
			"another block size": openImage(t, before[0].path)} {
			different, err := DiffImages(t.Context(), other, r)
			if err != nil || len(different) > 0 {
				t.Errorf("%s: differs from %s: %v %v", o.name(), what, describe(different), err)
			}
		}
	}

	// Holes are filled, and made, and files move.
	f, err := os.OpenFile(filepath.Join(tree.root, "long"), os.O_WRONLY, 0)
	tree.check(err)
	_, err = f.WriteAt([]byte("y"), 20*mib)
	tree.check(err)
	tree.check(f.Close())
	tree.check(os.Rename(filepath.Join(tree.root, "tail"), filepath.Join(tree.root, "a-tail")))
	tree.sparse("stored/zeros", 9*mib, piece{8*mib - 1, []byte("ab")})
	tree.sparse("new", 13*mib, piece{13*mib - 1, []byte("z")})
	want = snapshot(t, tree.root)
	for n, o := range holesOptions[:3] {
		next := buildGeneration(t, tree.root, before[n], o)
		if next.result.Reason != "" || next.result.Copied == 0 {
			t.Errorf("%s: got %+v", o.name(), next.result)
		}
		sameImage(t, o.name()+": upon another", next, buildGeneration(t, tree.root, nil, o))
		readsBack(t, o.name(), next, tree.root, want)
		different, err := DiffImages(t.Context(), openImage(t, before[n].path), openImage(t, next.path))
		if err != nil || len(different) != 13 {
			t.Errorf("%s: what changed is %q, %v", o.name(), describe(different), err)
		}
	}
}

// readsBack checks an image of a tree, of which want is the snapshot.
func readsBack(t *testing.T, what string, g *generation, root string, want map[string]string) {
	t.Helper()
	compareSnapshots(t, what+": kernel", mountSnapshot(t, g.path), want)
	r := openImage(t, g.path)
	compareSnapshots(t, what+": reader", imageSnapshot(t, r), want)
	if err := r.Verify(t.Context()); err != nil {
		t.Errorf("%s: %v", what, err)
	}
	for e, err := range r.Entries() {
		if err == nil && e.IsRegular() && e.Size > 0 && e.sparse >= uint64(e.Size) {
			t.Errorf("%s: %s says that %d of its %d bytes are in blocks of zeros", what, e.Path, e.sparse, e.Size)
		}
	}
	different, err := DiffTree(t.Context(), r, root, Options{})
	if err != nil || len(different) > 0 {
		t.Errorf("%s: differs from the tree: %v %v", what, describe(different), err)
	}
	p, closePrevious := g.open(t)
	defer closePrevious()
	if _, err := p.Verify(t.Context()); err != nil {
		t.Errorf("%s: %v", what, err)
	}
	if r.super.BlockSize != defaultBlockSize {
		return
	}
	extracted := filepath.Join(t.TempDir(), "extracted")
	testkit.Run(t, "unsquashfs", "-no-progress", "-quiet", "-dest", extracted, g.path)
	compareSnapshots(t, what+": unsquashfs", snapshot(t, extracted), want)
}

// countedReads counts calls.
type countedReads struct {
	io.ReaderAt
	calls atomic.Int64
}

func (r *countedReads) ReadAt(p []byte, off int64) (int, error) {
	r.calls.Add(1)
	return r.ReaderAt.ReadAt(p, off)
}

// countingInspector counts what it is given of all files.
type countingInspector struct{ written, zeros, calls atomic.Int64 }

func (i *countingInspector) Inspect(string) ContentInspector { return i }
func (i *countingInspector) Close() error                    { return nil }

func (i *countingInspector) Write(b []byte) (int, error) {
	i.written.Add(int64(len(b)))
	i.calls.Add(1)
	return len(b), nil
}

func (i *countingInspector) WriteZeros(n int64) {
	i.zeros.Add(n)
	i.calls.Add(1)
}

// TestHugeHoles has files of 1.25 TB with one byte of data, and does with their image all that is
// done with one. What it takes does not grow with the holes: neither memory, nor the index, nor
// calls. Not parallel, so that the memory is that of this test.
func TestHugeHoles(t *testing.T) {
	root, err := os.MkdirTemp("/dev/shm", "squashfs-test-")
	if err != nil {
		t.Skip(err) // other file systems may refuse so large a file themselves
	}
	defer os.RemoveAll(root)
	tree := &tortureTree{TB: t, root: root}
	const size = 1250*gib + 1
	tree.sparse("huge", size, piece{size - 1, []byte("x")})
	tree.sparse("same", size, piece{size / 2, make([]byte, mib)}, piece{size - 1, []byte("x")})
	tree.sparse("other", size, piece{size - 1, []byte("y")})
	tree.sparse("zeros", size)
	tree.file("small", []byte("x"))
	tree.oldTimes()
	(&changer{tortureTree: tree}).settle()

	inspector := new(countingInspector)
	var first *generation
	uses(t, "the first build", 40*mib, func() {
		first = buildGeneration(t, tree.root, nil, Options{Inspector: inspector, Jobs: 2})
	})
	if got := inspector.written.Load() + inspector.zeros.Load(); got != 4*size+1 || inspector.calls.Load() > 20 {
		t.Errorf("the inspector was given %d bytes in %d calls", got, inspector.calls.Load())
	}
	if index := len(readFile(t, first.path+".index")); index > 4*kib {
		t.Errorf("the index takes %d bytes", index)
	}
	if first.result.Packed != 3 || first.result.Size > mib {
		t.Errorf("got %+v", first.result)
	}

	inspector = new(countingInspector)
	uses(t, "the next build, unchanged", 20*mib, func() {
		next := buildGeneration(t, tree.root, first, Options{Inspector: inspector})
		if !next.result.Unchanged || next.result.Read != 0 || inspector.calls.Load() != 0 {
			t.Errorf("got %+v, inspected in %d calls", next.result, inspector.calls.Load())
		}
	})
	tree.check(os.Rename(filepath.Join(tree.root, "zeros"), filepath.Join(tree.root, "a-zeros")))
	tree.file("small", []byte("y"))
	tree.oldTimes() // so that every file may have changed
	var next *generation
	uses(t, "the next build, of files that may have changed", 60*mib, func() {
		next = buildGeneration(t, tree.root, first, Options{Jobs: 2})
		if next.result.Reason != "" || next.result.Copied != 2 || next.result.Packed != 1 {
			t.Errorf("got %+v", next.result)
		}
	})
	sameImage(t, "upon another", next, buildGeneration(t, tree.root, nil, Options{}))

	p, closePrevious := next.open(t)
	defer closePrevious()
	uses(t, "comparing with the index", 4*mib, func() {
		_, err := p.Verify(t.Context())
		tree.check(errors.Join(err, p.Sample(t.Context(), 10)))
	})
	counted := &countedReads{ReaderAt: p.Image}
	var r *Reader
	uses(t, "opening and verifying", 30*mib, func() {
		var err error
		r, err = Open(counted, next.result.Size)
		tree.check(err)
		tree.check(r.Verify(t.Context()))
	})
	uses(t, "comparing with the tree", 20*mib, func() {
		different, err := DiffTree(t.Context(), r, tree.root, Options{})
		if err != nil || len(different) > 0 {
			t.Errorf("%v, %v", describe(different), err)
		}
	})
	want := []string{".: mtime", "+ a-zeros", "small: content", "- zeros"}
	uses(t, "comparing with another image", 40*mib, func() {
		different, err := DiffImages(t.Context(), openImage(t, first.path), r)
		if got := describe(different); err != nil || !slices.Equal(got[len(got)-len(want)+1:], want[1:]) {
			t.Errorf("%v, %v", got, err)
		}
	})
	uses(t, "comparing with an image of other blocks", 60*mib, func() {
		lz4 := openImage(t, buildImage(t, tree.root, Options{Compression: LZ4, BlockSize: maxBlockSize, Jobs: 2}))
		different, err := DiffImages(t.Context(), lz4, r)
		if err != nil || len(different) > 0 {
			t.Errorf("%v, %v", describe(different), err)
		}
	})
	uses(t, "reading the last byte", 4*mib, func() {
		c, err := r.OpenFile(mustLookup(t, r, "huge"))
		tree.check(err)
		var b [10]byte
		if n, err := c.ReadAt(b[:], size-4); n != 4 || err != io.EOF ||
			string(b[:]) != "\x00\x00\x00x\x00\x00\x00\x00\x00\x00" {
			t.Errorf("read %q, %v", b[:n], err)
		}
	})
	// Twice each block of metadata, its header and the rest, for each time that the lists are read.
	blocks := len(r.inodes.blocks)
	if calls := counted.calls.Load(); blocks < 4*size/defaultBlockSize*4/metadataSize || calls > int64(20*blocks) {
		t.Errorf("%d calls read %d blocks of metadata", calls, blocks)
	}
}

// uses fails if a function takes more memory than so many bytes, what is free again counted in.
func uses(t *testing.T, what string, most uint64, f func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	t.Logf("%s: %d bytes of memory", what, after.TotalAlloc-before.TotalAlloc)
	if took := after.TotalAlloc - before.TotalAlloc; took > most {
		t.Errorf("%s: took %d bytes of memory, want at most %d", what, took, most)
	}
}
