package doctor

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ltskeeper/chroot"
	"ltskeeper/internal/mounts"
	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/disktest"

	"golang.org/x/sys/unix"
)

// A chroot on a file system that is dead keeps nobody waiting, and the rest is looked at.
func TestSilentChroot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	disktest.Silent(t, w.root)
	testkit.Must(w, w.sshd["app01"].ChangeKeys())
	done := make(chan *Report, 1)
	go func() {
		r, err := examineOn(w.Context(), w.machine, w.Path("ltskeeper.toml"), nil)
		if err != nil {
			t.Error(err)
		}
		done <- r
	}()
	select {
	case r := <-done:
		if found := strings.Join(ids(r.Findings), " "); found != "key-changed no-image" {
			t.Errorf("%s: %+v", found, r.Findings)
		}
		for _, f := range r.Findings {
			if f.Check == "no-image" && !strings.Contains(f.Message, "client: its file system does not answer") {
				t.Error(f.Message)
			}
		}
	case <-time.After(time.Minute):
		t.Fatal("it waits for the chroot")
	}
}

// Without what is on record there is nothing to look at.
func TestSilentState(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	disktest.Silent(t, w.Path("state"))
	done := make(chan error, 1)
	go func() {
		_, err := examineOn(w.Context(), w.machine, w.Path("ltskeeper.toml"), nil)
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil || !strings.Contains(err.Error(), "state: its file system does not answer") {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("it waits for the state")
	}
}

// A full disk is told before there is a first image, too.
func TestNoSpaceForAFirstImage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.remove("images")
	w.remove("tftp")
	testkit.Must(w, os.Mkdir(w.Path("images"), 0o755))
	testkit.Must(w, os.Mkdir(w.Path("tftp"), 0o755))
	w.machine.Statfs = func(path string) (unix.Statfs_t, error) {
		return unix.Statfs_t{Bavail: 24, Bsize: 1 << 20}, nil // enough for one of the two folders
	}
	if found := strings.Join(ids(w.examine().Findings), " "); !strings.Contains(found, "no-space") {
		t.Error(found)
	}
}

// What is mounted in a tree is not its own, unless it is taken into the image: /proc, while
// somebody works in it, holds files without a size that means anything, and a server may be dead
// whose files no image holds.
func TestTreeSizeLeavesMountsAlone(t *testing.T) {
	t.Parallel()
	tree := t.TempDir()
	for _, name := range []string{"one", "sub/two", "proc/three", "usr/four"} {
		path := filepath.Join(tree, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755),
			os.WriteFile(path, make([]byte, 100), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(tree, link); err != nil {
		t.Fatal(err)
	}
	disktest.ReadOnly(t, filepath.Join(tree, "proc"))
	disktest.ReadOnly(t, filepath.Join(tree, "usr"))
	taken := []chroot.Mount{{Mount: mounts.Mount{Path: "usr"}, IsTaken: true}, {Mount: mounts.Mount{Path: "proc"}}}
	disktest.Silent(t, filepath.Join(tree, "home"))
	done := make(chan int64, 1)
	go func() { done <- sumTree(t.Context(), link, taken) }()
	select {
	case sum := <-done:
		if sum != 300 {
			t.Errorf("%d bytes, want 300", sum)
		}
	case <-time.After(time.Minute):
		t.Fatal("it waits for what is mounted")
	}
}
