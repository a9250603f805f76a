package image

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ltskeeper/internal/durable"
	"ltskeeper/internal/remedy"
	"ltskeeper/internal/testkit"

	"golang.org/x/sys/unix"
)

// threeGenerations has kernels 1 to 3, and lts.conf to match.
func threeGenerations(t *testing.T) *place {
	t.Helper()
	p := newPlace(t)
	testkit.Must(t, os.RemoveAll(filepath.Join(p.root, "boot")))
	for _, n := range []string{"1", "2", "3"} {
		p.Write("root/boot/vmlinuz-"+n, "kernel "+n)
		p.Write("root/boot/initrd.img-"+n, "initrd "+n)
		p.modules(n)
		p.update("conf " + n)
	}
	return p
}

// wantServed checks that everything clients can fetch is of one generation.
func (p *place) wantServed(n string) {
	p.t.Helper()
	for name, want := range map[string]string{"vmlinuz": "kernel " + n, "initrd.img": "initrd " + n,
		"lts.conf": "conf " + n} {
		if got := p.Read("tftp/x86_64/" + name); got != want {
			p.t.Errorf("TFTP serves %q as %s, want %q", got, name, want)
		}
	}
	if target, err := os.Readlink(p.Link()); err != nil || target != "x86_64/"+n+"/root.img" {
		p.t.Errorf("the image's link is %q (%v), want generation %s", target, err, n)
	}
}

func TestRollback(t *testing.T) {
	t.Parallel()
	p := threeGenerations(t)
	p.wantServed("3")
	before, err := p.Before()
	if err != nil || before != 2 {
		t.Fatalf("Before = %d, %v", before, err)
	}
	g, err := p.Rollback(1, p.now)
	if err != nil || g.Number != 1 || !g.Current {
		t.Fatalf("Rollback = %+v, %v", g, err)
	}
	p.wantServed("1")
	if since, err := p.HeldSince(); err != nil || !since.Equal(p.now) {
		t.Errorf("Held = %v, %v, want %v", since, err, p.now)
	}
	if _, err := p.Before(); err == nil || !strings.Contains(err.Error(), "no generation before 1") {
		t.Errorf("Before the first: %v", err)
	}
	list, err := p.List()
	testkit.Must(t, err)
	for _, g := range list {
		if g.Replaced.IsZero() != g.Current {
			t.Errorf("generation %d: current %t, replaced %v", g.Number, g.Current, g.Replaced)
		}
	}
	testkit.Must(t, p.Release())
	if since, err := p.HeldSince(); err != nil || !since.IsZero() {
		t.Errorf("Held after Release = %v, %v", since, err)
	}
	testkit.Must(t, p.Release()) // once more is no error
	// The next build takes a number of its own.
	if b := p.update("conf 4"); b.Generation.Number != 4 {
		t.Errorf("the next generation is %d, want 4", b.Generation.Number)
	}
}

func TestRollbackRestagesALostTFTPFolder(t *testing.T) {
	t.Parallel()
	p := threeGenerations(t)
	testkit.Must(t, os.RemoveAll(p.bootFolder(2)))
	_, err := p.Rollback(2, p.now)
	testkit.Must(t, err)
	p.wantServed("2")
}

func TestRollbackToNothing(t *testing.T) {
	t.Parallel()
	p := threeGenerations(t)
	if _, err := p.Rollback(9, p.now); err == nil || !strings.Contains(err.Error(), "no generation 9") {
		t.Errorf("Rollback to 9: %v", err)
	}
	p.wantServed("3")
	if since, err := p.HeldSince(); err != nil || !since.IsZero() {
		t.Errorf("a rollback that failed holds: %v, %v", since, err)
	}
}

// To the first day's generation, whose kernel is known to TFTP only.
func TestRollbackToTheFirstDay(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.Write("images/x86_64.img", "an image of somebody else's")
	for name, content := range map[string]string{"vmlinuz": "kernel 0", "initrd.img": "initrd 0",
		"lts.conf": "conf 0"} {
		p.Write("tftp/x86_64/"+name, content)
	}
	p.update("conf 1")
	_, err := p.Rollback(0, p.now)
	testkit.Must(t, err)
	p.wantServed("0")
	testkit.Must(t, p.Repair(p.now))
	p.wantServed("0")
	if problem, err := p.Check(); problem != nil || err != nil {
		t.Errorf("Check: %q, %v", problem, err)
	}
}

