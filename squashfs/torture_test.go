package squashfs

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"ltskeeper/internal/testkit"

	"golang.org/x/sys/unix"
)

// A tortureTree is a tree being made. Its methods end the test on errors.
type tortureTree struct {
	testing.TB
	root   string
	random *rand.Rand
}

func newTorture(t testing.TB) *tortureTree {
	return &tortureTree{t, t.TempDir(), rand.New(rand.NewPCG(4, 2))}
}

func (t *tortureTree) check(err error) {
	if err != nil {
		t.Helper()
		t.Fatal(err)
	}
}

// path returns where name is, and makes the directory it is in.
func (t *tortureTree) path(name string) string {
	t.Helper()
	path := filepath.Join(t.root, name)
	t.check(os.MkdirAll(filepath.Dir(path), 0o755))
	return path
}

func (t *tortureTree) file(name string, content []byte) string {
	t.Helper()
	path := t.path(name)
	t.check(os.WriteFile(path, content, 0o644))
	return path
}

func (t *tortureTree) dir(name string) string {
	t.Helper()
	path := t.path(name)
	t.check(os.MkdirAll(path, 0o755))
	return path
}

func (t *tortureTree) symlink(target, name string) string {
	t.Helper()
	path := t.path(name)
	t.check(os.Symlink(target, path))
	return path
}

func (t *tortureTree) link(old, name string) {
	t.Helper()
	t.check(os.Link(filepath.Join(t.root, old), t.path(name)))
}

func (t *tortureTree) mknod(name string, mode uint32, major, minor uint32) string {
	t.Helper()
	path := t.path(name)
	t.check(unix.Mknod(path, mode, int(unix.Mkdev(major, minor))))
	return path
}

func (t *tortureTree) setXattr(name, attr string, value []byte) {
	t.Helper()
	t.check(unix.Lsetxattr(filepath.Join(t.root, name), attr, value, 0))
}

func (t *tortureTree) chtime(name string, seconds int64) {
	t.Helper()
	ts := []unix.Timespec{{Sec: seconds}, {Sec: seconds}}
	t.check(unix.UtimesNanoAt(unix.AT_FDCWD, filepath.Join(t.root, name), ts, unix.AT_SYMLINK_NOFOLLOW))
}

// noise returns n bytes that do not compress.
func (t *tortureTree) noise(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(t.random.Uint32())
	}
	return b
}

// text returns n bytes that compress well, and differ from call to call.
func (t *tortureTree) text(n int) []byte {
	var b bytes.Buffer
	for b.Len() < n {
		fmt.Fprintf(&b, "%d bottles of beer on the wall\n", t.random.IntN(1000))
	}
	return b.Bytes()[:n]
}

const testBlock = defaultBlockSize

// torture fills the tree with everything that squashfs can hold.
func (t *tortureTree) torture() {
	t.files()
	t.directories()
	t.links()
	t.specials()
	t.attributes()
	t.names()
}

