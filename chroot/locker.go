package chroot

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// lockerName is the name of the process that takes locks, also in ps. No shell starts a program by
// such a name.
const lockerName = "ltskeeper: locks of package managers"

// Every program that can start such a process, including tests, becomes one here, because it is the
// same program. A program that had to call something first, and forgot, would start itself again
// and again.
func init() {
	if len(os.Args) == 1 && os.Args[0] == lockerName {
		serveLocks()
		os.Exit(0)
	}
}

const (
	// silence is how long file systems may take to open and lock the lock files of a root.
	silence = 10 * time.Second
	// slowness is the time after which the process reports that it waits for one of them.
	slowness = 2 * time.Second
	// mercy is how long the process may take to end by itself.
	mercy = time.Second
)

// A Locker takes the locks of package managers, of one root at a time.
//
// It does so in a process of its own. A lock call to a file server that is gone never returns, and
// often cannot be interrupted. The process inherits nothing but pipes. If it is left behind, it
// does not keep a lock of this process, and readers of this process's output do not wait for it.
type Locker struct {
	process *lockProcess // nil if it could not be started yet
	silence time.Duration
}

// NewLocker starts the process. It takes some milliseconds to be ready, for which only the first
// Lock waits. What is opened after NewLocker is never open in the process, not even while it
// starts.
func NewLocker() *Locker {
	l := &Locker{silence: silence}
	l.process, _ = startLockProcess() // otherwise Lock says why
	return l
}

// Close ends the process, which releases its locks.
func (l *Locker) Close() {
	if l.process != nil {
		l.process.end()
	}
}

// lockOnce takes every lock, or none.
func (l *Locker) lockOnce(ctx context.Context, root *Root) (*Locks, error) {
	if l.process == nil || l.process.checkRuns() != nil {
		process, err := startLockProcess()
		if err != nil {
			return nil, fmt.Errorf("start the process that locks %s: %w", root.path, err)
		}
		l.process = process
	}
	p := l.process
	result, err := p.requestLocks(ctx, root.path, l.silence)
	if err != nil {
		return nil, err
	}
	switch {
	case result.Held != nil:
		return nil, result.Held
	case result.Failed != nil:
		return nil, result.Failed.restore()
	}
	return &Locks{
		Unlockable: result.Unlockable,
		check:      func() error { return p.ask(lockOrder{}, l.silence) },
		release:    sync.OnceFunc(func() { p.ask(lockOrder{Release: true}, l.silence) }),
	}, nil
}

// A lockOrder tells the process what to do. If it is empty, the process only answers.
type lockOrder struct {
	Take    string // the path of a root whose locks are to be taken
	Release bool   // what is held
}

// A lockReport is the result of an order. If Slow is set, it is what the order waits for, and if
// Ends is set, the last report of the process.
type lockReport struct {
	Slow       string             // the path of a file
	Unlockable []*UnlockableError // of locks that are taken
	Held       *HeldError
	Failed     *lockFailure
	Ends       bool // all locks are released
}

// A lockFailure is an error on its way from the process.
type lockFailure struct {
	File  string
	Text  string
	Errno syscall.Errno // 0 if it is not a system's error
}

func (f *lockFailure) restore() error {
	if f.Errno != 0 {
		return fmt.Errorf("lock %s: %w", f.File, f.Errno)
	}
	return fmt.Errorf("lock %s: %s", f.File, f.Text)
}

// A lockProcess is the other end: a process that serves locks.
type lockProcess struct {
	cmd       *exec.Cmd
	orders    *os.File
	reports   chan lockReport // closed when the process has ended
	ended     chan struct{}   // closed before that
	cause     error           // why it ended
	free      chan struct{}   // closed when it holds nothing
	abandoned chan struct{}   // closed when reports are not read any more
	abandon   func()
}

