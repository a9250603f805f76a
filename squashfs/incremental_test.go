package squashfs

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ltskeeper/internal/testkit"

	"golang.org/x/sys/unix"
)

// A generation is an image that has been built, beside its index.
type generation struct {
	path   string // of the image; the index is at path + ".index"
	result Result
}

// buildGeneration builds upon previous, unless that is nil.
func buildGeneration(t testing.TB, root string, previous *generation, o Options) *generation {
	t.Helper()
	g := &generation{path: filepath.Join(t.TempDir(), "image")}
	out, err := os.Create(g.path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if previous != nil {
		p, closePrevious := previous.open(t)
		defer closePrevious()
		o.Previous = p
	}
	var index bytes.Buffer
	o.Index = &index
	if g.result, err = Build(t.Context(), out, root, o); err != nil {
		t.Fatal(err)
	}
	if g.result.Unchanged {
		if index.Len() == 0 {
			return &generation{path: previous.path, result: g.result}
		}
		g.path = previous.path
	}
	if err := os.WriteFile(g.path+".index", index.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *generation) open(t testing.TB) (p *Previous, done func()) {
	t.Helper()
	image, err := os.Open(g.path)
	if err != nil {
		t.Fatal(err)
	}
	index, err := os.Open(g.path + ".index")
	if err != nil {
		t.Fatal(err)
	}
	return &Previous{Image: image, Index: index}, func() { image.Close(); index.Close() }
}

func (g *generation) bytes(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile(g.path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sameImage fails unless two generations are the same, byte for byte.
func sameImage(t testing.TB, what string, a, b *generation) {
	t.Helper()
	x, y := a.bytes(t), b.bytes(t)
	if !bytes.Equal(x, y) {
		at := 0
		for at < min(len(x), len(y)) && x[at] == y[at] {
			at++
		}
		t.Fatalf("%s: images of %d and %d bytes differ from byte %d on", what, len(x), len(y), at)
	}
	if a.result.Digest != b.result.Digest {
		t.Fatalf("%s: the same image has two digests", what)
	}
}

// TestIncrementalIsClean changes random trees in random ways. After each change an image built upon
// the one before must be what a clean build makes, and hold what the tree holds.
func TestIncrementalIsClean(t *testing.T) {
	t.Parallel()
	testkit.NeedRoot(t)
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			c := newChanger(t, seed)
			for range 60 {
				c.addFile()
			}
			options := Options{BlockSize: minBlockSize}
			last := buildGeneration(t, c.root, nil, options)
			var done []string
			for step := range 25 {
				for range 1 + c.random.IntN(4) {
					change := c.changes[c.random.IntN(len(c.changes))]
					done = append(done, change.name)
					change.apply()
				}
				options.Jobs = 1 + c.random.IntN(4)
				next := buildGeneration(t, c.root, last, options)
				clean := buildGeneration(t, c.root, nil, Options{BlockSize: minBlockSize})
				what := fmt.Sprintf("step %d, after %s", step, strings.Join(done, ", "))
				if next.result.Reason != "" {
					t.Fatalf("%s: built clean: %s", what, next.result.Reason)
				}
				sameImage(t, what, next, clean)
				if step%5 == 0 {
					compareSnapshots(t, what, mountSnapshot(t, next.path), snapshot(t, c.root))
				}
				last, done = next, nil
			}
		})
	}
}

// A changer changes a tree.
type changer struct {
	*tortureTree
	changes []change
	names   int
}

type change struct {
	name  string
	apply func()
}

func newChanger(t testing.TB, seed uint64) *changer {
	c := &changer{tortureTree: newTorture(t)}
	c.random = rand.New(rand.NewPCG(seed, 1))
	c.changes = []change{
		{"add", c.addFile},
		{"edit", func() { c.write(c.pick(), c.randomContent()) }},
		{"append", c.appendTo},
		{"truncate", func() { p := c.pick(); c.check(os.Truncate(p, c.size(p)/2)) }},
		{"replace, old mtime", c.replace},
		{"edit, same size, old mtime", c.editInPlace},
		{"chmod", func() { c.check(os.Chmod(c.pick(), fs.FileMode(c.random.IntN(0o777))|0o400)) }},
		{"chown", func() { c.check(os.Lchown(c.pick(), c.random.IntN(5), c.random.IntN(5))) }},
		{"xattr", c.changeXattr},
		{"remove xattr", func() { unix.Lremovexattr(c.pick(), "user.a") }},
		{"hard link", func() { c.check(os.Link(c.pick(), c.fresh())) }},
		{"break link", func() { p := c.pick(); b := c.read(p); c.check(os.Remove(p)); c.write(p, b) }},
		{"duplicate", func() { c.write(c.fresh(), c.read(c.pick())) }},
		{"duplicate in front", func() { c.write(c.path(fmt.Sprintf("!%d", c.number())), c.read(c.pick())) }},
		{"delete first duplicate", c.deleteDuplicate},
		{"delete", func() { c.check(os.Remove(c.pick())) }},
		{"delete directory", c.deleteDirectory},
		{"move", func() { c.check(os.Rename(c.pick(), c.fresh())) }},
		{"swap", c.swap},
		{"hole", c.hole},
		{"written zeros", func() { c.write(c.pick(), make([]byte, c.random.IntN(4*minBlockSize))) }},
		{"grow directory", c.grow},
		{"symbolic link", func() { c.check(os.Symlink(fmt.Sprint("to/", c.number()), c.fresh())) }},
		{"touch", func() { c.check(os.Chtimes(c.pick(), time.Time{}, time.Unix(int64(c.random.IntN(1<<30)), 0))) }},
	}
	return c
}

func (c *changer) number() int { c.names++; return c.names }

// fresh returns a path that is not there yet, in one of a few directories.
func (c *changer) fresh() string {
	dirs := []string{"", "a/", "a-b/", "a/b/", "z/y/x/"}
	return c.path(dirs[c.random.IntN(len(dirs))] + fmt.Sprintf("%c%d", 'a'+rune(c.random.IntN(26)), c.number()))
}

// files lists all regular files, in the image's order.
func (c *changer) files() (paths []string) {
	c.check(filepath.WalkDir(c.root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			paths = append(paths, path)
		}
		return err
	}))
	return paths
}

