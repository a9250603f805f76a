package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ltskeeper/internal/durable"
	"ltskeeper/internal/testkit"
)

// A deed is something that a Store does in many steps, after any of which the machine may stop.
type deed struct {
	before func(p *place) // makes what is there before
	do     func(p *place) error
	holds  bool // a generation that was gone back to is held, or the next update would bring the bad one back
}

// deeds are those that change what clients see, as the commands do them.
var deeds = map[string]deed{
	"the first image": {
		before: func(p *place) {},
		do:     (*place).tryUpdate,
	},
	"the first day": {
		before: func(p *place) {
			p.stateOfTree("0")
			p.Write("images/x86_64.img", "image 0")
			p.Write("tftp/x86_64/vmlinuz", "kernel 0")
			p.Write("tftp/x86_64/initrd.img", "initrd 0")
			p.Write("tftp/x86_64/lts.conf", "conf 0")
			p.stateOfTree("1")
		},
		do: (*place).tryUpdate,
	},
	"the first day without an image": {
		before: func(p *place) {
			p.Write("tftp/x86_64/vmlinuz", "kernel 0")
			p.Write("tftp/x86_64/initrd.img", "initrd 0")
		},
		do: (*place).tryUpdate,
	},
	"somebody else's image on a later day": {
		before: func(p *place) {
			p.Write("images/x86_64.img", "image 0") // its kernel is elsewhere
			p.stateOfTree("1")
			p.update("conf 1")
			p.stranger("9")
			p.stateOfTree("2")
		},
		do: (*place).tryUpdate,
	},
	"a new generation": {
		before: func(p *place) {
			p.stateOfTree("1")
			p.update("conf 1")
			p.stateOfTree("2")
		},
		do: (*place).tryUpdate,
	},
	"a new lts.conf": {
		before: func(p *place) {
			p.stateOfTree("1")
			p.update("conf 1")
		},
		do: (*place).tryUpdate,
	},
	"nothing new": {
		before: func(p *place) {
			p.stateOfTree("2")
			p.update("conf 2")
		},
		do: (*place).tryUpdate,
	},
	"a rollback": {
		before: func(p *place) {
			for _, n := range []string{"1", "2", "3"} {
				p.stateOfTree(n)
				p.update("conf " + n)
			}
		},
		do:    func(p *place) error { _, err := p.Rollback(1, p.now); return err },
		holds: true,
	},
	"a rollback to the first day": {
		before: func(p *place) {
			p.Write("images/x86_64.img", "image 0")
			p.Write("tftp/x86_64/vmlinuz", "kernel 0")
			p.Write("tftp/x86_64/initrd.img", "initrd 0")
			p.Write("tftp/x86_64/lts.conf", "conf 0")
			p.stateOfTree("1")
			p.update("conf 1")
		},
		do:    func(p *place) error { _, err := p.Rollback(0, p.now); return err },
		holds: true,
	},
	"a prune": {
		before: func(p *place) {
			p.Write("images/x86_64.img", "image 0")
			p.Write("tftp/x86_64/vmlinuz", "kernel 0")
			p.Write("tftp/x86_64/initrd.img", "initrd 0")
			p.Write("tftp/x86_64/lts.conf", "conf 0")
			for _, n := range []string{"1", "2"} {
				p.stateOfTree(n)
				p.update("conf " + n)
			}
		},
		do: func(p *place) error { _, err := p.Prune(1, 0, p.now.Add(time.Hour)); return err },
	},
	"a repair between the two sides": {
		before: func(p *place) {
			for _, n := range []string{"1", "2"} {
				p.stateOfTree(n)
				p.update("conf " + n)
			}
			testkit.Must(p.t, p.disk.Replace(p.disk.PrepareLink("1", filepath.Join(p.bootSide(), "current"))))
			testkit.Must(p.t, os.RemoveAll(p.bootFolder(2)))
			p.unpublish(2)
			p.Write("images/x86_64/.ltskeeper-new/root.img", "half")
			p.Write("images/x86_64/3/build.json", `{"published": false}`)
			p.Write("images/x86_64/3/root.img", "never current")
			p.Write("tftp/x86_64/3/kernel", "never current")
			p.Write("tftp/x86_64/.ltskeeper-new/kernel", "half")
		},
		do: func(p *place) error { return p.Repair(p.now) },
	},
	"a repair of what a stranger changed": {
		before: func(p *place) {
			p.stateOfTree("1")
			p.update("conf 1")
			p.Write("tftp/x86_64/1/lts.conf", "a stranger's")
		},
		do: func(p *place) error { return p.Repair(p.now) },
	},
}