// An image of the first day whose kernel was never under TFTP has none to boot by.
func TestMissed(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.Write("images/x86_64.img", "an image of somebody else's")
	p.update("conf 1")
	p.update("conf 2")
	for n, want := range map[int][]string{0: {filepath.Join(p.TFTP, "x86_64/vmlinuz"),
		filepath.Join(p.TFTP, "x86_64/initrd.img")}, 1: nil, 2: nil} {
		if missed, err := p.Missed(n); err != nil || !slices.Equal(missed, want) {
			t.Errorf("Missed(%d) = %q, %v; want %q", n, missed, err, want)
		}
	}
}

// Whatever somebody puts in the place of ltskeeper's image, and how often, is kept with what
// clients were served beside it.
func TestStrangersAreGenerations(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.stranger("0")
	p.stateOfTree("1")
	p.update("conf 1")
	want := map[int]map[string]string{0: p.readGenerationFiles(0), 1: p.readGenerationFiles(1)}
	for n := 2; n < 6; n += 2 {
		p.stranger(fmt.Sprint(n))
		clients, err := os.Open(p.Link())
		testkit.Must(t, err)
		defer clients.Close()
		if err := p.tryUpdateTo("conf 1"); err != nil {
			t.Fatal(err)
		}
		list, err := p.List()
		testkit.Must(t, err)
		if g := list[len(list)-2]; g.Number != n || !g.Foreign || g.Replaced.IsZero() || g.Current {
			t.Errorf("somebody else's image is generation %+v, want %d", g, n)
		}
		kept, err := os.Stat(filepath.Join(p.folder(n), imageFile))
		testkit.Must(t, err)
		if open, err := clients.Stat(); err != nil || !os.SameFile(open, kept) {
			t.Errorf("generation %d is not the file that clients have open: %v", n, err)
		}
		state := fmt.Sprint(n)
		want[n] = map[string]string{imageFile: "image " + state, kernelFile: "kernel " + state,
			initrdFile: "initrd " + state, confFile: "conf 1"}
		want[n+1] = p.readGenerationFiles(n + 1)
	}
	for n, files := range want {
		if got := p.readGenerationFiles(n); !maps.Equal(got, files) {
			t.Errorf("generation %d has become %.60q, was %.60q", n, got, files)
		}
	}
	_, err := p.Rollback(2, p.now)
	testkit.Must(t, err)
	served := map[string]string{"x86_64.img": "image 2", "vmlinuz": "kernel 2", "initrd.img": "initrd 2",
		"lts.conf": "conf 1"}
	if got := p.served(); !maps.Equal(got, served) {
		t.Errorf("gone back to generation 2, %.60q are served", got)
	}
	if _, err := p.Verify(t.Context()); err == nil || strings.Contains(err.Error(), "index") {
		t.Errorf("Verify: %v", err) // this one is no squashfs
	}
	testkit.Must(t, p.Release())
	p.update("conf 3")
}

func TestPinnedAndUsedGenerationsStay(t *testing.T) {
	t.Parallel()
	p := threeGenerations(t)
	for _, n := range []string{"4", "5"} {
		p.Write("root/etc/hostname", n) // else it were the same image file, under another number
		p.update("conf " + n)
	}
	testkit.Must(t, p.Pin(1))
	reader, err := os.Open(filepath.Join(p.folder(2), imageFile))
	testkit.Must(t, err)
	defer reader.Close()
	mapped, err := os.Open(filepath.Join(p.folder(3), imageFile))
	testkit.Must(t, err)
	view, err := unix.Mmap(int(mapped.Fd()), 0, 4096, unix.PROT_READ, unix.MAP_SHARED)
	testkit.Must(t, err)
	mapped.Close()

	later := p.now.Add(time.Hour)
	gone, err := p.Prune(1, 0, later)
	if err != nil || !slices.Equal(gone, []int{4}) {
		t.Errorf("Prune = %v, %v, want [4]: 1 is pinned, 2 open, 3 mapped, 5 current", gone, err)
	}
	testkit.Must(t, p.Unpin(1))
	testkit.Must(t, unix.Munmap(view))
	reader.Close()
	gone, err = p.Prune(1, 0, later)
	if err != nil || !slices.Equal(gone, []int{1, 2, 3}) {
		t.Errorf("Prune = %v, %v, want [1 2 3]", gone, err)
	}
}

