package squashfs

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ltskeeper/internal/mounts"
	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/disktest"

	"golang.org/x/sys/unix"
)

// mountsOf is what is mounted below a root; that at the paths is taken.
func mountsOf(t *testing.T, root string, taken ...string) []Mount {
	t.Helper()
	table, err := mounts.ReadTable(root)
	testkit.Must(t, err)
	list := []Mount{}
	for _, m := range table.Mounts {
		list = append(list, Mount{Path: m.Path, ID: m.ID, IsTaken: slices.Contains(taken, m.Path)})
	}
	return list
}

// What is mounted in a tree is in its image where it is taken, and an empty folder elsewhere.
func TestTakenMounts(t *testing.T) {
	t.Parallel()
	testkit.NeedRoot(t)
	testkit.NeedPrograms(t, "mksquashfs")
	root, noise := t.TempDir(), newChanger(t, 1).noise
	for path, kind := range map[string]string{"usr": "ext4", "usr/local": "btrfs", "opt": "xfs", "data": "ext4"} {
		if path == "usr/local" {
			continue
		}
		disktest.LoopAt(t, filepath.Join(root, path), kind, 300<<20)
		testkit.Must(t, os.WriteFile(filepath.Join(root, path, "file"), noise(200_000), 0o644))
		testkit.Must(t, os.Link(filepath.Join(root, path, "file"), filepath.Join(root, path, "name")))
	}
	disktest.LoopAt(t, filepath.Join(root, "usr/local"), "btrfs", 128<<20)
	disktest.Subvolume(t, filepath.Join(root, "usr/local/inner"))
	for _, path := range []string{"usr/local/file", "usr/local/inner/file"} {
		testkit.Must(t, os.WriteFile(filepath.Join(root, path), noise(200_000), 0o600))
	}
	// A file can be mounted on a file.
	testkit.Must(t, os.Mkdir(filepath.Join(root, "etc"), 0o755))
	testkit.Must(t, os.WriteFile(filepath.Join(root, "etc/hosts"), nil, 0o644))
	testkit.Must(t,
		unix.Mount(filepath.Join(root, "data/file"), filepath.Join(root, "etc/hosts"), "", unix.MS_BIND, ""))
	t.Cleanup(func() { unix.Unmount(filepath.Join(root, "etc/hosts"), 0) })

	var warnings []string
	options := Options{
		Mounts: mountsOf(t, root, "usr", "usr/local", "opt", "etc/hosts"),
		Warn:   func(sentence string) { warnings = append(warnings, sentence) },
	}
	first := buildGeneration(t, root, nil, options)
	r := openImage(t, first.path)
	if err := r.Verify(t.Context()); err != nil {
		t.Error(err)
	}
	got := imageSnapshot(t, r)
	want := imageSnapshot(t, openImage(t, mksquashfs(t, root, "-comp", "lz4", "-wildcards", "-e", "data/*")))
	delete(got, "data") // has its time from the image
	delete(want, "data")
	compareSnapshots(t, "image", got, want)
	if text := strings.Join(warnings,
		"\n"); text != "/data is empty in the image: another file system is mounted there" {
		t.Errorf("told was %q", text)
	}
	if next := buildGeneration(t, root, first, options); !next.result.Unchanged {
		t.Errorf("the same tree makes another image: %+v", next.result)
	}
	// All of it is recognised, and a change seen, whatever file system it is on.
	for _, path := range []string{"usr/file", "usr/local/file", "usr/local/inner/file", "opt/name", "data/file"} {
		f, err := os.OpenFile(filepath.Join(root, path), os.O_WRONLY, 0)
		testkit.Must(t, err)
		_, err = f.WriteAt([]byte("changed"), 100_000)
		testkit.Must(t, err)
		testkit.Must(t, f.Close())
		next := buildGeneration(t, root, first, options)
		sameImage(t, "after a change of "+path, next, buildGeneration(t, root, nil, options))
	}
	different, err := DiffTree(t.Context(), openImage(t, first.path), root, options)
	testkit.Must(t, err)
	changed := []string{"etc/hosts", "opt/file", "opt/name", "usr/file", "usr/local/file", "usr/local/inner/file",
		"usr/name"}
	if got := pathsOf(different); !slices.Equal(got, changed) {
		t.Errorf("what differs is %q, want %q", got, changed)
	}
}

func pathsOf(different []Difference) (paths []string) {
	for _, d := range different {
		paths = append(paths, d.Path)
	}
	return paths
}

