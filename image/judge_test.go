package image

import (
	"debug/elf"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"ltskeeper/internal/durable"
	"ltskeeper/internal/remedy"
	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/elftest"
	"ltskeeper/squashfs"
)

// program puts a program into the tree.
func (p *place) program(name, content string) {
	p.t.Helper()
	p.WriteProgram("root/"+name, content)
}

func (p *place) link(name, target string) {
	p.t.Helper()
	testkit.Must(p.t, os.MkdirAll(filepath.Dir(filepath.Join(p.root, name)), 0o755))
	testkit.Must(p.t, os.RemoveAll(filepath.Join(p.root, name)))
	testkit.Must(p.t, os.Symlink(target, filepath.Join(p.root, name)))
}

const oldConfig = "CONFIG_MODULES=y\nCONFIG_SQUASHFS=m\nCONFIG_SQUASHFS_ZLIB=y\nCONFIG_SQUASHFS_LZ4=y\n# CONFIG_SQUASHFS_ZSTD is not set\n"

// A first image is judged like every other, before anything is written.
func TestJudgeFirstImage(t *testing.T) {
	t.Parallel()
	testkit.NeedRoot(t)
	static := string(elftest.Static(elf.EM_X86_64))
	for name, c := range map[string]struct {
		prepare func(p *place, from *Source)
		want    string // in the error
		force   bool   // whether --force overrides it
	}{
		"sound": {func(*place, *Source) {}, "", false},
		"merged /usr": {func(p *place, _ *Source) {
			p.program("usr/lib/systemd/systemd", static)
			p.link("sbin", "usr/sbin")
			p.link("usr/sbin/init", "/lib/systemd/systemd")
			testkit.Must(p.t, os.Rename(filepath.Join(p.root, "lib"), filepath.Join(p.root, "usr/lib/x")))
			testkit.Must(p.t,
				os.Rename(filepath.Join(p.root, "usr/lib/x/modules"), filepath.Join(p.root, "usr/lib/modules")))
			p.link("lib", "usr/lib")
		}, "", false},
		"no init": {func(p *place, _ *Source) { testkit.Must(p.t, os.RemoveAll(filepath.Join(p.root, "sbin"))) },
			"there is no program to start in it (sbin/init, etc/init, bin/init, bin/sh)", false},
		"a dangling link": {func(p *place, _ *Source) {
			p.link("sbin/init", "/lib/systemd/systemd")
			p.program("bin/sh", static)
		}, "/sbin/init leads to /lib/systemd/systemd, which does not exist", false},
		"a link out of the root": {func(p *place, _ *Source) {
			p.link("sbin/init", "../../../../../../../../bin/cat")
		}, "/sbin/init leads to /bin/cat, which does not exist", false},
		"no interpreter": {func(p *place, _ *Source) {
			p.program("sbin/init", "#!/bin/sh\n")
		}, "/sbin/init is a script whose interpreter /bin/sh does not exist", false},
		"no loader": {func(p *place, _ *Source) {
			p.program("sbin/init", string(elftest.Dynamic(elf.EM_X86_64, "/lib64/ld.so")))
		},
			"/sbin/init is a program whose loader /lib64/ld.so does not exist", false},
		"the loader is excluded": {func(p *place, from *Source) {
			p.program("sbin/init", string(elftest.Dynamic(elf.EM_X86_64, "/lib64/ld.so")))
			p.program("lib64/ld.so", static)
			from.Options.Exclude = parseExcludes(p.t, "lib64/*")
		}, "whose loader /lib64/ld.so does not exist: the tree has /sbin/init", false},
		"init is excluded": {func(p *place, from *Source) { from.Options.Exclude = parseExcludes(p.t, "sbin") },
			"there is no program to start in it (sbin/init, etc/init, bin/init, bin/sh): the tree has /sbin/init",
			false},
		"init is in a mount that is left out": {func(p *place, from *Source) {
			p.link("sbin/init", "/usr/lib/init")
			p.program("usr/lib/init", static)
			from.Options.Mounts = []squashfs.Mount{{Path: "usr"}}
		}, "/sbin/init leads to /usr/lib/init, which does not exist: the tree has /sbin/init", false},
		"init is in a mount that is taken in": {func(p *place, from *Source) {
			p.link("sbin/init", "/usr/lib/init")
			p.program("usr/lib/init", static)
			from.Options.Mounts = []squashfs.Mount{{Path: "var"}}
		}, "", false},
		"init is ltskeeper's": {func(p *place, from *Source) {
			p.link("sbin/init", "/opt/init")
			from.Options.Overlay = []squashfs.OverlayFile{{Path: "opt/init", Content: []byte(static), Mode: 0o755}}
		}, "", false},
		"no modules": {func(p *place, _ *Source) {
			testkit.Must(p.t, os.RemoveAll(filepath.Join(p.root, "lib")))
		},
			"would lack the modules of kernel 6.1.0-9-amd64, which clients boot (its package may be only half " +
				"installed): /lib/modules/6.1.0-9-amd64 does not exist", true},
		"modules are half unpacked": {func(p *place, _ *Source) {
			testkit.Must(p.t, os.Remove(filepath.Join(p.root, "lib/modules/6.1.0-9-amd64/modules.dep")))
		}, "/lib/modules/6.1.0-9-amd64 has no modules.dep", true},
		"modules are excluded": {func(p *place, from *Source) {
			from.Options.Exclude = parseExcludes(p.t, "lib/modules/*/kernel/*")
		}, "its folder kernel is empty", true},
		"no support for modules": {func(p *place, _ *Source) {
			testkit.Must(p.t, os.RemoveAll(filepath.Join(p.root, "lib")))
			p.Write("root/boot/config-6.1.0-9-amd64", "# CONFIG_MODULES is not set\n")
		}, "", false},
		"no kernel": {func(p *place, _ *Source) {
			testkit.Must(p.t, os.RemoveAll(filepath.Join(p.root, "lib")))
			testkit.Must(p.t, os.RemoveAll(filepath.Join(p.root, "boot")))
		}, "", false},
		"zstd is beyond the kernel": {func(p *place, _ *Source) {
			p.Write("root/boot/config-6.1.0-9-amd64", oldConfig)
		},
			"kernel 6.1.0-9-amd64, which clients boot, cannot read an image compressed with zstd: " +
				"it was built without CONFIG_SQUASHFS_ZSTD", true},
		"gzip is not": {func(p *place, from *Source) {
			p.Write("root/boot/config-6.1.0-9-amd64", oldConfig)
			from.Options.Compression = squashfs.Gzip
		}, "", false},
		"another's root": {func(p *place, _ *Source) { testkit.Must(p.t, os.Chown(p.root, 100_000, 0)) },
			"/ belongs to user 100000 and not to root", false},
		"another's etc": {func(p *place, _ *Source) {
			testkit.Must(p.t, os.Chown(filepath.Join(p.root, "etc"), 7, 0))
		}, "/etc belongs to user 7 and not to root", false},
		"another's init": {func(p *place, _ *Source) {
			testkit.Must(p.t, os.Chown(filepath.Join(p.root, "sbin/init"), 7, 0))
		}, "/sbin/init belongs to user 7 and not to root", false},
		"another's init behind a link": {func(p *place, _ *Source) {
			p.program("usr/lib/init", static)
			p.link("sbin/init", "/usr/lib/init")
			testkit.Must(p.t, os.Chown(filepath.Join(p.root, "usr/lib/init"), 7, 0))
		}, "/usr/lib/init belongs to user 7", false},
		"a namespace's": {func(p *place, from *Source) {
			testkit.Must(p.t, filepath.WalkDir(p.root, func(path string, _ fs.DirEntry, err error) error {
				return errors.Join(err, os.Lchown(path, 100_000, 100_000))
			}))
			from.Options.IDOffset = 100_000
		}, "", false},
		"another namespace's": {func(p *place, from *Source) {
			testkit.Must(p.t, filepath.WalkDir(p.root, func(path string, _ fs.DirEntry, err error) error {
				return errors.Join(err, os.Lchown(path, 100_000, 100_000))
			}))
			from.Options.IDOffset = 200_000
		}, "/ belongs to user 100000, and root is user 200000 by the tree's id offset, ", false},
		"an old kernel": {func(p *place, _ *Source) {
			p.modules("4.9.0-19-686")
			for _, name := range []string{"vmlinuz", "initrd.img"} {
				p.Write("root/boot/"+name+"-4.9.0-19-686", "old")
				p.link(name, "boot/"+name+"-4.9.0-19-686")
			}
		}, "kernel 4.9.0-19-686, which clients boot, cannot read an image compressed with zstd: that needs Linux 4.14",
			true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			from := p.newSource("one")
			c.prepare(p, &from)
			steps := 0
			p.disk.Did = func(durable.Step) { steps++ }
			_, _, dryErr := p.WouldChange(t.Context(), from)
			if c.want == "" {
				_, err := p.Build(t.Context(), from, p.now)
				testkit.Must(t, err)
				testkit.Must(t, dryErr)
				return
			}
			_, err := p.Build(t.Context(), from, p.now)
			if err == nil || !strings.Contains(err.Error(), c.want) || isForceable(err) != c.force ||
				strings.Contains(err.Error(), "which nothing overrides") == c.force {
				t.Errorf("Build: %v, %v\nwant %q", err, remedy.FindIn(err), c.want)
			}
			if dryErr == nil || err == nil || dryErr.Error() != err.Error() ||
				!reflect.DeepEqual(remedy.FindIn(dryErr), remedy.FindIn(err)) {
				t.Errorf("WouldChange: %v\nBuild:       %v", dryErr, err)
			}
			if steps > 0 {
				t.Errorf("%d steps were done before it was refused", steps)
			}
			p.wantFiles()
			p.disk.Did = nil
			from.Force = true
			if _, err := p.Build(t.Context(), from, p.now); (err == nil) != c.force {
				t.Errorf("Build with force: %v", err)
			}
		})
	}
}