// pick returns any regular file.
func (c *changer) pick() string {
	files := c.files()
	if len(files) == 0 {
		c.addFile()
		files = c.files()
	}
	return files[c.random.IntN(len(files))]
}

// randomContent makes something that compresses, or does not, of a size near something that
// matters.
func (c *changer) randomContent() []byte {
	sizes := []int{0, 1, 100, 1000, minBlockSize - 1, minBlockSize, minBlockSize + 1, 3 * minBlockSize, 50000}
	n := sizes[c.random.IntN(len(sizes))] + c.random.IntN(3)
	if c.random.IntN(2) == 0 {
		return c.noise(n)
	}
	return c.text(n)
}

func (c *changer) read(path string) []byte {
	b, err := os.ReadFile(path)
	c.check(err)
	return b
}

func (c *changer) write(path string, b []byte) { c.check(os.WriteFile(path, b, 0o644)) }

func (c *changer) size(path string) int64 {
	info, err := os.Stat(path)
	c.check(err)
	return info.Size()
}

func (c *changer) addFile() { c.write(c.fresh(), c.randomContent()) }

func (c *changer) appendTo() {
	f, err := os.OpenFile(c.pick(), os.O_APPEND|os.O_WRONLY, 0)
	c.check(err)
	defer f.Close()
	_, err = f.Write(c.randomContent())
	c.check(err)
}

// keepingTime makes a change to a file and gives it its old mtime back.
func (c *changer) keepingTime(path string, change func()) {
	info, err := os.Stat(path)
	c.check(err)
	change()
	c.check(os.Chtimes(path, time.Time{}, info.ModTime()))
}

func (c *changer) replace() {
	p := c.pick()
	c.keepingTime(p, func() {
		fresh := c.fresh()
		c.write(fresh, c.randomContent())
		c.check(os.Rename(fresh, p))
	})
}

func (c *changer) editInPlace() {
	p := c.pick()
	c.keepingTime(p, func() {
		if b := c.read(p); len(b) > 0 {
			b[c.random.IntN(len(b))] ^= 1
			c.write(p, b)
		}
	})
}

func (c *changer) changeXattr() {
	c.check(unix.Lsetxattr(c.pick(), "user.a", []byte{byte(c.random.IntN(3))}, 0))
}

// deleteDuplicate deletes the first of two or more equal files.
func (c *changer) deleteDuplicate() {
	p := c.pick()
	b := c.read(p)
	c.write(c.fresh(), b)
	for _, other := range c.files() {
		if bytes.Equal(c.read(other), b) {
			c.check(os.Remove(other))
			return
		}
	}
}

