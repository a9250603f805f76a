package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// images is what the parts about images hand on to each other.
type images struct {
	copy   string // the tree's copy, which the parts may change
	farm   string // the declaration of the copy, with at least one generation
	change int    // how often it was changed
}

// zstd3 is the compression of mksquashfs that is as fast as ltskeeper's.
var zstd3 = []string{"zstd", "-Xcompression-level", "3"}

// measureZstd compares a build from nothing with mksquashfs at the level that is as fast.
func (b *bench) measureZstd(ctx context.Context) error {
	printTitle("Image the whole tree with zstd: %s", b.tree)
	best, err := runContenders(ctx, b.pairs, []string{b.tree}, b.mksquashfs(b.tree, zstd3...),
		b.buildClean(b.tree, "zstd"))
	if err != nil {
		return err
	}
	peer, ours := best[0], best[1]
	printAtMost("times as long as mksquashfs -comp zstd, level 3", divideDurations(ours.wall, peer.wall), 1.25)
	printAtMost("times its size", float64(ours.size)/float64(peer.size), 1.02)
	printAtMost("MB of memory", float64(ours.peak)/1e6, 300)
	return nil
}

// measureGzip does the same with the compression that LTSP uses by default.
func (b *bench) measureGzip(ctx context.Context) error {
	if b.slowPairs == 0 {
		return nil
	}
	printTitle("Image the whole tree with gzip")
	best, err := runContenders(ctx, b.slowPairs, []string{b.tree}, b.mksquashfs(b.tree, "gzip"),
		b.buildClean(b.tree, "gzip"))
	if err != nil {
		return err
	}
	peer, ours := best[0], best[1]
	printAtLeast("times as fast as mksquashfs -comp gzip", divideDurations(peer.wall, ours.wall), 8)
	printAtMost("times its size", float64(ours.size)/float64(peer.size), 1.06)
	return nil
}

// measureTwoFiles changes what adding a server changes: known_hosts and lts.conf.
func (b *bench) measureTwoFiles(ctx context.Context) error {
	printTitle("Two small files changed in the tree: a new generation")
	if err := b.prepareCopy(ctx); err != nil {
		return err
	}
	best, err := runContenders(ctx, b.pairs, b.copyAndImage(),
		b.mksquashfs(b.images.copy, zstd3...),
		b.floor(),
		b.rebuild("ltskeeper image build", b.changeTwoFiles),
	)
	if err != nil {
		return err
	}
	peer, floor, ours := best[0], best[1], best[2]
	if b.ltsp != "" && b.slowPairs > 0 {
		ltsp, err := runContenders(ctx, b.slowPairs, b.copyAndImage(), b.ltspImage())
		if err != nil {
			return err
		}
		printAtLeast("times as fast as ltsp image", divideDurations(ltsp[0].wall, ours.wall), 150)
	}
	printAtLeast("times as fast as mksquashfs -comp zstd, level 3", divideDurations(peer.wall, ours.wall), 4)
	printAtMost("times as long as stat, read, check, write, sync", divideDurations(ours.wall, floor.wall), 2)
	return nil
}

// measureNoChange builds a tree that has not changed.
func (b *bench) measureNoChange(ctx context.Context) error {
	printTitle("Nothing changed in the tree: no new generation")
	if err := b.prepareCopy(ctx); err != nil {
		return err
	}
	best, err := runContenders(ctx, b.pairs, b.copyAndImage(),
		b.floor(),
		b.rebuild("ltskeeper image build", func() error { return nil }),
	)
	if err != nil {
		return err
	}
	printAtMost("of the time of stat, read, check, write, sync", divideDurations(best[1].wall, best[0].wall), 0.5)
	return nil
}

// measureOnePackage rewrites the files of one package of about 50 MB, as an upgrade does.
func (b *bench) measureOnePackage(ctx context.Context) error {
	if err := b.prepareCopy(ctx); err != nil {
		return err
	}
	name, files, size, err := findPackage(b.images.copy, 50e6)
	if err != nil {
		return err
	}
	printTitle("One package upgraded in the tree: %s, %d files, %.1f MB", name, len(files), float64(size)/1e6)
	best, err := runContenders(ctx, b.pairs, b.copyAndImage(),
		b.floor(),
		b.buildClean(b.images.copy, "zstd"),
		b.rebuild("ltskeeper image build", func() error { return upgradeFiles(b.images.copy, files) }),
	)
	if err != nil {
		return err
	}
	floor, clean, ours := best[0], best[1], best[2]
	printAtMost("of a clean build, the copy taken off", (ours.wall-floor.wall).Seconds()/clean.wall.Seconds(), 0.1)
	return nil
}

