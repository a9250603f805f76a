package keeper

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ltskeeper/farm"
	"ltskeeper/internal/testkit/elftest"
	"ltskeeper/internal/testkit/sshdtest"
)

// place is a farm in a test's own folder.
type place struct {
	t   *testing.T
	dir string
}

// newPlace makes a farm with one chroot and no server.
func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{t, t.TempDir()}
	p.write("ltskeeper.toml", `
state = "state"
[image]
directory = "images"
[tftp]
directory = "tftp"
[[chroot]]
name = "client"
path = "client"
`)
	p.write("client/etc/hostname", "client\n")
	p.write("client/sbin/init", "#!/bin/sh\n")
	p.write("client/bin/sh", string(elftest.Static(elf.EM_X86_64)))
	for _, program := range []string{"client/sbin/init", "client/bin/sh"} {
		must(t, os.Chmod(p.path(program), 0o755))
	}
	return p
}

// twoChroots adds a second one.
func (p *place) twoChroots() {
	p.t.Helper()
	p.write("ltskeeper.toml", p.read("ltskeeper.toml")+"[[chroot]]\nname = \"other\"\npath = \"other\"\n")
	must(p.t, os.CopyFS(p.path("other"), os.DirFS(p.path("client"))))
}

func (p *place) path(name string) string { return filepath.Join(p.dir, name) }

func (p *place) write(name, content string) {
	p.t.Helper()
	must(p.t, os.MkdirAll(filepath.Dir(p.path(name)), 0o755))
	must(p.t, os.WriteFile(p.path(name), []byte(content), 0o644))
}

func (p *place) read(name string) string {
	p.t.Helper()
	data, err := os.ReadFile(p.path(name))
	must(p.t, err)
	return string(data)
}

func (p *place) farm() *farm.Farm {
	p.t.Helper()
	f, err := farm.Load(p.path("ltskeeper.toml"))
	must(p.t, err)
	return f
}

// keeper opens the farm.
func (p *place) keeper() *Keeper {
	p.t.Helper()
	k, err := Open(p.path("ltskeeper.toml"))
	must(p.t, err)
	return k
}

func (p *place) update(o UpdateOptions) *Report {
	p.t.Helper()
	r, err := p.keeper().Update(context.Background(), o)
	must(p.t, err)
	return r
}

// inImage reads a file of the current image.
func (p *place) inImage(name string) string {
	p.t.Helper()
	f := p.farm()
	data, err := New(f).imageStore(f.Chroots[0]).ReadFile(name)
	must(p.t, err)
	return string(data)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantContains(t *testing.T, what, text, want string) {
	t.Helper()
	if !strings.Contains(text, want) {
		t.Errorf("%s is %q, want %q in it", what, text, want)
	}
}

// A relay stands between the scanner and servers, as someone on the wire would: for each
// connection, in order, it says which server really answers. Beyond the list, the last one does.
type relay struct {
	mu    sync.Mutex
	plan  []*sshdtest.Server
	count int
}

func (r *relay) next() *sshdtest.Server {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.plan[min(r.count, len(r.plan)-1)]
	r.count++
	return s
}

func (r *relay) answer(plan ...*sshdtest.Server) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.plan, r.count = plan, 0
}

// listen starts the relay, and returns its address and port.
func (r *relay) listen(t *testing.T) (string, int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	var open sync.WaitGroup
	t.Cleanup(func() { l.Close(); open.Wait() })
	open.Go(func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			server := r.next()
			open.Go(func() {
				defer from.Close()
				to, err := net.Dial("tcp", net.JoinHostPort(server.Address, fmt.Sprint(server.Port)))
				if err != nil {
					return
				}
				defer to.Close()
				open.Go(func() { io.Copy(to, from); to.Close() })
				io.Copy(from, to)
			})
		}
	})
	port := l.Addr().(*net.TCPAddr).Port
	return "127.0.0.1", port
}