// stranger puts an image, a kernel and an initrd in the place of the links to ltskeeper's, as `ltsp
// image` does.
func (p *place) stranger(state string) {
	p.t.Helper()
	for name, what := range map[string]string{"images/x86_64.img": "image ", "tftp/x86_64/vmlinuz": "kernel ",
		"tftp/x86_64/initrd.img": "initrd "} {
		if err := os.Remove(filepath.Join(filepath.Dir(p.Images), name)); !errors.Is(err, fs.ErrNotExist) {
			testkit.Must(p.t, err)
		}
		p.Write(name, what+state)
	}
}

// stateOfTree gives hostname, kernel and initrd of the tree contents that name a state.
func (p *place) stateOfTree(state string) {
	p.Write("root/etc/hostname", "state "+state+"\n")
	p.Write("root/boot/vmlinuz-6.1.0-9-amd64", "kernel "+state)
	p.Write("root/boot/initrd.img-6.1.0-9-amd64", "initrd "+state)
}

// tryUpdate does what the main job does with one image, with another lts.conf than before.
func (p *place) tryUpdate() error { return p.tryUpdateTo("conf 2") }

func (p *place) tryUpdateTo(conf string) error {
	if err := p.Repair(p.now); err != nil {
		return err
	}
	from := p.newSource(conf)
	from.Force = true // no question whether there is room: that is to be found out
	b, err := p.Build(context.Background(), from, p.now)
	if err == nil && !b.Unchanged {
		_, err = p.Publish(b, p.now)
	}
	return err
}

// at is the same place with its images and its TFTP files in another folder. The tree that is
// imaged is shared.
func (p *place) at(t *testing.T, dir string) *place {
	s := &Store{Name: p.Name, Images: filepath.Join(dir, "images"), TFTP: filepath.Join(dir, "tftp")}
	return &place{Store: s, Folder: p.Folder, t: t, root: p.root, now: p.now}
}

// crash is what a place's stop after a step panics with, so that no clean-up runs.
type crash struct{}

// stopAfter does it until so many steps are done, or to its end if there are fewer, and returns the
// steps. The history, which may have seen an earlier stop, goes on with them.
func (p *place) stopAfter(steps int, h *history, do func(p *place) error) (done []durable.Step) {
	p.t.Helper()
	p.disk.Did = func(s durable.Step) {
		testkit.Must(p.t, h.note(s))
		if done = append(done, s); len(done) == steps {
			panic(crash{})
		}
	}
	defer func() {
		p.disk.Did = nil
		if r := recover(); r != nil && r != (crash{}) {
			panic(r)
		}
	}()
	testkit.Must(p.t, do(p))
	return done
}

// served is what clients can fetch, by name; what is not there is "none".
func (p *place) served() map[string]string {
	p.t.Helper()
	all := map[string]string{}
	for _, path := range []string{p.Link(), filepath.Join(p.bootSide(), "vmlinuz"),
		filepath.Join(p.bootSide(), "initrd.img"),
		filepath.Join(p.bootSide(), "lts.conf")} {
		data, err := os.ReadFile(path)
		if err != nil {
			data = []byte("none")
		}
		all[filepath.Base(path)] = string(data)
	}
	return all
}

// An outcome is how a deed began and ended when nothing stopped it.
type outcome struct {
	old, new map[string]string // what was served
	next     map[string]string // and what the update after that serves
	// every generation there was, before and after, by file; of the first day's only those there
	// were
	whole []map[string]string
}

func (p *place) generations() []map[string]string {
	p.t.Helper()
	var all []map[string]string
	list, err := p.List()
	testkit.Must(p.t, err)
	for _, g := range list {
		all = append(all, p.readGenerationFiles(g.Number))
	}
	return all
}

// readGenerationFiles reads what a rollback to generation n would serve.
func (p *place) readGenerationFiles(n int) map[string]string {
	files := map[string]string{}
	for _, name := range []string{imageFile, kernelFile, initrdFile, confFile} {
		dir := p.folder(n)
		if n == 0 && name != imageFile {
			dir = p.bootFolder(n)
		}
		if data, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
			files[name] = string(data)
		}
	}
	return files
}

// checkServed: whatever happened, each file is whole, and of the old or the new generation.
func (o *outcome) checkServed(p *place) {
	p.t.Helper()
	for name, got := range p.served() {
		if got != o.old[name] && got != o.new[name] && got != o.next[name] {
			p.t.Errorf("%s is served as %.60q: neither the old %.60q nor the new %.60q", name, got, o.old[name],
				o.new[name])
		}
	}
}

