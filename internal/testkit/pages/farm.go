package pages

import (
	"cmp"
	"errors"
	"fmt"
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

// A Farm is the machines that pages are about, on a network of their own.
type Farm struct {
	Network *machine.Network

	t        *testing.T
	options  Options
	machines map[string]*machine.Machine // by name, those that run
	// packages is a folder that machines have below their own files: ltskeeper's packages in root's
	// home.
	packages string
	kept     map[string]string // what machines of the other pages start from, by name
	folders  map[string]string // where root of a machine is, by name; otherwise at home
}

// Options say what to do with pages.
type Options struct {
	Update bool // write what is printed today into the pages, and sizes to the last digit
}

// addresses are those of all machines that there may be.
var addresses = map[string]string{
	"primary": "192.168.67.1", "primary2": "192.168.67.2", "client": "192.168.67.20",
	"app01": "192.168.67.11", "app02": "192.168.67.12", "app03": "192.168.67.13", "app04": "192.168.67.14",
}

// NewFarm boots machines as the tutorial finds them. They, and what was kept of them, last as long
// as the test.
func NewFarm(t *testing.T, o Options) *Farm {
	t.Helper()
	machine.Needed(t)
	f := &Farm{t: t, options: o, Network: machine.NewNetwork(t), machines: map[string]*machine.Machine{},
		folders: map[string]string{}, packages: buildPackages(t)}
	for _, name := range []string{"primary", "app01", "app02", "app03", "app04"} {
		f.On(name)
	}
	return f
}

// HasKept reports whether a page has kept the farm for others.
func (f *Farm) HasKept() bool { return f.kept != nil }

// BootAgain boots the machines that were kept, anew and apart from all others.
func (f *Farm) BootAgain(t *testing.T) *Farm {
	t.Helper()
	g := &Farm{t: t, options: f.options, Network: machine.NewNetwork(t), machines: map[string]*machine.Machine{},
		folders: map[string]string{}, packages: f.packages, kept: f.kept}
	g.bootKept()
	return g
}

func (f *Farm) bootKept() {
	f.t.Helper()
	for _, name := range slices.Sorted(maps.Keys(f.kept)) {
		f.boot(name, f.kept[name])
	}
}

// keep has all other pages start from what stands now. The machines go off, and on again.
func (f *Farm) keep() {
	f.t.Helper()
	f.kept = map[string]string{}
	for name, m := range f.machines {
		if name != "client" {
			f.kept[name] = m.Disk()
		}
	}
	f.PullPlugs()
	f.bootKept()
}

// PullPlugs turns all machines off.
func (f *Farm) PullPlugs() {
	for _, m := range f.machines {
		m.PullPlug()
	}
	clear(f.machines)
}

func (f *Farm) boot(name, root string) *machine.Machine {
	f.t.Helper()
	m := f.Network.Boot(f.t, machine.Options{Name: name, Address: addresses[name] + "/24", Root: root})
	f.machines[name] = m
	return m
}

// On returns a machine. One that is not there yet boots, and has nothing but ltskeeper's packages
// in root's home.
func (f *Farm) On(name string) *machine.Machine {
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

// buildPackages builds ltskeeper's packages, in a copy of the sources, for another test may build
// them at the same time. It returns a folder with root/*.deb.
func buildPackages(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	script := `mkdir "$1/source" "$1/layer"; mkdir -m 700 "$1/layer/root"
		git ls-files --cached --others --exclude-standard -z | xargs -0 ls -d 2>/dev/null |
			tar -c -T - | tar -x -C "$1/source"
		cd "$1/source"; dist/deb/build && mv bin/deb/*.deb "$1/layer/root"`
	cmd := exec.Command("sh", "-euc", script, "build", folder)
	cmd.Dir = testkit.Root()
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

// Tell runs all steps of a page. What is printed has to be what the page shows; with Options.Update
// it goes into the page's file otherwise.
func (f *Farm) Tell(p *Page) {
	f.t.Helper()
	outdated, err := p.follow(f.do, f.options.Update)
	if err != nil {
		f.t.Error(err)
	}
	if outdated > 0 {
		testkit.Must(f.t, os.WriteFile(p.Path, []byte(p.Text()), 0o644))
		f.t.Logf("%s: %d outputs are new", p.Path, outdated)
	}
}

// do does what a step says, and returns what its command prints, line by line.
func (f *Farm) do(s Step, command string) ([]string, error) {
	f.t.Helper()
	began := time.Now()
	defer func() { f.t.Logf("line %d: %.1f s: %s", s.Line, time.Since(began).Seconds(), s.Command) }()
	switch {
	case s.boots != "":
		name, from, _ := strings.Cut(s.boots, " from ")
		f.bootClient(name, cmp.Or(from, "primary"))
		return nil, nil
	case s.keeps:
		f.keep()
		return nil, nil
	case strings.HasPrefix(s.Command, "mmdebstrap "):
		return nil, f.bootstrap(s)
	}
	return f.run(s, command)
}

// run runs a step's command.
func (f *Farm) run(s Step, command string) ([]string, error) {
	m := f.On(s.machine)
	types := listAnswers(s.output)
	if len(types) > 0 {
		command = "TERM=dumb script --quiet --return --command " + quote("stty columns 200 rows 50; "+command) +
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

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
