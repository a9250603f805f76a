package squashfs

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"ltskeeper/internal/testkit"
)

// mksquashfs makes an image of a tree.
func mksquashfs(t testing.TB, root string, options ...string) (image string) {
	t.Helper()
	testkit.NeedPrograms(t, "mksquashfs")
	image = filepath.Join(t.TempDir(), "image")
	testkit.Run(t, "mksquashfs", append([]string{root, image, "-noappend", "-no-progress", "-quiet"}, options...)...)
	return image
}

// openImage opens an image that is closed when the test ends.
func openImage(t testing.TB, image string) *Reader {
	t.Helper()
	f, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	r, err := Open(f, st.Size())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func readImage(t testing.TB, image string) []byte {
	t.Helper()
	b, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func openBytes(b []byte) (*Reader, error) { return Open(bytes.NewReader(b), int64(len(b))) }

// smallTree makes a tree with something of every kind that needs no root.
func smallTree(t testing.TB) *tortureTree {
	tree := newTorture(t)
	hosts := bytes.Repeat([]byte("127.0.0.1 localhost\n"), 20)
	tree.file("etc/hosts", hosts)
	tree.file("etc/same", hosts)
	tree.file("usr/bin/large", tree.text(20000))
	mixed := tree.text(30000)
	clear(mixed[4096:12288])
	tree.file("usr/bin/mixed", mixed)
	tree.file("usr/share/empty", nil)
	tree.link("etc/hosts", "usr/share/hosts")
	tree.symlink("../bin/large", "usr/share/large")
	tree.setXattr("etc/hosts", "user.a", []byte("value"))
	tree.setXattr("usr", "user.a", bytes.Repeat([]byte("value"), 20))
	tree.setXattr("usr/bin", "user.b", bytes.Repeat([]byte("value"), 20))
	for i := range 30 {
		tree.file(fmt.Sprintf("usr/share/doc/file-%d", i), tree.text(i*20))
	}
	return tree
}

func TestOpenFile(t *testing.T) {
	t.Parallel()
	tree := newTorture(t)
	want := tree.noise(10 * 4096)
	clear(want[4096:8192])
	clear(want[7*4096:])
	for _, size := range []int{1, 4096, 4097, 8192, 5*4096 + 100, 10 * 4096, 10*4096 - 1} {
		tree.file(fmt.Sprint(size), want[:size])
	}
	r := openImage(t, mksquashfs(t, tree.root, "-b", "4096", "-always-use-fragments"))
	for e, err := range r.Entries() {
		if err != nil {
			t.Fatal(err)
		}
		if e.IsDir() {
			continue
		}
		c, err := r.OpenFile(e)
		if err != nil {
			t.Fatal(err)
		}
		if err := iotest.TestReader(c, want[:e.Size]); err != nil {
			t.Errorf("%s: %v", e.Path, err)
		}
		for range 100 {
			from := tree.random.Int64N(e.Size + 10)
			b := make([]byte, tree.random.IntN(9000))
			n, err := c.ReadAt(b, from)
			expect := want[min(from, e.Size):min(from+int64(len(b)), e.Size)]
			if !bytes.Equal(b[:n], expect) || (err == nil) != (n == len(b)) {
				t.Errorf("%s: ReadAt(%d bytes, %d) = %d, %v", e.Path, len(b), from, n, err)
			}
		}
	}
	root, err := r.Lookup(".")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.OpenFile(root); err == nil {
		t.Error("a directory has content")
	}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	tree := smallTree(t)
	r := openImage(t, mksquashfs(t, tree.root))
	for e, err := range r.Entries() {
		if err != nil {
			t.Fatal(err)
		}
		found, err := r.Lookup(e.Path)
		if err != nil {
			t.Error(err)
		} else if found.Path != e.Path || found.ref != e.ref {
			t.Errorf("Lookup(%q) found %q", e.Path, found.Path)
		}
	}
	for _, path := range []string{"", "etc/", "/etc", "etc/nothing", "etc/hosts/x", "usr/share/large/x", "zzz",
		"etc//hosts", "usr/.."} {
		if _, err := r.Lookup(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Lookup(%q): %v", path, err)
		}
	}
}

func TestEntriesStops(t *testing.T) {
	t.Parallel()
	r := openImage(t, mksquashfs(t, smallTree(t).root))
	n := 0
	for range r.Entries() {
		if n++; n == 5 {
			break
		}
	}
	if n != 5 {
		t.Errorf("%d entries before the fifth", n)
	}
}

func TestSuperblock(t *testing.T) {
	t.Parallel()
	image := mksquashfs(t, smallTree(t).root, "-comp", "gzip", "-b", "65536", "-mkfs-time", "1234567890")
	r := openImage(t, image)
	if s := r.super; r.Compressor() != Gzip || s.BlockSize != 65536 || !r.Time().Equal(time.Unix(1234567890, 0)) ||
		s.Inodes != 42 || s.IDs != 1 || r.Size() == 0 {
		t.Errorf("%+v", s)
	}
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	image := readImage(t, mksquashfs(t, smallTree(t).root, "-no-exports"))
	change := func(at int, with ...byte) []byte {
		b := bytes.Clone(image)
		copy(b[at:], with)
		return b
	}
	for what, b := range map[string][]byte{
		"too few":             image[:50],
		"not begin as one":    change(0, 'x'),
		"version 5.0":         change(28, 5),
		"cut off":             image[:len(image)-4096],
		"block size 0":        change(12, 0, 0, 0, 0),
		"block size 3":        change(12, 3, 0, 0, 0),
		"log 12":              change(22, 12),
		"compression 3":       change(20, 3),
		"too small for":       change(4, 0xff, 0xff, 0xff, 0x7f),
		"id table: is empty":  change(26, 0, 0),
		"id table: 65535":     change(26, 0xff, 0xff),
		"fragment table: 429": change(16, 0xff, 0xff, 0xff, 0xff),
	} {
		if _, err := openBytes(b); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%q: %v", what, err)
		}
	}
}

// patch is an image whose tables are not compressed, to be changed at places.
type patch struct {
	t     *testing.T
	image []byte
	r     *Reader
}

func newPatch(t *testing.T, root string) *patch {
	t.Helper()
	image := readImage(t, mksquashfs(t, root, "-noI", "-noD", "-noF", "-noX", "-b", "4096"))
	r, err := openBytes(image)
	if err != nil {
		t.Fatal(err)
	}
	return &patch{t, image, r}
}

func (p *patch) findEntry(path string) *Entry {
	p.t.Helper()
	e, err := p.r.Lookup(path)
	if err != nil {
		p.t.Fatal(err)
	}
	return e
}

// inodeBytes returns the bytes of an inode, and of what follows it in its block.
func (p *patch) inodeBytes(path string) []byte {
	p.t.Helper()
	e := p.findEntry(path)
	return p.image[p.r.super.InodeTable+e.ref>>16+2+e.ref&0xffff:]
}

// listingBytes returns the bytes of a directory.
func (p *patch) listingBytes(path string) []byte {
	p.t.Helper()
	e := p.findEntry(path)
	return p.image[p.r.directories.blocks[e.listing.block]+2+uint64(e.listing.offset):]
}

// Images that were made to do harm give errors, and soon, and with little memory. Not parallel, so
// that the memory is that of this test.
func TestHostile(t *testing.T) {
	tree := smallTree(t)
	le := binary.LittleEndian
	for name, change := range map[string]func(p *patch){
		"directory in itself": func(p *patch) { // usr's first entry becomes usr
			dir, usr := p.listingBytes("usr"), p.findEntry("usr")
			le.PutUint32(dir[4:], uint32(usr.ref>>16))
			le.PutUint32(dir[8:], usr.Inode)
			le.PutUint16(dir[12:], uint16(usr.ref))
			le.PutUint16(dir[14:], 0)
		},
		"directories that overlap": func(p *patch) { // usr/share shows usr's entries
			share, usr := p.inodeBytes("usr/share"), p.findEntry("usr")
			le.PutUint32(share[16:], uint32(p.r.directories.blocks[usr.listing.block]-p.r.super.DirectoryTable))
			le.PutUint16(share[26:], uint16(usr.listing.offset))
		},
		"huge directory": func(p *patch) { le.PutUint16(p.inodeBytes("etc")[24:], 0xffff) },
		"huge file":      func(p *patch) { le.PutUint32(p.inodeBytes("usr/bin/large")[28:], 0xffffffff) },
		"huge symlink":   func(p *patch) { le.PutUint32(p.inodeBytes("usr/share/large")[20:], 0xffffffff) },
		"data behind all": func(p *patch) {
			le.PutUint32(p.inodeBytes("usr/bin/large")[16:], uint32(p.r.super.InodeTable))
		},
		"huge block":        func(p *patch) { le.PutUint32(p.inodeBytes("usr/bin/large")[32:], 0x00ffffff) },
		"unknown fragment":  func(p *patch) { le.PutUint32(p.inodeBytes("etc/same")[20:], 77) },
		"fragment's end":    func(p *patch) { le.PutUint32(p.inodeBytes("etc/same")[24:], 4090) },
		"fragment's length": func(p *patch) { le.PutUint32(p.inodeBytes("usr/share/doc/file-9")[24:], 3600) },
		"inode type":        func(p *patch) { le.PutUint16(p.inodeBytes("etc/same"), 15) },
		"another type":      func(p *patch) { le.PutUint16(p.inodeBytes("etc/same"), typeSymlink) },
		"inode number":      func(p *patch) { le.PutUint32(p.inodeBytes("etc/same")[12:], 1) },
		"owner":             func(p *patch) { le.PutUint16(p.inodeBytes("etc/same")[4:], 9) },
		"mode":              func(p *patch) { le.PutUint16(p.inodeBytes("etc/same")[2:], 0x8000) },
		"links":             func(p *patch) { p.inodeBytes("etc/hosts")[40]++ },
		"links of a folder": func(p *patch) { p.inodeBytes("etc")[20]++ },
		"parent":            func(p *patch) { p.inodeBytes("etc")[28]++ },
		"xattrs":            func(p *patch) { p.inodeBytes("etc/hosts")[52] = 9 },
		"slash in a name":   func(p *patch) { p.listingBytes("etc")[20] = '/' },
		"NUL in a name":     func(p *patch) { p.listingBytes("etc")[20] = 0 },
		"names not sorted":  func(p *patch) { p.listingBytes("etc")[20] = 'z' },
		"a name of 64 KiB":  func(p *patch) { le.PutUint16(p.listingBytes("etc")[18:], 0xffff) },
		"a name ..":         func(p *patch) { copy(p.listingBytes("etc")[18:], "\x01\x00..") },
		"a header too many": func(p *patch) { le.PutUint32(p.listingBytes("etc"), 256) },
		"an entry too many": func(p *patch) { le.PutUint32(p.listingBytes("etc"), 2) },
		"no such inode":     func(p *patch) { le.PutUint16(p.listingBytes("etc")[12:], 0x1fff) },
		"no such block":     func(p *patch) { le.PutUint32(p.listingBytes("etc")[4:], 1) },
		"export table":      func(p *patch) { p.image[p.r.export.blocks[0]+2]++ },
		"fragment table":    func(p *patch) { le.PutUint32(p.image[p.r.fragments.blocks[0]+2+8:], 0x00ffffff) },
		"a value of 4 GiB":  func(p *patch) { le.PutUint32(p.image[p.r.xattrKeys.start+2+5:], 0xffffffff) },
		"4 billion xattrs":  func(p *patch) { le.PutUint32(p.image[p.r.xattrSets.blocks[0]+2+8:], 0xffffffff) },
		"an unknown prefix": func(p *patch) { p.image[p.r.xattrKeys.start+2] = 3 },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPatch(t, tree.root)
			change(p)
			r, err := openBytes(p.image)
			if err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			entries := 0
			for e, err := range r.Entries() {
				if err == nil && e.IsRegular() {
					readAll(r, e)
				}
				if entries++; entries > 100 {
					t.Fatal("the walk does not end")
				}
			}
			if err := r.Verify(t.Context()); err == nil {
				t.Error("Verify finds nothing")
			}
			runtime.ReadMemStats(&after)
			if took := after.TotalAlloc - before.TotalAlloc; took > 20<<20 {
				t.Errorf("it took %d bytes of memory", took)
			}
		})
	}
}

