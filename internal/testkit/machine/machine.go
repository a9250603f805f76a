// Package machine boots Debian machines for tests: systemd as process 1, with files, processes, a
// host name and a network of its own, in namespaces of this kernel. A test that installs packages,
// starts units or pulls the plug does so there, and leaves nothing on the machine that it runs on.
//
// Machines stand on a Network, a bridge that leads nowhere else. All of them share one root, below
// an overlay for what each one writes. scripts/need makes that root, with packages waiting in apt's
// cache, so that apt-get install works in there without a mirror.
//
// This is no container runtime: it keeps mistakes apart, not enemies.
package machine

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ltskeeper/internal/testkit"
)

// Options say what machine to boot.
type Options struct {
	Name    string // its host name
	Address string // its address on the network with the prefix's length, "192.168.67.1/24"
	// Root is the folder that holds its files, which stay as they are, or several with colons
	// between. If it is empty, they are Debian's.
	Root string
}

// A Machine is one that runs, or that was running when it lost its power.
type Machine struct {
	t       testing.TB
	name    string
	address string
	network *Network
	root    string // what it has below the overlay
	disk    string // what it wrote
	cgroup  string
	process *os.Process
	ended   <-chan struct{} // closed once process is gone
}

// Root is the Debian that machines start from.
func Root() string { return testkit.Cached("machine") }

// Trixie returns the folder of a small Debian 13, which a test needs. scripts/need makes it where
// CI=true.
func Trixie(t testing.TB) string {
	t.Helper()
	root := cmp.Or(os.Getenv("LTSKEEPER_TRIXIE"), testkit.Cached("trixie"))
	if _, err := os.Stat(filepath.Join(root, "usr/sbin/sshd")); err != nil {
		testkit.Need(t,
			fmt.Errorf("%w; as root: mmdebstrap --variant=minbase --include=openssh-server,systemd trixie DIR, "+
				"then LTSKEEPER_TRIXIE=DIR", err))
	}
	return root
}

// Needed ends a test that cannot boot a machine here: it needs root's rights and Root.
func Needed(t testing.TB) {
	t.Helper()
	testkit.NeedRoot(t)
	if _, err := os.Stat(Root()); errors.Is(err, fs.ErrNotExist) {
		testkit.Need(t, fmt.Errorf("%s is missing: CI=true scripts/need test makes it", Root()))
	} else if err != nil {
		t.Fatal(err)
	}
}

