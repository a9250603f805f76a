package disktest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ltskeeper/internal/testkit"

	"golang.org/x/sys/unix"
)

// writeTree makes a folder with etc/a and etc/b, which are one file, etc/other, etc/link and
// etc/folder.
func writeTree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, "etc", name) }
	testkit.Must(t, os.MkdirAll(path("folder"), 0o755))
	testkit.Must(t, os.WriteFile(path("a"), []byte("content of a"), 0o644))
	testkit.Must(t, os.Link(path("a"), path("b")))
	testkit.Must(t, os.WriteFile(path("other"), []byte("content of other"), 0o644))
	testkit.Must(t, os.Symlink("other", path("link")))
	return dir
}

// statAll returns what each call that shows attributes says of a path.
func statAll(t *testing.T, path string) map[string]unix.Stat_t {
	t.Helper()
	all := map[string]unix.Stat_t{}
	var st unix.Stat_t
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	testkit.Must(t, err)
	defer unix.Close(fd)
	testkit.Must(t, unix.Fstat(fd, &st))
	all["fstat of O_PATH"] = st
	testkit.Must(t, unix.Lstat(path, &st))
	all["lstat"] = st
	if st.Mode&unix.S_IFMT != unix.S_IFLNK {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		testkit.Must(t, err)
		defer unix.Close(fd)
		testkit.Must(t, unix.Fstat(fd, &st))
		all["fstat"] = st
	}
	for name, flags := range map[string]int{
		"statx": 0, "statx, synced": unix.AT_STATX_FORCE_SYNC, "statx, not synced": unix.AT_STATX_DONT_SYNC,
	} {
		var x unix.Statx_t
		flags |= unix.AT_SYMLINK_NOFOLLOW
		testkit.Must(t, unix.Statx(unix.AT_FDCWD, path, flags, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &x))
		all[name] = unix.Stat_t{Ino: x.Ino, Nlink: uint64(x.Nlink), Mode: uint32(x.Mode), Uid: x.Uid, Gid: x.Gid,
			Size: int64(x.Size), Blocks: int64(x.Blocks),
			Mtim: unix.Timespec{Sec: x.Mtime.Sec, Nsec: int64(x.Mtime.Nsec)},
			Ctim: unix.Timespec{Sec: x.Ctime.Sec, Nsec: int64(x.Ctime.Nsec)}, Dev: unix.Mkdev(x.Dev_major, x.Dev_minor)}
	}
	return all
}

// listInodes returns the inode numbers that a folder lists.
func listInodes(t *testing.T, dir string) map[string]uint64 {
	t.Helper()
	f, err := os.Open(dir)
	testkit.Must(t, err)
	defer f.Close()
	numbers := map[string]uint64{}
	for buf := make([]byte, 8192); ; {
		n, err := unix.Getdents(int(f.Fd()), buf)
		testkit.Must(t, err)
		if n == 0 {
			return numbers
		}
		for rest := buf[:n]; len(rest) > 0; {
			length := binary.NativeEndian.Uint16(rest[16:])
			numbers[unix.ByteSliceToString(rest[19:length])] = binary.NativeEndian.Uint64(rest)
			rest = rest[length:]
		}
	}
}

