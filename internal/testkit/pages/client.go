package pages

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"ltskeeper/internal/testkit"
)

// bootstrap stands in for a mmdebstrap that a page types. scripts/need has run it, with the very
// same words, but for the folder; the machine boots anew with that root below its files.
func (f *Farm) bootstrap(s Step) error {
	client := testkit.Cached("client")
	with, err := os.ReadFile(client + "/made-with")
	if err != nil || strings.TrimSpace(string(with))+" /srv/ltsp/x86_64" != s.Command {
		testkit.Need(f.t,
			fmt.Errorf("%s is not what this makes: %s: CI=true scripts/need test makes it", client, s.Command))
	}
	m := f.On(s.machine)
	if out, err := m.Run(f.t.Context(), "command -v mmdebstrap && test ! -e /srv/ltsp/x86_64"); err != nil {
		return fmt.Errorf("mmdebstrap cannot run: %v: %s", err, out)
	}
	m.PullPlug()
	f.boot(s.machine, client+"/root:"+m.Disk())
	return nil
}

// bootClient has a client fetch what a primary serves now: the image, with LTSP's initrd unpacked
// over it, as that does before it starts the system.
func (f *Farm) bootClient(name, from string) {
	f.t.Helper()
	if old := f.machines[name]; old != nil {
		old.PullPlug()
	}
	dir := f.t.TempDir()
	image, initrd := filepath.Join(dir, "image"), filepath.Join(dir, "initrd")
	for _, folder := range []string{image, initrd} {
		if err := os.Mkdir(folder, 0o755); err != nil {
			f.t.Fatal(err)
		}
	}
	f.fetch(from, "/srv/ltsp/images/x86_64.img", image+".img")
	f.fetch(from, "/srv/tftp/ltsp/ltsp.img", initrd+".img")
	f.must(exec.Command("mount", "-t", "squashfs", "-o", "ro,loop", image+".img", image))
	f.t.Cleanup(func() { f.must(exec.Command("umount", image)) })
	f.must(exec.Command("sh", "-euc", `cd "$1"; cpio --quiet -idm --no-absolute-filenames; chmod 755 .`, "sh", initrd),
		initrd+".img")
	client := f.boot(name, initrd+":"+image)
	// What it learns from DHCP, and `ltsp init` does before systemd: names, and users who log in
	// over SSH.
	client.MustRun(`echo nameserver 192.168.67.1 >/etc/resolv.conf
		printf '127.0.0.1 localhost\n127.0.1.1 client\n192.168.67.1 server\n' >/etc/hosts
		/usr/share/ltsp/client/login/pwmerge -lq /etc/ltsp /etc /etc
		PAM_AUTH_TYPE=Primary /usr/share/ltsp/client/login/pamltsp install
		mkdir -p /home/alice && chown alice: /home/alice`)
}

// fetch copies a file of a machine, which may be a link.
func (f *Farm) fetch(from, path, to string) {
	f.t.Helper()
	m := f.On(from)
	path = strings.TrimSpace(m.MustRun("readlink -e " + path))
	files := m.Files()
	defer files.Close()
	in, err := files.Open(strings.TrimPrefix(path, "/"))
	if err != nil {
		f.t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(to)
	if err == nil {
		_, err = io.Copy(out, in)
		err = errors.Join(err, out.Close())
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

// must runs a command of the machine that the test runs on, with a file as its input if there is
// one.
func (f *Farm) must(cmd *exec.Cmd, input ...string) {
	f.t.Helper()
	for _, path := range input {
		file, err := os.Open(path)
		if err != nil {
			f.t.Fatal(err)
		}
		defer file.Close()
		cmd.Stdin = file
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		f.t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
}
