// Package dist has the tests of what is installed beside the programs, and of the packages that
// bring all of it: built as make deb builds them, and used on machines of their own.
package dist

import (
	"bytes"
	"context"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/elftest"
	"ltskeeper/internal/testkit/machine"
)

func TestPackages(t *testing.T) {
	machine.Needed(t)
	older := build(t, filepath.Join(t.TempDir(), "older"), "v1.0", "022", "UTC")
	packages := build(t, filepath.Join(t.TempDir(), "a"), "v1.1-3-gabcdef", "022", "UTC")

	t.Run("reproducible", func(t *testing.T) {
		again := build(t, filepath.Join(t.TempDir(), "another", "folder"), "v1.1-3-gabcdef", "077", "Asia/Kolkata")
		for name, path := range packages {
			one, err1 := os.ReadFile(path)
			two, err2 := os.ReadFile(again[name])
			if err1 != nil || err2 != nil || !bytes.Equal(one, two) {
				t.Errorf("%s differs between two builds: %v, %v", name, err1, err2)
			}
		}
	})
	t.Run("lintian", func(t *testing.T) { lintian(t, packages) })

	for name, root := range map[string]func(testing.TB) string{
		"Debian 12": func(testing.TB) string { return machine.Root() },
		"Debian 13": machine.Trixie,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			farm := newFarm(t, root(t))
			for _, m := range []*machine.Machine{farm.primary, farm.server} {
				for folder, from := range map[string]map[string]string{"older": older, "packages": packages} {
					for name, path := range from {
						data, err := os.ReadFile(path)
						if err != nil {
							t.Fatal(err)
						}
						m.Write("/root/"+folder+"/"+name+".deb", string(data), 0o644)
					}
				}
			}
			farm.ldminfod(t)
			farm.ltskeeper(t)
			farm.client(t)
		})
	}
}

// build makes the packages from a copy of this source, and returns where each one is, by its name
// and architecture.
func build(t *testing.T, folder, version, umask, zone string) map[string]string {
	t.Helper()
	// What a package is made of, git knows or will know.
	script := `umask ` + umask + `; mkdir -p "$1"; cd ..; git ls-files --cached --others --exclude-standard -z |
		xargs -0 ls -d 2>/dev/null | tar -c -T - | tar -x --no-same-permissions -C "$1"; cd "$1"; exec make deb`
	cmd := exec.Command("sh", "-euc", script, "build", folder)
	cmd.Env = append(os.Environ(), "VERSION="+version, "CLIENTS=amd64 i386", "SOURCE_DATE_EPOCH=1795000000", "TZ="+zone)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make deb: %v\n%s", err, out)
	}
	packages := map[string]string{}
	found, _ := filepath.Glob(filepath.Join(folder, "bin/deb/*"))
	for _, path := range found {
		name, rest, _ := strings.Cut(filepath.Base(path), "_")
		if _, arch, ok := strings.Cut(rest, "_i386"); ok {
			name += "-i386" + strings.TrimSuffix(arch, ".deb")
		}
		packages[name] = path
	}
	want := []string{"ltskeeper", "ltskeeper-client", "ltskeeper-client-i386", "ltskeeper-ldminfod"}
	for _, name := range want {
		if packages[name] == "" || len(packages) != len(want) {
			t.Fatalf("make deb made %q, want %q", found, want)
		}
	}
	return packages
}

func lintian(t *testing.T, packages map[string]string) {
	testkit.NeedPrograms(t, "lintian")
	args := []string{"--fail-on", "error,warning"}
	for _, path := range packages {
		args = append(args, path)
	}
	if out, err := exec.Command("lintian", args...).CombinedOutput(); err != nil {
		t.Errorf("lintian: %v\n%s", err, out)
	}
}

// A farm has a primary and one server.
type farm struct{ primary, server *machine.Machine }

