package docs

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/machine"

	"github.com/charmbracelet/x/ansi"
)

// Every command of every page does what the page shows. The tutorial sets a farm up, and each other
// page begins on machines that go on where those of the tutorial stood then.
func TestPages(t *testing.T) {
	machine.Needed(t)
	pages := slices.DeleteFunc(pages(t), func(p *page) bool { return len(p.steps) == 0 })
	f := newFarm(t)
	for _, p := range pages {
		if p.starts == "bare" {
			f.tell(p)
		}
	}
	if t.Failed() || f.kept == nil {
		t.Fatal("the other pages need the farm")
	}
	f.off()
	// so many at the same time, however many processors: the kernel limits what systemds there may be
	farms := make(chan struct{}, 2)
	for _, p := range pages {
		if p.starts == "farm" {
			t.Run(strings.TrimSuffix(strings.TrimPrefix(p.path, "../"), ".md"), func(t *testing.T) {
				t.Parallel()
				farms <- struct{}{}
				t.Cleanup(func() { <-farms })
				f.again(t).tell(p)
			})
		}
	}
}

// A theFarm is the machines that pages are about, on a network of their own.
type theFarm struct {
	t        *testing.T
	network  *machine.Network
	machines map[string]*machine.Machine // by name, those that run
	// a folder that machines have below their own files: ltskeeper's packages in root's home
	packages string
	kept     map[string]string // what machines of the other pages start from, by name
	folders  map[string]string // where root of a machine is, by name; else at home
}

var addresses = map[string]string{
	"primary": "192.168.67.1", "primary2": "192.168.67.2", "client": "192.168.67.20",
	"app01": "192.168.67.11", "app02": "192.168.67.12", "app03": "192.168.67.13", "app04": "192.168.67.14",
}

// newFarm boots machines as the tutorial finds them. They, and what was kept of them, last as long
// as the test.
func newFarm(t *testing.T) *theFarm {
	t.Helper()
	f := &theFarm{t: t, network: machine.NewNetwork(t), machines: map[string]*machine.Machine{},
		folders: map[string]string{}, packages: packages(t)}
	for _, name := range []string{"primary", "app01", "app02", "app03", "app04"} {
		f.on(name)
	}
	return f
}

// again boots the machines that were kept, anew and apart from all others.
func (f *theFarm) again(t *testing.T) *theFarm {
	t.Helper()
	g := &theFarm{t: t, network: machine.NewNetwork(t), machines: map[string]*machine.Machine{},
		folders: map[string]string{}, packages: f.packages, kept: f.kept}
	g.bootKept()
	return g
}

func (f *theFarm) bootKept() {
	f.t.Helper()
	for _, name := range slices.Sorted(maps.Keys(f.kept)) {
		f.boot(name, f.kept[name])
	}
}

// keep has all other pages start from what stands now. The machines go off, and on again.
func (f *theFarm) keep() {
	f.t.Helper()
	f.kept = map[string]string{}
	for name, m := range f.machines {
		if name != "client" {
			f.kept[name] = m.Disk()
		}
	}
	f.off()
	f.bootKept()
}

func (f *theFarm) off() {
	for _, m := range f.machines {
		m.PullPlug()
	}
	clear(f.machines)
}

func (f *theFarm) boot(name, root string) *machine.Machine {
	f.t.Helper()
	m := f.network.Boot(f.t, machine.Options{Name: name, Address: addresses[name] + "/24", Root: root})
	f.machines[name] = m
	return m
}

// on returns a machine. One that is not there yet boots, and has nothing but ltskeeper's packages
// in root's home.
func (f *theFarm) on(name string) *machine.Machine {
	f.t.Helper()
	if m := f.machines[name]; m != nil {
		return m
	}
	if addresses[name] == "" || name == "client" {
		f.t.Fatalf("there is no machine %s (yet)", name)
	}
	m := f.boot(name, f.packages+":"+machine.Root())
	if strings.HasPrefix(name, "app") { // users log in there
		m.MustRun("apt-get install -qq openssh-server")
		return m
	}
	// The kernel that the tests run on has no NFS server. Its units do nothing here.
	m.MustRun(`for unit in nfs-server rpc-statd rpcbind nfs-blkmap nfs-idmapd nfs-mountd nfsdcld fsidd; do
			printf '[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n' >/etc/systemd/system/$unit.service
		done; ln -s nfs-server.service /etc/systemd/system/nfs-kernel-server.service
		ln -s /dev/null /etc/systemd/system/run-rpc_pipefs.mount; systemctl daemon-reload`)
	return m
}

