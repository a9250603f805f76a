// Package disktest mounts file systems for tests that fail as disks and servers do. Each is gone when its test ends.
package disktest

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// need skips a test where nothing can be mounted, and fails it where all must run.
func need(t *testing.T, err error) {
	t.Helper()
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatal(err)
	default:
		t.Skip(err)
	}
}

// mount mounts something at a folder, which it makes if need be.
func mount(t *testing.T, source, dir, kind string, flags uintptr, options string) {
	t.Helper()
	need(t, os.MkdirAll(dir, 0o755))
	if err := unix.Mount(source, dir, kind, flags, options); err != nil {
		need(t, fmt.Errorf("mount %s at %s: %w", kind, dir, err))
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
}

// Silent mounts a file system that never answers.
func Silent(t *testing.T, dir string) {
	t.Helper()
	fuse, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		need(t, fmt.Errorf("open /dev/fuse: %w", err))
	}
	t.Cleanup(func() { unix.Close(fuse) }) // and who waits for it gets an error
	mount(t, "silent", dir, "fuse", unix.MS_NOSUID|unix.MS_NODEV, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", fuse))
}