// newFarm boots both from a root, with an SSH server on the one that the other may log in to.
func newFarm(t *testing.T, root string) *farm {
	t.Helper()
	network := machine.NewNetwork(t)
	f := &farm{
		primary: network.Boot(t, machine.Options{Root: root, Name: "primary", Address: "192.168.67.1/24"}),
		server:  network.Boot(t, machine.Options{Root: root, Name: "app01", Address: "192.168.67.11/24"}),
	}
	f.server.MustRun("apt-get install -y openssh-server")
	f.primary.MustRun("apt-get install -y openssh-client && ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519")
	f.server.Write("/root/.ssh/authorized_keys", f.primary.Read("/root/.ssh/id_ed25519.pub"), 0o600)
	return f
}

const ask = "cat </dev/tcp/192.168.67.11/9571"

func (f *farm) ldminfod(t *testing.T) {
	// LDM's own, which brings the same file, gives way.
	f.server.MustRun(`cd /root && mkdir -p ldm/DEBIAN ldm/usr/sbin && echo old >ldm/usr/sbin/ldminfod
		printf 'Package: ldm-server\nVersion: 2:2.18\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n' >ldm/DEBIAN/control
		dpkg-deb --build ldm && dpkg -i ldm.deb && apt-get install -y ./older/ltskeeper-ldminfod.deb
		! dpkg --status ldm-server 2>/dev/null | grep 'ok installed'`)
	expect(t, f.server, "systemctl is-enabled ldminfod.socket; systemctl is-active ldminfod.socket ldminfod.service",
		"enabled\nactive\ninactive\n")
	f.server.MustRun("systemd-analyze verify --man=no ldminfod.socket ldminfod.service")

	// It answers over the network, with what logind, the load and a drain say.
	expectMatch(t, f.primary, ask, `(?s)^rating:\d+\n.*logins:0\n`)
	f.primary.MustRun("ssh -o StrictHostKeyChecking=accept-new -fn 192.168.67.11 sleep 600 >/dev/null 2>&1")
	if _, err := f.server.Run(t.Context(), "loginctl"); err == nil { // the root of Debian 13 has no logind
		expectMatch(t, f.primary, "sleep 1.1; "+ask, `logins:1\n`)
	}
	f.server.MustRun(`echo 'LDMINFOD_OPTIONS="--capacity 2"' >/etc/default/ldminfod; systemctl stop ldminfod.service`)
	expectMatch(t, f.primary, ask, `rating:\d\d?\n(?s:.*)capacity:2\n`)
	f.server.MustRun("umask 077; ldminfod drain")
	expectMatch(t, f.primary, "sleep 1.1; "+ask, `rating:0\n(?s:.*)state:draining\n`)

	// It does so as nobody in particular, and can do little else.
	expectMatch(t, f.server,
		`p=$(systemctl show -P MainPID ldminfod); grep -E '^(Uid|CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/$p/status; grep -o '[a-z0-9]*:' /proc/$p/net/dev`,
		`^Uid:\t(6[1-5]\d{3})\t.*\nCapEff:\t0+\nCapBnd:\t0+\nNoNewPrivs:\t1\nSeccomp:\t2\nlo:\n$`)
	f.server.MustRun("systemd-analyze security --threshold=10 --no-pager ldminfod.service")

	// An upgrade turns nobody away, and keeps what was set.
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	answers := make(chan string)
	go func() {
		out, _ := f.primary.Run(ctx, "while [ ! -e /root/enough ]; do "+ask+" | grep -c state:draining; done")
		answers <- out
	}()
	pid := f.server.MustRun("systemctl show -P MainPID ldminfod")
	f.server.MustRun("cd /root && apt-get install -y ./packages/ltskeeper-ldminfod.deb")
	f.primary.MustRun("sleep 0.5; touch /root/enough")
	out := <-answers
	if asked := strings.Count(out, "\n"); asked < 20 || out != strings.Repeat("1\n", asked) {
		t.Errorf("while it was upgraded, clients got: %q", out)
	}
	expectMatch(t, f.primary, ask, `capacity:2\n`)
	if now := f.server.MustRun("systemctl show -P MainPID ldminfod"); now == pid {
		t.Error("the daemon of before the upgrade still runs")
	}
	f.server.Reboot()
	expectMatch(t, f.primary, ask, `rating:0\n(?s:.*)state:draining\n`)
	f.server.MustRun("ldminfod undrain")
	expectMatch(t, f.primary, "sleep 1.1; "+ask+" | grep -c state:", `^0\n`)

	// An administrator's off stays off.
	f.server.MustRun("systemctl disable --now ldminfod.socket ldminfod.service; cd /root && dpkg -i packages/ltskeeper-ldminfod.deb")
	expect(t, f.server, "systemctl is-enabled ldminfod.socket; systemctl is-active ldminfod.socket",
		"disabled\ninactive\n")
	f.server.MustRun("systemctl enable --now ldminfod.socket; ldminfod drain")

	f.server.MustRun("apt-get remove -y ltskeeper-ldminfod")
	if out, err := f.primary.Run(t.Context(), ask); err == nil {
		t.Errorf("a package that is removed answers %q", out)
	}
	expect(t, f.server, "ls /etc/default/ldminfod /var/lib/ldminfod",
		"/etc/default/ldminfod\n\n/var/lib/ldminfod:\ndraining\n")
	f.server.MustRun("apt-get purge -y ltskeeper-ldminfod")
	expect(t, f.server, leftovers("ldminfod"), "")
	expect(t, f.server, "systemctl --failed --no-legend", "")
}

