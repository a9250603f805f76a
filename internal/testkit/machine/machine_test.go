package machine

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestMachines(t *testing.T) {
	network := NewNetwork(t)
	one := network.Boot(t, Options{Name: "one", Address: "192.168.67.1/24"})
	two := network.Boot(t, Options{Name: "two", Address: "192.168.67.2/24"})

	if got := strings.TrimSpace(one.MustRun("hostname; cat /proc/1/comm; systemctl is-system-running")); got != "one\nsystemd\nrunning" {
		t.Errorf("on the first machine: %q", got)
	}
	one.MustRun("ping -c 1 -W 5 192.168.67.2")
	if out, err := one.Run(t.Context(), "echo and; echo said >&2; exit 7"); out != "and\nsaid\n" || exitCode(err) != 7 {
		t.Errorf("a command that fails: %q, %v", out, err)
	}

	// What one writes is its own, and outlives its power.
	one.MustRun("echo kept >/etc/kept; apt-get install -y openssh-server")
	if got := one.Read("/etc/kept"); got != "kept\n" {
		t.Errorf("the first machine's file, from outside: %q", got)
	}
	if out, err := two.Run(t.Context(), "cat /etc/kept"); err == nil {
		t.Errorf("the second machine has a file of the first: %s", out)
	}
	two.MustRun("(exec 3<>/dev/tcp/192.168.67.1/22; exec sleep 60) >/dev/null 2>&1 & sleep 0.5")
	one.Reboot()
	two.MustRun("timeout 5 bash -c 'exec 3<>/dev/tcp/192.168.67.1/22'")
	if got := one.MustRun("cat /etc/kept; systemctl is-active ssh"); got != "kept\nactive\n" {
		t.Errorf("after power came back: %q", got)
	}

	// Another one can go on from there, and what it does is not seen where it came from.
	one.MustRun("rm /etc/debian_version; mkdir /etc/folder")
	one.PullPlug()
	for range 2 {
		next := network.Boot(t, Options{Name: "next", Address: "192.168.67.3/24", Root: one.Disk()})
		got := next.MustRun("cat /etc/kept; systemctl is-active ssh; ls /etc/debian_version /etc/added 2>&1; hostname")
		if got != "kept\nactive\nls: cannot access '/etc/debian_version': No such file or directory\n"+
			"ls: cannot access '/etc/added': No such file or directory\nnext\n" {
			t.Errorf("from the disk of the first: %q", got)
		}
		next.MustRun("rm /etc/kept; rmdir /etc/folder; touch /etc/added")
		next.PullPlug()
	}
	one.Reboot()

	// They change nothing of the kernel that they share with this machine.
	if out, err := one.Run(t.Context(), "echo 1 >/proc/sys/kernel/panic || date --set @0"); err == nil {
		t.Errorf("a machine changed the kernel or its clock: %s", out)
	}
}

// Nothing that is written into a machine lands on the one that the test runs on, whatever links
// stand there.
func TestFilesStayInside(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	m := NewNetwork(t).Boot(t, Options{Name: "one", Address: "192.168.67.1/24"})
	m.Write("/srv/a/b", "inside\n", 0o755)
	if got := m.MustRun("cat /srv/a/b; stat -c %a /srv/a/b"); got != "inside\n755\n" {
		t.Errorf("what was written is %q", got)
	}
	m.MustRun("ln -s " + outside + " /srv/link; mkdir -p " + filepath.Dir(outside))
	files := m.Files()
	defer files.Close()
	if err := files.WriteFile("srv/link", []byte("x"), 0o644); err == nil {
		t.Error("a link that leads out was followed")
	}
	if _, err := os.Lstat(outside); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file landed outside: %v", err)
	}
}

func exitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return 0
}