// A real root of busybox is sound, and its shell in a mount that is left out is missed.
func TestJudgeMounts(t *testing.T) {
	t.Parallel()
	testkit.NeedRoot(t)
	busybox, err := os.ReadFile("/bin/busybox")
	testkit.Must(t, err)
	p := newPlace(t)
	testkit.Must(t, os.RemoveAll(filepath.Join(p.root, "sbin")))
	p.link("bin", "usr/bin")
	p.program("usr/bin/busybox", string(busybox))
	p.link("usr/bin/sh", "busybox")
	p.program("sbin/init", "#!/bin/sh\nexec sleep 1000\n")
	b, err := p.Build(t.Context(), p.newSource("one"), p.now)
	testkit.Must(t, err)
	_, err = p.Publish(b, p.now)
	testkit.Must(t, err)

	usr := filepath.Join(p.root, "usr")
	testkit.Must(t, syscall.Mount("none", usr, "tmpfs", 0, ""))
	t.Cleanup(func() { syscall.Unmount(usr, syscall.MNT_DETACH) })
	p.program("usr/bin/busybox", string(busybox))
	p.link("usr/bin/sh", "busybox")
	from := p.newSource("one")
	from.Force = true
	from.Options.Mounts = p.mounts()
	_, err = p.Build(t.Context(), from, p.now)
	if err == nil ||
		!strings.Contains(err.Error(),
			"/sbin/init is a script whose interpreter /bin/sh leads to /usr/bin/sh, which does not exist: the tree has /sbin/init") {
		t.Errorf("Build without /usr: %v", err)
	}
	p.wantFiles(append(listGenerationFiles(1), links(1)...)...)
}