// files of every class of size, with holes and written zeros.
func (t *tortureTree) files() {
	t.file("files/empty", nil)
	for _, n := range []int{1, 100, 4095, 4096, 4097, testBlock - 1, testBlock, testBlock + 1,
		2*testBlock - 1, 2 * testBlock, 2*testBlock + 1, 9*testBlock + 777} {
		t.file(fmt.Sprintf("files/noise-%d", n), t.noise(n))
		t.file(fmt.Sprintf("files/text-%d", n), t.text(n))
		t.file(fmt.Sprintf("files/zeros-%d", n), make([]byte, n))
	}
	for i := range 300 {
		t.file(fmt.Sprintf("files/small/%d", i), t.text(t.random.IntN(3000)))
	}

	mixed := t.noise(5 * testBlock)
	clear(mixed[testBlock : 2*testBlock])
	clear(mixed[3*testBlock+5 : 4*testBlock+5]) // no whole block
	t.file("files/mixed", mixed)
	clear(mixed[4*testBlock:])
	t.file("files/zeros-behind", mixed)
	clear(mixed[:testBlock])
	t.file("files/zeros-around", mixed[:len(mixed)-100])

	hole := t.file("files/hole", nil)
	t.check(os.Truncate(hole, 100*testBlock+10))
	f, err := os.OpenFile(t.file("files/holes", nil), os.O_RDWR, 0)
	t.check(err)
	for _, at := range []int64{0, 3, 10*testBlock - 3, 50 * testBlock} {
		_, err := f.WriteAt(t.noise(5), at)
		t.check(err)
	}
	t.check(f.Truncate(70*testBlock + 1))
	t.check(f.Close())

	big := t.text(3*testBlock + 1000)
	t.file("same/big", big)
	t.file("same/big-again", big)
	t.file("same/below/big-again", big)
	t.file("same/big-less-tail", big[:3*testBlock])
	t.file("same/big-other-tail", append(slices.Clip(big[:3*testBlock]), "other"...))
	t.file("same/small", big[:1000])
	t.file("same/small-again", big[:1000])
	t.file("same/tail-of-big", big[3*testBlock:])
}

// directories of every class of size.
func (t *tortureTree) directories() {
	for _, n := range []int{0, 1, 2, 255, 256, 257, 1000} {
		dir := t.dir(fmt.Sprintf("dirs/%d", n))
		for i := range n {
			t.check(os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), nil, 0o644))
		}
	}
	many := t.dir("dirs/many")
	for i := range 5000 { // a listing of more than 64 KiB
		t.check(unix.Mkfifo(filepath.Join(many, fmt.Sprintf("one-of-many-%d", i)), 0o600))
	}
	// Names whose inodes are far away from one another.
	for i := range 600 {
		t.link(fmt.Sprintf("dirs/1000/%d", i), fmt.Sprintf("dirs/near-and-far/%d-a", i))
		t.check(os.Mkdir(t.path(fmt.Sprintf("dirs/near-and-far/%d-b", i)), 0o700))
	}
	t.dir("dirs/deep/" + strings.Repeat("deeper/", 400))
	for i := range 40 {
		t.dir(fmt.Sprintf("dirs/long/%s-%d", strings.Repeat("long", 60), i))
	}
}

func (t *tortureTree) links() {
	t.symlink("x", "symlinks/short")
	t.symlink("/", "symlinks/root")
	t.symlink("nowhere/"+strings.Repeat("l", 200), "symlinks/long")
	t.symlink(strings.Repeat("long/", 800), "symlinks/very-long")
	t.symlink("\xff\xfe \n", "symlinks/bytes")

	t.file("hard/a/file", t.noise(testBlock+9))
	t.link("hard/a/file", "hard/a/file-again")
	t.link("hard/a/file", "hard/b/c/file")
	t.link("hard/a/file", "a-first-name")
	t.file("hard/empty", nil)
	t.link("hard/empty", "hard/empty-again")
	t.symlink("target", "hard/symlink")
	t.link("hard/symlink", "hard/symlink-again")
	t.mknod("hard/device", unix.S_IFCHR|0o600, 1, 3)
	t.link("hard/device", "hard/device-again")
	t.mknod("hard/fifo", unix.S_IFIFO|0o600, 0, 0)
	t.link("hard/fifo", "hard/fifo-again")
	t.mknod("hard/socket", unix.S_IFSOCK|0o600, 0, 0)
	t.link("hard/socket", "hard/socket-again")
}

func (t *tortureTree) specials() {
	t.mknod("special/null", unix.S_IFCHR|0o666, 1, 3)
	t.mknod("special/sda", unix.S_IFBLK|0o660, 8, 0)
	t.mknod("special/minor", unix.S_IFCHR|0o600, 7, 256)
	t.mknod("special/largest", unix.S_IFBLK|0o600, 1<<12-1, 1<<20-1)
	t.mknod("special/nothing", unix.S_IFCHR, 0, 0) // overlayfs's whiteout
	t.mknod("special/fifo", unix.S_IFIFO|0o622, 0, 0)
	t.mknod("special/socket", unix.S_IFSOCK|0o755, 0, 0)
}

