package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ltskeeper/internal/mounts"
	"ltskeeper/internal/regular"

	"golang.org/x/sys/unix"
)

// ErrLocked is returned when another run holds the lock of the farm.
var ErrLocked = errors.New("another run of ltskeeper is at work on this farm")

// Lock takes the lock of the farm, or fails with ErrLocked if another run holds it. It makes the
// folder if it does not exist. The kernel gives the lock back when the process ends, however it
// ends.
func (f Folder) Lock() (release func(), err error) {
	if err := f.Ask(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(f.Path(), 0o755); err != nil {
		return nil, fmt.Errorf("make the state folder: %w", err)
	}
	path := f.join("lock")
	file, err := openLockFile(path)
	if regular.IsOdd(err) {
		err = fmt.Errorf("%w; remove it, and the next run makes another", err)
	}
	if err != nil {
		return nil, fmt.Errorf("take the lock: %w", err)
	}
	switch err := requestLock(file, unix.LOCK_EX|unix.LOCK_NB); {
	case err == nil:
	case errors.Is(err, unix.EWOULDBLOCK):
		return nil, fmt.Errorf("%w%s (lock %s); try again when it is done", ErrLocked, describeHolder(path), path)
	case errors.Is(err, unix.ENOLCK), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EOPNOTSUPP),
		errors.Is(err, unix.EINVAL):
		return nil, fmt.Errorf("take the lock %s: %w: this file system cannot lock files; "+
			"move the state to one that can (state = in the declaration)", path, err)
	default:
		return nil, fmt.Errorf("take the lock %s: %w", path, err)
	}
	return func() {
		// Closing alone would leave it to a child process that has not come to its exec yet.
		if requestLock(file, unix.LOCK_UN) == nil {
			file.Close()
		}
	}, nil
}

// openLockFile opens the lock file for its owner alone: anybody who can open it can hold it, and
// keep all runs waiting. No other file changes its mode for that, whatever link leads to it.
func openLockFile(path string) (*os.File, error) {
	f, err := regular.OpenOwn(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err = unix.Fstat(int(f.Fd()), &st); err == nil && st.Mode&0o7777 != 0o600 {
		if st.Nlink > 1 {
			err = fmt.Errorf("%s has another name, and its mode is %o and not 600: "+
				"remove it, and the next run makes another", path, st.Mode&0o7777)
		} else {
			err = f.Chmod(0o600)
		}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// requestLock calls flock, and closes the file if that fails. The error is mounts.ErrSilent if
// there is no answer in time.
func requestLock(f *os.File, how int) error {
	answer, gaveUp := make(chan error), make(chan struct{})
	go func() { // as long as it takes: nothing ends it but an answer, or the end of the process
		err := unix.Flock(int(f.Fd()), how)
		select {
		case answer <- err:
		case <-gaveUp:
			f.Close() // which gives back what nobody waits for any more
		}
	}()
	select {
	case err := <-answer:
		if err != nil {
			f.Close()
		}
		return err
	case <-time.After(mounts.Patience):
		close(gaveUp)
		return mounts.ErrSilent
	}
}

// describeHolder names the process that holds the lock, if the kernel tells: ": process 1234,
// ltskeeper update-image".
func describeHolder(path string) string {
	var st unix.Stat_t
	table, err := os.ReadFile("/proc/locks")
	if err != nil || unix.Stat(path, &st) != nil {
		return ""
	}
	file := fmt.Sprintf("%02x:%02x:%d", unix.Major(uint64(st.Dev)), unix.Minor(uint64(st.Dev)), st.Ino)
	for line := range strings.Lines(string(table)) { // 1: FLOCK ADVISORY WRITE 1234 fe:00:5678 0 EOF
		fields := strings.Fields(line)
		if len(fields) < 6 || fields[1] != "FLOCK" || fields[5] != file {
			continue
		}
		words, err := os.ReadFile(filepath.Join("/proc", fields[4], "cmdline"))
		command := strings.TrimSpace(strings.ReplaceAll(string(words), "\x00", " "))
		switch {
		case err != nil:
			return ": process " + fields[4]
		case command == "": // it was killed, and the kernel has not taken it apart yet
			return ": process " + fields[4] + ", which is about to end"
		}
		return ": process " + fields[4] + ", " + command
	}
	return ""
}
