package keeper

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"ltskeeper/chroot"
	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/disktest"
)

// A package manager may have been at work if the process that keeps it out was killed: nothing is
// published, not even that nothing changed. The next run is as always, and so is the next chroot.
func TestLostLocks(t *testing.T) {
	t.Parallel()
	p := newTestFarm(t)
	p.addSecondChroot()
	p.write("client/var/lib/dpkg/lock", "")
	p.write("other/var/lib/dpkg/lock", "")
	p.update(UpdateOptions{})
	for _, changed := range []bool{false, true} {
		if changed {
			p.write("client/etc/hostname", "changed\n")
		}
		kill := sync.OnceFunc(func() { killHolder(t, p.path("client/var/lib/dpkg/lock")) })
		full := !changed // for there to be any progress
		_, err := p.openFarm().Update(t.Context(), UpdateOptions{Full: full, Progress: func(now Progress) {
			if now.Step == "image client" {
				kill()
			}
		}})
		if !errors.Is(err, chroot.ErrLost) || !strings.Contains(err.Error(), "chroot client: ") ||
			strings.Contains(err.Error(), "chroot other: ") {
			t.Errorf("changed %v: %v", changed, err)
		}
		if got := p.readFromImage("etc/hostname"); got != "client\n" {
			t.Errorf("%q was published", got)
		}
	}
	p.update(UpdateOptions{})
	if got := p.readFromImage("etc/hostname"); got != "changed\n" {
		t.Errorf("%q is published after the next run", got)
	}
}

// killHolder kills the process that has the file open, and this process does not.
func killHolder(t *testing.T, file string) {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	testkit.Must(t, err)
	for _, link := range links {
		if target, err := os.Readlink(link); err != nil || target != file {
			continue
		}
		pid, err := strconv.Atoi(strings.Split(link, "/")[2])
		testkit.Must(t, err)
		testkit.Must(t, syscall.Kill(pid, syscall.SIGKILL))
		return
	}
	t.Errorf("nobody holds %s", file)
}

// One warning for each chroot, whatever number of locks it has.
func TestUnlockableRoot(t *testing.T) {
	t.Parallel()
	p := newTestFarm(t)
	p.addSecondChroot()
	locks := []string{"var/lib/dpkg/lock-frontend", "var/lib/dpkg/lock", "var/lib/apt/lists/lock"}
	for _, name := range locks {
		p.write("client/"+name, "")
		p.write("other/"+name, "")
	}
	disk := disktest.Faked(t, p.path("client"))
	for _, name := range locks {
		disk.Set(name, disktest.Fake{Lock: syscall.ENOLCK})
	}
	for _, dry := range []bool{true, false} {
		r := p.update(UpdateOptions{DryRun: dry})
		if len(r.Warnings) != 1 || len(r.Images) != 2 {
			t.Fatalf("dry %v: %q, %d images", dry, r.Warnings, len(r.Images))
		}
		expectContains(t, "the warning", r.Warnings[0].Error(),
			"chroot client: lock "+p.path("client/var/lib/dpkg/lock-frontend")+": no locks available: ")
		expectContains(t, "the warning", r.Warnings[0].Error(), "keeps dpkg and apt from")
	}
}