func startLockProcess() (*lockProcess, error) {
	stdin, orders, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer stdin.Close()
	out, stdout, err := os.Pipe()
	if err != nil {
		orders.Close()
		return nil, err
	}
	defer stdout.Close()
	p := &lockProcess{
		// The program's file may have been replaced since it was started.
		cmd: &exec.Cmd{
			Path: "/proc/self/exe", Args: []string{lockerName}, Dir: "/",
			Stdin: stdin, Stdout: stdout, Stderr: stdout,
			// Ctrl-C in a terminal is for this process alone, which then decides when to release
			// the locks.
			SysProcAttr: &syscall.SysProcAttr{Setsid: true},
		},
		orders: orders, reports: make(chan lockReport),
		ended: make(chan struct{}), free: make(chan struct{}), abandoned: make(chan struct{}),
	}
	p.abandon = sync.OnceFunc(func() { close(p.abandoned) })
	if err := p.cmd.Start(); err != nil {
		orders.Close()
		out.Close()
		return nil, err
	}
	go p.watch(out)
	return p, nil
}

// watch receives reports until the process has ended. end waits for that, but not for ever: nothing
// ends a process that waits for a file system that does not answer, and then nothing ends watch.
func (p *lockProcess) watch(out *os.File) {
	defer out.Close()
	free := sync.OnceFunc(func() { close(p.free) })
	var complaint string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var r lockReport
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			complaint = cmp.Or(complaint, lines.Text()) // the first line of a panic says most
			continue
		}
		if r.Ends {
			free()
			continue
		}
		select {
		case p.reports <- r:
		case <-p.abandoned:
		}
	}
	err := p.cmd.Wait()
	switch {
	case complaint != "":
		err = errors.New(complaint)
	case err == nil:
		err = errors.New("it ended by itself")
	}
	p.cause = fmt.Errorf("process %d, which holds the locks: %w", p.cmd.Process.Pid, err)
	free()
	close(p.ended)
	close(p.reports)
}

var errAbandoned = errors.New("the process that holds the locks does not answer")

// checkRuns fails if the process has ended or is to end.
func (p *lockProcess) checkRuns() error {
	select {
	case <-p.ended:
		return p.cause
	case <-p.abandoned:
		return errAbandoned
	default:
		return nil
	}
}

// send gives the process an order. Its report tells whether the order has arrived.
func (p *lockProcess) send(o lockOrder) { json.NewEncoder(p.orders).Encode(o) }

// requestLocks has the process try to take all locks of a root. It returns the result, or gives the
// process up if its file system does not answer.
func (p *lockProcess) requestLocks(ctx context.Context, root string, silence time.Duration) (lockReport, error) {
	p.send(lockOrder{Take: root})
	timeout := time.NewTimer(silence)
	defer timeout.Stop()
	cancelled := ctx.Done()
	silent := &SilentError{File: root}
	isSlow := false
	for {
		select {
		case r, ok := <-p.reports:
			if !ok {
				return r, fmt.Errorf("lock %s: %w", root, p.cause)
			}
			if r.Slow == "" {
				return r, nil
			}
			silent.File, isSlow = r.Slow, true
		case <-cancelled:
			cancelled = nil // the result may be on its way, and tells more
		case <-timeout.C:
			p.end()
			return lockReport{}, silent
		}
		if isSlow && ctx.Err() != nil {
			p.end()
			return lockReport{}, fmt.Errorf("%w: %w", silent, context.Cause(ctx))
		}
	}
}

// ask gives the process an order that needs no file system, or only those that have answered
// before, and waits until it is done. It gives a process up that does not answer.
func (p *lockProcess) ask(o lockOrder, silence time.Duration) error {
	if err := p.checkRuns(); err != nil {
		return err
	}
	p.send(o)
	select {
	case _, ok := <-p.reports:
		if !ok {
			return p.cause
		}
		return nil
	case <-p.abandoned:
	case <-time.After(silence):
		p.end()
	}
	return errAbandoned
}

// end ends the process, and waits until it holds nothing. A process that waits for a file system is
// killed and left behind; it ends when the file system answers or is unmounted.
func (p *lockProcess) end() {
	p.abandon()
	p.orders.Close()
	select {
	case <-p.free:
	case <-time.After(mercy):
		p.cmd.Process.Kill()
	}
}

