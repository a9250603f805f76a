package image

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/elftest"
	"ltskeeper/squashfs"
)

// place is a store in a test's own folder, with a tree to image.
type place struct {
	*Store
	testkit.Folder
	t    *testing.T
	root string
	now  time.Time
}

func newPlace(t *testing.T) *place {
	t.Helper()
	dir := testkit.NewFolder(t)
	p := &place{
		Store:  &Store{Name: "x86_64", Images: dir.Path("images"), TFTP: dir.Path("tftp")},
		Folder: dir,
		t:      t,
		root:   dir.Path("root"),
		now:    time.Date(2026, 11, 20, 3, 0, 0, 0, time.UTC),
	}
	p.Write("root/etc/hostname", "client\n")
	p.Write("root/boot/vmlinuz-6.1.0-9-amd64", "kernel nine")
	p.Write("root/boot/initrd.img-6.1.0-9-amd64", "initrd nine")
	p.WriteProgram("root/sbin/init", string(elftest.Static(elf.EM_X86_64)))
	p.modules("6.1.0-9-amd64")
	return p
}

// modules puts the modules of a kernel version into the tree.
func (p *place) modules(version string) {
	p.t.Helper()
	p.Write("root/lib/modules/"+version+"/modules.dep", "kernel/e1000e.ko:\n")
	p.Write("root/lib/modules/"+version+"/kernel/e1000e.ko", "")
}

func (p *place) newSource(conf string) Source {
	return Source{Root: p.root, Conf: &LTSConf{[]byte(conf)}}
}

// update does what the main job does with one image.
func (p *place) update(conf string) *Built {
	p.t.Helper()
	p.now = p.now.Add(24 * time.Hour)
	if err := p.Repair(p.now); err != nil {
		p.t.Fatal(err)
	}
	b, err := p.Build(context.Background(), p.newSource(conf), p.now)
	if err != nil {
		p.t.Fatal(err)
	}
	if !b.Unchanged {
		if b.Generation, err = p.Publish(b, p.now); err != nil {
			p.t.Fatal(err)
		}
	}
	return b
}

// files lists all names below images and tftp, links with their targets.
func (p *place) files() []string {
	p.t.Helper()
	var names []string
	base := filepath.Dir(p.root)
	for _, dir := range []string{p.Images, p.TFTP} {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			name := strings.TrimPrefix(path, base+"/")
			if e.Type() == fs.ModeSymlink {
				target, err := os.Readlink(path)
				if err != nil {
					return err
				}
				name += " -> " + target
			}
			names = append(names, name)
			return nil
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			p.t.Fatal(err)
		}
	}
	return names
}