// packages builds ltskeeper's packages, in a copy of the sources, for another test may build them
// at the same time. It returns a folder with root/*.deb.
func packages(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	script := `mkdir "$1/source" "$1/layer"; mkdir -m 700 "$1/layer/root"; cd ..; git ls-files --cached --others --exclude-standard -z |
		xargs -0 ls -d 2>/dev/null | tar -c -T - | tar -x -C "$1/source"; cd "$1/source"; dist/deb/build && mv bin/deb/*.deb "$1/layer/root"`
	cmd := exec.Command("sh", "-euc", script, "build", folder)
	cmd.Env = append(os.Environ(), "GO=go", "CGO_ENABLED=0", "VERSION=1.0", "SOURCE_DATE_EPOCH=1700000000",
		"CLIENTS="+debianArch())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make deb: %v\n%s", err, out)
	}
	layer := filepath.Join(folder, "layer")
	if made, _ := filepath.Glob(layer + "/root/*.deb"); len(made) != 3 {
		t.Fatalf("make deb made %q", made)
	}
	return layer
}

func debianArch() string {
	switch runtime.GOARCH {
	case "386":
		return "i386"
	case "arm":
		return "armhf"
	}
	return runtime.GOARCH
}

// tell follows a page.
func (f *theFarm) tell(p *page) {
	t := f.t
	t.Helper()
	keys := newPairing()
	keys.exact = *update
	var outdated []step
	for _, s := range p.steps {
		switch {
		case s.boot != "":
			name, from, _ := strings.Cut(s.boot, " from ")
			f.bootClient(name, cmp.Or(from, "primary"))
			continue
		case s.farm:
			f.keep()
			continue
		}
		began := time.Now()
		printed, err := f.run(s, keys.typed(s.command))
		t.Logf("%s:%d: %.1f s: %s", p.path, s.line, time.Since(began).Seconds(), s.command)
		if err != nil {
			t.Fatalf("%s:%d: %s: %v", p.path, s.line, s.command, err)
		}
		if s.unseen {
			if _, end := cutExit(printed); end != "(exit code 0)" {
				t.Fatalf("%s:%d: %s\n%s", p.path, s.line, s.command, strings.Join(printed, "\n"))
			}
			continue
		}
		why := keys.differ(s.output, printed)
		if why == "" {
			continue
		}
		if !*update {
			t.Errorf("%s:%d: %s\n%s; all of it:\n%s", p.path, s.line, s.command, why, strings.Join(printed, "\n"))
			continue
		}
		s.printed = keys.rewritten(s.output, printed)
		outdated = append(outdated, s)
	}
	slices.Reverse(outdated)
	for _, s := range outdated {
		p.replace(s, s.printed)
	}
	if len(outdated) > 0 {
		if err := os.WriteFile(p.path, []byte(strings.Join(p.lines, "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d outputs are new", p.path, len(outdated))
	}
}

// run has a command done, and returns what it prints, line by line.
func (f *theFarm) run(s step, command string) ([]string, error) {
	m := f.on(s.machine)
	if strings.HasPrefix(s.command, "mmdebstrap ") {
		return nil, f.bootstrap(s)
	}
	types := typing(s.output)
	if len(types) > 0 {
		command = "TERM=dumb script --quiet --return --command " + quoted("stty columns 200 rows 50; "+command) +
			" /dev/null"
	}
	if folder, ok := strings.CutPrefix(command, "cd "); ok {
		f.folders[s.machine] = folder
	}
	cmd := m.Command(f.t.Context(), "bash", "-c", "cd "+f.folders[s.machine]+"; "+command)
	if s.user != "" {
		cmd = m.Command(f.t.Context(), "runuser", "--login", s.user, "--command", command)
	}
	out, err := converse(cmd, types)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return nil, err
	}
	out = strings.ReplaceAll(ansi.Strip(out), "\r", "")
	out = strings.TrimRight(out, "\n")
	var lines []string
	if out != "" {
		lines = strings.Split(out, "\n")
	}
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " \t")
	}
	if exit != nil {
		lines = append(lines, fmt.Sprintf("(exit code %d)", exit.ExitCode()))
	}
	return lines, nil
}

func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// bootstrap stands in for a mmdebstrap that a page types. scripts/need has run it, with the very
// same words, but for the folder; the machine boots anew with that root below its files.
func (f *theFarm) bootstrap(s step) error {
	client := filepath.Join(filepath.Dir(machine.Root()), "client")
	with, err := os.ReadFile(client + "/made-with")
	if err != nil || strings.TrimSpace(string(with))+" /srv/ltsp/x86_64" != s.command {
		testkit.Need(f.t,
			fmt.Errorf("%s is not what this makes: %s: CI=true scripts/need test makes it", client, s.command))
	}
	m := f.on(s.machine)
	if out, err := m.Run(f.t.Context(), "command -v mmdebstrap && test ! -e /srv/ltsp/x86_64"); err != nil {
		return fmt.Errorf("mmdebstrap cannot run: %v: %s", err, out)
	}
	m.PullPlug()
	f.boot(s.machine, client+"/root:"+m.Disk())
	return nil
}

// bootClient has a client fetch what a primary serves now: the image, with LTSP's initrd unpacked
// over it, as that does before it starts the system.
func (f *theFarm) bootClient(name, from string) {
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
func (f *theFarm) fetch(from, path, to string) {
	f.t.Helper()
	m := f.on(from)
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
func (f *theFarm) must(cmd *exec.Cmd, input ...string) {
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