// mksquashfs is the peer: everything in root, nothing appended, no output.
func (b *bench) mksquashfs(root string, compression ...string) contender {
	return contender{"mksquashfs -comp " + strings.Join(compression, " "),
		func(ctx context.Context, round int) (measure, error) {
			out := filepath.Join(b.work, "peer-"+strconv.Itoa(round)+".img")
			defer os.Remove(out)
			args := []string{root, out, "-noappend", "-no-progress", "-quiet", "-comp"}
			return runProcess(ctx, out, "mksquashfs", append(args, compression...)...)
		}}
}

// buildClean builds the first generation of root, everything included, in a farm that is new each
// time.
func (b *bench) buildClean(root, compression string) contender {
	return contender{"ltskeeper image build, from nothing", func(ctx context.Context, round int) (measure, error) {
		dir := filepath.Join(b.work, "clean-"+strconv.Itoa(round))
		defer os.RemoveAll(dir)
		config, err := declareImage(dir, root, compression)
		if err != nil {
			return measure{}, err
		}
		return b.build(ctx, config)
	}}
}

// rebuild changes the copy and brings its image up to date.
func (b *bench) rebuild(name string, change func() error) contender {
	return contender{name, func(ctx context.Context, round int) (measure, error) {
		if err := change(); err != nil {
			return measure{}, err
		}
		syscall.Sync() // what the change wrote is not measured
		return b.build(ctx, b.images.farm)
	}}
}

func (b *bench) build(ctx context.Context, config string) (measure, error) {
	m, err := runProcess(ctx, "", b.ltskeeper, "--config", config, "--quiet", "image", "build")
	if err != nil {
		return m, err
	}
	info, err := os.Stat(filepath.Join(filepath.Dir(config), "images", "desktop.img"))
	if err != nil {
		return m, err
	}
	m.size = info.Size()
	return m, nil
}

// ltspImage is what an administrator of LTSP runs.
func (b *bench) ltspImage() contender {
	return contender{"ltsp image", func(ctx context.Context, round int) (measure, error) {
		base := filepath.Join(b.work, "ltsp")
		defer os.RemoveAll(base)
		if err := os.MkdirAll(filepath.Join(base, "images"), 0o755); err != nil {
			return measure{}, err
		}
		out := filepath.Join(base, "images", filepath.Base(b.images.copy)+".img")
		return runProcess(ctx, out, b.ltsp, "--base-dir="+base, "--tftp-dir="+filepath.Join(base, "tftp"), "image",
			b.images.copy)
	}}
}

// declareImage writes a farm whose only chroot is root, imaged whole as mksquashfs does it.
func declareImage(dir, root, compression string) (config string, err error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	config = filepath.Join(dir, "ltskeeper.toml")
	return config, os.WriteFile(config, fmt.Appendf(nil, `state = "state"

[image]
directory   = "images"
compression = %q

[tftp]
directory = "tftp"

[[chroot]]
name             = "desktop"
path             = %q
exclude-defaults = false
`, compression, root), 0o644)
}

// prepareCopy copies the tree, once, and builds the first generation of the copy.
func (b *bench) prepareCopy(ctx context.Context) error {
	if b.images.copy != "" {
		return nil
	}
	root := filepath.Join(b.work, "root")
	if _, err := runProcess(ctx, "", "cp", "--archive", "--reflink=auto", "--one-file-system", b.tree,
		root); err != nil {
		return err
	}
	config, err := declareImage(filepath.Join(b.work, "farm"), root, "zstd")
	if err != nil {
		return err
	}
	if _, err := b.build(ctx, config); err != nil {
		return err
	}
	b.images.copy, b.images.farm = root, config
	return nil
}

// copyAndImage is what a rebuild of the copy reads.
func (b *bench) copyAndImage() []string {
	return []string{b.images.copy, filepath.Join(filepath.Dir(b.images.farm), "images", "desktop.img")}
}

// changeTwoFiles gives the clients one more server.
func (b *bench) changeTwoFiles() error {
	b.images.change++
	for _, name := range []string{"etc/ssh/ssh_known_hosts", "etc/lts.conf"} {
		path := filepath.Join(b.images.copy, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := replaceFile(path, fmt.Appendf(nil, "# server %d\n", b.images.change), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// replaceFile writes a file as package managers do: beside its place, then renamed.
func replaceFile(path string, data []byte, mode fs.FileMode) error {
	if err := os.WriteFile(path+".new", data, mode); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