// A small image cannot make a walk or Verify go over the same bytes again and again.
func TestHostileOverlap(t *testing.T) {
	t.Parallel()
	tree := newTorture(t)
	content := tree.noise(10 * 4096)
	for i := range 50 {
		tree.file(fmt.Sprintf("dirs/%02d/x", i), nil)
		tree.file(fmt.Sprintf("files/%02d", i), content)
	}
	tree.file("files/other", tree.noise(10*4096)) // room for the copies to overlap
	long := strings.Repeat("long", 50)
	for i := range 100 {
		tree.file(fmt.Sprintf("large/%s-%02d", long, i), nil)
	}
	le := binary.LittleEndian
	for what, change := range map[string]func(p *patch){
		"directories overlap": func(p *patch) {
			for i := range 50 {
				copy(p.inodeBytes(fmt.Sprintf("dirs/%02d", i))[16:28], p.inodeBytes("files")[16:28])
			}
		},
		"its data overlaps": func(p *patch) {
			for i := range 50 {
				le.PutUint32(p.inodeBytes(fmt.Sprintf("files/%02d", i))[16:], uint32(superblockSize+i))
			}
		},
		"points elsewhere": func(p *patch) {
			large := p.findEntry("large")
			p.image[p.r.inodes.blocks[large.end.block]+2+uint64(large.end.offset)]++
		},
		"elsewhere than to \"mo": func(p *patch) {
			large := p.findEntry("large")
			p.image[p.r.inodes.blocks[large.end.block]+2+uint64(large.end.offset)+12]++
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			p := newPatch(t, tree.root)
			change(p)
			r, err := openBytes(p.image)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Verify(t.Context()); err == nil || !strings.Contains(err.Error(), what) {
				t.Error(err)
			}
		})
	}
}