func (p *place) wantFiles(want ...string) {
	p.t.Helper()
	got := p.files()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		p.t.Errorf("files are\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// listGenerationFiles lists the files of one on both sides.
func listGenerationFiles(n int) []string {
	var names []string
	for _, f := range []string{"build.json", "index", "initrd", "kernel", "lts.conf", "root.img"} {
		names = append(names, fmt.Sprintf("images/x86_64/%d/%s", n, f))
	}
	for _, f := range []string{"initrd", "kernel", "lts.conf"} {
		names = append(names, fmt.Sprintf("tftp/x86_64/%d/%s", n, f))
	}
	return names
}

func links(n int) []string {
	return []string{
		fmt.Sprintf("images/x86_64.img -> x86_64/%d/root.img", n),
		fmt.Sprintf("tftp/x86_64/current -> %d", n),
		"tftp/x86_64/vmlinuz -> current/kernel",
		"tftp/x86_64/initrd.img -> current/initrd",
		"tftp/x86_64/lts.conf -> current/lts.conf",
	}
}

func TestFirstImage(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	b := p.update("one")
	p.wantFiles(append(listGenerationFiles(1), links(1)...)...)
	if b.Generation.Number != 1 || b.Generation.Kernel != "6.1.0-9-amd64" || !b.Generation.Current {
		t.Errorf("published %+v", b.Generation)
	}
	for name, want := range map[string]string{"vmlinuz": "kernel nine", "initrd.img": "initrd nine",
		"lts.conf": "one"} {
		if got := p.Read("tftp/x86_64/" + name); got != want {
			t.Errorf("TFTP serves %q as %s, want %q", got, name, want)
		}
	}
	if data, err := p.ReadFile("etc/hostname"); err != nil || string(data) != "client\n" {
		t.Errorf("the image's etc/hostname is %q (%v)", data, err)
	}
	if data, err := p.ReadFile("etc/none"); err != nil || data != nil {
		t.Errorf("a file that is not in the image: %q, %v", data, err)
	}
	if problem, err := p.Check(); problem != nil || err != nil {
		t.Errorf("Check: %q, %v", problem, err)
	}
}

func TestNothingChangedNothingWritten(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.update("one")
	stamp := func() map[string]time.Time {
		stamps := map[string]time.Time{}
		for _, dir := range []string{p.Images, p.TFTP} {
			err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
				if err != nil || e.IsDir() {
					return err // a folder's mtime may move: the new image is made in it
				}
				info, err := e.Info()
				stamps[path] = info.ModTime()
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		return stamps
	}
	before := stamp()
	if b := p.update("one"); !b.Unchanged || b.Generation.Number != 1 {
		t.Errorf("built %+v, want the unchanged generation 1", b)
	}
	after := stamp()
	if len(before) != len(after) {
		t.Errorf("files before %d, after %d", len(before), len(after))
	}
	for path, at := range before {
		if !after[path].Equal(at) {
			t.Errorf("%s was written again", path)
		}
	}
}

func TestWouldChange(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	check := func(what, conf string, want bool) {
		t.Helper()
		before := p.files()
		got, _, err := p.WouldChange(context.Background(), p.newSource(conf))
		if err != nil || got != want {
			t.Errorf("%s: WouldChange = %t, %v, want %t", what, got, err, want)
		}
		if !slices.Equal(before, p.files()) {
			t.Errorf("%s: WouldChange left files behind", what)
		}
	}
	check("no image yet", "one", true)
	p.update("one")
	check("nothing changed", "one", false)
	check("another lts.conf", "two", true)
	p.Write("root/etc/hostname", "another\n")
	check("a file changed", "one", true)
	p.update("one")
	check("nothing changed since", "one", false)
	testkit.Must(t, os.Remove(filepath.Join(p.folder(2), indexFile)))
	check("no index", "one", true)
}

func TestALostIndexCostsTimeNotAGeneration(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.update("one")
	index := filepath.Join(p.folder(1), indexFile)
	want, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(index); err != nil {
		t.Fatal(err)
	}
	if b := p.update("one"); !b.Unchanged {
		t.Errorf("built %+v, want no new generation", b)
	}
	if got, err := os.ReadFile(index); err != nil || len(got) == 0 || len(want) == 0 {
		t.Errorf("the index was not made again: %d bytes, %v", len(got), err)
	}
	p.wantFiles(append(listGenerationFiles(1), links(1)...)...)
}

func TestEachChangeIsAGeneration(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.update("one")
	old, err := os.Open(p.Link())
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	before, err := os.ReadFile(p.Link())
	if err != nil {
		t.Fatal(err)
	}
	p.Write("root/etc/hostname", "changed\n")
	p.update("one")
	p.update("two") // the same tree, another lts.conf
	p.wantFiles(slices.Concat(listGenerationFiles(1), listGenerationFiles(2), listGenerationFiles(3), links(3))...)
	if got := p.Read("tftp/x86_64/lts.conf"); got != "two" {
		t.Errorf("TFTP serves lts.conf %q", got)
	}
	// A client that has the first image open goes on reading the same bytes.
	var still bytes.Buffer
	if _, err := still.ReadFrom(old); err != nil || !bytes.Equal(still.Bytes(), before) {
		t.Errorf("an open image changed under its reader (%v)", err)
	}
	list, err := p.List()
	if err != nil || len(list) != 3 {
		t.Fatalf("List: %v, %v", list, err)
	}
	for i, g := range list {
		if g.Number != i+1 || g.Current != (i == 2) || g.Replaced.IsZero() != (i == 2) {
			t.Errorf("generation %d is %+v", i+1, g)
		}
	}
}

// What stood there before ltskeeper came is kept, in the inodes that clients have open.
func TestFirstDayKeepsWhatStoodThere(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	first := map[string]string{
		"images/x86_64.img":   "images/x86_64/0/root.img",
		"tftp/x86_64/vmlinuz": "tftp/x86_64/0/kernel", "tftp/x86_64/initrd.img": "tftp/x86_64/0/initrd",
		"tftp/x86_64/lts.conf": "tftp/x86_64/0/lts.conf",
	}
	infos := map[string]fs.FileInfo{}
	for name := range first {
		p.Write(name, "old "+name)
		info, err := os.Stat(filepath.Join(filepath.Dir(p.root), name))
		if err != nil {
			t.Fatal(err)
		}
		infos[name] = info
	}
	p.update("one")
	zero := []string{"images/x86_64/0/build.json"}
	for name, kept := range first {
		zero = append(zero, kept)
		info, err := os.Stat(filepath.Join(filepath.Dir(p.root), kept))
		if err != nil || !os.SameFile(info, infos[name]) {
			t.Errorf("%s is not the file that was %s (%v)", kept, name, err)
		}
	}
	p.wantFiles(slices.Concat(zero, listGenerationFiles(1), links(1))...)
	list, err := p.List()
	if err != nil || len(list) != 2 || list[0].Number != 0 || list[0].Replaced.IsZero() {
		t.Errorf("List: %+v, %v", list, err)
	}
}

// A tree without a kernel publishes the image alone, and leaves a kernel that somebody else put
// there.
func TestNoKernel(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	if err := os.RemoveAll(filepath.Join(p.root, "boot")); err != nil {
		t.Fatal(err)
	}
	p.Write("tftp/x86_64/vmlinuz", "by hand")
	b := p.update("one")
	if b.Generation.Kernel != "" {
		t.Errorf("kernel %q out of nowhere", b.Generation.Kernel)
	}
	p.wantFiles("images/x86_64.img -> x86_64/1/root.img", "images/x86_64/1/build.json", "images/x86_64/1/index",
		"images/x86_64/1/lts.conf", "images/x86_64/1/root.img", "tftp/x86_64/1/lts.conf", "tftp/x86_64/current -> 1",
		"tftp/x86_64/lts.conf -> current/lts.conf", "tftp/x86_64/vmlinuz")
}

func TestAKernelIsNotLost(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.update("one")
	if err := os.RemoveAll(filepath.Join(p.root, "boot")); err != nil {
		t.Fatal(err)
	}
	_, err := p.Build(context.Background(), p.newSource("one"), p.now)
	if err == nil || !strings.Contains(err.Error(), "no longer has a kernel") {
		t.Errorf("Build of a tree that lost its kernel: %v", err)
	}
	p.wantFiles(append(listGenerationFiles(1), links(1)...)...)
}

func TestAFailedBuildLeavesNothing(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.update("one")
	p.Write("root/etc/hostname", "changed\n")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := p.Build(ctx, p.newSource("one"), p.now); !errors.Is(err, context.Canceled) {
		t.Errorf("Build: %v, want context.Canceled", err)
	}
	from := p.newSource("one")
	from.Options.Overlay = []squashfs.OverlayFile{{Path: "etc/hostname/below", Mode: 0o644}}
	if _, err := p.Build(context.Background(), from, p.now); err == nil {
		t.Error("Build with an impossible overlay succeeded")
	}
	p.wantFiles(append(listGenerationFiles(1), links(1)...)...)
}

// After a crash the image's link is right, and Repair brings the rest to it.
func TestRepair(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(p *place){
		"between the two renames": func(p *place) {
			testkit.Must(p.t, p.disk.Replace(p.disk.PrepareLink("1", filepath.Join(p.bootSide(), "current"))))
			p.unpublish(2)
		},
		"TFTP side not staged": func(p *place) {
			testkit.Must(p.t, p.disk.Replace(p.disk.PrepareLink("1", filepath.Join(p.bootSide(), "current"))))
			testkit.Must(p.t, os.RemoveAll(p.bootFolder(2)))
		},
		"TFTP side lost":  func(p *place) { testkit.Must(p.t, os.RemoveAll(p.bootSide())) },
		"lts.conf edited": func(p *place) { p.Write("tftp/x86_64/2/lts.conf", "edited") },
		"a link replaced": func(p *place) {
			testkit.Must(p.t, p.disk.Replace(p.disk.PrepareLink("elsewhere", filepath.Join(p.bootSide(), "vmlinuz"))))
		},
		"unfinished build":  func(p *place) { p.Write("images/x86_64/.ltskeeper-new/root.img", "half") },
		"unfinished link":   func(p *place) { p.Write("images/.ltskeeper-x86_64.img.tmp", "") },
		"unfinished stage":  func(p *place) { p.Write("tftp/x86_64/.ltskeeper-new/kernel", "half") },
		"half removed":      func(p *place) { p.Write("images/x86_64/.ltskeeper-old-7/root.img", "old") },
		"unfinished record": func(p *place) { p.Write("images/x86_64/1/.ltskeeper-build.json.tmp", "{") },
		"complete, but never current": func(p *place) {
			p.Write("images/x86_64/3/root.img", "new")
			p.Write("images/x86_64/3/build.json", `{"published": false}`)
			p.Write("tftp/x86_64/3/kernel", "new")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			p.update("one")
			p.Write("root/etc/hostname", "changed\n")
			p.Write("root/boot/vmlinuz-6.1.0-10-amd64", "kernel ten")
			p.Write("root/boot/initrd.img-6.1.0-10-amd64", "initrd ten")
			p.modules("6.1.0-10-amd64")
			p.update("two")
			damage(p)
			before := p.files()
			if _, err := p.Check(); err != nil {
				t.Error(err)
			}
			if !slices.Equal(p.files(), before) {
				t.Error("Check changed something")
			}
			testkit.Must(t, p.Repair(p.now))
			want := slices.Concat(listGenerationFiles(1), listGenerationFiles(2), links(2))
			if name == "TFTP side lost" {
				want = slices.DeleteFunc(want, func(f string) bool { return strings.HasPrefix(f, "tftp/x86_64/1/") })
			}
			p.wantFiles(want...)
			for name, want := range map[string]string{"vmlinuz": "kernel ten", "initrd.img": "initrd ten",
				"lts.conf": "two"} {
				if got := p.Read("tftp/x86_64/" + name); got != want {
					t.Errorf("TFTP serves %q as %s, want %q", got, name, want)
				}
			}
			if g := p.readGeneration(2); !g.Published {
				t.Error("generation 2 is current but not published")
			}
		})
	}
}

// unpublish is the state of a run that was killed before it wrote down what it published.
func (p *place) unpublish(n int) {
	g := p.readGeneration(n)
	g.Published = false
	testkit.Must(p.t, p.writeRecord(p.folder(n), g))
}

func TestALostRecordCostsNoGeneration(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.update("one")
	p.update("two")
	p.Write("images/x86_64/1/build.json", "not JSON")
	testkit.Must(t, p.Repair(p.now))
	list, err := p.List()
	if err != nil || len(list) != 2 || list[0].Size == 0 {
		t.Errorf("List: %+v, %v", list, err)
	}
}

// The current generation's folder was lost: the next build makes another, under a number that no
// client knows.
func TestALostGenerationIsFollowedByAnother(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]func(p *place) string{
		"folder":     func(p *place) string { return p.folder(1) },
		"all images": func(p *place) string { return p.Images },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			p.update("one")
			testkit.Must(t, os.RemoveAll(lost(p)))
			if b := p.update("one"); b.Unchanged || b.Generation.Number != 2 {
				t.Errorf("built %+v, want generation 2", b)
			}
			testkit.Must(t, p.Repair(p.now)) // until the new one was there, TFTP served what was left of the lost one
			p.wantFiles(append(listGenerationFiles(2), links(2)...)...)
		})
	}
}