func (t *tortureTree) attributes() {
	for _, mode := range []uint32{0, 0o400, 0o777, 0o1777, 0o2755, 0o4755, 0o6711, 0o7777} {
		t.check(unix.Chmod(t.file(fmt.Sprintf("modes/file-%o", mode), nil), mode))
		t.check(unix.Chmod(t.dir(fmt.Sprintf("modes/dir-%o", mode)), mode))
	}
	for _, id := range []int{1, 65534, 65535, 65536, 1 << 20, 1<<31 - 1, 1 << 31, 1<<32 - 2} {
		t.check(os.Lchown(t.file(fmt.Sprintf("owners/%d", id), nil), id, 0))
		t.check(os.Lchown(t.symlink("x", fmt.Sprintf("owners/group-%d", id)), 3, id))
	}
	for _, s := range []int64{-1 << 31, -1, 0, 1, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1<<33 + 5} {
		name := fmt.Sprintf("times/%d", s)
		t.file(name, nil)
		t.chtime(name, s)
		t.dir(name + "-dir")
		t.chtime(name+"-dir", s)
		t.symlink("x", name+"-symlink")
		t.chtime(name+"-symlink", s)
	}

	capability := binary.LittleEndian.AppendUint32(nil, 0x02000001) // VFS_CAP_REVISION_2, effective
	capability = append(capability, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	for i := range 3 {
		name := fmt.Sprintf("xattrs/capable-%d", i)
		t.file(name, t.text(100))
		t.setXattr(name, "security.capability", capability)
	}
	t.file("xattrs/file", nil)
	t.setXattr("xattrs/file", "user.z", []byte("last"))
	t.setXattr("xattrs/file", "user.a", []byte("first"))
	t.setXattr("xattrs/file", "user.empty", nil)
	t.setXattr("xattrs/file", "user.bytes", []byte{0, 1, 0xff, '\n', 0})
	t.setXattr("xattrs/file", "trusted.x", []byte("trust"))
	t.setXattr("xattrs/file", "security.x", []byte("secure"))
	for i := range 3 {
		name := fmt.Sprintf("xattrs/long-value-%d", i)
		t.file(name, nil)
		t.setXattr(name, "user.long", bytes.Repeat([]byte("long"), 700))
		t.setXattr(name, fmt.Sprintf("user.of-%d", i), []byte("its own"))
	}
	t.file("xattrs/long-name", nil)
	t.setXattr("xattrs/long-name", "user."+strings.Repeat("n", 250), []byte("v"))
	t.file("xattrs/many", nil)
	for i := range 60 {
		t.setXattr("xattrs/many", fmt.Sprintf("user.%d", i), []byte(fmt.Sprint(i)))
	}
	t.dir("xattrs/dir")
	t.setXattr("xattrs/dir", "user.dir", []byte("dir"))
	t.symlink("x", "xattrs/symlink")
	t.setXattr("xattrs/symlink", "trusted.symlink", []byte("symlink"))
	t.mknod("xattrs/char", unix.S_IFCHR|0o600, 1, 3)
	t.setXattr("xattrs/char", "trusted.char", []byte("char"))
	t.mknod("xattrs/block", unix.S_IFBLK|0o600, 1, 3)
	t.setXattr("xattrs/block", "trusted.block", []byte("block"))
	t.mknod("xattrs/fifo", unix.S_IFIFO|0o600, 0, 0)
	t.setXattr("xattrs/fifo", "trusted.fifo", []byte("fifo"))
	t.mknod("xattrs/socket", unix.S_IFSOCK|0o600, 0, 0)
	t.setXattr("xattrs/socket", "trusted.socket", []byte("socket"))
	t.setXattr(".", "user.root", []byte("root"))
	t.check(unix.Chmod(t.root, 0o751))
}

func (t *tortureTree) names() {
	for _, name := range []string{
		"a", "a-b", "a.b", "a b", "-a", "*", "...", ".hidden", "new\nline", `back\slash`, "\x01\x7f",
		"\xe4\xf6\xfc latin1", "\xff\xfe", "ünicode", strings.Repeat("n", 255), "\xff" + strings.Repeat("\x80", 254),
	} {
		t.file("names/files/"+name, []byte(name))
		t.file("names/dirs/"+name+"/x", nil)
	}
}

// snapshot describes each entry of a tree on disk: every attribute that squashfs can hold. Link
// counts are those inside the tree.
func snapshot(t testing.TB, root string) map[string]string {
	t.Helper()
	type id struct{ dev, ino uint64 }
	entries := make(map[string]*snapshotEntry)
	names := make(map[id]uint32)
	first := make(map[id]string)
	ids := make(map[string]id)
	var walk func(rel string) (isDir bool)
	walk = func(rel string) bool {
		path := filepath.Join(root, rel)
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			t.Fatal(path, err)
		}
		e := &snapshotEntry{
			mode: st.Mode, uid: st.Uid, gid: st.Gid, mtime: uint32(min(max(st.Mtim.Sec, 0), 1<<32-1)),
			xattrs: diskXattrs(t, path),
		}
		entries[rel] = e
		key := id{st.Dev, st.Ino}
		ids[rel] = key
		names[key]++
		if first[key] == "" {
			first[key] = rel
		}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			e.content = digest(t, f)
		case unix.S_IFLNK:
			target, err := os.Readlink(path)
			if err != nil {
				t.Fatal(err)
			}
			e.content = target
		case unix.S_IFBLK, unix.S_IFCHR:
			e.content = fmt.Sprintf("%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
		case unix.S_IFDIR:
			e.links = 2
			list, err := os.ReadDir(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range list {
				if walk(filepath.Join(rel, d.Name())) {
					e.links++
				}
			}
			return true
		}
		return false
	}
	walk(".")
	lines := make(map[string]string)
	for rel, e := range entries {
		if e.mode&unix.S_IFMT != unix.S_IFDIR {
			e.links = names[ids[rel]]
		}
		e.first = first[ids[rel]]
		lines[rel] = e.String()
	}
	return lines
}

type snapshotEntry struct {
	mode, uid, gid, mtime, links uint32
	content, xattrs              string
	first                        string // of the names of the same inode
}

func (e *snapshotEntry) String() string {
	return fmt.Sprintf("%o %d:%d @%d links %d from %q content %q xattrs %s",
		e.mode, e.uid, e.gid, e.mtime, e.links, e.first, e.content, e.xattrs)
}

// digest returns the length and a hash of what is left in r. Blocks of zeros count, but quickly.
func digest(t testing.TB, r io.Reader) string {
	t.Helper()
	h, n := sha256.New(), int64(0)
	buf := make([]byte, 128<<10)
	for {
		k, err := io.ReadFull(r, buf)
		n += int64(k)
		if len(bytes.TrimLeft(buf[:k], "\x00")) > 0 {
			fmt.Fprintf(h, "%d", n)
			h.Write(buf[:k])
		}
		switch err {
		case nil:
		case io.EOF, io.ErrUnexpectedEOF:
			return fmt.Sprintf("%d bytes, %x", n, h.Sum(nil)[:8])
		default:
			t.Fatal(err)
		}
	}
}

// diskXattrs describes the extended attributes that squashfs can hold, by name.
func diskXattrs(t testing.TB, path string) string {
	t.Helper()
	buf := make([]byte, 1<<16)
	n, err := unix.Llistxattr(path, buf)
	if err != nil && err != unix.ENOTSUP {
		t.Fatal(path, err)
	}
	var list []Xattr
	for _, name := range strings.Split(string(buf[:max(n, 0)]), "\x00") {
		if _, _, ok := splitXattr(name); !ok || name == "security.selinux" {
			continue
		}
		value := make([]byte, 1<<16)
		n, err := unix.Lgetxattr(path, name, value)
		if err != nil {
			t.Fatal(path, name, err)
		}
		list = append(list, Xattr{name, value[:n]})
	}
	return describeXattrs(list)
}

func describeXattrs(list []Xattr) string {
	slices.SortFunc(list, func(a, b Xattr) int { return strings.Compare(a.Name, b.Name) })
	var b strings.Builder
	for _, x := range list {
		fmt.Fprintf(&b, "%s=%.40q(%d) ", x.Name, x.Value, len(x.Value))
	}
	return b.String()
}

// imageSnapshot is snapshot for what a Reader reads.
func imageSnapshot(t testing.TB, r *Reader) map[string]string {
	t.Helper()
	lines := make(map[string]string)
	first := make(map[uint32]string)
	last := ""
	for e, err := range r.Entries() {
		if err != nil {
			t.Fatal(err)
		}
		if last != "" && comparePaths(last, e.Path) >= 0 {
			t.Errorf("%q comes before %q", last, e.Path)
		}
		last = e.Path
		s := &snapshotEntry{mode: e.Mode, uid: e.UID, gid: e.GID, mtime: e.Mtime, links: e.Links}
		if first[e.Inode] == "" {
			first[e.Inode] = e.Path
		}
		s.first = first[e.Inode]
		xattrs, err := r.Xattrs(e)
		if err != nil {
			t.Fatal(err)
		}
		s.xattrs = describeXattrs(xattrs)
		switch e.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			c, err := r.OpenFile(e)
			if err != nil {
				t.Fatal(err)
			}
			s.content = digest(t, c)
		case unix.S_IFLNK:
			s.content = e.Target
		case unix.S_IFBLK, unix.S_IFCHR:
			s.content = fmt.Sprintf("%d:%d", unix.Major(e.Device), unix.Minor(e.Device))
		}
		lines[e.Path] = s.String()
	}
	return lines
}

