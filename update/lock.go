package update

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ltskeeper/farm"
	"ltskeeper/internal/durable"
	"ltskeeper/internal/mounts"
	"ltskeeper/internal/regular"

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
	if now, err = farm.Load(f.Path); err == nil {
		err = sweep(now)
	}
	if err != nil {
		release()
		return nil, nil, err
	}
	return now, release, nil
}

// sweep removes what killed runs have left of files beside the declaration, in the state and in LTSP's folder. The key
// store, chroots and images see to their own.
func sweep(f *farm.Farm) error {
	folders := []string{f.State, f.Dir, f.ServersDir(), adoptedFolder(f)}
	if f.LTSP.KnownHosts != "" {
		folders = append(folders, filepath.Dir(f.LTSP.KnownHosts))
	}
	if err := mounts.Ask(mounts.Patience, folders...); err != nil {
		return err
	}
	for _, folder := range folders {
		if err := durable.Sweep(folder); err != nil {
			return fmt.Errorf("remove what an unfinished run left: %w", err)
		}
	}
	return nil
}

// lock takes the lock of the farm whose state is at dir, or fails at once with ErrLocked. The kernel gives
// it back when the process ends, however it ends.
func lock(dir string) (release func(), err error) {
	if err := mounts.Ask(mounts.Patience, dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the state folder: %w", err)
	}
	path := filepath.Join(dir, "lock")
	f, err := openLock(path)
	if regular.IsOdd(err) {
		err = fmt.Errorf("%w; remove it, and the next run makes another", err)
	}
	if err != nil {
		return nil, fmt.Errorf("take the lock: %w", err)
	}
	switch err := askForLock(f, unix.LOCK_EX|unix.LOCK_NB); {
	case err == nil:
	case errors.Is(err, unix.EWOULDBLOCK):
		return nil, fmt.Errorf("%w%s (lock %s); try again when it is done", ErrLocked, holder(path), path)
	case errors.Is(err, unix.ENOLCK), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EINVAL):
		return nil, fmt.Errorf("take the lock %s: %w: this file system cannot lock files; move the state to one that can (state = in the declaration)", path, err)
	default:
		return nil, fmt.Errorf("take the lock %s: %w", path, err)
	}
	return func() {
		// Closing alone would leave it to a child process that has not come to its exec yet.
		if askForLock(f, unix.LOCK_UN) == nil {
			f.Close()
		}
	}, nil
}

// openLock opens the lock file for nobody but its owner: whoever may open it could hold it, and keep all runs waiting. No
// other file changes its mode for that, whatever link leads to it.
func openLock(path string) (*os.File, error) {
	f, err := regular.OpenOwn(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err = unix.Fstat(int(f.Fd()), &st); err == nil && st.Mode&0o7777 != 0o600 {
		if st.Nlink > 1 {
			err = fmt.Errorf("%s has another name, and its mode is %o and not 600: remove it, and the next run makes another", path, st.Mode&0o7777)
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

// askForLock calls flock, and closes the file if that fails. The error is mounts.ErrSilent if there is no answer in time.
func askForLock(f *os.File, how int) error {
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

// holder names the process that has the lock, as far as the kernel tells: ": process 1234, ltskeeper update-image".
func holder(path string) string {
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
		if err != nil {
			return ": process " + fields[4]
		}
		return ": process " + fields[4] + ", " + strings.TrimSpace(strings.ReplaceAll(string(words), "\x00", " "))
	}
	return ""
}
