package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"ltskeeper/internal/durable"
)

// zstd3 is the compression of mksquashfs that is as fast as ltskeeper's.
var zstd3 = []string{"zstd", "-Xcompression-level", "3"}

// measureZstd compares a build from nothing with mksquashfs at the level that is as fast.
func (b *bench) measureZstd(ctx context.Context) error {
	printTitle("Image the whole tree with zstd: %s", b.tree)
	peer, ours := b.mksquashfs(b.tree, zstd3...), b.buildClean(b.tree, "zstd")
	if err := runContenders(ctx, b.pairs, []string{b.tree}, peer, ours); err != nil {
		return err
	}
	printAtMost("times as long as mksquashfs -comp zstd, level 3", divideTimes(ours, peer), 1.25)
	printAtMost("times its size", float64(ours.best.size)/float64(peer.best.size), 1.02)
	printAtMost("MB of memory", float64(ours.best.peak)/1e6, 300)
	return nil
}

// measureGzip does the same with the compression that LTSP uses by default.
func (b *bench) measureGzip(ctx context.Context) error {
	if b.slowPairs == 0 {
		return nil
	}
	printTitle("Image the whole tree with gzip")
	peer, ours := b.mksquashfs(b.tree, "gzip"), b.buildClean(b.tree, "gzip")
	if err := runContenders(ctx, b.slowPairs, []string{b.tree}, peer, ours); err != nil {
		return err
	}
	printAtLeast("times as fast as mksquashfs -comp gzip", divideTimes(peer, ours), 8)
	printAtMost("times its size", float64(ours.best.size)/float64(peer.best.size), 1.06)
	return nil
}

// measureTwoFiles changes what adding a server changes: known_hosts and lts.conf.
func (b *bench) measureTwoFiles(ctx context.Context) error {
	printTitle("Two small files changed in the tree: a new generation")
	peer, floor, ours := b.mksquashfs(b.copy, zstd3...), b.floor(), b.rebuild(b.changeTwoFiles)
	if err := b.runOnCopy(ctx, b.pairs, peer, floor, ours); err != nil {
		return err
	}
	if b.ltsp != "" && b.slowPairs > 0 {
		ltsp := b.ltspImage()
		if err := b.runOnCopy(ctx, b.slowPairs, ltsp); err != nil {
			return err
		}
		printAtLeast("times as fast as ltsp image", divideTimes(ltsp, ours), 150)
	}
	printAtLeast("times as fast as mksquashfs -comp zstd, level 3", divideTimes(peer, ours), 4)
	printAtMost("times as long as stat, read, check, write, sync", divideTimes(ours, floor), 2)
	return nil
}

// measureNoChange builds a tree that has not changed.
func (b *bench) measureNoChange(ctx context.Context) error {
	printTitle("Nothing changed in the tree: no new generation")
	floor, ours := b.floor(), b.rebuild(func() error { return nil })
	if err := b.runOnCopy(ctx, b.pairs, floor, ours); err != nil {
		return err
	}
	printAtMost("of the time of stat, read, check, write, sync", divideTimes(ours, floor), 0.5)
	return nil
}

// measureOnePackage rewrites the files of one package of about 50 MB, as an upgrade does.
func (b *bench) measureOnePackage(ctx context.Context) error {
	name, files, size, err := findPackage(b.tree, 50e6)
	if err != nil {
		return err
	}
	printTitle("One package upgraded in the tree: %s, %d files, %.1f MB", name, len(files), float64(size)/1e6)
	floor, clean := b.floor(), b.buildClean(b.copy, "zstd")
	ours := b.rebuild(func() error { return upgradeFiles(b.copy, files) })
	if err := b.runOnCopy(ctx, b.pairs, floor, clean, ours); err != nil {
		return err
	}
	printAtMost("of a clean build, the copy taken off", divideTimes(ours, clean)-divideTimes(floor, clean), 0.1)
	return nil
}

// mksquashfs is the peer: everything in root, nothing appended, no output.
func (b *bench) mksquashfs(root string, compression ...string) *contender {
	name := "mksquashfs -comp " + strings.Join(compression, " ")
	return &contender{name: name, run: func(ctx context.Context, round int) (measure, error) {
		out := filepath.Join(b.work, "peer-"+strconv.Itoa(round)+".img")
		defer os.Remove(out)
		args := []string{root, out, "-noappend", "-no-progress", "-quiet", "-comp"}
		return runProcess(ctx, out, "mksquashfs", append(args, compression...)...)
	}}
}

// buildClean builds the first generation of root, everything included, in a farm that is new each
// time.
func (b *bench) buildClean(root, compression string) *contender {
	name := "ltskeeper image build, from nothing"
	return &contender{name: name, run: func(ctx context.Context, round int) (measure, error) {
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
func (b *bench) rebuild(change func() error) *contender {
	return &contender{name: "ltskeeper image build", run: func(ctx context.Context, round int) (measure, error) {
		if err := change(); err != nil {
			return measure{}, err
		}
		syscall.Sync() // what the change wrote is not measured
		return b.build(ctx, b.config)
	}}
}

func (b *bench) build(ctx context.Context, config string) (measure, error) {
	return runProcess(ctx, locateImage(config), b.ltskeeper, "--config", config, "--quiet", "image", "build")
}

// locateImage returns the path of the current image of a farm that declareImage declared.
func locateImage(config string) string {
	return filepath.Join(filepath.Dir(config), "images", "desktop.img")
}

// ltspImage is what an administrator of LTSP runs.
func (b *bench) ltspImage() *contender {
	return &contender{name: "ltsp image", run: func(ctx context.Context, round int) (measure, error) {
		base := filepath.Join(b.work, "ltsp")
		defer os.RemoveAll(base)
		if err := os.MkdirAll(filepath.Join(base, "images"), 0o755); err != nil {
			return measure{}, err
		}
		out := filepath.Join(base, "images", filepath.Base(b.copy)+".img")
		return runProcess(ctx, out, b.ltsp, "--base-dir="+base, "--tftp-dir="+filepath.Join(base, "tftp"), "image",
			b.copy)
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

// runOnCopy lets the contenders take turns on a copy of the tree that has an image.
func (b *bench) runOnCopy(ctx context.Context, rounds int, contenders ...*contender) error {
	if b.config == "" {
		_, err := runProcess(ctx, "", "cp", "--archive", "--reflink=auto", "--one-file-system", b.tree, b.copy)
		if err != nil {
			return err
		}
		config, err := declareImage(filepath.Join(b.work, "farm"), b.copy, "zstd")
		if err != nil {
			return err
		}
		if _, err := b.build(ctx, config); err != nil {
			return err
		}
		b.config = config
	}
	return runContenders(ctx, rounds, []string{b.copy, locateImage(b.config)}, contenders...)
}

// changeTwoFiles gives the clients one more server.
func (b *bench) changeTwoFiles() error {
	b.changes++
	for _, name := range []string{"etc/ssh/ssh_known_hosts", "etc/lts.conf"} {
		path := filepath.Join(b.copy, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := durable.WriteFile(path, fmt.Appendf(nil, "# server %d\n", b.changes), 0o644); err != nil {
			return err
		}
	}
	return nil
}
