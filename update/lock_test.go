package update

import (
	"errors"
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