// What Linux prints of an NFSv4 client with a file open, a delegation, and a lock.
func TestNFSStates(t *testing.T) {
	t.Parallel()
	got := parseNFSStates([]byte(`- 0x8a2d3b5a0100000001000000: { type: open, access: r-, deny: --, superblock: "fe:01:1838", filename: "x86_64/12/root.img", owner: "open id:\x00\x01" }
- 0x8a2d3b5a0200000001000000: { type: deleg, access: r, superblock: "fe:01:99", filename: "x" }
- 0x8a2d3b5a0300000001000000: { type: open, access: r-, deny: --, superblock: "fe:01", filename: "superblock: " }
nonsense superblock: "x:y:z"
`))
	want := map[fileID]bool{{unix.Mkdev(0xfe, 1), 1838}: true, {unix.Mkdev(0xfe, 1), 99}: true}
	if len(got) != len(want) || !got[fileID{unix.Mkdev(0xfe, 1), 1838}] || !got[fileID{unix.Mkdev(0xfe, 1), 99}] {
		t.Errorf("parseNFSStates = %v, want %v", got, want)
	}
}

// What a failing disk gives back is not published.
func TestAnImageIsReadBack(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.update("one")
	p.Write("root/a", strings.Repeat("changed\n", 1<<16)) // its blocks come first, and the kernel is in none of them
	p.disk.Did = func(s durable.Step) {
		if s.Op != "sync" || filepath.Base(s.Path) != imageFile {
			return
		}
		data, err := os.ReadFile(s.Path)
		testkit.Must(t, err)
		data[100] ^= 1
		testkit.Must(t, os.WriteFile(s.Path, data, 0o644))
	}
	if _, err := p.Build(context.Background(), p.newSource("one"), p.now); err == nil ||
		!strings.Contains(err.Error(), "is not read as it was written") {
		t.Errorf("Build on a disk that rots: %v", err)
	}
	p.disk.Did = nil
	p.wantFiles(append(listGenerationFiles(1), links(1)...)...)
}

func TestAnImageThatClientsCannotUseIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		damage func(p *place)
		want   string
	}{
		"init": {func(p *place) {
			testkit.Must(p.t, os.RemoveAll(filepath.Join(p.root, "sbin")))
		}, "would have no init"},
		"modules": {func(p *place) {
			p.Write("root/boot/vmlinuz-6.1.0-10-amd64", "kernel ten")
			p.Write("root/boot/initrd.img-6.1.0-10-amd64", "initrd ten")
		}, "would lack the modules of kernel 6.1.0-10-amd64"},
		"modules half removed": {func(p *place) {
			testkit.Must(p.t, os.RemoveAll(filepath.Join(p.root, "lib/modules/6.1.0-9-amd64/kernel")))
		}, "would lack the modules of kernel 6.1.0-9-amd64"},
		"modules half installed": {func(p *place) {
			testkit.Must(p.t, os.Remove(filepath.Join(p.root, "lib/modules/6.1.0-9-amd64/modules.dep")))
		}, "would lack the modules of kernel 6.1.0-9-amd64"},
		"an initrd that a full disk left": {func(p *place) {
			p.Write("root/boot/initrd.img-6.1.0-9-amd64", "")
		}, "no longer has a kernel"},
		"size": {func(p *place) {
			testkit.Must(p.t, os.RemoveAll(filepath.Join(p.root, "usr")))
		}, "would shrink"},
		"kernel": {func(p *place) {
			testkit.Must(p.t, os.RemoveAll(filepath.Join(p.root, "boot")))
		}, "no longer has a kernel"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			noise := make([]byte, 100_000)
			for i := range noise {
				noise[i] = byte(i * i >> 7)
			}
			p.Write("root/usr/share/data", string(noise))
			p.update("one")
			c.damage(p)
			_, err := p.Build(context.Background(), p.newSource("one"), p.now)
			if err == nil || !strings.Contains(err.Error(), c.want) || isForceable(err) == (name == "init") {
				t.Errorf("Build: %v, %v, want %q", err, remedy.FindIn(err), c.want)
			}
			p.wantFiles(append(listGenerationFiles(1), links(1)...)...)
			from := p.newSource("one")
			from.Force = true
			if _, err := p.Build(context.Background(), from, p.now); (err == nil) == (name == "init") {
				t.Errorf("Build with force: %v", err) // an image that nothing can start from is not to be had
			}
		})
	}
}