// checkRepaired: all files are of one generation, none that is listed has lost anything, nobody's
// litter is left.
func (o *outcome) checkRepaired(p *place) {
	p.t.Helper()
	if got := p.served(); !maps.Equal(got, o.old) && !maps.Equal(got, o.new) && !maps.Equal(got, o.next) {
		p.t.Errorf("after Repair %.60q are served: not of one generation, the old %.60q or the new %.60q", got, o.old,
			o.new)
	}
	if problem, err := p.Check(); problem != nil || err != nil {
		p.t.Errorf("after Repair, Check says %q, %v", problem, err)
	}
	current, err := p.Current()
	testkit.Must(p.t, err)
	at, err := os.Readlink(filepath.Join(p.bootSide(), "current"))
	if current != nil && err == nil && at != strconv.Itoa(current.Number) {
		p.t.Errorf("after Repair the image is generation %d, the TFTP side %s", current.Number, at)
	}
	o.checkGenerations(p)
	o.checkLitter(p)
}

// checkGenerations: what is listed could be gone back to.
func (o *outcome) checkGenerations(p *place) {
	p.t.Helper()
	list, err := p.List()
	testkit.Must(p.t, err)
	for _, g := range list {
		files := p.readGenerationFiles(g.Number)
		if len(list) == 1 && g.Number == 0 { // what is still in its first place was not kept yet
			for _, b := range bootFiles {
				if at := filepath.Join(p.bootSide(), b.link); files[b.file] == "" && isRegular(at) {
					files[b.file] = p.served()[b.link]
				}
			}
		}
		if !slices.ContainsFunc(o.whole, func(w map[string]string) bool { return maps.Equal(w, files) }) {
			p.t.Errorf("generation %d is %.60q: no such was ever made", g.Number, files)
		}
	}
}

// checkLitter: no temporary name is left, and no folder of a generation that List does not know.
func (o *outcome) checkLitter(p *place) {
	p.t.Helper()
	known := map[string]bool{}
	list, err := p.List()
	testkit.Must(p.t, err)
	for _, g := range list {
		known[strconv.Itoa(g.Number)] = true
	}
	for path, what := range photograph(p.t, filepath.Dir(p.Images)) {
		if strings.HasPrefix(filepath.Base(path), durable.TempPrefix) {
			p.t.Errorf("litter: %s", path)
		}
		if path == "tftp/x86_64/0" && o.old["x86_64.img"] == "none" {
			continue // there was no image on the first day
		}
		folder := filepath.Dir(path)
		if what == "dir" && (folder == "images/x86_64" || folder == "tftp/x86_64") && !known[filepath.Base(path)] {
			p.t.Errorf("litter: %s is a generation that List does not know", path)
		}
	}
}

// checkAfter does what an admin's machine does after a crash: clients fetch what there is, a
// command repairs, an update makes the next generation.
func (o *outcome) checkAfter(p *place) {
	p.t.Helper()
	o.checkServed(p)
	if err := p.Repair(p.now); err != nil {
		p.t.Errorf("Repair: %v", err)
		return
	}
	o.checkRepaired(p)
	if err := p.tryUpdateTo("conf next"); err != nil {
		p.t.Errorf("the next update: %v", err)
		return
	}
	got := p.served()
	for name, path := range map[string]string{"vmlinuz": "root/boot/vmlinuz-6.1.0-9-amd64",
		"initrd.img": "root/boot/initrd.img-6.1.0-9-amd64"} {
		if got[name] != p.Read(path) {
			p.t.Errorf("after the next update %s is %.60q", name, got[name])
		}
	}
	if got["lts.conf"] != "conf next" {
		p.t.Errorf("after the next update lts.conf is %q", got["lts.conf"])
	}
	if data, err := p.ReadFile("etc/hostname"); err != nil || string(data) != p.Read("root/etc/hostname") {
		p.t.Errorf("after the next update the image's hostname is %q, %v", data, err)
	}
	o.checkLitter(p)
}

// Whatever step a deed is stopped after, by a kill or by a power cut, clients see nothing half
// made, one Repair brings all parts to one generation, and work goes on.
func TestStopAfterEachStep(t *testing.T) {
	t.Parallel()
	for name, d := range deeds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCrasher(t, d)
			for n := 1; c.stop(n); n++ {
			}
			t.Logf("%d different trees", len(c.met))
		})
	}
}

// A crasher stops one deed again and again.
type crasher struct {
	deed
	outcome
	t     *testing.T
	first *place         // where all begins
	tree  tree           // what is there before
	steps []durable.Step // of the deed when nothing stops it
	met   []tree         // what crashes have left so far
}

