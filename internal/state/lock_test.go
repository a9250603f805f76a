package state

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ltskeeper/internal/mounts"
	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/disktest"
	"ltskeeper/internal/testkit/oddtest"
)

func TestOnlyOneRunAtATime(t *testing.T) {
	t.Parallel()
	folder := Folder(filepath.Join(t.TempDir(), "not", "there", "yet"))
	release, err := folder.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := folder.Lock(); !errors.Is(err, ErrLocked) {
		t.Fatalf("second lock: %v, want ErrLocked", err)
	}
	release()
	release, err = folder.Lock()
	if err != nil {
		t.Fatalf("lock after release: %v", err)
	}
	release()
}

// Whoever can open the lock can hold it.
func TestNobodyElseCanHoldTheLock(t *testing.T) {
	t.Parallel()
	folder := Folder(t.TempDir())
	path := filepath.Join(folder.Path(), "lock")
	if err := os.WriteFile(path, nil, 0o644); err != nil { // as earlier versions made it
		t.Fatal(err)
	}
	release, err := folder.Lock()
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("the lock's mode is %v, %v", info.Mode(), err)
	}
}

// A lock that is not to be had from a file server is not waited for for ever, and what is asked for
// again is not kept.
func TestLockOnAFileServer(t *testing.T) {
	t.Parallel()
	folder := Folder(t.TempDir())
	testkit.Must(t, os.WriteFile(filepath.Join(folder.Path(), "lock"), nil, 0o600))
	disk := disktest.Faked(t, folder.Path())
	disk.Set("lock", disktest.Fake{LockHangs: true})
	_, err := lockInTime(t, folder)
	if !errors.Is(err, mounts.ErrSilent) || !strings.Contains(err.Error(), filepath.Join(folder.Path(), "lock")) {
		t.Error(err)
	}
	disk.Set("lock", disktest.Fake{Lock: syscall.ENOLCK})
	_, err = lockInTime(t, folder)
	if !errors.Is(err, syscall.ENOLCK) ||
		!strings.Contains(err.Error(), "cannot lock files; move the state to one that can") {
		t.Error(err)
	}
	disk.Mend()
	for range 2 {
		release, err := lockInTime(t, folder)
		testkit.Must(t, err)
		release()
	}
}

// A folder that does not answer is neither locked nor swept, and nobody waits for it.
func TestSilentFolder(t *testing.T) {
	t.Parallel()
	folder := Folder(t.TempDir())
	disktest.Silent(t, folder.Path())
	_, err := lockInTime(t, folder)
	for _, err := range []error{err, folder.Ask(), folder.Sweep()} {
		if !errors.Is(err, mounts.ErrSilent) || !strings.Contains(err.Error(), folder.Path()) {
			t.Error(err)
		}
	}
}

// In the lock's place: an error that names it and says what to do, in no time.
func TestOddLocks(t *testing.T) {
	oddtest.Each(t, func(t *testing.T, thing oddtest.Thing) {
		folder := Folder(t.TempDir())
		path := filepath.Join(folder.Path(), "lock")
		thing.Replace(t, path)
		if thing.Name == "900 GB" {
			return // nothing of it is read
		}
		_, err := folder.Lock()
		if err == nil || !strings.Contains(err.Error(), path) ||
			!strings.Contains(err.Error(), "; remove it, and the next run makes another") {
			t.Error(err)
		}
	})
}

// Whatever the lock is a link to keeps its mode, its content and its peace.
func TestTheLockIsNoLink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	folder := Folder(filepath.Join(dir, "state"))
	lockPath, precious := filepath.Join(folder.Path(), "lock"), filepath.Join(dir, "precious")
	testkit.Must(t, os.WriteFile(precious, []byte("content"), 0o644))
	testkit.Must(t, os.Mkdir(folder.Path(), 0o755))
	check := func(how, want string) {
		t.Helper()
		_, err := folder.Lock()
		if err == nil || !strings.Contains(err.Error(), lockPath) || !strings.Contains(err.Error(), want) ||
			errors.Is(err, ErrLocked) {
			t.Errorf("%s: %v", how, err)
		}
		info, err := os.Stat(precious)
		testkit.Must(t, err)
		content, err := os.ReadFile(precious)
		testkit.Must(t, err)
		if info.Mode() != 0o644 || string(content) != "content" {
			t.Errorf("%s: %v", how, info.Mode())
		}
		testkit.Must(t, os.Remove(lockPath))
	}
	lock := func() {
		t.Helper()
		release, err := folder.Lock()
		testkit.Must(t, err)
		release()
	}
	testkit.Must(t, os.Symlink("../precious", lockPath))
	check("a link", "it is a symbolic link and not a regular file; remove it, and the next run makes another")
	testkit.Must(t, os.Link(precious, lockPath))
	check("a second name",
		"has another name, and its mode is 644 and not 600: remove it, and the next run makes another")
	testkit.Must(t, os.Symlink("../made", lockPath))
	check("a link to nowhere", "it is a symbolic link")
	if _, err := os.Lstat(filepath.Join(dir, "made")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the file was made that a link names")
	}
	lock()

	// A copy by hard links, as some backups are, is in nobody's way.
	testkit.Must(t, os.Link(lockPath, filepath.Join(dir, "copy")))
	lock()
}

// lockInTime fails the test if Lock waits for what never comes.
func lockInTime(t *testing.T, folder Folder) (release func(), err error) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		release, err = folder.Lock()
	}()
	select {
	case <-done:
		return release, err
	case <-time.After(2 * time.Minute):
		t.Fatal("it waits for a file system that does not answer")
		panic("unreachable")
	}
}
