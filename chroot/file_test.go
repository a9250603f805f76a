package chroot

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/disktest"

	"golang.org/x/sys/unix"
)

func TestPut(t *testing.T) {
	t.Parallel()
	r := client(t, nil)
	file := filepath.Join(r.Path(), "etc/ssh/deep/ssh_known_hosts")
	mustPut(t, r, "etc/ssh/deep/ssh_known_hosts", "one\n", 0o644, true)

	for path, want := range map[string]fs.FileMode{
		file:                               0o644,
		filepath.Join(r.Path(), "etc/ssh"): fs.ModeDir | 0o755,
		filepath.Dir(file):                 fs.ModeDir | 0o755,
	} {
		info := mustStat(t, path)
		if info.Mode() != want {
			t.Errorf("%s has mode %v, not %v", path, info.Mode(), want)
		}
		if !isOwnedBy(info, 0) {
			t.Errorf("%s is not root's", path)
		}
	}
	if data, err := r.Read("/etc/ssh/deep/ssh_known_hosts"); err != nil || string(data) != "one\n" {
		t.Errorf("read %q, %v", data, err)
	}
	if data, err := r.Read("etc/lts.conf"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("read %q, %v", data, err)
	}
	if entries, err := os.ReadDir(filepath.Dir(file)); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// A file that is rewritten keeps its mode, and is the one that clients find.
func TestRewrite(t *testing.T) {
	t.Parallel()
	r := client(t, map[string]string{"srv/hosts": "x", "etc/hosts": "->/srv/hosts"})
	file := filepath.Join(r.Path(), "srv/hosts")
	if err := errors.Join(os.Chmod(file, 0o640), r.Rewrite("etc/hosts", []byte("y"))); err != nil {
		t.Fatal(err)
	}
	if data, err := r.Read("srv/hosts"); err != nil || string(data) != "y" || mustStat(t, file).Mode() != 0o640 {
		t.Errorf("%q, %v, %v", data, err, mustStat(t, file).Mode())
	}
	if err := r.Rewrite("etc/none", nil); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	r.system = true
	if err := r.Rewrite("etc/hosts", nil); !errors.Is(err, errSystem) {
		t.Error(err)
	}
}

func TestPutTouchesNothingWithoutNeed(t *testing.T) {
	t.Parallel()
	r := client(t, map[string]string{"etc/lts.conf": "x", "etc/link": "->/etc/lts.conf"})
	file := filepath.Join(r.Path(), "etc/lts.conf")
	backdate(t, r.Path())
	before := snapshot(t, r.Path())
	mustPut(t, r, "etc/lts.conf", "x", 0o755, false)
	mustPut(t, r, "etc/link", "x", 0o755, false)
	if after := snapshot(t, r.Path()); !maps.Equal(before, after) {
		t.Errorf("before %v\nafter %v", before, after)
	}

	mustPut(t, r, "etc/lts.conf", "x", 0o644, true)
	info := mustStat(t, file)
	if info.Mode() != 0o644 || !info.ModTime().Equal(longAgo) {
		t.Errorf("another mode left %v, %v", info.Mode(), info.ModTime())
	}

	mustPut(t, r, "etc/link", "y", 0o644, true)
	if info := mustStat(t, file); info.ModTime().Equal(longAgo) {
		t.Error("other content kept the time of the old")
	}
	if target, err := os.Readlink(filepath.Join(r.Path(), "etc/link")); err != nil || target != "/etc/lts.conf" {
		t.Errorf("the link leads to %q, %v", target, err)
	}
}

func TestPutGivesTheFileToRoot(t *testing.T) {
	t.Parallel()
	testkit.NeedRoot(t)
	r := client(t, map[string]string{"etc/lts.conf": "x"})
	file := filepath.Join(r.Path(), "etc/lts.conf")
	// A new file in a folder like this gets the folder's group.
	if err := errors.Join(
		os.Chown(file, 7, 8),
		os.Chown(filepath.Dir(file), 0, 8),
		os.Chmod(filepath.Dir(file), fs.ModeSetgid|0o755),
	); err != nil {
		t.Fatal(err)
	}
	backdate(t, r.Path())
	mustPut(t, r, "etc/lts.conf", "x", 0o755, true)
	if info := mustStat(t, file); !isOwnedBy(info, 0) || !info.ModTime().Equal(longAgo) {
		t.Errorf("got %+v", info.Sys())
	}
	mustPut(t, r, "etc/lts.conf", "x", 0o755, false)
}

func TestPutRemovesWhatACrashLeft(t *testing.T) {
	t.Parallel()
	r := client(t, map[string]string{"etc/lts.conf": "x", "etc/.ltskeeper-lts.conf.tmp": "hal"})
	mustPut(t, r, "etc/lts.conf", "x", 0o755, false)
	if _, err := os.Lstat(filepath.Join(r.Path(), "etc/.ltskeeper-lts.conf.tmp")); err == nil {
		t.Error("the temporary file is still there")
	}
}

// A copy made with cp -al shares its files with the root.
func TestPutLeavesOtherNamesOfTheFileAlone(t *testing.T) {
	t.Parallel()
	r := client(t, map[string]string{"etc/lts.conf": "x"})
	copied := filepath.Join(t.TempDir(), "lts.conf")
	if err := os.Link(filepath.Join(r.Path(), "etc/lts.conf"), copied); err != nil {
		t.Fatal(err)
	}
	before := mustStat(t, copied).Mode()
	mustPut(t, r, "etc/lts.conf", "x", 0o600, true)
	mustPut(t, r, "etc/lts.conf", "y", 0o600, true)
	if data, err := os.ReadFile(copied); err != nil || string(data) != "x" || mustStat(t, copied).Mode() != before {
		t.Errorf("the copy is %q, %v, %v", data, mustStat(t, copied).Mode(), err)
	}
}

func TestPutReplacesRegularFilesOnly(t *testing.T) {
	t.Parallel()
	r := client(t, map[string]string{"etc/lts.conf/": "", "etc/loop": "->loop", "etc/up": "->../.."})
	if err := syscall.Mkfifo(filepath.Join(r.Path(), "etc/fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"etc/lts.conf": "it is a folder and not a regular file",
		"etc/fifo":     "it is a fifo and not a regular file",
		"etc/loop":     "too many levels of symbolic links",
		"etc/up":       "is a directory",
		"bin/sh/file":  "not a directory",
	} {
		changed, err := r.Put(name, []byte("x"), 0o644)
		if err == nil || changed || !strings.HasPrefix(err.Error(), "put "+filepath.Join(r.Path(), name)+": ") ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v", name, changed, err)
		}
		if _, err := r.Read(name); err == nil {
			t.Errorf("%s was read", name)
		}
	}
}

func TestPutStaysInside(t *testing.T) {
	t.Parallel()
	for name, files := range map[string]map[string]string{
		"etc is absolute":    {"etc": "->/etc.real", "etc.real/": "", "bin/sh": program},
		"ssh leads up":       {"etc/ssh": "->../../../../../../..", "bin/sh": program},
		"ssh leads outside":  {"etc/ssh": "->OUTSIDE", "bin/sh": program},
		"file leads outside": {"etc/ssh/ssh_known_hosts": "->OUTSIDE/file", "bin/sh": program},
		"file leads outside, up": {"etc/ssh/ssh_known_hosts": "->../../../../../../../../..OUTSIDE/file",
			"bin/sh": program},
		"temporary is a link": {"etc/ssh/.ltskeeper-ssh_known_hosts.tmp": "->OUTSIDE/file", "bin/sh": program},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outside := tree(t, map[string]string{"file": "precious"})
			for name, content := range files {
				files[name] = strings.Replace(content, "OUTSIDE", outside, 1)
			}
			before := snapshot(t, outside)
			r := mustOpen(t, tree(t, files))
			mustPut(t, r, "etc/ssh/ssh_known_hosts", "x", 0o644, true)
			if data, err := r.Read("etc/ssh/ssh_known_hosts"); err != nil || string(data) != "x" {
				t.Errorf("read %q, %v", data, err)
			}
			if after := snapshot(t, outside); !maps.Equal(before, after) {
				t.Errorf("before %v\nafter %v", before, after)
			}
		})
	}
}