// What a generation was forced with is not asked again, but what is new is.
func TestJudgeWhatIsNew(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	testkit.Must(t, os.RemoveAll(filepath.Join(p.root, "lib")))
	from := p.newSource("one")
	from.Force = true
	b, err := p.Build(t.Context(), from, p.now)
	testkit.Must(t, err)
	_, err = p.Publish(b, p.now)
	testkit.Must(t, err)
	p.Write("root/etc/hostname", "changed\n")
	p.update("one")
	p.Write("root/boot/config-6.1.0-9-amd64", oldConfig)
	if _, err := p.Build(t.Context(), p.newSource("one"), p.now); err == nil ||
		strings.Contains(err.Error(), "modules") ||
		!strings.Contains(err.Error(), "zstd") {
		t.Errorf("Build: %v", err)
	}
}

// The kernel that is published is the one that was judged.
func TestKernelChangesWhileBuilding(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.disk.Did = func(durable.Step) {
		p.disk.Did = nil
		p.Write("root/boot/vmlinuz-6.1.0-10-amd64", "kernel ten")
		p.Write("root/boot/initrd.img-6.1.0-10-amd64", "initrd ten")
	}
	if _, err := p.Build(t.Context(), p.newSource("one"), p.now); err == nil ||
		!strings.Contains(err.Error(), "the kernels in the tree changed while the image was built") {
		t.Errorf("Build: %v", err)
	}
	p.wantFiles()
}

// isForceable reports whether an error says that the option force overrides it.
func isForceable(err error) bool {
	return slices.ContainsFunc(remedy.FindIn(err), func(r remedy.Remedy) bool {
		return reflect.DeepEqual(r, remedy.If{Condition: "it is meant so", Then: remedy.Option("force")})
	})
}

// What is to be done about a tree that is refused.
func TestJudgeRemedies(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare func(p *place, from *Source)
		want    []remedy.Remedy
	}{
		"no init": {func(p *place, _ *Source) { testkit.Must(p.t, os.RemoveAll(filepath.Join(p.root, "sbin"))) },
			[]remedy.Remedy{remedy.Advice("put it into the tree")}},
		"init is excluded": {func(p *place, from *Source) { from.Options.Exclude = parseExcludes(p.t, "sbin") },
			[]remedy.Remedy{remedy.Advice("remove the exclude, or take in the mount, that leaves it or a file it needs out of the image")}},
		"zstd is beyond the kernel": {func(p *place, _ *Source) {
			p.Write("root/boot/config-6.1.0-9-amd64", oldConfig)
		},
			[]remedy.Remedy{
				remedy.Setting{Section: "image", Key: "compression", Value: `"gzip"`},
				remedy.If{Condition: "it is meant so", Then: remedy.Option("force")},
			}},
	} {
		p := newPlace(t)
		from := p.newSource("one")
		c.prepare(p, &from)
		if err := p.CheckSource(from); !reflect.DeepEqual(remedy.FindIn(err), c.want) {
			t.Errorf("%s: %v: %v, want %v", name, err, remedy.FindIn(err), c.want)
		}
	}
}
