package squashfs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"ltskeeper/internal/excludes"
	"ltskeeper/internal/testkit"

	"golang.org/x/sys/unix"
)

// buildAndOpen opens what a build makes of a tree.
func buildAndOpen(t testing.TB, root string, o Options) *Reader {
	t.Helper()
	return openImage(t, buildImage(t, root, o))
}

func mustLookup(t testing.TB, r *Reader, path string) *Entry {
	t.Helper()
	e, err := r.Lookup(path)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestOverlay(t *testing.T) {
	t.Parallel()
	c := newChanger(t, 1)
	c.write(c.path("etc/lts.conf"), []byte("the tree's"))
	c.check(os.Link(c.path("etc/lts.conf"), c.path("etc/other-name")))
	c.write(c.path("etc-x"), nil)
	c.check(os.Symlink("etc", c.path("link")))
	c.check(os.MkdirAll(c.path("run/x"), 0o755))
	mtime := time.Unix(12345, 0)
	file := func(path string) OverlayFile {
		return OverlayFile{Path: path, Content: []byte("new"), Mode: 0o640, Mtime: mtime}
	}
	untimed := OverlayFile{Path: "etc/untimed", Content: []byte("new"), Mode: 0o640}
	overlay := []OverlayFile{file("etc/lts.conf"), file("opt/a/b"), file("opt/a/a"), file("etc/zz"), file("run/y")}
	exclude, err := excludes.Parse([]string{"run/*"})
	c.check(err)
	before := snapshot(t, c.root)
	r := buildAndOpen(t, c.root, Options{Overlay: append(overlay, untimed), Exclude: exclude, Time: time.Unix(1e9, 0)})
	for _, f := range overlay {
		e := mustLookup(t, r, f.Path)
		if e.Mode != unix.S_IFREG|0o640 || e.UID != 0 || e.GID != 0 || int64(e.Mtime) != mtime.Unix() || e.Links != 1 ||
			e.Size != 3 {
			t.Errorf("%s: got %+v", f.Path, e)
		}
	}
	if e := mustLookup(t, r, untimed.Path); e.Mtime != 1e9 {
		t.Errorf("without a time: got %+v", e)
	}
	if e := mustLookup(t, r, "etc/other-name"); e.Links != 1 || e.Size != 10 {
		t.Errorf("the other name of a replaced file: got %+v", e)
	}
	for _, dir := range []string{"opt", "opt/a", "run"} {
		if e := mustLookup(t, r, dir); e.Mode != unix.S_IFDIR|0o755 || e.Mtime != 1e9 {
			t.Errorf("%s: got %+v", dir, e)
		}
	}
	if _, err := r.Lookup("run/x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is excluded is there: %v", err)
	}
	if err := r.Verify(t.Context()); err != nil {
		t.Error(err)
	}
	compareSnapshots(t, "tree", snapshot(t, c.root), before)
	for path, want := range map[string]string{
		"link/x": "link is no directory", "etc-x/y": "etc-x is no directory", "etc": "has a directory there",
		"/etc/x": "no path from the root", "../x": "no path from the root", "": "no path", ".": "no path",
		strings.Repeat("n", 300): "name too long",
	} {
		_, err := Build(t.Context(), tempFile(t), c.root, Options{Overlay: []OverlayFile{file(path)}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("overlay %.20q: got %v, want %q", path, err, want)
		}
	}
}

func tempFile(t testing.TB) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "image"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// TestExcludedContents: what happens in a directory whose contents are excluded makes no other
// image.
func TestExcludedContents(t *testing.T) {
	t.Parallel()
	c := newChanger(t, 1)
	c.write(c.path("etc/hosts"), []byte("x"))
	c.write(c.path("cache/a.deb"), []byte("x"))
	c.write(c.path("cache/keep"), []byte("x"))
	c.check(os.Mkdir(c.path("tmp"), 0o1777))
	c.chtime("tmp", 1000)
	c.chtime("cache", 2000)
	exclude, err := excludes.Parse([]string{"tmp/*", "tmp/.*", "cache/*.deb"})
	c.check(err)
	o := Options{Exclude: exclude}
	first := buildGeneration(t, c.root, nil, o)
	c.write(c.path("tmp/x/y"), []byte("x"))
	c.write(c.path("cache/b.deb"), []byte("x"))
	c.check(os.Chtimes(c.path("tmp/x"), time.Time{}, time.Now().Add(time.Hour)))
	sameImage(t, "something excluded came", first, buildGeneration(t, c.root, nil, o))
	if next := buildGeneration(t, c.root, first, o); !next.result.Unchanged {
		t.Errorf("something excluded came, and got %+v", next.result)
	}
}

// TestMounts: other file systems in a tree, and the same one mounted again, are empty in the image.
func TestMounts(t *testing.T) {
	t.Parallel()
	testkit.NeedRoot(t)
	c := newChanger(t, 1)
	for _, dir := range []string{"proc", "tmp", "bind", "real"} {
		c.write(c.path(dir+"/inside"), []byte("x"))
	}
	c.write(c.path("file"), []byte("below"))
	c.write(c.path("other"), []byte("above"))
	image := filepath.Join(t.TempDir(), "image")
	out, err := os.Create(image)
	c.check(err)
	defer out.Close()
	failed := make(chan error, 2)
	go func() {
		// Build opens the root in this thread, which alone sees the mounts, and everything else
		// from there. The thread is never unlocked: it ends here, and the mounts with it.
		runtime.LockOSThread()
		failed <- errors.Join(
			unix.Unshare(unix.CLONE_NEWNS),
			unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
			unix.Mount("proc", c.path("proc"), "proc", 0, ""),
			unix.Mount("tmpfs", c.path("tmp"), "tmpfs", 0, ""),
			os.WriteFile(c.path("tmp/mounted"), []byte("x"), 0o600),
			unix.Mount(c.path("real"), c.path("bind"), "", unix.MS_BIND, ""),
			unix.Mount(c.path("other"), c.path("file"), "", unix.MS_BIND, ""),
		)
		_, err := Build(t.Context(), out, c.root, Options{})
		failed <- err
	}()
	c.check(errors.Join(<-failed, <-failed))
	r := openImage(t, image)
	for _, path := range []string{"proc/inside", "tmp/inside", "tmp/mounted", "bind/inside"} {
		if _, err := r.Lookup(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is in the image: %v", path, err)
		}
	}
	for _, dir := range []string{"proc", "tmp", "bind"} {
		if e := mustLookup(t, r, dir); !e.IsDir() || int64(e.Mtime) != r.Time().Unix() {
			t.Errorf("%s: got %+v", dir, e)
		}
	}
	if e := mustLookup(t, r, "file"); !e.IsRegular() || e.Size != 0 {
		t.Errorf("a file that is a mount point: got %+v", e)
	}
	mustLookup(t, r, "real/inside")
}

func TestLeftOut(t *testing.T) {
	t.Parallel()
	testkit.NeedRoot(t)
	testkit.NeedPrograms(t, "setfacl")
	c := newChanger(t, 1)
	for _, name := range []string{"journal", "second"} {
		c.write(c.path(name+"/file"), nil)
		testkit.Run(t, "setfacl", "-m", "u:42:r", "-d", "-m", "u:42:r", c.path(name))
	}
	c.setXattr("journal", "security.selinux", []byte("system_u:object_r:var_log_t:s0"))
	c.setXattr("journal", "user.stays", []byte("x"))
	var warnings []string
	r := buildAndOpen(t, c.root, Options{Warn: func(s string) { warnings = append(warnings, s) }})
	if len(warnings) != 1 || !strings.Contains(warnings[0], "journal and 1 more") {
		t.Errorf("warnings: %q", warnings)
	}
	warnings = nil
	buildAndOpen(t, c.root, Options{Warn: func(s string) {
		warnings = append(warnings, s)
	}, SetAnew: []string{"journal"}})
	if len(warnings) != 1 || !strings.Contains(warnings[0], "the ACL of second") {
		t.Errorf("warnings where one is set anew: %q", warnings)
	}
	list, err := r.Xattrs(mustLookup(t, r, "journal"))
	if err != nil || len(list) != 1 || list[0].Name != "user.stays" {
		t.Errorf("extended attributes: %v, %v", list, err)
	}
}

// TestChangingTree builds images of a tree whose files keep changing. Each image must show each
// file as it was at some moment: here, one letter all through, and as long as that letter says.
func TestChangingTree(t *testing.T) {
	t.Parallel()
	c := newChanger(t, 1)
	for n := range 200 {
		c.write(c.path(fmt.Sprintf("quiet/%d", n)), c.text(5000))
	}
	letters := "abcdefghijklmnopqrstuvwxyz"
	content := func(n int) []byte { return bytes.Repeat([]byte{letters[n%26]}, 100+n%26*testBlock/5) }
	files := []string{"busy/1", "busy/2", "log/3", "z"}
	for n, name := range files {
		c.write(c.path(name), content(n))
	}
	ctx, cancel := context.WithCancel(t.Context())
	var busy sync.WaitGroup
	for _, name := range files {
		path := c.path(name)
		random := rand.New(rand.NewPCG(1, uint64(len(name))))
		busy.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				os.WriteFile(path+"~", content(n), 0o644)
				os.Rename(path+"~", path)
				time.Sleep(time.Duration(random.IntN(20)) * time.Millisecond)
			}
		})
	}
	defer busy.Wait()
	defer cancel()
	exclude, err := excludes.Parse([]string{"... *~"})
	c.check(err)
	built := 0
	for range 10 {
		out := tempFile(t)
		if _, err := Build(t.Context(), out, c.root, Options{Exclude: exclude}); err != nil {
			var changed *changedError
			if !errors.As(err, &changed) {
				t.Fatal(err)
			}
			continue // said, not hidden
		}
		built++
		r := openImage(t, out.Name())
		if err := r.Verify(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			b := contentOf(t, r, name)
			if len(b) == 0 || !bytes.Equal(b, content(strings.IndexByte(letters, b[0]))) {
				t.Errorf("%s is what it never was", name)
			}
		}
	}
	if built == 0 {
		t.Error("no image was built at all")
	}
}