// leftovers finds what a package left behind, but for what dpkg and apt remember, and what systemd
// lost with the power.
func leftovers(name string) string {
	return "find /etc /usr /var -name '*" + name +
		"*' ! -path '/var/log/*' ! -path '/var/lib/dpkg/*' ! -path '/var/tmp/systemd-private-*'; dpkg-query -W '*" +
		name + "*' 2>/dev/null | grep -v ldm-server"
}

// unitStates prints what is enabled and what is active of what the package brings.
const unitStates = "systemctl is-enabled ltskeeper-update.timer ltskeeper-boot.service; " +
	"systemctl is-active ltskeeper-update.timer"

func (f *farm) ltskeeper(t *testing.T) {
	p := f.primary
	p.MustRun("cd /root && apt-get install -y ./older/ltskeeper.deb")
	expect(t, p, "ltskeeper --version", "ltskeeper v1.0\n")
	expect(t, p, unitStates, "enabled\nenabled\nactive\n")
	expectMatch(t, p, "systemctl show -P NextElapseUSecRealtime ltskeeper-update.timer", ` 0[34]:\d\d:`)
	p.MustRun("systemd-analyze verify --man=no ltskeeper-update.timer ltskeeper-update.service ltskeeper-boot.service ltskeeper-failed@x.service")
	p.MustRun("systemd-analyze security --threshold=30 --no-pager ltskeeper-boot.service")
	expect(t, p, "ls -A /etc/ltskeeper; ls -A /etc/ltskeeper/servers.d", "servers.d\n")

	// Without a declaration the night is quiet.
	p.MustRun("systemctl start ltskeeper-update.service")
	expect(t, p, "systemctl show -P ConditionResult ltskeeper-update; systemctl is-failed ltskeeper-update",
		"no\ninactive\n")

	// The first night of a farm. The mail goes into a file.
	p.Write("/usr/sbin/sendmail", "#!/bin/sh\ncat >/root/new && mv /root/new /root/mail\n", 0o755)
	p.Write("/etc/ltskeeper/ltskeeper.toml", "[[chroot]]\nname = \"small\"\npath = \"/srv/ltsp/small\"\n", 0o644)
	p.Write("/etc/ltskeeper/servers.d/app01.toml", "addresses = [\"192.168.67.11\"]\n", 0o644)
	p.Write("/srv/ltsp/small/etc/os-release", "", 0o644)
	p.Write("/srv/ltsp/small/usr/lib/os-release", "", 0o644)
	p.Write("/srv/ltsp/small/bin/sh", string(elftest.Static(elf.EM_386)), 0o755)
	p.Write("/srv/ltsp/small/sbin/init", string(elftest.Static(elf.EM_386)), 0o755)
	p.MustRun("mkdir -p /srv/tftp/ltsp; systemctl start ltskeeper-update.service || { journalctl -u ltskeeper-update; exit 1; }")
	expectMatch(t, p, "journalctl -o cat -u ltskeeper-update",
		`ltskeeper: app01 now trusts .* \(first-use\); small: generation 1 `)
	p.MustRun("cmp /srv/ltsp/small/usr/share/ltsp/get_hosts /usr/lib/ltskeeper/client/i386/get_hosts")

	// The timer starts the service.
	p.Write("/etc/systemd/system/ltskeeper-update.timer.d/now.conf",
		"[Timer]\nOnCalendar=*:*:0/1\nRandomizedDelaySec=0\nAccuracySec=1ms\n", 0o644)
	p.MustRun(`touch /root/before; systemctl daemon-reload; systemctl restart ltskeeper-update.timer
		for i in $(seq 100); do [ /var/lib/systemd/timers/stamp-ltskeeper-update.timer -nt /root/before ] && break; sleep 0.1; done
		[ "$i" != 100 ] && rm -r /etc/systemd/system/ltskeeper-update.timer.d && systemctl daemon-reload && systemctl restart ltskeeper-update.timer
		while [ "$(systemctl is-active ltskeeper-update)" = activating ]; do sleep 0.1; done`)

	// A server that is off is no failure, and nobody is told.
	f.server.MustRun("systemctl stop ssh")
	p.MustRun("systemctl start ltskeeper-update.service")
	expect(t, p,
		"systemctl show -P ExecMainStatus ltskeeper-update; systemctl --failed --no-legend; ls /root/mail 2>&1",
		"4\nls: cannot access '/root/mail': No such file or directory\n")

	// A changed key is one, which root reads of.
	f.server.MustRun("rm /etc/ssh/ssh_host_*; ssh-keygen -A; systemctl start ssh")
	if out, err := p.Run(t.Context(), "systemctl start ltskeeper-update.service"); err == nil {
		t.Errorf("a run that needs a decision leaves the unit in order: %s", out)
	}
	expect(t, p, "systemctl is-failed ltskeeper-update; systemctl show -P ExecMainStatus ltskeeper-update",
		"failed\n3\n")
	expectMatch(t, p, "for i in $(seq 50); do [ -e /root/mail ] && break; sleep 0.1; done; cat /root/mail",
		`^To: root\nSubject: ltskeeper-update on primary: something needs your decision or attention\n(?s:.*\n\n.*)keys accept app01(?s:.*)`)
	expect(t, p, "systemctl is-failed ltskeeper-failed@ltskeeper-update.service", "inactive\n")

	// Where no mail can be sent, the one failure stays the only one.
	p.MustRun("rm /usr/sbin/sendmail")
	p.Run(t.Context(), "systemctl start ltskeeper-update.service; sleep 0.5")
	expectMatch(t, p, "systemctl --failed --no-legend --plain", `^ltskeeper-update.service .*\n$`)
	expectMatch(t, p, "journalctl -o cat -u ltskeeper-failed@ltskeeper-update.service", `nobody is told`)

	// An upgrade keeps declaration, state and what an administrator turned off.
	before := p.MustRun(keptFiles)
	p.MustRun("systemctl disable ltskeeper-boot.service; cd /root && apt-get install -y ./packages/ltskeeper.deb")
	expect(t, p, "ltskeeper --version", "ltskeeper v1.1-3-gabcdef\n")
	expect(t, p, unitStates, "enabled\ndisabled\nactive\n")
	expect(t, p, keptFiles, before)
	prints := f.server.MustRun("for f in /etc/ssh/*.pub; do ssh-keygen -lf $f | cut -d ' ' -f 2; done")
	prints = strings.Join(strings.Fields(prints), " ")
	p.MustRun("systemctl enable ltskeeper-boot.service; ltskeeper keys accept app01 " + prints +
		"; systemctl start ltskeeper-update.service || { journalctl -o cat -u ltskeeper-update; exit 1; }")
	expect(t, p, "systemctl is-failed ltskeeper-update.service", "inactive\n")

	// The power fails between the two halves of a switch: the next boot mends that.
	expect(t, p,
		"echo changed >/srv/ltsp/small/etc/motd; ltskeeper update-image -q; readlink /srv/tftp/ltsp/small/current",
		"3\n")
	p.MustRun("ln -sfn 2 /srv/tftp/ltsp/small/current")
	p.Reboot()
	expect(t, p, "readlink /srv/tftp/ltsp/small/current; systemctl show -P Result ltskeeper-boot", "3\nsuccess\n")

	// What is the administrator's outlives the package.
	before = p.MustRun(keptFiles)
	p.MustRun("apt-get remove -y ltskeeper")
	expect(t, p, keptFiles, before)
	expect(t, p, "systemctl list-units --no-legend 'ltskeeper*'", "")
	expectMatch(t, p, "apt-get purge -y ltskeeper",
		`to forget the farm for good: rm -r /etc/ltskeeper /var/lib/ltskeeper\r?\n`)
	expect(t, p, keptFiles, before)
	expect(t, p, leftovers("ltskeeper"), "/etc/ltskeeper\n/etc/ltskeeper/ltskeeper.toml\n/var/lib/ltskeeper\n")
	p.MustRun("rm -r /etc/ltskeeper /var/lib/ltskeeper; cd /root && dpkg -i packages/ltskeeper.deb >/dev/null && " +
		"dpkg --purge ltskeeper")
	expect(t, p, leftovers("ltskeeper")+"; systemctl --failed --no-legend", "")
}