// What is faked shows in every call that shows it, at once, on files, folders and links, and on
// nothing else.
func TestFakedAttributes(t *testing.T) {
	t.Parallel()
	dir := writeTree(t)
	names := []string{"a", "b", "other", "folder", "link", "."}
	before := map[string]map[string]unix.Stat_t{}
	for _, name := range names {
		before[name] = statAll(t, filepath.Join(dir, "etc", name))
	}
	disk := Faked(t, dir)
	time1, time2 := time.Unix(1_000_000_000, 123_456_789), time.Unix(2_000_000_000, 987_654_321)
	fakes := []Fake{
		{Ino: 600},
		{Ino: 1 << 63, Nlink: 7, Mode: 0o4751, Uid: new(100_000), Gid: new(0), Blocks: new(0),
			Mtime: time1, Ctime: time2},
		{Nlink: 1, Gid: new(12), Blocks: new(8)},
		{}, // as it is
	}
	for _, faked := range names {
		for _, fake := range fakes {
			disk.Set("etc/"+faked, fake)
			for _, name := range names {
				for call, got := range statAll(t, filepath.Join(dir, "etc", name)) {
					want := before[name][call]
					if name == faked {
						want = applyFake(want, fake)
					}
					want.Dev, got.Dev = 0, 0 // the mount's own
					want.Atim, got.Atim = unix.Timespec{}, unix.Timespec{}
					want.Blksize, got.Blksize = 0, 0
					if got != want {
						t.Errorf("%s of %s, while %s is %+v:\n got %+v\nwant %+v", call, name, faked, fake, got, want)
					}
				}
			}
			for name, ino := range listInodes(t, filepath.Join(dir, "etc")) {
				if want := before[name]["lstat"].Ino; name == faked && fake.Ino != 0 {
					if ino != fake.Ino {
						t.Errorf("%s is listed as %d, while it is %+v", name, ino, fake)
					}
				} else if name != ".." && ino != want {
					t.Errorf("%s is listed as %d instead of %d, while %s is %+v", name, ino, want, faked, fake)
				}
			}
		}
	}
	disk.Set("etc/a", Fake{Ino: 600})
	disk.Set(".", Fake{Ino: 601})
	for path, want := range map[string]uint64{"etc/a": 600, ".": 601} {
		for call, st := range statAll(t, filepath.Join(dir, path)) {
			if st.Ino != want {
				t.Errorf("%s of %s is %d", call, path, st.Ino)
			}
		}
	}
	disk.Mend()
	if st := statAll(t, filepath.Join(dir, "etc/a"))["lstat"]; st.Ino != before["a"]["lstat"].Ino {
		t.Errorf("mended, a is %d", st.Ino)
	}
}

func applyFake(st unix.Stat_t, fake Fake) unix.Stat_t {
	if fake.Ino != 0 {
		st.Ino = fake.Ino
	}
	if fake.Nlink != 0 {
		st.Nlink = uint64(fake.Nlink)
	}
	if fake.Mode != 0 {
		st.Mode = st.Mode&^0o7777 | fake.Mode
	}
	if fake.Uid != nil {
		st.Uid = uint32(*fake.Uid)
	}
	if fake.Gid != nil {
		st.Gid = uint32(*fake.Gid)
	}
	if fake.Blocks != nil {
		st.Blocks = int64(*fake.Blocks)
	}
	if !fake.Mtime.IsZero() {
		st.Mtim = unix.NsecToTimespec(fake.Mtime.UnixNano())
	}
	if !fake.Ctime.IsZero() {
		st.Ctim = unix.NsecToTimespec(fake.Ctime.UnixNano())
	}
	return st
}

// What is done to files on a faked disk is done, whatever numbers they show.
func TestFakedWrites(t *testing.T) {
	t.Parallel()
	dir := writeTree(t)
	disk := Faked(t, dir)
	path := func(name string) string { return filepath.Join(dir, "etc", name) }
	for _, name := range []string{"a", "other", "new", "moved", "folder", "folder/new", "symlink", "hard", "fifo"} {
		disk.Set("etc/"+name, Fake{Ino: 600})
	}
	testkit.Must(t, os.WriteFile(path("new"), []byte("new"), 0o640))
	testkit.Must(t, os.WriteFile(path("folder/new"), []byte("new in folder"), 0o600))
	testkit.Must(t, os.WriteFile(path("a"), []byte("changed"), 0o600))
	testkit.Must(t, os.Symlink("a", path("symlink")))
	testkit.Must(t, os.Link(path("other"), path("hard")))
	testkit.Must(t, unix.Mkfifo(path("fifo"), 0o600))
	testkit.Must(t, os.Mkdir(path("folder2"), 0o700))
	open, err := os.Open(path("new"))
	testkit.Must(t, err)
	defer open.Close()
	testkit.Must(t, os.Rename(path("new"), path("moved")))
	testkit.Must(t,
		unix.Renameat2(unix.AT_FDCWD, path("moved"), unix.AT_FDCWD, path("folder2/moved"), unix.RENAME_NOREPLACE))
	testkit.Must(t, os.Rename(path("folder2"), path("folder3")))
	testkit.Must(t, os.Chmod(path("folder3/moved"), 0))
	testkit.Must(t, os.Chown(path("folder3/moved"), 12, 13))
	testkit.Must(t, os.Remove(path("link")))
	for name, want := range map[string]string{
		"a": "changed", "b": "changed", "folder3/moved": "new", "folder/new": "new in folder",
		"hard": "content of other",
	} {
		if data, err := os.ReadFile(path(name)); err != nil || string(data) != want {
			t.Errorf("%s holds %q: %v", name, data, err)
		}
	}
	var st, opened unix.Stat_t
	testkit.Must(t, unix.Lstat(path("folder3/moved"), &st))
	testkit.Must(t, unix.Fstat(int(open.Fd()), &opened))
	if st.Ino != opened.Ino || st.Ino == 600 {
		t.Errorf("moved from its faked path, the file has number %d, open %d", st.Ino, opened.Ino)
	}
	if st.Mode != unix.S_IFREG || st.Uid != 12 || st.Gid != 13 {
		t.Errorf("changed, moved is %o of %d:%d", st.Mode, st.Uid, st.Gid)
	}
	for _, name := range []string{"symlink", "hard", "fifo"} {
		testkit.Must(t, unix.Lstat(path(name), &st))
		if st.Ino != 600 {
			t.Errorf("%s, made after it was faked, has number %d", name, st.Ino)
		}
	}
}

