package testscripts

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/elftest"
	"ltskeeper/internal/testkit/sshdtest"
	"ltskeeper/squashfs"
)

// The program itself is killed at 200 random moments of update-image. Whenever that is, clients
// find whole files of the generation before or of the new one; status only looks; image repair
// leaves one generation and no litter, and the next update-image does what the killed one was to
// do, and removes what it left, wherever that is.
func TestKill(t *testing.T) {
	build(t)
	t.Parallel()
	const farms, kills = 20, 10 // one after another in two rows: each begins with a first day
	for row := range 2 {
		t.Run(fmt.Sprint("row ", row), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
			unfinished := 0
			for n := row; n < farms; n += 2 {
				v := newVictim(t, n%5 == 0)
				for killed := 0; killed < kills && !t.Failed(); {
					if v.killOnce(rng) {
						killed++
					}
				}
				unfinished += v.unfinished
			}
			t.Logf("%d of %d kills left something to repair", unfinished, farms*kills/2)
		})
	}
}

// A victim is a farm whose ltskeeper gets killed.
type victim struct {
	testkit.Folder
	t     *testing.T
	state int           // what the tree is at; goes up with each change
	took  time.Duration // the last run that nobody disturbed

	unfinished int // kills that left something to repair
}

// newVictim makes a farm on its first day: an image and a kernel of somebody else's are being
// served.
func newVictim(t *testing.T, withServer bool) *victim {
	t.Helper()
	// No kill undoes what a program has written, synced or not, so it need not wait for a disk.
	v := &victim{Folder: testkit.NewMemoryFolder(t), t: t, took: 30 * time.Millisecond}
	v.Write("ltskeeper.toml", `
state = "state"
[image]
directory = "images"
keep = 2
keep-for = "1ns"
[tftp]
directory = "tftp"
[metrics]
textfile = "metrics/ltskeeper.prom"
[[chroot]]
name = "client"
path = "client"
`)
	testkit.Must(t, os.Mkdir(v.Path("metrics"), 0o755))
	testkit.Must(t, os.Mkdir(v.Path("tmp"), 0o755))
	v.WriteProgram("client/bin/sh", string(elftest.Static(elf.EM_X86_64)))
	testkit.Must(t, os.MkdirAll(v.Path("client/sbin"), 0o755))
	testkit.Must(t, os.Symlink("../bin/sh", v.Path("client/sbin/init")))
	v.Write("client/lib/modules/6.1/modules.dep", "")
	testkit.Must(t, os.Mkdir(v.Path("client/lib/modules/6.1/kernel"), 0o755))
	v.Write("images/client.img", "state 0")
	v.Write("tftp/client/vmlinuz", "state 0")
	v.Write("tftp/client/initrd.img", "state 0")
	if withServer {
		s := sshdtest.Start(t, sshdtest.Options{KeyTypes: []string{"ed25519"}})
		v.Write("servers.d/app01.toml", fmt.Sprintf("addresses = [%q]\nport = %d\n", s.Address, s.Port))
		// A first use that is cut off does not happen again: names are on disk before keys, and a
		// person has to decide. So it comes before the kills.
		v.run("keys", "collect")
	}
	return v
}

// change brings tree and lts.conf to another state.
func (v *victim) change() {
	v.t.Helper()
	v.state++
	state := fmt.Sprint("state ", v.state)
	v.Write("client/etc/hostname", state+"\n")
	v.Write("client/boot/vmlinuz-6.1", state)
	v.Write("client/boot/initrd.img-6.1", state)
	v.Write("lts.conf", "[default]\n  MARK = \""+state+"\"\n")
}

func (v *victim) command(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(binary, "ltskeeper"), args...)
	cmd.Env = append(os.Environ(), "LTSKEEPER_CONFIG="+v.Path("ltskeeper.toml"), "TMPDIR="+v.Path("tmp"))
	return cmd
}