func newCrasher(t *testing.T, d deed) *crasher {
	t.Helper()
	c := &crasher{deed: d, t: t, first: newPlace(t)}
	for _, dir := range []string{c.first.Images, c.first.TFTP} {
		testkit.Must(t, os.MkdirAll(dir, 0o755))
	}
	d.before(c.first)
	c.first.now = c.first.now.Add(24 * time.Hour)
	base := filepath.Join(t.TempDir(), "before")
	testkit.Must(t, os.Mkdir(base, 0o755))
	testkit.Must(t, os.Rename(c.first.Images, filepath.Join(base, "images")))
	testkit.Must(t, os.Rename(c.first.TFTP, filepath.Join(base, "tftp")))
	c.tree = photograph(t, base)

	p := c.layPlace(t, c.tree)
	c.old, c.whole = p.served(), p.generations()
	if _, err := os.Readlink(p.Link()); err != nil {
		c.whole = append(c.whole, firstDay(c.old))
	}
	h, err := newHistory(filepath.Dir(p.Images))
	testkit.Must(t, err)
	c.steps = p.stopAfter(-1, h, d.do)
	c.new, c.whole = p.served(), append(c.whole, p.generations()...)

	c.lasts("when all is done", c.new, h)
	testkit.Must(t, p.tryUpdateTo("conf next"))
	c.next, c.whole = p.served(), append(c.whole, p.generations()...)
	return c
}

// firstDay is what generation 0 is to hold.
func firstDay(served map[string]string) map[string]string {
	files := map[string]string{}
	for _, b := range append(slices.Clone(bootFiles), struct{ file, link string }{imageFile, "x86_64.img"}) {
		if content := served[b.link]; content != "none" {
			files[b.file] = content
		}
	}
	return files
}

// layPlace lays a tree out in a folder of its own.
func (c *crasher) layPlace(t *testing.T, all tree) *place {
	t.Helper()
	dir := memoryDir(t)
	all.lay(t, dir)
	return c.first.at(t, dir)
}

// memoryDir is a folder for the test in memory, where that can be: thousands of syncs are slow on a
// real disk, and it is the history that knows what they are good for.
func memoryDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "ltskeeper-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { testkit.Must(t, os.RemoveAll(dir)) })
	return dir
}

// stop does the deed up to its nth step and looks at what is left; false if there is no such step.
func (c *crasher) stop(n int) bool {
	if n > len(c.steps) {
		return false
	}
	p := c.layPlace(c.t, c.tree)
	h, err := newHistory(filepath.Dir(p.Images))
	testkit.Must(c.t, err)
	done := p.stopAfter(n, h, c.do)
	last := fmt.Sprintf("%02d %s %s", n, c.steps[n-1].Op, filepath.Base(c.steps[n-1].Path))
	if len(done) != n {
		c.t.Fatalf("%s: stopped after %d steps, want %d", last, len(done), n)
	}
	killed := photograph(c.t, filepath.Dir(p.Images))
	if !maps.Equal(killed.without(h.seen()), h.seen()) {
		c.t.Errorf("%s: the history of the steps is not what the disk has", last)
	}
	c.look(last+", killed", killed)
	for i, cut := range h.cuts() {
		c.look(fmt.Sprintf("%s, power cut %d", last, i), cut)
	}
	c.again(n, last, p, h)
	return true
}

// again is how it goes on after a kill: the next update repairs, is stopped itself, and the one
// after that is not.
func (c *crasher) again(n int, last string, p *place, h *history) {
	rng := rand.New(rand.NewPCG(uint64(n), 0))
	p.stopAfter(-1, h, func(p *place) error { return p.Repair(p.now) })
	c.lasts(last+", killed and repaired", p.served(), h)
	done := p.stopAfter(1+rng.IntN(80), h, func(p *place) error { return p.tryUpdateTo("conf next") })
	what := fmt.Sprintf("%s, killed, stopped again after %d steps", last, len(done))
	cuts := h.cuts()
	for _, i := range []int{0, rng.IntN(len(cuts))} {
		c.look(fmt.Sprintf("%s, power cut %d", what, i), cuts[i])
	}
	c.look(what, photograph(c.t, filepath.Dir(p.Images)))
	p.stopAfter(-1, h, func(p *place) error { return p.tryUpdateTo("conf next") })
	c.lasts(what+", then updated", c.next, h)
}

// lasts checks that a power cut does not undo what is served now.
func (c *crasher) lasts(when string, want map[string]string, h *history) {
	c.t.Helper()
	for _, cut := range h.cuts() {
		if after := c.layPlace(c.t, cut).served(); !maps.Equal(after, want) {
			c.t.Errorf("%s: a power cut then leaves %.60q, want %.60q", when, after, want)
		}
	}
}

// look checks a tree that a crash left, unless it was checked before.
func (c *crasher) look(when string, all tree) {
	if slices.ContainsFunc(c.met, func(m tree) bool { return maps.Equal(m, all) }) {
		return
	}
	c.met = append(c.met, all)
	c.t.Run(when, func(t *testing.T) {
		p := c.layPlace(t, all)
		if since, err := p.HeldSince(); c.holds && maps.Equal(p.served(), c.new) && (err != nil || since.IsZero()) {
			t.Errorf("gone back, but not held: %v, %v", since, err)
		}
		c.checkAfter(p)
	})
}
