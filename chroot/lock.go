package chroot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"ltskeeper/internal/regular"
	"ltskeeper/internal/remedy"

	"golang.org/x/sys/unix"
)

// lockFiles are the locks of the package managers. dpkg's come in the order in which apt takes
// them.
var lockFiles = []struct {
	name string
	// take locks the open file for readers, which keeps every writer out and needs no permission to
	// write. If it is nil, nothing can be locked: the package manager is at work while the file
	// exists.
	take    func(*os.File) error
	manager string
}{
	{"var/lib/dpkg/lock-frontend", setRecordLock, "dpkg"},
	{"var/lib/dpkg/lock", setRecordLock, "dpkg"},
	{"var/lib/apt/lists/lock", setRecordLock, "apt"},
	{"var/cache/apt/archives/lock", setRecordLock, "apt"},
	{"var/lib/rpm/.rpm.lock", setRecordLock, "rpm"},
	{"usr/lib/sysimage/rpm/.rpm.lock", setRecordLock, "rpm"},
	{"run/apk/db.lock", setFileLock, "apk"},
	{"lib/apk/db/lock", setFileLock, "apk"},
	{"var/lib/pacman/db.lck", nil, "pacman"},
}

// A HeldError says that a package manager is at work in a root.
type HeldError struct {
	File    string // the path of its lock file
	Process string // what runs, or the package manager that the lock is for
	PID     int    // 0 if not known
}

func (e *HeldError) Error() string {
	if e.PID > 0 {
		return fmt.Sprintf("lock %s: %s (process %d) holds it; try again when it is done", e.File, e.Process, e.PID)
	}
	return fmt.Sprintf("lock %s: %s holds it; try again when it is done", e.File, e.Process)
}

// A SilentError says that the file system of a lock file does not answer.
type SilentError struct {
	File string // the path of the lock file, or of the root if it is not known which file it is
}

func (e *SilentError) Error() string {
	return fmt.Sprintf("lock %s: its file system does not answer", e.File)
}

// Remedy returns what a person can do about it.
func (e *SilentError) Remedy() remedy.Remedy {
	return remedy.Advice("bring back the file server that the chroot is on, and its lock service (findmnt -T " +
		e.File + " names it; for NFS before version 4, rpcinfo -p SERVER must list nlockmgr); then run it again")
}

// An UnlockableError says that the file system of a lock file cannot lock files at all.
type UnlockableError struct {
	File    string // the path of the lock file
	Manager string // the package manager that the lock is for
	Errno   syscall.Errno
}

func (e *UnlockableError) Error() string { return fmt.Sprintf("lock %s: %v", e.File, e.Errno) }

func (e *UnlockableError) Unwrap() error { return e.Errno }

// ErrLost means that locks were held and no longer are.
var ErrLost = errors.New("the package managers of the root are no longer kept out")

// Locks keep package managers out of a root.
type Locks struct {
	// Unlockable are the lock files whose file systems cannot lock. Nothing keeps those package
	// managers out.
	Unlockable []*UnlockableError

	check   func() error
	release func()
}

// Check fails with ErrLost if the locks are no longer held, because the process that held them was
// killed.
func (l *Locks) Check() error {
	if err := l.check(); err != nil {
		return fmt.Errorf("%w: %w", ErrLost, err)
	}
	return nil
}

// Release releases the locks. Calling it again does nothing.
func (l *Locks) Release() { l.release() }

// Lock keeps the package managers that the root has (dpkg, apt, rpm, apk) from changing it until
// the locks are released. It waits up to patience for one that is at work already, including
// pacman, and then returns a *HeldError. If ctx ends first, the error is that and the cause of ctx.
// Lock files are neither made nor changed.
//
// A file system that cannot lock is not an error: its package managers cannot lock there either.
// One that does not answer for ten seconds is a *SilentError.
func (l *Locker) Lock(ctx context.Context, root *Root, patience time.Duration) (*Locks, error) {
	deadline := time.Now().Add(patience)
	for {
		locks, err := l.lockOnce(ctx, root)
		held, ok := err.(*HeldError)
		if !ok || time.Now().After(deadline) {
			return locks, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", held, context.Cause(ctx))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (r *Root) openLock(name string) (*os.File, error) {
	place, err := r.findPlace(name)
	if err != nil {
		return nil, err
	}
	return regular.OpenIn(r.root, place)
}

// setRecordLock locks the whole file as dpkg, apt and rpm do, with fcntl. An open file description
// owns the lock, and not the process, which would lose it when any part of it closed the file.
func setRecordLock(f *os.File) error {
	return unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_RDLCK})
}

// setFileLock locks the file as apk does, with flock.
func setFileLock(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) }

// setHolder fills in which process holds the lock of f, if the kernel tells: it does for record
// locks that belong to a process.
func (e *HeldError) setHolder(f *os.File) {
	lock := unix.Flock_t{Type: unix.F_RDLCK}
	err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &lock)
	if err != nil || lock.Type == unix.F_UNLCK || lock.Pid <= 0 {
		return
	}
	comm, err := os.ReadFile(path.Join("/proc", strconv.Itoa(int(lock.Pid)), "comm"))
	if err != nil {
		return
	}
	e.PID, e.Process = int(lock.Pid), strings.TrimSpace(string(comm))
}

// retryInterrupted repeats take while signals interrupt it.
func retryInterrupted(f *os.File, take func(*os.File) error) error {
	for {
		if err := take(f); err != unix.EINTR {
			return err
		}
	}
}

// isUnlockable reports whether a lock call failed because the file system cannot lock files: NFS
// without a lock service (ENOLCK), Lustre and FUSE without locks (ENOSYS, EOPNOTSUPP), others as
// POSIX has it (EINVAL).
func isUnlockable(err error) bool {
	return slices.Contains([]error{unix.ENOLCK, unix.ENOSYS, unix.EOPNOTSUPP, unix.EINVAL}, err)
}