// Only a server that shows a wrong key in both looks of a run goes into quarantine.
func TestSecondLook(t *testing.T) {
	t.Parallel()
	real := sshdtest.Start(t, sshdtest.Options{KeyTypes: []string{"ed25519"}})
	other := sshdtest.Start(t, sshdtest.Options{KeyTypes: []string{"ed25519"}})
	var wire relay
	wire.answer(real)
	address, port := wire.listen(t)
	p := newPlace(t)
	p.write("servers.d/app01.toml", fmt.Sprintf("addresses = [%q]\nport = %d\n", address, port))
	second := sshdtest.Start(t, sshdtest.Options{Port: port, KeyTypes: []string{"ed25519"}})
	p.write("servers.d/app02.toml", fmt.Sprintf("addresses = [%q]\nport = %d\n", second.Address, port))

	app01 := func(r *Report) Server { return r.Servers[0] }
	if s := app01(p.update(UpdateOptions{})); s.State != Trusted || len(s.Added) != 1 || !s.Listed {
		t.Fatalf("first run: %+v", s)
	}

	wire.answer(other, real) // wrong once, then right
	s := app01(p.update(UpdateOptions{}))
	if s.State != Trusted || s.Quarantined != nil || !s.Listed || len(s.Pending) != 0 {
		t.Errorf("wrong key once: %+v", s)
	}
	wantContains(t, "message", s.Message.String(), "someone may be answering in its place")

	wire.answer(other, other)
	s = app01(p.update(UpdateOptions{}))
	if s.State != Changed || s.Quarantined == nil || s.Listed || !s.Decision || len(s.Pending) != 1 {
		t.Errorf("wrong key twice: %+v", s)
	}
	wantContains(t, "lts.conf", p.read("tftp/client/lts.conf"), `LDM_SERVER = app02`)
	trusted := strings.Join(strings.Fields(real.PublicKeys()[0])[:2], " ")
	wantContains(t, "known_hosts in the image", p.inImage("etc/ssh/ssh_known_hosts"), trusted)

	// What prints without asking anybody goes by the same record.
	conf, err := p.keeper().LTSConf("client")
	must(t, err)
	if string(conf) != p.read("tftp/client/lts.conf") {
		t.Errorf("LTSConf prints\n%s\nclients have\n%s", conf, p.read("tftp/client/lts.conf"))
	}

	real.Stop()
	wire.answer(real) // silence ends no quarantine
	if s = app01(p.update(UpdateOptions{})); s.Quarantined == nil || s.Listed || !s.Unreachable || !s.Decision {
		t.Errorf("silent in quarantine: %+v", s)
	}

	must(t, real.Restart()) // its trusted key does
	if s = app01(p.update(UpdateOptions{})); s.State != Trusted || s.Quarantined != nil || !s.Listed ||
		len(s.Pending) != 0 {
		t.Errorf("trusted key again: %+v", s)
	}
}