// readAll reads a file of not more than a MiB.
func readAll(r *Reader, e *Entry) ([]byte, error) {
	c, err := r.OpenFile(e)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(c, 1<<20))
}

// FuzzReader feeds images to all that reads them. Those it starts from are small ones, and some of
// them have nothing compressed, so that changes get through.
func FuzzReader(f *testing.F) {
	tree := smallTree(f)
	for _, options := range []string{
		"-comp gzip -noI -noD -noF -noX -b 4096",
		"-comp gzip -noI -noD -noF -noX -b 4096 -always-use-fragments -no-exports",
		"-comp gzip -b 4096",
		"-comp lz4 -b 4096",
		"-comp zstd -b 4096",
	} {
		f.Add(readImage(f, mksquashfs(f, tree.root, strings.Fields(options)...)))
	}
	for _, c := range []Compression{Zstd, Gzip, LZ4} {
		f.Add(readImage(f, buildImage(f, tree.root, Options{Compression: c, BlockSize: 4096})))
	}
	f.Fuzz(func(t *testing.T, image []byte) {
		r, err := openBytes(image)
		if err != nil {
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		for e, err := range r.Entries() {
			if err != nil || ctx.Err() != nil {
				break
			}
			if e.Path != "." {
				if _, err := r.Lookup(e.Path); err != nil {
					t.Errorf("Lookup(%q): %v", e.Path, err)
				}
			}
			r.Xattrs(e)
			if e.IsRegular() {
				readAll(r, e)
			}
		}
		verified := r.Verify(ctx)
		different, err := DiffImages(ctx, r, r)
		if len(different) > 0 {
			t.Errorf("%s differs from itself", different[0].Path)
		}
		if verified == nil && err != nil {
			t.Errorf("Verify finds nothing, and DiffImages %v", err)
		}
	})
}