func (c *changer) deleteDirectory() {
	if c.random.IntN(4) == 0 {
		c.check(os.RemoveAll(filepath.Join(c.root, []string{"a", "a-b", "z/y"}[c.random.IntN(3)])))
	}
}

func (c *changer) swap() {
	a, b, fresh := c.pick(), c.pick(), c.fresh()
	c.check(os.Rename(a, fresh))
	if a != b {
		c.check(os.Rename(b, a))
	}
	c.check(os.Rename(fresh, b))
}

func (c *changer) hole() {
	f, err := os.OpenFile(c.pick(), os.O_WRONLY, 0)
	c.check(err)
	defer f.Close()
	_, err = f.WriteAt([]byte("x"), int64(c.random.IntN(10*minBlockSize)))
	c.check(err)
}

func (c *changer) grow() {
	for range 150 {
		c.write(c.path(fmt.Sprintf("grows/%d-%s", c.number(), strings.Repeat("n", 20))), nil)
	}
}

func TestUnchanged(t *testing.T) {
	t.Parallel()
	c := newChanger(t, 1)
	for range 40 {
		c.addFile()
	}
	first := buildGeneration(t, c.root, nil, Options{})
	again := buildGeneration(t, c.root, first, Options{})
	if !again.result.Unchanged || again.result.Digest != first.result.Digest || again.result.Size != first.result.Size {
		t.Errorf("nothing changed, and got %+v", again.result)
	}
	// Files that were touched have to be read, but are the same.
	now := time.Now()
	for _, p := range c.files() {
		c.check(os.Chmod(p, 0o600))
		c.check(os.Chmod(p, 0o644))
	}
	if again := buildGeneration(t, c.root, first, Options{}); !again.result.Unchanged {
		t.Errorf("nothing changed but ctimes, and got %+v", again.result)
	}
	c.check(os.Chtimes(c.root, now, now.Add(time.Hour)))
	if again := buildGeneration(t, c.root, first, Options{}); again.result.Unchanged || again.result.Packed != 0 {
		t.Errorf("the root's mtime changed, and got %+v", again.result)
	}
}

// TestReadsOnlyWhatChanged uses a tree whose files the first build can trust: they are older than
// its scan.
func TestReadsOnlyWhatChanged(t *testing.T) {
	t.Parallel()
	c := newChanger(t, 1)
	for n := range 100 {
		c.write(c.path(fmt.Sprintf("d/%03d", n)), c.noise(10000+n))
	}
	c.settle()
	first := buildGeneration(t, c.root, nil, Options{})
	if first.result.Read != sumSizes(c.files()) {
		t.Errorf("a first build without files of one size read %d bytes", first.result.Read)
	}
	c.write(c.path("d/050"), c.noise(777))
	c.settle()
	next := buildGeneration(t, c.root, first, Options{})
	if next.result.Read == 0 || next.result.Read > 64*10100 || next.result.Copied < first.result.Packed/4 {
		t.Errorf("one file changed, and got %+v", next.result)
	}
	sameImage(t, "one file changed", next, buildGeneration(t, c.root, nil, Options{}))
}

// settle waits until the file system's clock has moved on.
func (c *changer) settle() {
	c.Helper()
	root, err := unix.Open(c.root, unix.O_DIRECTORY, 0)
	c.check(err)
	defer unix.Close(root)
	for start := readClock(root); readClock(root) == start; {
		time.Sleep(time.Millisecond)
	}
}

func sumSizes(paths []string) (n int64) {
	for _, p := range paths {
		if info, err := os.Stat(p); err == nil {
			n += info.Size()
		}
	}
	return n
}