// A dry run reports what a run would do, and leaves no trace.
func TestDryRunWritesNothing(t *testing.T) {
	t.Parallel()
	server := sshdtest.Start(t, sshdtest.Options{KeyTypes: []string{"ed25519"}})
	p := newPlace(t)
	p.write("servers.d/app01.toml", fmt.Sprintf("addresses = [%q]\nport = %d\n", server.Address, server.Port))
	before := p.list()
	r := p.update(UpdateOptions{DryRun: true})
	if after := p.list(); !slices.Equal(before, after) {
		t.Errorf("files before\n%s\nafter\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
	if s := r.Servers[0]; len(s.Added) != 1 || !s.Listed {
		t.Errorf("app01: %+v", s)
	}
	if len(r.Files) != 2 || !r.Files[0].Changed || !strings.Contains(r.Files[1].New, "LDM_SERVER = app01") {
		t.Errorf("files: %+v", r.Files)
	}
	if len(r.Images) != 1 || !r.Images[0].Changed {
		t.Errorf("images: %+v", r.Images)
	}
}

// list names all files with size, mode and time.
func (p *place) list() []string {
	p.t.Helper()
	var all []string
	must(p.t, filepath.WalkDir(p.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		all = append(all, fmt.Sprint(path, " ", info.Mode(), info.Size(), info.ModTime().UnixNano()))
		return err
	}))
	return all
}

// A chroot with write = false gets its files in the image only.
func TestWriteFalse(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("ltskeeper.toml", p.read("ltskeeper.toml")+"write = false\n")
	p.write("known_hosts.local",
		"old ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl\n")
	before := p.list()
	r := p.update(UpdateOptions{})
	for i, f := range r.Files {
		if want := []string{"image:/etc/ssh/ssh_known_hosts", "image:/etc/lts.conf"}[i]; f.Path != want || !f.Changed {
			t.Errorf("file %+v, want %s changed", f, want)
		}
	}
	wantContains(t, "known_hosts in the image", p.inImage("etc/ssh/ssh_known_hosts"), "old ssh-ed25519")
	inTree := func(list []string) []string {
		return slices.DeleteFunc(list, func(line string) bool { return !strings.HasPrefix(line, p.path("client")) })
	}
	if after := inTree(p.list()); !slices.Equal(inTree(before), after) {
		t.Errorf("the tree was written to:\n%s", strings.Join(after, "\n"))
	}
	if r = p.update(UpdateOptions{}); r.SomethingChanged() {
		t.Errorf("a second run changed something: %+v", r)
	}
}

// A file that clients would not find in the image is not written where only the tree has it.
func TestALinkOutOfTheImage(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	must(t, os.MkdirAll(p.path("client/etc/ssh"), 0o755))
	must(t, os.MkdirAll(p.path("client/tmp"), 0o755))
	must(t, os.Symlink("/tmp/known_hosts", p.path("client/etc/ssh/ssh_known_hosts")))
	_, err := p.keeper().Update(context.Background(), UpdateOptions{})
	if err == nil || !strings.Contains(err.Error(), "at /tmp/known_hosts, which is left out of the image") {
		t.Errorf("Run: %v", err)
	}
	if _, err := os.Stat(p.path("client/tmp/known_hosts")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it was written into the tree all the same (%v)", err)
	}
}

// One broken chroot does not keep the others from being brought up to date.
func TestOneChrootFails(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("ltskeeper.toml",
		strings.Replace(p.read("ltskeeper.toml"), "[[chroot]]",
			"[[chroot]]\nname = \"broken\"\npath = \"nowhere\"\n[[chroot]]", 1))
	r, err := p.keeper().Update(context.Background(), UpdateOptions{})
	if err == nil || !strings.Contains(err.Error(), "chroot broken") {
		t.Errorf("Run: %v, want an error about chroot broken", err)
	}
	if len(r.Images) != 1 || r.Images[0].Chroot != "client" || !r.Images[0].Changed {
		t.Errorf("images: %+v", r.Images)
	}
}

// A server that is added again has no first use, whatever was left of it.
func TestAddedAgain(t *testing.T) {
	t.Parallel()
	server := sshdtest.Start(t, sshdtest.Options{KeyTypes: []string{"ed25519"}})
	p := newPlace(t)
	ctx := context.Background()
	app := farm.Server{Name: "app01", Addresses: []string{server.Address}, Port: server.Port}
	k := p.keeper()
	must(t, k.AddServer(app))
	r, err := k.CollectKeys(ctx, CollectOptions{})
	must(t, err)
	if len(r.Servers[0].Added) != 1 {
		t.Fatalf("first use: %+v", r.Servers[0])
	}
	// Once removed properly, once by deleting its file.
	for _, remove := range []func() error{
		func() error { return k.RemoveServer("app01") },
		func() error { return os.Remove(p.path("servers.d/app01.toml")) },
	} {
		must(t, remove())
		must(t, k.AddServer(app))
		r, err := k.CollectKeys(ctx, CollectOptions{})
		must(t, err)
		if s := r.Servers[0]; s.State != Pending || len(s.Keys) != 0 || !s.Decision || s.Listed {
			t.Errorf("added again: %+v", s)
		}
		if _, err := k.AcceptKeys("app01", nil); err != nil {
			t.Error(err)
		}
		r, err = k.CollectKeys(ctx, CollectOptions{})
		must(t, err)
		if s := r.Servers[0]; s.State != Trusted || !s.Listed {
			t.Errorf("accepted: %+v", s)
		}
	}
}

func TestTimesInReports(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	r := p.update(UpdateOptions{})
	if r.Duration <= 0 || time.Since(r.Started) > time.Hour {
		t.Errorf("report: %+v", r)
	}
	var steps []string
	var sum time.Duration
	for _, s := range r.Steps {
		steps = append(steps, strings.TrimSpace(s.Name+" "+s.Chroot))
		sum += s.Duration
	}
	want := []string{"scan", "record", "open client", "write client", "build client", "publish client", "prune client"}
	if !slices.Equal(steps, want) || sum > r.Duration {
		t.Errorf("steps %q of %v in %v, want %q", steps, sum, r.Duration, want)
	}
	if first, second := p.update(UpdateOptions{DryRun: true}), p.update(UpdateOptions{}); len(first.Steps) != 5 ||
		len(second.Steps) != 6 {
		t.Errorf("a dry run has the steps %+v, a run that publishes nothing %+v", first.Steps, second.Steps)
	}
}