// run runs ltskeeper to its end, which must be a good one.
func (v *victim) run(args ...string) {
	v.t.Helper()
	if out, err := v.command(args...).CombinedOutput(); err != nil {
		v.t.Errorf("ltskeeper %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// updateWatched runs an update-image that nobody kills, with a status beside it, which must not
// mind.
func (v *victim) updateWatched() {
	v.t.Helper()
	status := v.command("status", "--quiet")
	testkit.Must(v.t, status.Start())
	began := time.Now()
	v.run("update-image")
	v.took = time.Since(began)
	if err := status.Wait(); err != nil {
		v.t.Errorf("status beside an update: %v", err)
	}
}

// killOnce kills one update-image and looks at what that left; false if the update was done before.
func (v *victim) killOnce(rng *rand.Rand) bool {
	v.t.Helper()
	old := v.served()
	if v.state == 0 || rng.IntN(2) == 0 {
		v.change()
	}
	after := time.Duration(rng.Int64N(int64(v.took) * 5 / 4))
	cmd := v.command("update-image")
	testkit.Must(v.t, cmd.Start())
	time.Sleep(after)
	testkit.Must(v.t, ignore(cmd.Process.Kill(), os.ErrProcessDone))
	err := cmd.Wait()
	done := err == nil || cmd.ProcessState.Exited()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) || err != nil && exit.Exited() {
		v.t.Errorf("update-image: %v", err)
	}
	when := fmt.Sprintf("killed after %v, at state %d", after, v.state)

	now := v.served()
	for name, state := range now {
		if state != old[name] && state != fmt.Sprint("state ", v.state) {
			v.t.Errorf("%s: %s is of %q; before it was of %q", when, name, state, old[name])
		}
	}
	v.wholeMetrics(when)
	before, err := look([]string{v.Path("")})
	testkit.Must(v.t, err)
	v.run("status")
	v.run("image", "list")
	looked, err := look([]string{v.Path("")})
	testkit.Must(v.t, err)
	if !maps.Equal(before, looked) {
		v.t.Errorf("%s: status or image list changed something", when)
	}
	parts := []string{v.Path("images"), v.Path("tftp")}
	before, err = look(parts)
	testkit.Must(v.t, err)
	v.run("image", "repair")
	repaired, err := look(parts)
	testkit.Must(v.t, err)
	if !maps.Equal(before, repaired) {
		v.unfinished++
	}
	if now = v.served(); !maps.Equal(now, old) && !maps.Equal(now, v.allOf(v.state)) {
		v.t.Errorf("%s: after image repair %q are served: not of one generation", when, now)
	}
	v.noLitter(when+", repaired", "images", "tftp")

	v.updateWatched()
	if now = v.served(); !maps.Equal(now, v.allOf(v.state)) {
		v.t.Errorf("%s: after the next update-image %q are served", when, now)
	}
	v.noLitter(when+", updated", ".")
	return !done
}

// served says of which state each file is that clients can fetch; "none" is one that is not there.
func (v *victim) served() map[string]string {
	v.t.Helper()
	states := map[string]string{"image": v.imageState()}
	for _, name := range []string{"vmlinuz", "initrd.img", "lts.conf"} {
		data, err := os.ReadFile(v.Path("tftp/client/" + name))
		if errors.Is(err, fs.ErrNotExist) {
			data, err = []byte("none"), nil
		}
		testkit.Must(v.t, err)
		if name == "lts.conf" {
			data = mark(data)
		}
		states[name] = string(data)
	}
	return states
}

func (v *victim) allOf(state int) map[string]string {
	s := fmt.Sprint("state ", state)
	return map[string]string{"image": s, "vmlinuz": s, "initrd.img": s, "lts.conf": s}
}

// imageState reads all of the served image, which must be whole.
func (v *victim) imageState() string {
	v.t.Helper()
	f, err := os.Open(v.Path("images/client.img"))
	testkit.Must(v.t, err)
	defer f.Close()
	if first, _ := io.ReadAll(io.LimitReader(f, 8)); string(first) == "state 0" {
		return string(first)
	}
	info, err := f.Stat()
	testkit.Must(v.t, err)
	img, err := squashfs.Open(f, info.Size())
	testkit.Must(v.t, err)
	testkit.Must(v.t, img.Verify(context.Background()))
	states := map[string]bool{}
	var state string
	for _, name := range []string{"etc/hostname", "boot/vmlinuz-6.1", "boot/initrd.img-6.1", "etc/lts.conf"} {
		e, err := img.Lookup(name)
		testkit.Must(v.t, err)
		content, err := img.OpenFile(e)
		testkit.Must(v.t, err)
		data, err := io.ReadAll(content)
		testkit.Must(v.t, err)
		if name == "etc/lts.conf" {
			data = mark(data)
		}
		state = string(bytes.TrimSpace(data))
		states[state] = true
	}
	if len(states) != 1 {
		v.t.Errorf("the image is of several states: %v", states)
	}
	return state
}

// mark is the state that an lts.conf was made of.
func mark(conf []byte) []byte {
	if found := regexp.MustCompile(`state \d+`).Find(conf); found != nil {
		return found
	}
	return conf
}

// wholeMetrics: what node_exporter would read has all metrics, to the last.
func (v *victim) wholeMetrics(when string) {
	v.t.Helper()
	files, err := filepath.Glob(v.Path("metrics/*.prom"))
	testkit.Must(v.t, err)
	for _, path := range files {
		data, err := os.ReadFile(path)
		testkit.Must(v.t, err)
		last := strings.TrimSuffix(string(data), "\n")
		last = last[strings.LastIndexByte(last, '\n')+1:]
		if filepath.Base(path) != "ltskeeper.prom" ||
			!strings.HasPrefix(last, "ltskeeper_images_filesystem_size_bytes ") {
			v.t.Errorf("%s: %s ends in %q", when, path, last)
		}
	}
}

// noLitter: nothing is left below the folders that has a temporary name, or that is in the folder
// for such files. Of what is beside the metrics, which no lock keeps others from writing, nobody
// knows for an hour whether it is left.
func (v *victim) noLitter(when string, folders ...string) {
	v.t.Helper()
	for _, folder := range folders {
		testkit.Must(v.t, filepath.WalkDir(v.Path(folder), func(path string, _ fs.DirEntry, err error) error {
			parent, name := filepath.Split(path)
			if strings.HasPrefix(name, ".") && parent != v.Path("metrics")+"/" || parent == v.Path("tmp")+"/" {
				v.t.Errorf("%s: %s is left", when, path)
			}
			return err
		}))
	}
}

// Of two update-image at once, one works, and the other says so and ends with 5 before the first
// has come any further.
func TestTwoAtOnce(t *testing.T) {
	build(t)
	t.Parallel()
	v := newVictim(t, false)
	v.change()
	slow := newTarpit(t)
	v.Write("servers.d/slow.toml", slow.declaration())
	config, err := os.ReadFile(v.Path("ltskeeper.toml"))
	testkit.Must(t, err)
	v.Write("ltskeeper.toml", string(config)+"[collect]\ntimeout = \"10m\"\n")

	first := v.command("update-image")
	testkit.Must(t, first.Start())
	slow.visited()
	before, err := look([]string{v.Path("")})
	testkit.Must(t, err)
	for range 3 {
		second := v.command("update-image")
		tired := time.AfterFunc(time.Minute, func() { second.Process.Kill() }) // it is waiting, or worse, at work
		out, err := second.CombinedOutput()
		tired.Stop()
		if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 5 ||
			!strings.Contains(string(out), "another run") {
			t.Errorf("the second update-image: %v\n%s", err, out)
			break
		}
		v.run("status")
	}
	after, err := look([]string{v.Path("")})
	testkit.Must(t, err)
	if !maps.Equal(before, after) {
		t.Error("the second update-image, or status, changed something")
	}
	slow.close()
	if err := first.Wait(); err == nil || first.ProcessState.ExitCode() != 4 { // done, but for the server
		t.Errorf("the first update-image: %v, want exit code 4", err)
	}
	if now := v.served(); !maps.Equal(now, v.allOf(v.state)) {
		t.Errorf("the first update-image serves %q", now)
	}
	v.noLitter("in the end", ".")
}

// A tarpitServer is one that never says a word, until it is closed.
type tarpitServer struct {
	t       *testing.T
	l       net.Listener
	visits  chan net.Conn
	closing chan struct{}
	close   func()
}

func newTarpit(t *testing.T) *tarpitServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	testkit.Must(t, err)
	s := &tarpitServer{t: t, l: l, visits: make(chan net.Conn), closing: make(chan struct{})}
	var open sync.WaitGroup
	s.close = sync.OnceFunc(func() {
		close(s.closing)
		l.Close()
		open.Wait()
	})
	t.Cleanup(s.close)
	open.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() {
				defer conn.Close()
				select {
				case s.visits <- conn:
				case <-s.closing:
				}
				<-s.closing
			})
		}
	})
	return s
}

func (s *tarpitServer) declaration() string {
	a := s.l.Addr().(*net.TCPAddr)
	return fmt.Sprintf("addresses = [%q]\nport = %d\n", a.IP, a.Port)
}

// visited waits until somebody has come.
func (s *tarpitServer) visited() { <-s.visits }

func ignore(err, harmless error) error {
	if errors.Is(err, harmless) {
		return nil
	}
	return err
}