// TestDamage flips a bit at every kind of place in the previous image and in its index.
func TestDamage(t *testing.T) {
	t.Parallel()
	c := newChanger(t, 3)
	for range 80 {
		c.addFile()
	}
	c.write(c.path("zz-big"), c.noise(20*minBlockSize))
	for _, compression := range []Compression{Zstd, LZ4} {
		options := Options{BlockSize: minBlockSize, Compression: compression}
		first := buildGeneration(t, c.root, nil, options)
		p, closePrevious := first.open(t)
		prev, err := readPrevious(p)
		closePrevious()
		if err != nil {
			t.Fatal(err)
		}
		sb := prev.super
		c.write(c.path("changed"), c.noise(100+int(compression)))
		clean := buildGeneration(t, c.root, nil, options)
		image, index := first.bytes(t), readFile(t, first.path+".index")
		places := map[string]int{
			"magic": 0, "time": 8, "bytes used": 40, "end of the superblock": 95, "behind the superblock": 97,
			"first data": superblockSize +
				10, "data in the middle": int(sb.InodeTable) / 2, "last data": int(sb.InodeTable) - 1,
			"inodes": int(sb.InodeTable) + 5, "directories": int(sb.DirectoryTable) +
				5, "fragments": int(sb.FragmentTable) - 3,
			"ids": int(sb.IDTable), "end": int(sb.BytesUsed) - 1,
		}
		for name, at := range places {
			t.Run(fmt.Sprint(compression, " image ", name), func(t *testing.T) {
				bad := writeGeneration(t, flip(image, at), index)
				if p, closePrevious := bad.open(t); p != nil {
					defer closePrevious()
					if _, err := p.Verify(t.Context()); err == nil {
						t.Error("Verify found nothing")
					}
				}
				var warnings []string
				o := options
				o.Warn = func(s string) { warnings = append(warnings, s) }
				next := buildGeneration(t, c.root, bad, o)
				sameImage(t, "after damage", next, clean)
				if !next.result.Damaged || next.result.Reason == "" || len(warnings) != 1 {
					t.Errorf("got %+v and warnings %q", next.result, warnings)
				}
			})
		}
		for at := 0; at < len(index); at += 1 + len(index)/40 {
			t.Run(fmt.Sprint(compression, " index ", at), func(t *testing.T) {
				next := buildGeneration(t, c.root, writeGeneration(t, image, flip(index, at)), options)
				sameImage(t, "after damage", next, clean)
				if next.result.Reason == "" || next.result.Damaged {
					t.Errorf("got %+v", next.result)
				}
			})
		}
		t.Run(fmt.Sprint(compression, " cut"), func(t *testing.T) {
			for _, b := range [][]byte{nil, index[:len(index)/2], index[:len(index)-1],
				append(slices.Clone(index), 0)} {
				next := buildGeneration(t, c.root, writeGeneration(t, image, b), options)
				sameImage(t, "after damage", next, clean)
			}
			for _, b := range [][]byte{nil, image[:50], image[:len(image)/2]} {
				next := buildGeneration(t, c.root, writeGeneration(t, b, index), options)
				sameImage(t, "after damage", next, clean)
			}
		})
	}
}

func TestOtherOptions(t *testing.T) {
	t.Parallel()
	c := newChanger(t, 3)
	c.addFile()
	first := buildGeneration(t, c.root, nil, Options{})
	for _, o := range []Options{{Compression: LZ4}, {BlockSize: minBlockSize}} {
		if next := buildGeneration(t, c.root, first, o); next.result.Reason == "" || next.result.Damaged {
			t.Errorf("other options, and got %+v", next.result)
		}
	}
	p, closePrevious := first.open(t)
	defer closePrevious()
	p.Index = nil
	out, err := os.Create(filepath.Join(t.TempDir(), "image"))
	c.check(err)
	defer out.Close()
	r, err := Build(t.Context(), out, c.root, Options{Previous: p})
	if err != nil || !strings.Contains(r.Reason, "no index") {
		t.Errorf("without an index: got %+v, %v", r, err)
	}
}