// Offsets that lseek finds are those that are faked, and what is read stays.
func TestFakedHoles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	content := make([]byte, 300_000)
	for i := range content {
		content[i] = byte(i%251) + 1
	}
	file := filepath.Join(dir, "file")
	testkit.Must(t, os.WriteFile(file, content, 0o644))
	disk := Faked(t, dir)
	f, err := os.Open(file)
	testkit.Must(t, err)
	defer f.Close()
	type seek struct {
		whence       int
		offset, want int64
		err          error
	}
	data, hole := unix.SEEK_DATA, unix.SEEK_HOLE
	for _, test := range []struct {
		data  [][2]int64
		seeks []seek
	}{
		{nil, []seek{{data, 0, 0, nil}, {hole, 0, 300_000, nil}}},
		{[][2]int64{}, []seek{
			{data, 0, 0, unix.ENXIO}, {hole, 0, 0, nil}, {hole, 7, 7, nil}, {hole, 300_000, 0, unix.ENXIO}}},
		{[][2]int64{{8192, 12288}, {20480, 300_000}}, []seek{
			{data, 0, 8192, nil}, {data, 9000, 9000, nil}, {data, 12288, 20480, nil}, {data, 300_000, 0, unix.ENXIO},
			{hole, 0, 0, nil}, {hole, 8192, 12288, nil}, {hole, 13000, 13000, nil}, {hole, 20480, 300_000, nil}}},
		{[][2]int64{{0, 4096}, {4096, 8192}}, []seek{
			{data, 4096, 4096, nil}, {hole, 0, 8192, nil}, {data, 8192, 0, unix.ENXIO}}},
		{[][2]int64{{400_000, 500_000}}, []seek{{data, 0, 400_000, nil}, {hole, 0, 0, nil}}},
	} {
		disk.Set("file", Fake{Data: test.data, Blocks: new(8)})
		for _, s := range test.seeks {
			offset, err := unix.Seek(int(f.Fd()), s.offset, s.whence)
			if !errors.Is(err, s.err) || err == nil && offset != s.want {
				t.Errorf("data at %v: seek %d from %d: %d, %v", test.data, s.whence, s.offset, offset, err)
			}
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != string(content) {
			t.Errorf("data at %v: %d bytes that differ: %v", test.data, len(got), err)
		}
	}
}

// lockCalls are the calls that take or test a lock.
var lockCalls = map[string]func(f *os.File, kind int16) error{
	"flock":  func(f *os.File, _ int16) error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) },
	"SETLK":  fcntlLock(unix.F_SETLK),
	"SETLKW": fcntlLock(unix.F_SETLKW),
	"GETLK":  fcntlLock(unix.F_GETLK),

	"OFD_SETLK":  fcntlLock(unix.F_OFD_SETLK),
	"OFD_SETLKW": fcntlLock(unix.F_OFD_SETLKW),
	"OFD_GETLK":  fcntlLock(unix.F_OFD_GETLK),
}

func fcntlLock(cmd int) func(*os.File, int16) error {
	return func(f *os.File, kind int16) error { return unix.FcntlFlock(f.Fd(), cmd, &unix.Flock_t{Type: kind}) }
}

