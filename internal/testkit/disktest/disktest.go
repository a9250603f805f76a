// Package disktest mounts file systems for tests, including some that fail or lie like broken disks
// and servers. Each is unmounted when its test ends.
package disktest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"ltskeeper/internal/testkit"

	"golang.org/x/sys/unix"
)

// mount mounts something at a file, or at a folder, which it makes if need be.
func mount(t *testing.T, source, dir, kind string, flags uintptr, options string) {
	t.Helper()
	if _, err := os.Lstat(dir); err != nil {
		testkit.Need(t, os.MkdirAll(dir, 0o755))
	}
	if err := unix.Mount(source, dir, kind, flags, options); err != nil {
		testkit.Need(t, fmt.Errorf("mount %s at %s: %w", kind, dir, err))
	}
	unmountAtEnd(t, dir)
}

func unmountAtEnd(t *testing.T, dir string) {
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
}

// Silent mounts a file system that never answers.
func Silent(t *testing.T, dir string) {
	t.Helper()
	fuse, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		testkit.Need(t, fmt.Errorf("open /dev/fuse: %w", err))
	}
	t.Cleanup(func() { unix.Close(fuse) }) // and who waits for it gets an error
	mount(t, "disktest", dir, "fuse", unix.MS_NOSUID|unix.MS_NODEV,
		fmt.Sprintf("fd=%d,rootmode=%o,user_id=0,group_id=0", fuse, unix.S_IFDIR))
}

// Small mounts a file system in memory that Fill fills quickly.
func Small(t *testing.T, dir string) {
	t.Helper()
	mount(t, "small", dir, "tmpfs", 0, "size=1m,nr_inodes=100")
}

// Fill leaves no byte and no inode in the file system of dir until mend is called.
func Fill(t *testing.T, dir string) (mend func()) {
	t.Helper()
	ballast := filepath.Join(dir, "ballast")
	if err := os.Mkdir(ballast, 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(ballast, "bytes"))
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	f.Close()
	for n := 0; errors.Is(err, unix.ENOSPC); n++ {
		if err = unix.Mknod(filepath.Join(ballast, fmt.Sprint(n)), unix.S_IFREG, 0); errors.Is(err, unix.ENOSPC) {
			return func() {
				if err := os.RemoveAll(ballast); err != nil {
					t.Fatal(err)
				}
			}
		} else if err == nil {
			err = unix.ENOSPC
		}
	}
	t.Fatal(err)
	return nil
}

// ReadOnly lets nobody write below dir until mend is called.
func ReadOnly(t *testing.T, dir string) (mend func()) {
	t.Helper()
	mount(t, dir, dir, "", unix.MS_BIND, "")
	testkit.Need(t, unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""))
	return func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Fatal(err)
		}
	}
}