// Whatever the tree looks like, Put changes at most the file that it is asked for, where the kernel
// finds it in that root.
func TestPutChangesNothingElse(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(seed, 2))
			all := t.TempDir()
			dir, outside := filepath.Join(all, "root"), filepath.Join(all, "outside")
			for _, name := range []string{dir, outside, filepath.Join(dir, "etc"), filepath.Join(dir, "bin")} {
				if err := os.Mkdir(name, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(
				os.WriteFile(filepath.Join(dir, "bin/sh"), []byte(program), 0o755),
				os.WriteFile(filepath.Join(outside, "a"), []byte("precious"), 0o644),
			); err != nil {
				t.Fatal(err)
			}
			tangle(t, rnd, dir, outside)
			r := mustOpen(t, dir)
			for i := range 30 {
				name := randomPath(rnd)
				backdate(t, all)
				before := snapshot(t, all)
				changed, err := r.Put(name, fmt.Append(nil, i), 0o644)
				after := snapshot(t, all)
				if err != nil || !changed {
					// Folders may have been made before it failed.
					continue
				}
				place, err := r.Resolve(name)
				if err != nil {
					t.Fatal(err)
				}
				for path := range after {
					rel, inside := strings.CutPrefix(path, "root/")
					way := inside && strings.HasPrefix(place+"/", rel+"/") || path == "root"
					if !way && before[path] != after[path] {
						t.Errorf("put %q at %s changed %s: %s, now %s", name, place, path, before[path], after[path])
					}
				}
				for path := range before {
					if _, ok := after[path]; !ok {
						t.Errorf("put %q at %s removed %s", name, place, path)
					}
				}
			}
		})
	}
}