func TestAStrangersLinkIsLeftAlone(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	testkit.Must(t, os.MkdirAll(p.Images, 0o755))
	testkit.Must(t, os.Symlink("/srv/other.img", p.Link()))
	if _, err := p.Build(context.Background(), p.newSource("one"), p.now); err == nil ||
		!strings.Contains(err.Error(), p.Link()) {
		t.Errorf("Build: %v, want an error that names %s", err, p.Link())
	}
	p.wantFiles("images/x86_64.img -> /srv/other.img")
}

func TestPrune(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for i := range 6 { // generations 1 to 6, one a day
		p.update(strconv.Itoa(i))
	}
	const day = 24 * time.Hour
	for _, c := range []struct {
		keep    int
		keepFor time.Duration
		want    []int
	}{
		{6, 0, nil},               // none beyond keep
		{3, 14 * day, nil},        // replaced too lately
		{3, 5 * day, nil},         // 1 was replaced when 2 was published, four days ago
		{3, 4 * day, []int{1}},    // and a minute
		{1, 0, []int{2, 3, 4, 5}}, // never the current one
	} {
		got, err := p.Prune(c.keep, c.keepFor, p.now.Add(time.Minute))
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("Prune(%d, %s) = %v, %v, want %v", c.keep, c.keepFor, got, err, c.want)
		}
	}
	p.wantFiles(append(listGenerationFiles(6), links(6)...)...)
}

