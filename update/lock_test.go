package update

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
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
