package chroot

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ltskeeper/internal/testkit"

	"golang.org/x/sys/unix"
)

// hold locks a file as a package manager does and keeps it until its input ends. It is what the
// test binary runs as its own child.
func hold(name string) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		panic(err)
	}
	if strings.Contains(name, "apk/db") {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	} else {
		err = unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
	}
	fmt.Println("locked:", err)
	io.Copy(io.Discard, os.Stdin)
}

// holder starts a process that locks file; letGo ends it. The error says whether it could.
func holder(t *testing.T, file string) (pid int, letGo func(), err error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "CHROOT_TEST_HOLD="+file)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, readErr := bufio.NewReader(out).ReadString('\n')
	letGo = func() {
		in.Close()
		cmd.Wait()
	}
	t.Cleanup(letGo)
	if readErr != nil {
		t.Fatal(readErr)
	}
	if line != "locked: <nil>\n" {
		err = errors.New(line)
	}
	return cmd.Process.Pid, letGo, err
}

// lock takes the locks of a root, and gives them back when the test ends.
func lock(t *testing.T, r *Root) (*Locks, error) {
	t.Helper()
	locks, err := newTestLocker(t).Lock(t.Context(), r, 0)
	if err == nil {
		t.Cleanup(locks.Release)
	}
	return locks, err
}

func newTestLocker(t *testing.T) *Locker {
	l := NewLocker()
	t.Cleanup(l.Close)
	return l
}

// lockable is the locks that can be held, without pacman's.
var lockable = []string{
	"var/lib/dpkg/lock-frontend",
	"var/lib/dpkg/lock",
	"var/lib/apt/lists/lock",
	"var/cache/apt/archives/lock",
	"var/lib/rpm/.rpm.lock",
	"usr/lib/sysimage/rpm/.rpm.lock",
	"run/apk/db.lock",
	"lib/apk/db/lock",
}

func TestLockKeepsPackageManagersOut(t *testing.T) {
	t.Parallel()
	for _, name := range lockable {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := client(t, map[string]string{name: ""})
			file := filepath.Join(r.Path(), name)
			locks, err := lock(t, r)
			if err != nil {
				t.Fatal(err)
			}
			// Another part of this process reads the file and closes it. A lock that belongs to the
			// process would be gone.
			if _, err := os.ReadFile(file); err != nil {
				t.Fatal(err)
			}
			if _, _, err := holder(t, file); err == nil {
				t.Error("it could be locked by another process")
			}
			if err := locks.Check(); err != nil {
				t.Error(err)
			}
			locks.Release()
			locks.Release()
			if _, _, err := holder(t, file); err != nil {
				t.Errorf("after the release: %v", err)
			}
		})
	}
}

func TestLockSaysWhoHoldsIt(t *testing.T) {
	t.Parallel()
	for _, name := range lockable {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := client(t, map[string]string{name: ""})
			file := filepath.Join(r.Path(), name)
			pid, _, err := holder(t, file)
			if err != nil {
				t.Fatal(err)
			}
			locks, err := lock(t, r)
			var held *HeldError
			if !errors.As(err, &held) || locks != nil {
				t.Fatalf("got %v", err)
			}
			want := HeldError{File: file, Process: "chroot.test", PID: pid}
			if strings.Contains(name, "apk/db") { // the kernel does not say who holds an flock
				want = HeldError{File: file, Process: "apk"}
			}
			if *held != want {
				t.Errorf("got %+v, want %+v", *held, want)
			}
			if !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), want.Process) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestLockSeesPacmanAtWork(t *testing.T) {
	t.Parallel()
	r := client(t, map[string]string{"var/lib/pacman/db.lck": ""})
	var held *HeldError
	if _, err := lock(t, r); !errors.As(err, &held) || held.Process != "pacman" {
		t.Errorf("got %v", err)
	}
}

func TestLockWaits(t *testing.T) {
	t.Parallel()
	r := client(t, map[string]string{"var/lib/dpkg/lock": ""})
	_, letGo, err := holder(t, filepath.Join(r.Path(), "var/lib/dpkg/lock"))
	if err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	cancel(enough)
	var held *HeldError
	if _, err := newTestLocker(t).Lock(ctx, r, time.Hour); !errors.Is(err, enough) || !errors.As(err, &held) {
		t.Errorf("got %v", err)
	}

	done := make(chan error)
	go func() {
		locks, err := newTestLocker(t).Lock(t.Context(), r, time.Hour)
		if err == nil {
			locks.Release()
		}
		done <- err
	}()
	letGo()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A lock that could not be had leaves none of the others taken.
func TestLockTakesAllOrNone(t *testing.T) {
	t.Parallel()
	r := client(t, map[string]string{"var/lib/dpkg/lock-frontend": "", "var/cache/apt/archives/lock": ""})
	if _, _, err := holder(t, filepath.Join(r.Path(), "var/cache/apt/archives/lock")); err != nil {
		t.Fatal(err)
	}
	if _, err := lock(t, r); err == nil {
		t.Fatal("it was locked")
	}
	if _, _, err := holder(t, filepath.Join(r.Path(), "var/lib/dpkg/lock-frontend")); err != nil {
		t.Errorf("dpkg's lock was kept: %v", err)
	}
}

func TestLockMakesAndChangesNothing(t *testing.T) {
	t.Parallel()
	outside := tree(t, map[string]string{"lock": ""})
	r := client(t, map[string]string{
		"var/lib/dpkg/status":         "",
		"var/lib/dpkg/lock":           "",
		"var/lib/apt/lists/lock":      "->" + outside + "/lock",
		"var/cache/apt/archives/":     "",
		"var/cache/apt/archives/lock": "->/var/lib/dpkg/lock",
	})
	backdate(t, r.Path())
	before := snapshot(t, r.Path())
	locks, err := lock(t, r)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := holder(t, filepath.Join(outside, "lock")); err != nil {
		t.Errorf("a lock outside of the root was taken: %v", err)
	}
	locks.Release()
	if after := snapshot(t, r.Path()); !maps.Equal(before, after) {
		t.Errorf("before %v\nafter %v", before, after)
	}
}

// The real dpkg must be kept out, and let in again.
func TestLockAndDpkg(t *testing.T) {
	t.Parallel()
	testkit.NeedRoot(t)
	dpkg := testkit.FindProgram(t, "dpkg")
	r := client(t, map[string]string{
		"var/lib/dpkg/status":        "",
		"var/lib/dpkg/available":     "",
		"var/lib/dpkg/info/format":   "1\n",
		"var/lib/dpkg/updates/":      "",
		"var/lib/dpkg/triggers/":     "",
		"var/lib/dpkg/lock":          "",
		"var/lib/dpkg/lock-frontend": "",
	})
	configure := func() (string, error) {
		cmd := exec.Command(dpkg, "--root="+r.Path(), "--force-not-root", "--configure", "-a")
		cmd.Env = append(os.Environ(), "LC_ALL=C")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := configure(); err != nil {
		t.Fatalf("dpkg does not work here: %v\n%s", err, out)
	}
	locks, err := lock(t, r)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := configure(); err == nil || !strings.Contains(out, "lock") {
		t.Errorf("with the lock taken: %v\n%s", err, out)
	}
	locks.Release()
	if out, err := configure(); err != nil {
		t.Errorf("after the release: %v\n%s", err, out)
	}
}