// compareSnapshots reports up to ten differences.
func compareSnapshots(t testing.TB, what string, got, want map[string]string) {
	t.Helper()
	paths := make(map[string]bool)
	for p := range got {
		paths[p] = true
	}
	for p := range want {
		paths[p] = true
	}
	differ := 0
	for p := range paths {
		if got[p] == want[p] {
			continue
		}
		if differ++; differ <= 10 {
			t.Errorf("%s: %q\n got %s\nwant %s", what, p, got[p], want[p])
		}
	}
	if differ > 10 {
		t.Errorf("%s: %d differences in all", what, differ)
	}
}

// mountSnapshot has the kernel mount the image and describes what it shows. The mount is seen by
// one thread alone, and goes with it.
func mountSnapshot(t testing.TB, image string) (lines map[string]string) {
	t.Helper()
	testkit.NeedRoot(t)
	dir := t.TempDir()
	var failed error
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlock it: the thread ends here
		if failed = mountPrivately(image, dir); failed == nil {
			defer unix.Unmount(dir, unix.MNT_DETACH)
			lines = snapshot(t, dir)
		}
	}()
	<-done
	if failed != nil {
		t.Fatalf("mount %s: %v", image, failed)
	}
	return lines
}

// mountPrivately mounts the image for this thread and its children.
func mountPrivately(image, dir string) error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	for try := 1; ; try++ { // another mount may snatch the loop device that mount found free
		out, err := exec.Command("mount", "-t", "squashfs", "-o", "loop,ro", image, dir).CombinedOutput()
		if err == nil || try == 5 {
			return errors.Join(err, errorText(out))
		}
	}
}

func errorText(out []byte) error {
	if len(out) == 0 {
		return nil
	}
	return errors.New(string(out))
}