func contentOf(t testing.TB, r *Reader, path string) []byte {
	t.Helper()
	e := mustLookup(t, r, path)
	c, err := r.OpenFile(e)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, e.Size)
	if n, err := c.ReadAt(b, 0); n < len(b) {
		t.Fatal(path, err)
	}
	return b
}

// TestFileChangesWhileRead changes files at the worst moments: between the walk and the reading.
func TestFileChangesWhileRead(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(path string) error{
		"grows":     func(path string) error { return os.WriteFile(path, make([]byte, 500000), 0o644) },
		"shrinks":   func(path string) error { return os.Truncate(path, 10) },
		"vanishes":  os.Remove,
		"directory": func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o755)) },
		"fifo":      func(path string) error { return errors.Join(os.Remove(path), unix.Mkfifo(path, 0o644)) },
		"symlink":   func(path string) error { return errors.Join(os.Remove(path), os.Symlink("/etc/passwd", path)) },
		"directory on its way": func(path string) error {
			dir := filepath.Dir(path)
			return errors.Join(os.Rename(dir, dir+"~"), os.Symlink("/etc", dir))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newChanger(t, 1)
			c.write(c.path("first"), c.noise(2*testBlock))
			c.write(c.path("d/passwd"), c.noise(2*testBlock))
			changed := false
			r := buildAndOpen(t, c.root, Options{Progress: func(p Progress) {
				if !changed { // the walk is over, and nothing is read yet
					changed = true
					c.check(change(c.path("d/passwd")))
				}
			}})
			if !changed {
				t.Fatal("nothing was changed")
			}
			compareSnapshots(t, "image", imageSnapshot(t, r), snapshot(t, c.root))
		})
	}
}