func TestVerifyPrevious(t *testing.T) {
	t.Parallel()
	c := newChanger(t, 3)
	for range 20 {
		c.addFile()
	}
	g := buildGeneration(t, c.root, nil, Options{})
	p, closePrevious := g.open(t)
	defer closePrevious()
	if digest, err := p.Verify(t.Context()); err != nil || digest != g.result.Digest {
		t.Errorf("got %x, %v, want %x", digest, err, g.result.Digest)
	}
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func flip(b []byte, at int) []byte {
	b = slices.Clone(b)
	b[at] ^= 0x10
	return b
}

func writeGeneration(t testing.TB, image, index []byte) *generation {
	t.Helper()
	g := &generation{path: filepath.Join(t.TempDir(), "image")}
	for path, b := range map[string][]byte{g.path: image, g.path + ".index": index} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return g
}

// TestScanTime: what a file's change in the same tick of the file system's clock would leave as it
// is, is not trusted.
func TestScanTime(t *testing.T) {
	t.Parallel()
	const scanned = 1000
	p := &oldImage{volumes: []indexVolume{{Scanned: scanned}}}
	v := &volume{device: 1, traits: traits{ctimes: true}}
	isTrusted := func(s fileStat) bool {
		_, same := p.findInode(&inode{stat: s, volume: v})
		return same
	}
	for n, ctime := range []int64{scanned - 1, scanned, scanned + 1} {
		s := fileStat{device: 1, ino: uint64(n + 1), size: 5, mtime: 7, ctime: ctime}
		p.inodes = append(p.inodes,
			indexInode{Ino: s.ino, Size: s.size, Mtime: s.mtime, Ctime: ctime, Xattrs: noXattrs})
		if isTrusted(s) != (ctime < scanned) {
			t.Errorf("scanned at %d, ctime %d: trusted %v", scanned, ctime, isTrusted(s))
		}
	}
	trusted := fileStat{device: 1, ino: 1, size: 5, mtime: 7, ctime: scanned - 1}
	for name, change := range map[string]func(*fileStat){
		"device": func(s *fileStat) { s.device++ }, "ino": func(s *fileStat) { s.ino = 9 },
		"size": func(s *fileStat) {
			s.size++
		}, "mtime": func(s *fileStat) { s.mtime++ }, "ctime": func(s *fileStat) { s.ctime-- },
	} {
		s := trusted
		change(&s)
		if isTrusted(s) {
			t.Errorf("another %s is trusted", name)
		}
	}
	if _, same := p.findInode(&inode{stat: trusted, volume: v, isAmbiguous: true}); same {
		t.Error("an ambiguous number is trusted")
	}
	v.traits.ctimes = false
	if isTrusted(trusted) {
		t.Error("a file system without ctimes is trusted")
	}
	v.traits.ctimes, v.old = true, noVolume
	if isTrusted(trusted) {
		t.Error("another file system is trusted")
	}
}

// TestSwapBetweenGroups swaps files that have the same place in two groups.
func TestSwapBetweenGroups(t *testing.T) {
	t.Parallel()
	c := newChanger(t, 1)
	for n := range 100 { // pairs that fill a block
		c.write(c.path(fmt.Sprintf("%03d-a", n)), c.noise(2100))
		c.write(c.path(fmt.Sprintf("%03d-b", n)), c.noise(1900))
	}
	c.settle()
	o := Options{BlockSize: minBlockSize}
	first := buildGeneration(t, c.root, nil, o)
	for n := range 50 {
		a, b := c.path(fmt.Sprintf("%03d-b", n)), c.path(fmt.Sprintf("%03d-b", n+50))
		c.check(os.Rename(a, a+"x"))
		c.check(os.Rename(b, a))
		c.check(os.Rename(a+"x", b))
	}
	sameImage(t, "swapped", buildGeneration(t, c.root, first, o), buildGeneration(t, c.root, nil, o))
}

func TestDuplicatesAreStoredOnce(t *testing.T) {
	t.Parallel()
	c := newChanger(t, 1)
	big, small := c.noise(3*minBlockSize+5), c.noise(1000)
	for _, dir := range []string{"a", "b", "c"} {
		c.write(c.path(dir+"/big"), big)
		c.write(c.path(dir+"/small"), small)
	}
	c.settle()
	o := Options{BlockSize: minBlockSize}
	first := buildGeneration(t, c.root, nil, o)
	if want := int64(len(big) + len(small)); first.result.Packed != want {
		t.Errorf("%d bytes of data, want %d", first.result.Packed, want)
	}
	c.check(os.RemoveAll(c.path("a")))
	next := buildGeneration(t, c.root, first, o)
	if next.result.Packed != 0 || next.result.Read != 0 {
		t.Errorf("the first duplicates are gone, and got %+v", next.result)
	}
	sameImage(t, "first gone", next, buildGeneration(t, c.root, nil, o))
}

// TestOtherFileSystem builds upon the image of a tree that has been copied to another disk since.
func TestOtherFileSystem(t *testing.T) {
	t.Parallel()
	testkit.NeedRoot(t)
	const elsewhere = "/dev/shm"
	if _, err := os.Stat(elsewhere); err != nil {
		t.Skip(err)
	}
	testkit.NeedPrograms(t, "cp")
	c := newChanger(t, 7)
	for range 50 {
		c.addFile()
	}
	c.settle()
	first := buildGeneration(t, c.root, nil, Options{})
	copied, err := os.MkdirTemp(elsewhere, "squashfs-test-")
	c.check(err)
	defer os.RemoveAll(copied)
	testkit.Run(t, "cp", "-aT", c.root, copied)
	next := buildGeneration(t, copied, first, Options{})
	if !next.result.Unchanged || next.result.Reason != "" || next.result.Read < sumSizes(c.files()) {
		t.Errorf("copied to another file system, and got %+v", next.result)
	}
	again := buildGeneration(t, copied, next, Options{})
	if !again.result.Unchanged || again.result.Read > next.result.Read/2 {
		t.Errorf("built there before, and got %+v", again.result)
	}
}

func TestIsUnchanged(t *testing.T) {
	t.Parallel()
	c := newChanger(t, 7)
	for range 20 {
		c.addFile()
	}
	first := buildGeneration(t, c.root, nil, Options{})
	p, closePrevious := first.open(t)
	defer closePrevious()
	same := func(o Options) bool {
		t.Helper()
		same, err := IsUnchanged(t.Context(), c.root, o)
		c.check(err)
		return same
	}
	if !same(Options{Previous: p}) {
		t.Error("nothing changed, and the answer is no")
	}
	if same(Options{}) || same(Options{Previous: &Previous{Image: p.Image}}) ||
		same(Options{Previous: p, Compression: LZ4}) {
		t.Error("without an index that can be used the answer is yes")
	}
	c.write(c.path("new"), []byte("x"))
	if same(Options{Previous: p}) {
		t.Error("a file is new, and the answer is yes")
	}
}

// TestCopyInFront puts an equal file in front of one that nobody has hashed yet.
func TestCopyInFront(t *testing.T) {
	t.Parallel()
	c := newChanger(t, 1)
	b := c.noise(3*minBlockSize + 5)
	c.write(c.path("z"), b)
	c.settle()
	o := Options{BlockSize: minBlockSize}
	first := buildGeneration(t, c.root, nil, o)
	c.write(c.path("a"), b)
	next := buildGeneration(t, c.root, first, o)
	if next.result.Packed != 0 {
		t.Errorf("got %+v", next.result)
	}
	sameImage(t, "a copy in front", next, buildGeneration(t, c.root, nil, o))
}

func BenchmarkBuild(b *testing.B) {
	c := newChanger(b, 1)
	for range 2000 {
		c.addFile()
	}
	c.settle()
	last := buildGeneration(b, c.root, nil, Options{})
	b.Run("clean", func(b *testing.B) {
		for b.Loop() {
			buildGeneration(b, c.root, nil, Options{})
		}
	})
	b.Run("unchanged", func(b *testing.B) {
		for b.Loop() {
			buildGeneration(b, c.root, last, Options{})
		}
	})
	b.Run("one file changed", func(b *testing.B) {
		for n := 0; b.Loop(); n++ {
			c.write(c.path("changed"), []byte(fmt.Sprint(n)))
			last = buildGeneration(b, c.root, last, Options{})
		}
	})
}

// TestIndexRenewed: where much had to be read to find that nothing has changed, a new index spares
// that the next time.
func TestIndexRenewed(t *testing.T) {
	t.Parallel()
	c := newChanger(t, 1)
	for _, name := range []string{"a", "b"} {
		c.write(c.path(name), c.noise(indexWorth/2+1))
	}
	c.settle()
	first := buildGeneration(t, c.root, nil, Options{})
	for _, path := range c.files() {
		c.check(os.Chmod(path, 0o600))
		c.check(os.Chmod(path, 0o644))
	}
	c.settle()
	for n, want := range []int64{indexWorth + 2, 0} {
		next := buildGeneration(t, c.root, first, Options{}) // writes the index in place of the first
		if !next.result.Unchanged || next.result.Copied != 0 || next.result.Read != want {
			t.Errorf("build %d: got %+v, want %d bytes read", n, next.result, want)
		}
	}
	p, closePrevious := first.open(t)
	defer closePrevious()
	if _, err := p.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestFileSystemIdentity: inodes are trusted on the file system where they were seen, and on no
// other.
func TestFileSystemIdentity(t *testing.T) {
	t.Parallel()
	c := newChanger(t, 1)
	for range 20 {
		c.addFile()
	}
	c.write(c.path("alone"), c.noise(123457))
	c.settle()
	first := buildGeneration(t, c.root, nil, Options{})
	index := readFile(t, first.path+".index")
	body := flip(index[:len(index)-sha256.Size], binary.Size(indexHeader{})) // the first volume's id
	sum := sha256.Sum256(body)
	other := writeGeneration(t, first.bytes(t), append(body, sum[:]...))
	if next := buildGeneration(t, c.root, other, Options{}); !next.result.Unchanged ||
		next.result.Read < sumSizes(c.files()) {
		t.Errorf("another file system, and got %+v", next.result)
	}
	if next := buildGeneration(t, c.root, first, Options{}); !next.result.Unchanged || next.result.Read != 0 {
		t.Errorf("the same file system, and got %+v", next.result)
	}
}
