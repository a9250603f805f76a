package chroot

import (
	"context"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// lockFiles is the locks of the package managers. dpkg's come in the order in
// which apt takes them.
var lockFiles = []struct {
	name string
	// take locks the open file for readers, which keeps every writer out and
	// asks for no permission to write. Without it nothing can be locked: the
	// package manager is at work as long as the file is there.
	take    func(*os.File) error
	manager string
}{
	{"var/lib/dpkg/lock-frontend", recordLock, "dpkg"},
	{"var/lib/dpkg/lock", recordLock, "dpkg"},
	{"var/lib/apt/lists/lock", recordLock, "apt"},
	{"var/cache/apt/archives/lock", recordLock, "apt"},
	{"var/lib/rpm/.rpm.lock", recordLock, "rpm"},
	{"usr/lib/sysimage/rpm/.rpm.lock", recordLock, "rpm"},
	{"run/apk/db.lock", fileLock, "apk"},
	{"lib/apk/db/lock", fileLock, "apk"},
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

// Lock keeps the package managers that the root has (dpkg, apt, rpm, apk) from
// changing it until release is called. It waits as long as patience for one that
// is at work already, pacman included, and then returns a *HeldError. If ctx ends
// first, the error is that and the cause of ctx. Lock files are neither made
// nor changed. Calling release again does nothing.
func (r *Root) Lock(ctx context.Context, patience time.Duration) (release func(), err error) {
	deadline := time.Now().Add(patience)
	for {
		release, err := r.tryLock()
		held, ok := err.(*HeldError)
		if !ok || time.Now().After(deadline) {
			return release, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", held, context.Cause(ctx))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// tryLock takes every lock, or none.
func (r *Root) tryLock() (release func(), err error) {
	var files []*os.File
	release = sync.OnceFunc(func() {
		for _, f := range files {
			f.Close()
		}
	})
	for _, lock := range lockFiles {
		f, err := r.openLock(lock.name)
		if isMissing(err) {
			continue
		}
		if err != nil {
			release()
			return nil, fmt.Errorf("lock %s: %w", r.at(lock.name), bare(err))
		}
		files = append(files, f)
		if lock.take == nil {
			release()
			return nil, &HeldError{File: r.at(lock.name), Process: lock.manager}
		}
		if err := lock.take(f); err == unix.EAGAIN || err == unix.EACCES {
			held := &HeldError{File: r.at(lock.name), Process: lock.manager}
			held.name(f)
			release()
			return nil, held
		} else if err != nil {
			release()
			return nil, fmt.Errorf("lock %s: %w", r.at(lock.name), err)
		}
	}
	return release, nil
}

func (r *Root) openLock(name string) (*os.File, error) {
	place, err := r.resolve(name)
	if err != nil {
		return nil, err
	}
	return openRegular(r.root, place)
}

// recordLock locks the whole file as dpkg, apt and rpm do, with fcntl. An open
// file description owns the lock, and not the process: else it would be lost
// as soon as any part of the process closed the file.
func recordLock(f *os.File) error {
	return control(f, func(fd uintptr) error {
		return unix.FcntlFlock(fd, unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_RDLCK})
	})
}

// fileLock locks the file as apk does, with flock.
func fileLock(f *os.File) error {
	return control(f, func(fd uintptr) error {
		return unix.Flock(int(fd), unix.LOCK_SH|unix.LOCK_NB)
	})
}

// name fills in which process holds the lock of f, as far as the kernel tells:
// it does for record locks that belong to a process.
func (e *HeldError) name(f *os.File) {
	lock := unix.Flock_t{Type: unix.F_RDLCK}
	err := control(f, func(fd uintptr) error {
		return unix.FcntlFlock(fd, unix.F_OFD_GETLK, &lock)
	})
	if err != nil || lock.Type == unix.F_UNLCK || lock.Pid <= 0 {
		return
	}
	comm, err := os.ReadFile(path.Join("/proc", strconv.Itoa(int(lock.Pid)), "comm"))
	if err != nil {
		return
	}
	e.PID = int(lock.Pid)
	e.Process = strings.TrimSpace(string(comm))
}

// control calls do with the descriptor of f.
func control(f *os.File, do func(fd uintptr) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	if err := conn.Control(func(fd uintptr) { result = do(fd) }); err != nil {
		return err
	}
	return result
}