// TestBusyFile: a file that changes during every attempt is in the image as it was at one moment.
func TestBusyFile(t *testing.T) {
	t.Parallel()
	c := newChanger(t, 1)
	c.write(c.path("log/busy"), []byte("0"))
	c.write(c.path("log/other"), []byte("0"))
	tries := 0
	r := buildAndOpen(t, c.root, Options{Progress: func(p Progress) {
		if p.Bytes == 0 { // nothing is read yet
			tries++
			c.write(c.path("log/busy"), bytes.Repeat([]byte{'0' + byte(tries)}, 100))
			c.write(c.path("log/other"), c.noise(100*tries))
		}
	}})
	if got := contentOf(t, r, "log/busy"); tries != 2 || string(got) != strings.Repeat("1", 100) {
		t.Errorf("after %d tries: got %q", tries, got)
	}
}

// TestNeverStill: what changes at every attempt, and is too large to be held, is an error that
// names it.
func TestNeverStill(t *testing.T) {
	t.Parallel()
	c := newChanger(t, 1)
	path := c.path("var/log/busy")
	c.check(os.WriteFile(path, nil, 0o644))
	c.check(os.Truncate(path, maxHeld+1))
	tries := 0
	_, err := Build(t.Context(), tempFile(t), c.root, Options{Progress: func(p Progress) {
		if p.Bytes == 0 {
			tries++
			c.check(os.Truncate(path, int64(maxHeld+1+tries)))
		}
	}})
	if err == nil || !strings.Contains(err.Error(), "var/log/busy") || tries != buildTries {
		t.Errorf("got %v after %d tries", err, tries)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	c := newChanger(t, 1)
	c.write(c.path("x"), c.noise(40*testBlock))
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Build(ctx, tempFile(t), c.root, Options{Progress: func(Progress) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := Build(ctx, tempFile(t), c.root, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	c := newChanger(t, 1)
	for range 50 {
		c.write(c.fresh(), c.noise(1+c.random.IntN(2*testBlock)))
	}
	check := func(what string, previous *generation) *generation {
		var last Progress
		g := buildGeneration(t, c.root, previous, Options{Progress: func(p Progress) {
			if p.Bytes < last.Bytes || p.Files < last.Files || p.Bytes > p.TotalBytes {
				t.Errorf("%s: %+v after %+v", what, p, last)
			}
			last = p
		}})
		if last.Bytes != last.TotalBytes || last.Files != last.TotalFiles || last.Files != 50 {
			t.Errorf("%s: ends with %+v", what, last)
		}
		return g
	}
	first := check("clean", nil)
	c.check(os.Chtimes(c.root, time.Time{}, time.Unix(1, 0)))
	check("copied", first)
}

func TestSuperblockTime(t *testing.T) {
	t.Parallel()
	c := newChanger(t, 1)
	c.write(c.path("d/new"), nil)
	c.write(c.path("d/out"), nil)
	c.chtime("d/new", 1000)
	c.chtime("d/out", 2000)
	c.chtime("d", 500)
	c.chtime(".", 600)
	exclude, err := excludes.Parse([]string{"d/out"})
	c.check(err)
	for want, o := range map[int64]Options{
		1000: {Exclude: exclude}, 2000: {}, 77: {Time: time.Unix(77, 0)}, 0: {Time: time.Unix(0, 0)},
		5000: {Overlay: []OverlayFile{{Path: "x", Mtime: time.Unix(5000, 0)}}},
	} {
		if got := buildAndOpen(t, c.root, o).Time().Unix(); got != want {
			t.Errorf("got %d, want %d", got, want)
		}
	}
}

func TestBadOptions(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for want, o := range map[string]Options{
		"block size 5000":    {BlockSize: 5000},
		"block size 2097152": {BlockSize: 2 << 20},
		"compression 4":      {Compression: 4},
	} {
		if _, err := Build(t.Context(), tempFile(t), root, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if _, err := Build(t.Context(), tempFile(t), filepath.Join(root, "none"), Options{}); !errors.Is(err,
		fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// TestFileInode: which files do not fit the basic inode.
func TestFileInode(t *testing.T) {
	t.Parallel()
	tables := tableWriter{plan: &plan{blockSize: defaultBlockSize}}
	at := func(start uint64, size int64) *content { return &content{size: size, region: &region{start: start}} }
	for _, c := range []struct {
		name     string
		content  *content
		links    uint32
		extended bool
	}{
		{"small", &content{size: 5, group: &group{}}, 1, false},
		{"empty", nil, 1, false},
		{"two names", nil, 2, true},
		{"last basic", at(math.MaxUint32, math.MaxUint32), 1, false},
		{"data beyond 4 GiB", at(1<<32, 5), 1, true},
		{"size of 4 GiB", at(0, 1<<32), 1, true},
	} {
		i := &inode{kind: typeFile, links: c.links, content: c.content}
		tables.encodeFile(i, noXattrs)
		if (i.kind == typeExtFile) != c.extended {
			t.Errorf("%s: got inode type %d", c.name, i.kind)
		}
	}
	i := &inode{kind: typeFile, links: 1,
		content: &content{size: 100, blocks: blockSizes{zeroRun | 1}, region: &region{}}}
	b := tables.encodeFile(i, noXattrs)
	if want := appendStruct(nil,
		extFileInode{Size: 100, Sparse: 99, Links: 1, Fragment: noFragment, Xattrs: noXattrs}); !bytes.Equal(b, want) {
		t.Errorf("all zeros: got %x, want %x", b, want)
	}
}

// TestHugeFile: a file beyond what 32 bits hold. Its holes are not read.
func TestHugeFile(t *testing.T) {
	t.Parallel()
	c := newChanger(t, 1)
	path := c.path("huge")
	c.write(path, []byte("begin"))
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	c.check(err)
	defer f.Close()
	const size = 1 << 34
	_, err = f.WriteAt([]byte("end"), size-3)
	c.check(err)
	r := buildAndOpen(t, c.root, Options{})
	e := mustLookup(t, r, "huge")
	content, err := r.OpenFile(e)
	c.check(err)
	var b [5]byte
	if _, err := content.ReadAt(b[:], 0); string(b[:]) != "begin" || e.Size != size {
		t.Errorf("size %d, begins with %q, %v", e.Size, b, err)
	}
	if _, err := content.ReadAt(b[:3], size-3); string(b[:3]) != "end" {
		t.Errorf("ends with %q, %v", b[:3], err)
	}
}

// TestEncoders pins the exact bytes that each encoder gives. If it fails, a release of a library
// has changed them, or a change here: raise encoderNumber, so that no image is built upon one with
// other bytes, and put in the new digests.
func TestEncoders(t *testing.T) {
	t.Parallel()
	const number = 1
	want := map[Compression]string{
		Zstd: "4dece65ae848c01ad5bb543f1d19043b34b47b4cf9f5a47d84cc7c8e5a65250f",
		Gzip: "14a5c9b20d107a65c8438ea91cad1a2ee1c8560fa275fcd6d7fb89742d5a24fd",
		LZ4:  "90b28959e32be36ceb4176e3208e58bfd5ba2432eb1f2984e6bdada91506ffd1",
	}
	if encoderNumber != number {
		t.Errorf("these are the digests of encoder %d, not of %d", number, encoderNumber)
	}
	random := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields(`the quick brown fox jumps over a lazy dog while #include <stdio.h> int main ( ) { return 0 ; }`)
	var samples [][]byte
	for _, size := range []int{1, 100, 5000, metadataSize, defaultBlockSize - 7, defaultBlockSize} {
		var text []byte
		for len(text) < size {
			text = append(append(text, words[random.IntN(len(words))]...), ' ')
		}
		noise := make([]byte, size)
		for n := range noise {
			noise[n] = byte(random.Uint32())
		}
		mixed := append(append([]byte(nil), text[:size/2]...), noise[size/2:]...)
		records := make([]byte, size)
		for n := range records {
			records[n] = byte(n * (n & 7) >> 3)
		}
		samples = append(samples, text[:size], noise, mixed, records, make([]byte, size))
	}
	for c, want := range want {
		enc, err := newEncoder(c, defaultBlockSize)
		if err != nil {
			t.Fatal(err)
		}
		dec, err := newDecoder(c)
		if err != nil {
			t.Fatal(err)
		}
		h := sha256.New()
		for n, s := range samples {
			b, err := enc.encode(nil, s)
			if err != nil {
				t.Fatal(err)
			}
			// Nothing may depend on what an encoder has had before.
			if _, err := enc.encode(nil, samples[(n*7+3)%len(samples)]); err != nil {
				t.Fatal(err)
			}
			if again, err := enc.encode(nil, s); err != nil || !bytes.Equal(again, b) {
				t.Errorf("%v: %d bytes are packed in another way the second time, %v", c, len(s), err)
			}
			if len(b) < len(s) {
				got := make([]byte, len(s))
				if n, err := dec.decode(got, b); err != nil || !bytes.Equal(got[:n], s) {
					t.Fatalf("%v: %d bytes do not come back: %v", c, len(s), err)
				}
			} else {
				b = b[:0] // stored as it is
			}
			fmt.Fprintf(h, "%d %x\n", len(b), b)
		}
		if got := fmt.Sprintf("%x", h.Sum(nil)); got != want {
			t.Errorf("%v: the encoder gives other bytes: got digest %s, want %s", c, got, want)
		}
	}
}

// TestContentOnly replaces the content of files that stay what they are otherwise, for one image
// and no other.
func TestContentOnly(t *testing.T) {
	t.Parallel()
	testkit.NeedRoot(t)
	c := newChanger(t, 1)
	c.write(c.path("etc/first-name"), []byte("the tree's secret"))
	c.check(os.Link(c.path("etc/first-name"), c.path("etc/shadow")))
	c.check(os.Lchown(c.path("etc/shadow"), 7, 8))
	c.check(os.Chmod(c.path("etc/shadow"), 0o640))
	c.settle()
	overlay := []OverlayFile{{Path: "etc/shadow", Content: []byte("nothing"), ContentOnly: true}}
	first := buildGeneration(t, c.root, nil, Options{Overlay: overlay})
	r := openImage(t, first.path)
	for _, name := range []string{"etc/first-name", "etc/shadow"} {
		e := mustLookup(t, r, name)
		if got := contentOf(t, r, name); string(got) != "nothing" || e.UID != 7 || e.GID != 8 ||
			e.Mode&0o7777 != 0o640 || e.Links != 2 {
			t.Errorf("%s: got %q in %+v", name, got, e)
		}
	}
	if next := buildGeneration(t, c.root, first, Options{Overlay: overlay}); !next.result.Unchanged {
		t.Errorf("the same overlay, and got %+v", next.result)
	}
	next := buildGeneration(t, c.root, first, Options{})
	if next.result.Reason != "" {
		t.Errorf("built clean: %s", next.result.Reason)
	}
	sameImage(t, "without the overlay", next, buildGeneration(t, c.root, nil, Options{}))
	back := buildGeneration(t, c.root, next, Options{Overlay: overlay})
	sameImage(t, "with it again", back, first)
}