// Even a symbolic link can be mounted, on another one.
func TestMountOnLink(t *testing.T) {
	t.Parallel()
	testkit.NeedRoot(t)
	root, small := t.TempDir(), t.TempDir()
	link := filepath.Join(root, "link")
	testkit.Must(t, os.Symlink("below", link))
	disktest.Small(t, small)
	testkit.Must(t, os.Symlink("above", filepath.Join(small, "link")))
	fd, err := unix.OpenTree(unix.AT_FDCWD, filepath.Join(small, "link"),
		unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_SYMLINK_NOFOLLOW)
	testkit.Must(t, err)
	defer unix.Close(fd)
	if err := unix.MoveMount(fd, "", unix.AT_FDCWD, link, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		t.Skipf("this kernel mounts nothing on a link: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(link, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW) })
	for _, test := range []struct{ taken, want string }{{"", ""}, {"link", "above"}} {
		r := openImage(t, buildGeneration(t, root, nil, Options{Mounts: mountsOf(t, root, test.taken)}).path)
		if err := r.Verify(t.Context()); err != nil {
			t.Error(err)
		}
		if e := mustLookup(t, r, "link"); e.Target != test.want || e.Size != 0 {
			t.Errorf("taken %q: the image has %+v", test.taken, e)
		}
	}
}

// Nothing may be mounted or unmounted while a tree is read.
func TestMountsThatChange(t *testing.T) {
	t.Parallel()
	testkit.NeedRoot(t)
	root := t.TempDir()
	testkit.Must(t, os.MkdirAll(filepath.Join(root, "usr/share"), 0o755))
	testkit.Must(t, os.WriteFile(filepath.Join(root, "usr/share/file"), []byte("below"), 0o644))
	disktest.Small(t, filepath.Join(root, "usr/share"))
	listed := mountsOf(t, root, "usr/share")
	for name, test := range map[string]struct {
		mounts []Mount
		want   string
	}{
		"as it is": {listed, ""},
		"came":     {[]Mount{}, "something was mounted at usr/share while the tree was read"},
		"another": {[]Mount{{Path: "usr/share", ID: listed[0].ID + 1000, IsTaken: true}},
			"something was mounted at usr/share"},
		"went": {append([]Mount{{Path: "usr", ID: 1, IsTaken: true}}, listed...),
			"usr was unmounted while the tree was read"},
		"left out, went": {append([]Mount{{Path: "usr", ID: 1}}, listed...),
			"usr was unmounted while the tree was read"},
	} {
		_, err := Build(t.Context(), tempFile(t), root, Options{Mounts: test.mounts})
		if (err != nil) != (test.want != "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Snapshots are no part of the tree: not at its root, nor where a subvolume or a mount begins.
// Elsewhere a folder of that name is one like any other.
func TestSnapshots(t *testing.T) {
	t.Parallel()
	testkit.NeedRoot(t)
	root := disktest.Loop(t, "btrfs", 256<<20)
	top := filepath.Join(root, "top")
	disktest.Subvolume(t, top)
	for _, path := range []string{"var", "usr", "plain"} {
		if path == "var" {
			disktest.Subvolume(t, filepath.Join(top, path))
		} else {
			testkit.Must(t, os.Mkdir(filepath.Join(top, path), 0o755))
		}
	}
	disktest.LoopAt(t, filepath.Join(top, "usr"), "ext4", 32<<20)
	for _, path := range []string{"", "var", "usr", "plain"} {
		for name := range snapshotFolders {
			testkit.Must(t, os.MkdirAll(filepath.Join(top, path, name, "1"), 0o755))
		}
		disktest.Snapshot(t, top, filepath.Join(root, "snapshot"+path))
	}
	disktest.Snapshot(t, top, filepath.Join(top, ".snapshots/1/snapshot"))
	var warnings []string
	options := Options{
		SkipSnapshots: true, Mounts: mountsOf(t, top, "usr"),
		Warn: func(sentence string) { warnings = append(warnings, sentence) },
	}
	r := openImage(t, buildGeneration(t, top, nil, options).path)
	for path, want := range map[string]bool{
		".snapshots": false, "timeshift": false, "timeshift-btrfs": false, ".zfs": false,
		"var/.snapshots": false, "usr/.zfs": false, "plain/.snapshots": true, "plain/.zfs/1": true,
	} {
		if _, err := r.Lookup(path); (err == nil) != want {
			t.Errorf("%s: %v, want it in the image: %v", path, err, want)
		}
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "/.snapshots, /.zfs, ") ||
		!strings.HasSuffix(warnings[0], "are left out of the image: they hold snapshots") {
		t.Errorf("told was %q", warnings)
	}
	if different, err := DiffTree(t.Context(), r, top, options); err != nil || len(different) > 0 {
		t.Errorf("%q differ from the tree: %v", pathsOf(different), err)
	}
	options.SkipSnapshots = false
	if _, err := openImage(t,
		buildGeneration(t, top, nil, options).path).Lookup(".snapshots/1/snapshot/var"); err != nil {
		t.Error(err)
	}
}
