package chroot

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/disktest"

	"golang.org/x/sys/unix"
)

// empties is what a chroot's excludes leave out in these tests.
func empties(path string) bool { return path == "var/lib/mysql" || path == "proc" }

// What is mounted where a system is installed belongs to the client, and nothing else does.
func TestTakeMounts(t *testing.T) {
	t.Parallel()
	testkit.NeedRoot(t)
	r := client(t, map[string]string{"images/": "", "opt/images/": ""})
	wanted := map[string]string{ // where a file system of that kind is mounted
		"usr": "ext4", "usr/local": "btrfs", "var": "xfs", "opt/app": "ext4", "boot": "ext4", "lib64": "ext4",
		"var/lib/docker": "ext4", "var/lib/docker/overlay2/x": "ext4", "var/cache/apt": "ext4", "var/log": "ext4",
		"var/lib/mysql": "ext4",
		"home":          "ext4", "data/apps": "ext4", "proc": "tmpfs", "etc/tmpfs": "tmpfs", "opt/images": "ext4",
		"srv":         "ext4",
		"var/libvirt": "ext4", "var/lib/dockers": "ext4",
	}
	for _, path := range slices.Sorted(maps.Keys(wanted)) {
		at := filepath.Join(r.Path(), path)
		if wanted[path] == "tmpfs" {
			disktest.Small(t, at)
			continue
		}
		disktest.LoopAt(t, at, wanted[path],
			map[string]int64{"ext4": 16 << 20, "btrfs": 128 << 20, "xfs": 300 << 20}[wanted[path]])
	}
	bind := func(from, to string) {
		at := filepath.Join(r.Path(), to)
		if err := os.MkdirAll(at, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(r.Path(), from), 0o755); err != nil {
			t.Fatal(err)
		}
		mountAt(t, filepath.Join(r.Path(), from), at, "", unix.MS_BIND, "")
	}
	bind("opt/app", "opt/twin")   // of one that is taken
	bind("images", "opt/own")     // of the root's own file system
	bind("home", "opt/from-home") // of one that is not taken
	taken := func(rules MountRules) (list []string) {
		t.Helper()
		rules.Empties, rules.Apart = empties, []string{filepath.Join(r.Path(), "opt/images")}
		all, err := r.TakeMounts(rules)
		if err != nil {
			t.Fatal(err)
		}
		if len(all) != len(wanted)+3 {
			t.Errorf("%d mounts are found", len(all))
		}
		for _, m := range all {
			if m.IsTaken {
				list = append(list, m.Path)
			}
		}
		return list
	}
	usual := []string{"boot", "lib64", "opt/app", "opt/from-home", "usr", "usr/local", "var", "var/lib/dockers",
		"var/libvirt"}
	if got := taken(MountRules{}); !slices.Equal(got, usual) {
		t.Errorf("by itself: %q\nwant %q", got, usual)
	}
	want := append(slices.Clone(usual), "data/apps", "opt/twin")
	slices.Sort(want)
	if got := taken(MountRules{Declared: []string{"data/apps", "opt/twin"}}); !slices.Equal(got, want) {
		t.Errorf("with two declared: %q\nwant %q", got, want)
	}
	if got := taken(MountRules{None: true}); len(got) > 0 {
		t.Errorf("with none: %q", got)
	}
	for declared, want := range map[string]string{
		"data":                      "nothing is mounted at /data, ",
		"var/lib/docker/overlay2/x": "/var/lib/docker/overlay2/x, which is declared as a mount, is in a mount that is not taken",
		"opt/images":                "/opt/images, which",
	} {
		if _, err := r.TakeMounts(MountRules{Declared: []string{declared}, Empties: empties,
			Apart: []string{filepath.Join(r.Path(), "opt/images")}}); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", declared, err)
		}
	}

	// Put writes into what is taken, and into nothing else.
	taken(MountRules{})
	mustPut(t, r, "usr/local/etc/file", "x", 0o644, true)
	mustPut(t, r, "var/file", "x", 0o644, true)
	for _, name := range []string{"home/file", "var/lib/docker/file", "opt/twin/file"} {
		if changed, err := r.Put(name, []byte("x"), 0o644); changed || err == nil ||
			!strings.Contains(err.Error(), "another file system is mounted there") {
			t.Errorf("%s: changed %v, %v", name, changed, err)
		}
	}
}