// Somebody with rights inside the root swaps a folder for a link while Put is on its way through
// it.
func TestPutWhileItsFolderIsSwapped(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	r := client(t, map[string]string{"etc/ssh/": "", "etc/other": "->" + outside})
	ssh, other := filepath.Join(r.Path(), "etc/ssh"), filepath.Join(r.Path(), "etc/other")
	stop := make(chan struct{})
	var swaps sync.WaitGroup
	swaps.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				unix.Renameat2(unix.AT_FDCWD, ssh, unix.AT_FDCWD, other, unix.RENAME_EXCHANGE)
			}
		}
	})
	written := 0
	for i := range 200 {
		if changed, _ := r.Put("etc/ssh/ssh_known_hosts", fmt.Append(nil, i), 0o644); changed {
			written++
		}
	}
	close(stop)
	swaps.Wait()
	if entries, err := os.ReadDir(outside); err != nil || len(entries) > 0 {
		t.Errorf("outside there is %v, %v", entries, err)
	}
	if written == 0 {
		t.Error("nothing was ever written")
	}
}

func TestPutOnAFullDisk(t *testing.T) {
	t.Parallel()
	r := client(t, map[string]string{"etc/": ""})
	mountAt(t, "tmpfs", r.Path(), "tmpfs", 0, "size=64k")
	for _, name := range []string{"etc", "bin"} {
		if err := os.Mkdir(filepath.Join(r.Path(), name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(r.Path(), "bin/sh"), []byte(program), 0o755); err != nil {
		t.Fatal(err)
	}
	r = mustOpen(t, r.Path())
	mustPut(t, r, "etc/lts.conf", "old", 0o644, true)
	changed, err := r.Put("etc/lts.conf", make([]byte, 256<<10), 0o644)
	if changed || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("changed %v, %v", changed, err)
	}
	if data, err := r.Read("etc/lts.conf"); err != nil || string(data) != "old" {
		t.Errorf("read %q, %v", data, err)
	}
	if entries, err := os.ReadDir(filepath.Join(r.Path(), "etc")); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	r.Close() // so that it can be unmounted
}

func TestPutOnAFailingDisk(t *testing.T) {
	t.Parallel()
	r := client(t, map[string]string{"etc/lts.conf": "old"})
	disk := disktest.Failing(t, r.Path())
	r = mustOpen(t, r.Path())
	defer r.Close() // so that it can be unmounted
	for _, op := range []string{"read", "write", "sync", "rename"} {
		disk.FailAt(op, "etc/", syscall.EIO)
		changed, err := r.Put("etc/lts.conf", []byte("new"), 0o644)
		if changed || !errors.Is(err, syscall.EIO) ||
			!strings.Contains(err.Error(), filepath.Join(r.Path(), "etc/lts.conf")+": ") {
			t.Errorf("%s: changed %v, %v", op, changed, err)
		}
		disk.Mend()
		if data, err := r.Read("etc/lts.conf"); err != nil || string(data) != "old" {
			t.Errorf("%s: read %q, %v", op, data, err)
		}
		if entries, err := os.ReadDir(filepath.Join(r.Path(), "etc")); err != nil || len(entries) != 1 {
			t.Errorf("%s: left behind: %v, %v", op, entries, err)
		}
	}
	mustPut(t, r, "etc/lts.conf", "new", 0o644, true)
	disk.Fail(func(op, path string) syscall.Errno {
		if op == "sync" && path == "etc" {
			return syscall.EIO
		}
		return 0
	})
	if _, err := r.Put("etc/lts.conf", []byte("newer"), 0o644); !errors.Is(err, syscall.EIO) {
		t.Errorf("its folder is not synced: %v", err)
	}
}

func TestPutOnAReadOnlyMount(t *testing.T) {
	t.Parallel()
	dir := client(t, map[string]string{"etc/lts.conf": "old"}).Path()
	mountAt(t, dir, dir, "", unix.MS_BIND, "")
	mountAt(t, dir, dir, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, "")
	r := mustOpen(t, dir)
	mustPut(t, r, "etc/lts.conf", "old", 0o755, false)
	if changed, err := r.Put("etc/lts.conf", []byte("new"), 0o755); changed || !errors.Is(err, syscall.EROFS) {
		t.Errorf("changed %v, %v", changed, err)
	}
	if _, err := lock(t, r); err != nil {
		t.Error(err)
	}
	r.Close()
}

func TestPutOnAMountInside(t *testing.T) {
	t.Parallel()
	r := client(t, map[string]string{"etc/ssh/": ""})
	mountAt(t, "tmpfs", filepath.Join(r.Path(), "etc/ssh"), "tmpfs", 0, "")
	for _, name := range []string{"etc/ssh/ssh_known_hosts", "etc/ssh/deep/file"} {
		if changed, err := r.Put(name, []byte("x"), 0o644); changed || err == nil ||
			!strings.Contains(err.Error(), "another file system is mounted there") {
			t.Errorf("%s: changed %v, %v", name, changed, err)
		}
	}
	if entries, err := os.ReadDir(filepath.Join(r.Path(), "etc/ssh")); err != nil || len(entries) != 0 {
		t.Errorf("there is %v, %v", entries, err)
	}
}

func mountAt(t *testing.T, source, target, kind string, flags uintptr, data string) {
	t.Helper()
	testkit.NeedRoot(t)
	if err := unix.Mount(source, target, kind, flags, data); err != nil {
		t.Fatal(err)
	}
	if flags&unix.MS_REMOUNT == 0 {
		t.Cleanup(func() {
			if err := unix.Unmount(target, unix.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
	}
}

func mustPut(t *testing.T, r *Root, name, content string, perm fs.FileMode, changes bool) {
	t.Helper()
	changed, err := r.Put(name, []byte(content), perm)
	if err != nil {
		t.Fatal(err)
	}
	if changed != changes {
		t.Errorf("put %s: changed is %v, not %v", name, changed, changes)
	}
}

func mustStat(t *testing.T, path string) fs.FileInfo {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// snapshot describes everything below dir, by path.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		content, _ := os.Readlink(path)
		if info.Mode().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			content = string(data)
		}
		rel, err := filepath.Rel(dir, path)
		stat := info.Sys().(*syscall.Stat_t)
		all[rel] = fmt.Sprint(info.Mode(), stat.Ino, stat.Uid, stat.Gid, info.ModTime().Format(time.RFC3339Nano),
			content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