// A lockServer is the process that takes locks. It holds them until it is told to release them, or
// until its orders end because the process that gave them has ended.
type lockServer struct {
	mu      sync.Mutex
	reports *json.Encoder
	files   []*os.File // that are locked
	waits   string     // for this file
}

// serveLocks carries out orders from standard input.
func serveLocks() {
	// A terminal that closes, or a service that is stopped, sends these to every process. The locks
	// are needed until the other process has ended its work.
	signal.Ignore(unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	closeInherited()
	os.WriteFile("/proc/self/comm", []byte("ltskeeper-locks"), 0) // a name for ps and the like
	s := &lockServer{reports: json.NewEncoder(os.Stdout)}
	for orders := json.NewDecoder(os.Stdin); ; {
		var o lockOrder
		switch err := orders.Decode(&o); {
		case err != nil:
			s.letGo() // a call that has not returned keeps its lock until it does
			s.report(lockReport{Ends: true})
			return
		case o.Take != "":
			go s.takeLocks(o.Take) // ends before the next order comes, or never
		default:
			if o.Release {
				s.letGo()
			}
			s.report(lockReport{})
		}
	}
}

// closeInherited closes what a shell has opened for the other process, as in "3>&1". All that Go
// opens is closed on exec.
func closeInherited() {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return
	}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || fd <= 2 {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			unix.Close(fd)
		}
	}
}

// report sends the result of an order.
func (s *lockServer) report(r lockReport) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waits = ""
	s.reports.Encode(r)
}

// reportSlow reports which file the order waits for, if there is no result yet.
func (s *lockServer) reportSlow() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waits != "" {
		s.reports.Encode(lockReport{Slow: s.waits})
	}
}

func (s *lockServer) waitFor(file string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waits = file
}

func (s *lockServer) keep(f *os.File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files = append(s.files, f)
}

// letGo releases all locks. They may be on several file systems, of which one does not answer.
func (s *lockServer) letGo() {
	s.mu.Lock()
	files := s.files
	s.files = nil
	s.mu.Unlock()
	var all sync.WaitGroup
	for _, f := range files {
		all.Go(func() { f.Close() })
	}
	all.Wait()
}

// takeLocks takes every lock of the root at path, or none, and reports the result.
func (s *lockServer) takeLocks(path string) {
	s.waitFor(path)
	slow := time.AfterFunc(slowness, s.reportSlow)
	defer slow.Stop()
	result := s.tryLocks(path)
	if result.Held != nil || result.Failed != nil {
		s.letGo()
	}
	s.report(result)
}

func (s *lockServer) tryLocks(path string) (result lockReport) {
	root, err := os.OpenRoot(path)
	if err != nil {
		result.Failed = newLockFailure(path, err)
		return result
	}
	defer root.Close()
	r := &Root{root: root, path: path}
	for _, lock := range lockFiles {
		file := r.at(lock.name)
		s.waitFor(file)
		f, err := r.openLock(lock.name)
		if isMissing(err) {
			continue
		}
		if err != nil {
			result.Failed = newLockFailure(file, err)
			return result
		}
		held := &HeldError{File: file, Process: lock.manager}
		if lock.take == nil {
			f.Close()
			result.Held = held
			return result
		}
		switch err := retryInterrupted(f, lock.take); {
		case err == nil:
			s.keep(f)
			continue
		case err == unix.EAGAIN || err == unix.EACCES:
			held.setHolder(f)
			result.Held = held
		case isUnlockable(err):
			result.Unlockable = append(result.Unlockable, &UnlockableError{file, lock.manager, err.(syscall.Errno)})
			f.Close()
			continue
		default:
			result.Failed = newLockFailure(file, err)
		}
		f.Close()
		return result
	}
	return result
}

func newLockFailure(file string, err error) *lockFailure {
	f := &lockFailure{File: file, Text: trimPath(err).Error()}
	errors.As(err, &f.Errno)
	return f
}