// Subvolumes of one btrfs are file systems of their own, unless one shows what another shows.
func TestTakeSubvolumes(t *testing.T) {
	t.Parallel()
	testkit.NeedRoot(t)
	disk := disktest.Loop(t, "btrfs", 256<<20)
	for _, name := range []string{"root", "usr", "root/nested"} {
		disktest.Subvolume(t, filepath.Join(disk, name))
	}
	root := filepath.Join(disk, "root")
	for _, dir := range []string{"etc", "bin", "usr", "opt/nested"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "bin/sh"), []byte(program), 0o755); err != nil {
		t.Fatal(err)
	}
	mountAt(t, filepath.Join(disk, "usr"), filepath.Join(root, "usr"), "", unix.MS_BIND, "")
	mountAt(t, filepath.Join(root, "nested"), filepath.Join(root, "opt/nested"), "", unix.MS_BIND, "")
	r := mustOpen(t, root)
	all, err := r.TakeMounts(MountRules{Empties: empties})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range all {
		got = append(got, fmt.Sprint(m.Path, " ", m.IsTaken))
	}
	if want := []string{"opt/nested false", "usr true"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	mustPut(t, r, "nested/file", "x", 0o644, true) // of the root, though with another device number
	mustPut(t, r, "usr/file", "x", 0o644, true)
}

// The whole of a file system is taken rather than a part of it that comes first by name.
func TestTakeWhole(t *testing.T) {
	t.Parallel()
	testkit.NeedRoot(t)
	r := client(t, nil)
	usr, part := filepath.Join(r.Path(), "usr"), filepath.Join(r.Path(), "etc/part")
	disktest.LoopAt(t, usr, "ext4", 16<<20)
	for _, dir := range []string{part, filepath.Join(usr, "share/part")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mountAt(t, filepath.Join(usr, "share/part"), part, "", unix.MS_BIND, "")
	all, err := r.TakeMounts(MountRules{Empties: empties})
	if err != nil {
		t.Fatal(err)
	}
	var taken []string
	for _, m := range all {
		if m.IsTaken {
			taken = append(taken, m.Path)
		}
	}
	if !slices.Equal(taken, []string{"usr"}) {
		t.Errorf("taken is %q", taken)
	}
}

// A mount that is declared may be reached through a symbolic link.
func TestDeclaredThroughLink(t *testing.T) {
	t.Parallel()
	testkit.NeedRoot(t)
	r := client(t, nil)
	disktest.Small(t, filepath.Join(r.Path(), "usr/lib/modules"))
	if err := os.Symlink("/usr/lib", filepath.Join(r.Path(), "lib")); err != nil {
		t.Fatal(err)
	}
	all, err := r.TakeMounts(MountRules{Declared: []string{"lib/modules"}, Empties: empties})
	if err != nil || len(all) != 1 || !all[0].IsTaken {
		t.Errorf("%+v, %v", all, err)
	}
}

// In a root of a user namespace what is put belongs to its root.
func TestSetOwner(t *testing.T) {
	t.Parallel()
	testkit.NeedRoot(t)
	r := client(t, nil)
	r.SetOwner(100_000)
	mustPut(t, r, "etc/ssh/ssh_known_hosts", "x", 0o644, true)
	mustPut(t, r, "etc/ssh/ssh_known_hosts", "x", 0o644, false)
	for _, name := range []string{"etc/ssh", "etc/ssh/ssh_known_hosts"} {
		if !isOwnedBy(mustStat(t, filepath.Join(r.Path(), name)), 100_000) {
			t.Errorf("%s does not belong to the namespace's root", name)
		}
	}
	r.SetOwner(0)
	mustPut(t, r, "etc/ssh/ssh_known_hosts", "x", 0o644, true)
}
