package chroot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"ltskeeper/internal/testkit/disktest"

	"golang.org/x/sys/unix"
)

// A lock call that never returns is given up, with the name of its file. Nothing else is locked
// after that, and the next root is.
func TestLockIsGivenUp(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"var/lib/dpkg/lock", "lib/apk/db/lock"} { // one of each kind: each takes ten seconds
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := map[string]string{}
			for _, name := range lockable {
				all[name] = ""
			}
			r, other := client(t, all), client(t, all)
			disk := disktest.Faked(t, r.Path())
			disk.Set(name, disktest.Fake{LockHangs: true})
			l := newTestLocker(t)
			_, err := l.Lock(t.Context(), r, time.Hour)
			var silent *SilentError
			if !errors.As(err, &silent) || silent.File != filepath.Join(r.Path(), name) {
				t.Fatal(err)
			}
			for _, other := range lockable {
				if other == name {
					continue
				}
				if _, _, err := holder(t, filepath.Join(r.Path(), other)); err != nil {
					t.Errorf("%s: %v", other, err)
				}
			}
			locks, err := l.Lock(t.Context(), other, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := holder(t, filepath.Join(other.Path(), name)); err == nil {
				t.Error("the other root is not locked")
			}
			locks.Release()
		})
	}
}

// A file system may also not answer when the lock file is looked for.
func TestLockIsGivenUpBeforeItIsOpen(t *testing.T) {
	t.Parallel()
	r := client(t, map[string]string{"var/lib/dpkg/lock": "", "var/lib/apt/": ""})
	disktest.Silent(t, filepath.Join(r.Path(), "var/lib/apt"))
	_, err := lock(t, r)
	var silent *SilentError
	if !errors.As(err, &silent) || silent.File != filepath.Join(r.Path(), "var/lib/apt/lists/lock") {
		t.Error(err)
	}
	if _, _, err := holder(t, filepath.Join(r.Path(), "var/lib/dpkg/lock")); err != nil {
		t.Errorf("dpkg's lock was kept: %v", err)
	}
}

// Who waits for a lock call that never returns need not wait any longer than they want to.
func TestLockThatHangsEndsWithItsContext(t *testing.T) {
	t.Parallel()
	r := client(t, map[string]string{"var/lib/dpkg/lock": ""})
	disk := disktest.Faked(t, r.Path())
	disk.Set("var/lib/dpkg/lock", disktest.Fake{LockHangs: true})
	l := newTestLocker(t)
	l.silence = time.Hour
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	go func() {
		disk.WaitForLock("var/lib/dpkg/lock")
		cancel(enough)
	}()
	var silent *SilentError
	if _, err := l.Lock(ctx, r, time.Hour); !errors.Is(err, enough) || !errors.As(err, &silent) {
		t.Error(err)
	}
	if _, err := l.Lock(ctx, r, time.Hour); !errors.Is(err, enough) || !errors.As(err, &silent) {
		t.Errorf("cancelled before: %v", err)
	}
}

// A file system that cannot lock keeps nobody from working. What can be locked is.
func TestLockWhereThereAreNoLocks(t *testing.T) {
	t.Parallel()
	for _, errno := range []syscall.Errno{unix.ENOLCK, unix.ENOSYS, unix.EOPNOTSUPP, unix.EINVAL} {
		for _, name := range lockable {
			t.Run(fmt.Sprint(name, " ", errno), func(t *testing.T) {
				t.Parallel()
				r := client(t, map[string]string{name: "", "var/lib/rpm/.rpm.lock": "", "var/lib/dpkg/lock": ""})
				disk := disktest.Faked(t, r.Path())
				disk.Set(name, disktest.Fake{Lock: errno})
				locks, err := lock(t, r)
				if err != nil {
					t.Fatal(err)
				}
				file := filepath.Join(r.Path(), name)
				if len(locks.Unlockable) != 1 || locks.Unlockable[0].File != file ||
					locks.Unlockable[0].Errno != errno {
					t.Errorf("got %v", locks.Unlockable)
				}
				if err := locks.Check(); err != nil {
					t.Error(err)
				}
				for _, other := range []string{"var/lib/rpm/.rpm.lock", "var/lib/dpkg/lock"} {
					if _, _, err := holder(t, filepath.Join(r.Path(), other)); other != name && err == nil {
						t.Errorf("%s is not locked", other)
					}
				}
			})
		}
	}
}

