package disktest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ltskeeper/internal/testkit"
)

// makers are the commands that make file systems, by kind.
var makers = map[string][]string{
	"ext4":  {"mkfs.ext4", "-q", "-F"},
	"xfs":   {"mkfs.xfs", "-q", "-f"},
	"btrfs": {"mkfs.btrfs", "-q", "-f"},
	"vfat":  {"mkfs.vfat"},
}

// Loop makes a file system of size bytes and mounts it at a new folder, which it returns. The kind
// is ext4, xfs (of at least 300 MiB), btrfs (110 MiB) or vfat; where the kernel lacks it, the test
// is skipped, even with CI=true.
func Loop(t *testing.T, kind string, size int64) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), kind)
	LoopAt(t, dir, kind, size)
	return dir
}

// LoopAt makes a file system as Loop does and mounts it at the folder dir, which it makes if need
// be.
func LoopAt(t *testing.T, dir, kind string, size int64) {
	t.Helper()
	needKind(t, kind)
	file := filepath.Join(t.TempDir(), kind+".img")
	testkit.Need(t, os.WriteFile(file, nil, 0o600))
	testkit.Need(t, os.Truncate(file, size))
	run(t, append(makers[kind], file)...)
	mountLoop(t, file, dir, kind)
}

// Packed packs the folder from into a squashfs or erofs and mounts it at the folder dir, which it
// makes if need be.
func Packed(t *testing.T, dir, kind, from string) {
	t.Helper()
	needKind(t, kind)
	file := filepath.Join(t.TempDir(), kind+".img")
	if kind == "erofs" {
		run(t, "mkfs.erofs", "--quiet", file, from)
	} else {
		run(t, "mksquashfs", from, file, "-quiet", "-no-progress", "-xattrs")
	}
	mountLoop(t, file, dir, kind)
}

// mountLoop mounts the file system in a file. Its loop device is gone when it is unmounted.
func mountLoop(t *testing.T, file, dir, kind string) {
	t.Helper()
	testkit.Need(t, os.MkdirAll(dir, 0o755))
	run(t, "mount", "-t", kind, "-o", "loop", file, dir)
	unmountAtEnd(t, dir)
}

// Subvolume makes a subvolume at a path on a mounted btrfs.
func Subvolume(t *testing.T, path string) {
	t.Helper()
	run(t, "btrfs", "subvolume", "create", path)
}

// Snapshot makes a snapshot of a subvolume at a path on its btrfs.
func Snapshot(t *testing.T, subvolume, path string) {
	t.Helper()
	run(t, "btrfs", "subvolume", "snapshot", subvolume, path)
}

// Overlay mounts an overlay at a new folder, which it returns. The first of the lower folders is
// the topmost. The work folder is beside the upper folder, with the suffix .work. Options such as
// "xino=off" are passed on.
func Overlay(t *testing.T, upper string, lowers []string, options ...string) string {
	t.Helper()
	work := upper + ".work"
	for _, dir := range []string{upper, work} {
		testkit.Need(t, os.MkdirAll(dir, 0o755))
	}
	escape := strings.NewReplacer(`\`, `\\`, `,`, `\,`, `:`, `\:`).Replace
	var layers []string
	for _, lower := range lowers {
		layers = append(layers, escape(lower))
	}
	options = append(options, "lowerdir="+strings.Join(layers, ":"), "upperdir="+escape(upper), "workdir="+escape(work))
	dir := filepath.Join(t.TempDir(), "overlay")
	mount(t, "overlay", dir, "overlay", 0, strings.Join(options, ","))
	return dir
}

// needKind skips a test if the kernel has no file system of that kind.
func needKind(t *testing.T, kind string) {
	t.Helper()
	for range 2 {
		kinds, err := os.ReadFile("/proc/filesystems")
		testkit.Need(t, err)
		if bytes.Contains(kinds, []byte("\t"+kind+"\n")) {
			return
		}
		exec.Command("modprobe", kind).Run() // which may bring it
	}
	t.Skipf("this kernel has no %s", kind)
}

func run(t *testing.T, command ...string) {
	t.Helper()
	if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
		testkit.Need(t, fmt.Errorf("%s: %w\n%s", strings.Join(command, " "), err, out))
	}
}