const keptFiles = "find /etc/ltskeeper /var/lib/ltskeeper /srv -type f -exec sha256sum {} + | sort"

func (f *farm) client(t *testing.T) {
	p := f.primary
	f.server.MustRun("cd /root && apt-get install -y ./packages/ltskeeper-ldminfod.deb")
	const use = "share/ltsp/get_hosts --info-dir /root/info 192.168.67.11 && cat /root/info/192.168.67.11 && rm -r /root/info && bin/ldmselect --help"
	const used = `^192.168.67.11\n(?s:.*)rating:\d+\n(?s:.*)Usage: ldmselect`
	p.MustRun("cd /root && apt-get install -y ./packages/ltskeeper-client.deb")
	expectMatch(t, p, "mkdir /root/info && cd /usr && "+use, used)
	p.MustRun("cd /root && dpkg-deb -x packages/ltskeeper-client-i386.deb i386")
	for _, program := range []string{"usr/share/ltsp/get_hosts", "usr/bin/ldmselect"} {
		file, err := elf.NewFile(strings.NewReader(p.Read("/root/i386/" + program)))
		if err != nil || file.Machine != elf.EM_386 {
			t.Errorf("%s for i386: %v, %v", program, file, err)
		}
	}
	expectMatch(t, p, "mkdir /root/info && cd /root/i386/usr && "+use, used)
	p.MustRun("apt-get purge -y ltskeeper-client")
	expect(t, p, "ls /usr/share/ltsp /usr/bin/ldmselect 2>&1 | grep -v 'No such'", "")
}

// expect has a machine run a script, which has to print this; its exit code does not matter.
func expect(t *testing.T, m *machine.Machine, script, want string) {
	t.Helper()
	if got, err := run(t, m, script); got != want {
		t.Errorf("# %s\n%s%v\nwant\n%s", script, got, err, want)
	}
}

func expectMatch(t *testing.T, m *machine.Machine, script, want string) {
	t.Helper()
	if got, err := run(t, m, script); !regexp.MustCompile(want).MatchString(got) {
		t.Errorf("# %s\n%s%v\nwant a match of\n%s", script, got, err, want)
	}
}

func run(t *testing.T, m *machine.Machine, script string) (string, error) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return m.Run(ctx, script)
}