// Lock calls fail as they are told to, hang as they are told to, and otherwise lock.
func TestFakedLocks(t *testing.T) {
	t.Parallel()
	dir := writeTree(t)
	disk := Faked(t, dir)
	open := func() *os.File {
		t.Helper()
		f, err := os.OpenFile(filepath.Join(dir, "etc/other"), os.O_RDWR, 0)
		testkit.Must(t, err)
		return f
	}
	for name, call := range lockCalls {
		f := open()
		for _, errno := range []syscall.Errno{unix.ENOLCK, unix.ENOSYS, unix.EIO} {
			disk.Set("etc/other", Fake{Lock: errno})
			for _, kind := range []int16{unix.F_RDLCK, unix.F_WRLCK} {
				if err := call(f, kind); !errors.Is(err, errno) {
					t.Errorf("%s: %v instead of %v", name, err, errno)
				}
			}
		}
		disk.Mend()
		if err := call(f, unix.F_WRLCK); err != nil {
			t.Errorf("%s, mended: %v", name, err)
		}

		disk.Set("etc/other", Fake{LockHangs: true})
		ended := make(chan error)
		go func() { ended <- call(f, unix.F_WRLCK) }()
		disk.WaitForLock("etc/other")
		select {
		case err := <-ended:
			t.Errorf("%s does not hang: %v", name, err)
			continue
		default:
		}
		disk.Set("etc/other", Fake{Lock: unix.ENOLCK})
		if err := <-ended; !errors.Is(err, unix.ENOLCK) {
			t.Errorf("%s, after it hung: %v", name, err)
		}
		disk.Mend()
		testkit.Must(t, f.Close())
		// Nobody holds a lock of the file that was closed, nor gets one that is held.
		f, other := open(), open()
		if err := call(f, unix.F_WRLCK); err != nil {
			t.Errorf("%s, of a file opened again: %v", name, err)
		}
		if err := lockCalls["OFD_SETLK"](f, unix.F_WRLCK); err != nil {
			t.Errorf("OFD_SETLK after %s: %v", name, err)
		}
		if err := lockCalls["OFD_SETLK"](other, unix.F_WRLCK); !errors.Is(err, unix.EAGAIN) {
			t.Errorf("OFD_SETLK of what is locked: %v", err)
		}
		testkit.Must(t, f.Close())
		if err := lockCalls["OFD_SETLK"](other, unix.F_WRLCK); err != nil {
			t.Errorf("OFD_SETLK of what is not locked any more: %v", err)
		}
		testkit.Must(t, other.Close())
	}
}

// A process loses its locks of a file when it closes the file once, even if it has the file open
// twice.
func TestFakedLocksEndWithClose(t *testing.T) {
	t.Parallel()
	dir := writeTree(t)
	Faked(t, dir)
	file := filepath.Join(dir, "etc/other")
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	testkit.Must(t, err)
	defer f.Close()
	again, err := unix.Dup(int(f.Fd()))
	testkit.Must(t, err)
	other, err := os.OpenFile(file, os.O_RDWR, 0)
	testkit.Must(t, err)
	defer other.Close()
	testkit.Must(t, lockCalls["SETLK"](f, unix.F_WRLCK))
	if err := lockCalls["OFD_SETLK"](other, unix.F_WRLCK); !errors.Is(err, unix.EAGAIN) {
		t.Errorf("OFD_SETLK of what is locked: %v", err)
	}
	testkit.Must(t, unix.Close(again))
	if err := lockCalls["OFD_SETLK"](other, unix.F_WRLCK); err != nil {
		t.Errorf("OFD_SETLK after close: %v", err)
	}
}

// A process that waits for a lock that hangs cannot be killed, and is gone when the test ends.
func TestFakedLockHangsWhenKilled(t *testing.T) {
	t.Parallel()
	dir := writeTree(t)
	var waiter *exec.Cmd
	t.Run("mounted", func(t *testing.T) {
		disk := Faked(t, dir)
		disk.Set("etc/other", Fake{LockHangs: true})
		waiter = exec.Command("flock", filepath.Join(dir, "etc/other"), "true")
		testkit.Must(t, waiter.Start())
		disk.WaitForLock("etc/other")
		testkit.Must(t, waiter.Process.Kill())
		for state := ""; state != "D"; time.Sleep(time.Millisecond) { // until the signal has arrived
			stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", waiter.Process.Pid))
			testkit.Must(t, err)
			_, rest, _ := strings.Cut(string(stat), ") ")
			if state = rest[:1]; state == "Z" {
				t.Fatal("it could be killed")
			}
		}
	})
	waiter.Wait()
}
