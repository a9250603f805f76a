package durable

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ltskeeper/internal/regular"
	"ltskeeper/internal/testkit/disktest"
)

func TestWrite(t *testing.T) {
	umask := syscall.Umask(0o077)
	defer syscall.Umask(umask)
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, perm := range []fs.FileMode{0o644, 0o600, 0o644} {
		if err := WriteFile(path, []byte(perm.String()), perm); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != perm {
			t.Errorf("mode %v, %v; want %v", info.Mode(), err, perm)
		}
		if data, err := os.ReadFile(path); err != nil || string(data) != perm.String() {
			t.Errorf("%q, %v", data, err)
		}
	}
	if got := ReadPerm(path, 0o600); got != 0o644 {
		t.Errorf("Perm = %v", got)
	}
	if got := ReadPerm(path+".none", 0o600); got != 0o600 {
		t.Errorf("Perm of no file = %v", got)
	}
	if err := CreateFile(path, nil, 0o644); !errors.Is(err, fs.ErrExist) {
		t.Errorf("created over another: %v", err)
	}
	if data, err := os.ReadFile(path); err != nil || len(data) == 0 {
		t.Errorf("%q, %v", data, err)
	}
	if err := CreateFile(filepath.Join(dir, "new"), []byte("new"), 0o644); err != nil {
		t.Error(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(filepath.Join(dir, "folder"), nil, 0o644); err == nil ||
		!strings.Contains(err.Error(), "write "+filepath.Join(dir, "folder")+": ") {
		t.Errorf("written over a folder: %v", err)
	}
	if names := list(t, dir); names != "file folder new" {
		t.Errorf("there is %s", names)
	}
}

// A disk that fails in the middle leaves the old file or none, nothing unfinished, and an error
// that names the file.
func TestFailingDisk(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"old", "new"} {
		for _, op := range []string{"write", "sync", "rename"} {
			for _, cause := range []syscall.Errno{syscall.EIO, syscall.EDQUOT} {
				dir := t.TempDir()
				path := filepath.Join(dir, name)
				if err := os.WriteFile(filepath.Join(dir, "old"), content(1), 0o644); err != nil {
					t.Fatal(err)
				}
				disk := disktest.Failing(t, dir)
				disk.FailAt(op, name, cause)
				works := map[string]func() error{"Write": func() error { return WriteFile(path, content(2), 0o644) }}
				if name == "new" && op != "rename" { // it makes a link instead
					works["Create"] = func() error { return CreateFile(path, content(2), 0o644) }
				}
				for what, work := range works {
					if err := work(); !errors.Is(err, cause) || !strings.Contains(err.Error(), "write "+path+": ") {
						t.Errorf("%s of %s, %s: %v", what, name, op, err)
					}
					if names := list(t, dir); names != "old" {
						t.Errorf("%s of %s, %s: there is %s", what, name, op, names)
					}
					disk.Mend()
					if data, err := os.ReadFile(filepath.Join(dir, "old")); err != nil ||
						!bytes.Equal(data, content(1)) {
						t.Errorf("%s of %s, %s: %d bytes, %v", what, name, op, len(data), err)
					}
					disk.FailAt(op, name, cause)
				}
				disk.Mend()
				if err := WriteFile(path, content(2), 0o644); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

// That a name may not last is told, too.
func TestUnsyncedFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	disk := disktest.Failing(t, dir)
	disk.Fail(func(op, path string) syscall.Errno {
		if op == "sync" && path == "" {
			return syscall.EIO
		}
		return 0
	})
	path := filepath.Join(dir, "file")
	for _, err := range []error{WriteFile(path, nil, 0o644), CreateFile(path+"2", nil, 0o644), SyncFolder(dir)} {
		if !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), dir) {
			t.Error(err)
		}
	}
}

func TestSweep(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{".ltskeeper-a.tmp", ".ltskeeper-.b.tmp", ".ltskeeper-a", ".a.tmp", "a"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, ".ltskeeper-folder.tmp"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := SweepFolder(dir); err != nil {
		t.Error(err)
	}
	if names := list(t, dir); names != ".a.tmp .ltskeeper-a .ltskeeper-folder.tmp a" {
		t.Errorf("there is %s", names)
	}
	if err := SweepFolder(filepath.Join(dir, "none")); err != nil {
		t.Error(err)
	}
}

// Killed at any moment, a process that does nothing else than Write leaves a whole file, and
// nothing that Sweep does not find, in no other folder.
func TestKill(t *testing.T) {
	t.Parallel()
	if path := os.Getenv("DURABLE_WRITE"); path != "" {
		for n := byte(1); ; n++ {
			if err := WriteFile(path, content(n), 0o644); err != nil {
				t.Fatal(err)
			}
			if n == 1 {
				os.Stdout.WriteString("at work\n")
			}
		}
	}
	dir, elsewhere := t.TempDir(), t.TempDir()
	path, unfinished := filepath.Join(dir, "file"), 0
	if err := os.WriteFile(path, content(0), 0o644); err != nil {
		t.Fatal(err)
	}
	for kill := range 20 {
		child := exec.Command(os.Args[0], "-test.run=^TestKill$")
		child.Env = append(os.Environ(), "DURABLE_WRITE="+path, "TMPDIR="+elsewhere)
		said, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		if n, err := said.Read(make([]byte, 100)); n == 0 {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(kill) * 37 * time.Microsecond)
		child.Process.Kill()
		child.Wait()
		data, err := os.ReadFile(path)
		if err != nil || len(data) == 0 || !bytes.Equal(data, content(data[0])) {
			t.Errorf("half a file: %d bytes, %v", len(data), err)
		}
		if list(t, dir) != "file" {
			unfinished++
		}
		if err := SweepFolder(dir); err != nil {
			t.Error(err)
		}
		if names := list(t, dir) + list(t, elsewhere); names != "file" {
			t.Fatalf("there is %s", names)
		}
	}
	t.Logf("%d of 20 kills left something to sweep", unfinished)
}

func content(n byte) []byte { return bytes.Repeat([]byte{n}, 1<<20) }

func list(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

// A file gets another content, and keeps its mode, its owner, and a link to it.
func TestRewriteFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(path, []byte("old"), 0o640), os.Symlink("file", link)); err != nil {
		t.Fatal(err)
	}
	uid, gid := os.Geteuid(), os.Getegid()
	if uid == 0 {
		if uid, gid = 12, 34; os.Chown(path, uid, gid) != nil {
			t.Fatal("chown failed")
		}
	}
	if err := RewriteFile(link, []byte("new")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(link)
	stat := info.Sys().(*syscall.Stat_t)
	if string(data) != "new" || err != nil || info.Mode() != 0o640 || int(stat.Uid) != uid || int(stat.Gid) != gid {
		t.Errorf("%q, %v, mode %v, owner %d:%d", data, err, info.Mode(), stat.Uid, stat.Gid)
	}
	if target, err := os.Readlink(link); target != "file" {
		t.Errorf("the link leads to %q, %v", target, err)
	}
	if err := RewriteFile(filepath.Join(dir, "none"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if err := RewriteFile(dir, nil); !regular.IsOdd(err) {
		t.Error(err)
	}
}
