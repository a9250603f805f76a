package update

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"ltskeeper/internal/disktest"
	"ltskeeper/internal/mounts"
)

func TestOnlyOneRunAtATime(t *testing.T) {
	t.Parallel()
	state := filepath.Join(t.TempDir(), "not", "there", "yet")
	release, err := lock(state)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock(state); !errors.Is(err, ErrLocked) {
		t.Fatalf("second lock: %v, want ErrLocked", err)
	}
	release()
	release, err = lock(state)
	if err != nil {
		t.Fatalf("lock after release: %v", err)
	}
	release()
}

// Whoever can open the lock can hold it.
func TestNobodyElseCanHoldTheLock(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	path := filepath.Join(state, "lock")
	if err := os.WriteFile(path, nil, 0o644); err != nil { // as earlier versions made it
		t.Fatal(err)
	}
	release, err := lock(state)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("the lock's mode is %v, %v", info.Mode(), err)
	}
}

// A lock that is not to be had from a file server is not waited for for ever, and what is asked for again is not kept.
func TestLockOnAFileServer(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	must(t, os.WriteFile(filepath.Join(state, "lock"), nil, 0o600))
	disk := disktest.Faked(t, state)
	take := func() (func(), error) { return bounded(t, func() (func(), error) { return lock(state) }) }
	disk.Set("lock", disktest.Fake{LockHangs: true})
	_, err := take()
	if !errors.Is(err, mounts.ErrSilent) {
		t.Error(err)
	}
	wantContains(t, "the error", err.Error(), filepath.Join(state, "lock"))
	disk.Set("lock", disktest.Fake{Lock: syscall.ENOLCK})
	_, err = take()
	if !errors.Is(err, syscall.ENOLCK) {
		t.Error(err)
	}
	wantContains(t, "the error", err.Error(), "cannot lock files; move the state to one that can")
	disk.Mend()
	for range 2 {
		release, err := take()
		must(t, err)
		release()
	}
}