func TestChooseKernel(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string // name -> link target, or "" for a file
		want  string
	}{
		"newest pair": {map[string]string{
			"boot/vmlinuz-6.1.0-9": "", "boot/initrd.img-6.1.0-9": "",
			"boot/vmlinuz-6.1.0-10": "", "boot/initrd.img-6.1.0-10": ""}, "6.1.0-10"},
		"a kernel without initrd is none": {map[string]string{
			"boot/vmlinuz-6.1.0-9": "", "boot/initrd.img-6.1.0-9": "", "boot/vmlinuz-6.1.0-10": ""}, "6.1.0-9"},
		"what the links name": {map[string]string{
			"vmlinuz": "boot/vmlinuz-6.1.0-9", "initrd.img": "/boot/initrd.img-6.1.0-9",
			"boot/vmlinuz-6.1.0-9": "", "boot/initrd.img-6.1.0-9": "",
			"boot/vmlinuz-6.1.0-10": "", "boot/initrd.img-6.1.0-10": ""}, "6.1.0-9"},
		"links that lead nowhere": {map[string]string{
			"vmlinuz": "boot/vmlinuz-5", "initrd.img": "boot/initrd.img-5",
			"boot/vmlinuz-6.1.0-9": "", "boot/initrd.img-6.1.0-9": ""}, "6.1.0-9"},
		"links in a circle": {map[string]string{
			"boot/vmlinuz-6.1.0-9": "", "boot/initrd.img-6.1.0-9": "", "boot/vmlinuz": "vmlinuz-6.1.0-9",
			"boot/initrd.img": "../boot/./initrd.img-6.1.0-9"}, "6.1.0-9"},
		"as Fedora names them": {map[string]string{"boot/vmlinuz-6.9.fc": "", "boot/initramfs-6.9.fc.img": ""},
			"6.9.fc"},
		"none": {map[string]string{"boot/vmlinuz-6.1": ""}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			testkit.Must(t, os.RemoveAll(filepath.Join(p.root, "boot")))
			for file, target := range c.files {
				if target == "" {
					p.Write("root/"+file, file)
					continue
				}
				testkit.Must(t, os.MkdirAll(filepath.Dir(filepath.Join(p.root, file)), 0o755))
				testkit.Must(t, os.Symlink(target, filepath.Join(p.root, file)))
			}
			if c.want != "" {
				p.modules(c.want)
			}
			b, err := p.Build(context.Background(), p.newSource("one"), p.now)
			testkit.Must(t, err)
			if b.Generation.Kernel != c.want {
				t.Errorf("kernel %q, want %q", b.Generation.Kernel, c.want)
			}
			if got := isRegular(filepath.Join(b.dir, kernelFile)); got != (c.want != "") {
				t.Errorf("kernel copied: %t", got)
			}
		})
	}
}