// An error of a disk is one still.
func TestLockFails(t *testing.T) {
	t.Parallel()
	r := client(t, map[string]string{"var/lib/dpkg/lock": "", "var/lib/rpm/.rpm.lock": ""})
	disk := disktest.Faked(t, r.Path())
	disk.Set("var/lib/rpm/.rpm.lock", disktest.Fake{Lock: unix.EIO})
	if _, err := lock(t, r); !errors.Is(err, unix.EIO) || !strings.Contains(err.Error(), "rpm.lock") {
		t.Error(err)
	}
	if _, _, err := holder(t, filepath.Join(r.Path(), "var/lib/dpkg/lock")); err != nil {
		t.Errorf("dpkg's lock was kept: %v", err)
	}
	disk.Mend()
	if err := os.Remove(filepath.Join(r.Path(), "var/lib/dpkg/lock")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(r.Path(), "var/lib/dpkg/lock"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := lock(t, r); err == nil || !strings.Contains(err.Error(), "var/lib/dpkg/lock: it is ") {
		t.Error(err)
	}
}

// The process that holds the locks can be killed. That is noticed, and the next root is locked by
// another.
func TestLockIsLost(t *testing.T) {
	t.Parallel()
	r := client(t, map[string]string{"var/lib/dpkg/lock": ""})
	l := newTestLocker(t)
	locks, err := l.Lock(t.Context(), r, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := locks.Check(); err != nil {
		t.Error(err)
	}
	if err := unix.Kill(l.process.cmd.Process.Pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := locks.Check(); !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), "killed") {
		t.Error(err)
	}
	locks.Release()
	again, err := l.Lock(t.Context(), r, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Check(); err != nil {
		t.Error(err)
	}
	if err := locks.Check(); !errors.Is(err, ErrLost) {
		t.Errorf("the first: %v", err)
	}
	again.Release()
}

// One process serves one root after another.
func TestLockerIsUsedAgain(t *testing.T) {
	t.Parallel()
	l := newTestLocker(t)
	pid := l.process.cmd.Process.Pid
	busy := client(t, map[string]string{"var/lib/pacman/db.lck": ""})
	for range 3 {
		r := client(t, map[string]string{"var/lib/dpkg/lock": ""})
		var held *HeldError
		if _, err := l.Lock(t.Context(), busy, 0); !errors.As(err, &held) {
			t.Error(err)
		}
		locks, err := l.Lock(t.Context(), r, 0)
		if err != nil {
			t.Fatal(err)
		}
		locks.Release()
		if _, letGo, err := holder(t, filepath.Join(r.Path(), "var/lib/dpkg/lock")); err != nil {
			t.Error(err)
		} else {
			letGo()
		}
		if l.process.cmd.Process.Pid != pid {
			t.Error("it is another process")
		}
	}
	l.Close()
	<-l.process.ended
	if err := unix.Kill(pid, 0); err != unix.ESRCH {
		t.Errorf("after it was closed: %v", err)
	}
}

// What a terminal or a service manager sends to all processes does not end the one that holds the
// locks before its time.
func TestLockerOutlivesSignals(t *testing.T) {
	t.Parallel()
	r := client(t, map[string]string{"var/lib/dpkg/lock": ""})
	l := newTestLocker(t)
	locks, err := l.Lock(t.Context(), r, 0)
	if err != nil {
		t.Fatal(err)
	}
	pid := l.process.cmd.Process.Pid
	for _, signal := range []unix.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP} {
		if err := unix.Kill(pid, signal); err != nil {
			t.Fatal(err)
		}
	}
	if err := locks.Check(); err != nil {
		t.Error(err)
	}
	if session, err := unix.Getsid(pid); err != nil || session != pid {
		t.Errorf("it is in the session %d: %v", session, err)
	}
	locks.Release()
}

// The process that takes locks has nothing open that this process has. It would keep locks and
// pipes that are not its own for as long as it waits for a lock.
func TestLockerInheritsNothing(t *testing.T) {
	t.Parallel()
	r := client(t, map[string]string{"var/lib/dpkg/lock": ""})
	disk := disktest.Faked(t, r.Path())
	disk.Set("var/lib/dpkg/lock", disktest.Fake{LockHangs: true})
	mine, err := os.Create(filepath.Join(t.TempDir(), "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer mine.Close()
	if err := unix.Flock(int(mine.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	var inherited [2]int // as with "3>&1" in a shell
	if err := unix.Pipe(inherited[:]); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(inherited[0])
	defer unix.Close(inherited[1])
	l := newTestLocker(t)
	pid := l.process.cmd.Process.Pid
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := l.Lock(ctx, r, 0)
		ended <- err
	}()
	disk.WaitForLock("var/lib/dpkg/lock")
	pipes := map[string]bool{}
	for _, file := range openFiles(t, pid) {
		switch {
		case strings.HasPrefix(file, "pipe:"):
			pipes[file] = true
		case strings.HasPrefix(file, "anon_inode:"): // Go's poller
		case strings.HasPrefix(file, "/sys/fs/cgroup/"): // Go's, for the number of processors
		case file == r.Path(), strings.HasPrefix(file, r.Path()+"/"):
		default:
			t.Errorf("it has %s open", file)
		}
	}
	if len(pipes) != 2 {
		t.Errorf("it has other pipes open than its own two: %v", pipes)
	}
	for fd := range 3 {
		of := func(pid int) string {
			link, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, fd))
			if err != nil {
				t.Fatal(err)
			}
			return link
		}
		if of(pid) == of(os.Getpid()) {
			t.Errorf("its %s is this process's", of(pid))
		}
	}
	if dir, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid)); err != nil || dir != "/" {
		t.Errorf("it works in %s: %v", dir, err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	// The lock of this process is its own, too, when the other is left behind.
	again, err := os.Open(mine.Name())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	mine.Close()
	if err := unix.Flock(int(again.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		t.Error(err)
	}
}

func openFiles(t *testing.T, pid int) (files []string) {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		link, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, e.Name()))
		if err == nil {
			files = append(files, link)
		}
	}
	return files
}

// lockUntilKilled locks a root and says which process holds the locks. It is what the test binary
// runs as its own child.
func lockUntilKilled(path string) {
	r, err := Open(path)
	if err != nil {
		panic(err)
	}
	l := NewLocker()
	if _, err := l.Lock(context.Background(), r, 0); err != nil {
		panic(err)
	}
	fmt.Println(l.process.cmd.Process.Pid)
	io.Copy(io.Discard, os.Stdin)
}

// When a process is killed, the one that holds its locks ends by itself.
func TestLocksEndWithTheirProcess(t *testing.T) {
	t.Parallel()
	r := client(t, map[string]string{"var/lib/dpkg/lock": ""})
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "CHROOT_TEST_LOCK="+r.Path())
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscanln(out, &pid); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(r.Path(), "var/lib/dpkg/lock")
	if _, _, err := holder(t, file); err == nil {
		t.Error("it is not locked")
	}
	if !slices.Contains(openFiles(t, pid), file) {
		t.Errorf("process %d does not hold the lock", pid)
	}
	cmd.Process.Kill()
	cmd.Wait()
	for { // until the other has ended as well
		_, letGo, err := holder(t, file)
		letGo()
		if err == nil {
			break
		}
	}
}

// A program serves locks only if nothing is its name but that, and then nothing else.
func TestLockerNeedsItsName(t *testing.T) {
	t.Parallel()
	list := []string{"-test.list", "^TestLockerNeedsItsName$"}
	for _, test := range []struct {
		args []string
		want string
	}{
		{append([]string{"ltskeeper"}, list...), "TestLockerNeedsItsName\n"},
		{append([]string{lockerName}, list...), "TestLockerNeedsItsName\n"},
		{[]string{lockerName}, `"Ends":true}` + "\n"},
	} {
		cmd := &exec.Cmd{Path: "/proc/self/exe", Args: test.args} // without input, at whose end it ends
		if out, err := cmd.CombinedOutput(); err != nil || !strings.HasSuffix(string(out), test.want) {
			t.Errorf("%s: %v\n%s", test.args, err, out)
		}
	}
}
