package image

import (
	"path/filepath"
	"testing"
	"time"

	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/disktest"

	"golang.org/x/sys/unix"
)

// Who holds something open on a dead server keeps no run waiting that wants to know which images
// are in use.
func TestInUseSilent(t *testing.T) {
	t.Parallel()
	silent := filepath.Join(t.TempDir(), "silent")
	disktest.Silent(t, silent)
	fd, err := unix.Open(silent, unix.O_PATH|unix.O_CLOEXEC, 0)
	testkit.Must(t, err)
	defer unix.Close(fd)
	done := make(chan bool)
	go func() {
		listFilesInUse()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("it waits for a file system that does not answer")
	}
}
