package update

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"ltskeeper/farm"

	"golang.org/x/sys/unix"
)

// ErrLocked means that another run holds the lock of the farm.
var ErrLocked = errors.New("another run of ltskeeper is at work on this farm")

// begin takes the lock of a farm and reads its declaration again, because it may have changed while nobody held the lock.
func begin(f *farm.Farm) (now *farm.Farm, release func(), err error) {
	release, err = lock(f.State)
	if err != nil {
		return nil, nil, err
	}
	if now, err = farm.Load(f.Path); err != nil {
		release()
		return nil, nil, err
	}
	return now, release, nil
}

// lock takes the lock of the farm whose state is at dir, or fails at once with ErrLocked. The kernel gives
// it back when the process ends, however it ends.
func lock(dir string) (release func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the state folder: %w", err)
	}
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("take the lock: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w (lock %s)", ErrLocked, path)
		}
		return nil, fmt.Errorf("take the lock %s: %w", path, err)
	}
	return func() {
		// Closing alone would leave it to a child process that has not come to its exec yet.
		unix.Flock(int(f.Fd()), unix.LOCK_UN)
		f.Close()
	}, nil
}