// Boot starts a machine, which ends with the test, and returns when its systemd has started all
// that it was to start.
func (n *Network) Boot(t testing.TB, o Options) *Machine {
	t.Helper()
	Needed(t)
	m := &Machine{t: t, name: o.Name, address: o.Address, network: n, root: o.Root, disk: t.TempDir()}
	if m.root == "" {
		m.root = Root()
	}
	for _, folder := range []string{"upper", "work", "root"} {
		if err := os.Mkdir(filepath.Join(m.disk, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m.start()
	t.Cleanup(m.PullPlug)
	return m
}

// bootScript prepares the namespaces that it runs in, and becomes systemd.
//
//go:embed boot.sh
var bootScript string

func (m *Machine) start() {
	m.t.Helper()
	cgroup, err := newCgroup(m.name)
	if err != nil {
		m.t.Fatal(err)
	}
	console, err := os.OpenFile(filepath.Join(m.disk, "console"), os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o644)
	if err != nil {
		m.t.Fatal(err)
	}
	defer console.Close()
	ready, wait, err := os.Pipe() // the script waits for its network
	if err != nil {
		m.t.Fatal(err)
	}
	defer wait.Close()

	cmd := exec.Command("sh", "-euc", bootScript, "boot", m.name, m.root, m.disk, cgroup)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = ready, console, console
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC |
			syscall.CLONE_NEWNET,
		Setsid: true,
	}
	m.ended, err = begin(cmd)
	ready.Close()
	if err != nil {
		os.Remove(cgroup)
		m.t.Fatalf("boot %s: %v", m.name, err)
	}
	m.cgroup, m.process = cgroup, cmd.Process

	if err := m.network.plug(m.process.Pid, m.address); err != nil {
		m.PullPlug()
		m.t.Fatalf("boot %s: %v", m.name, err)
	}
	wait.Close()
	if err := m.up(); err != nil {
		log, _ := os.ReadFile(console.Name())
		m.PullPlug()
		m.t.Fatalf("boot %s: %v\n%s", m.name, err, log)
	}
}

// begin starts a command that dies with this process, and returns a channel that is closed at its
// end.
func begin(cmd *exec.Cmd) (<-chan struct{}, error) {
	ended, started := make(chan struct{}), make(chan error)
	go func() {
		// The kernel ties Pdeathsig to the thread, which must live as long.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(ended)
		cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
		}
	}()
	return ended, <-started
}

// up waits until systemd says that it is done starting things.
func (m *Machine) up() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for {
		state, _ := m.Run(ctx, "systemctl is-system-running --wait 2>/dev/null")
		switch strings.TrimSpace(state) {
		case "running":
			return nil
		case "degraded":
			failed, _ := m.Run(ctx,
				"systemctl --failed --no-legend --plain --no-pager; journalctl -b -q -p err --no-pager")
			return fmt.Errorf("units failed:\n%s", failed)
		}
		select {
		case <-m.ended:
			return errors.New("it ended")
		case <-ctx.Done():
			return fmt.Errorf("systemd is not up after two minutes, but %q", state)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// PullPlug ends every process of the machine at once. What it wrote stays.
func (m *Machine) PullPlug() {
	if m.process == nil {
		return
	}
	m.process.Kill() // process 1, and with it all others in there
	<-m.ended
	m.process = nil
	removeCgroup(m.cgroup)
}

// Reboot pulls the plug and boots the machine again, with what it wrote.
func (m *Machine) Reboot() {
	m.t.Helper()
	m.PullPlug()
	m.start()
}

// Disk is everything on the machine's disk, for Options.Root: what boots from it goes on where this
// machine stopped. It has to be off by then.
func (m *Machine) Disk() string { return filepath.Join(m.disk, "upper") + ":" + m.root }

// Files is the machine's files, as seen from outside while it runs; the caller closes it. No name
// in there leads out of the machine. A path below /proc/PID/root would be no such thing: links in
// it, and programs that ask where they are, find the files of the machine that the test runs on.
func (m *Machine) Files() *os.Root {
	m.t.Helper()
	root, err := os.OpenRoot(filepath.Join("/proc", strconv.Itoa(m.process.Pid), "root"))
	if err != nil {
		m.t.Fatal(err)
	}
	return root
}

// Write writes a file of the machine, and makes the folders that it stands in.
func (m *Machine) Write(path, content string, mode os.FileMode) {
	m.t.Helper()
	files := m.Files()
	defer files.Close()
	path = strings.TrimPrefix(path, "/")
	err := files.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = files.WriteFile(path, []byte(content), mode)
	}
	if err == nil {
		err = files.Chmod(path, mode)
	}
	if err != nil {
		m.t.Fatalf("on %s: %v", m.name, err)
	}
}

// Read returns what is in a file of the machine.
func (m *Machine) Read(path string) string {
	m.t.Helper()
	files := m.Files()
	defer files.Close()
	data, err := files.ReadFile(strings.TrimPrefix(path, "/"))
	if err != nil {
		m.t.Fatalf("on %s: %v", m.name, err)
	}
	return string(data)
}

// Command is a command on the machine, run by root in / with the environment of a login. Its error
// is *exec.ExitError if the command itself said no.
func (m *Machine) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	enter := []string{
		"--target", strconv.Itoa(m.process.Pid), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root",
		"--wd", "--",
		"env", "-i", "HOME=/root", "USER=root", "LOGNAME=root", "SHELL=/bin/bash", "LANG=C.UTF-8",
		"TERM=xterm-256color",
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive",
		name,
	}
	return exec.CommandContext(ctx, "nsenter", append(enter, args...)...)
}

// Run has a shell on the machine run a script, and returns what it wrote to standard output and
// standard error, in the order in which it did.
func (m *Machine) Run(ctx context.Context, script string) (output string, err error) {
	out, err := m.Command(ctx, "bash", "-c", script).CombinedOutput()
	return string(out), err
}

// MustRun is Run for a script that has to succeed.
func (m *Machine) MustRun(script string) string {
	m.t.Helper()
	out, err := m.Run(m.t.Context(), script)
	if err != nil {
		m.t.Fatalf("%s# %s\n%s%v", m.name, script, out, err)
	}
	return out
}
