package squashfs

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ltskeeper/internal/excludes"
	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/disktest"

	"golang.org/x/sys/unix"
)

// fileOf reads a file of an image.
func fileOf(t *testing.T, g *generation, path string) []byte {
	t.Helper()
	r := openImage(t, g.path)
	e, err := r.Lookup(path)
	testkit.Must(t, err)
	c, err := r.OpenFile(e)
	testkit.Must(t, err)
	data := make([]byte, e.Size)
	if n, err := c.ReadAt(data, 0); n < len(data) {
		t.Fatal(err)
	}
	return data
}

// Where a file system that is not known to be right says that there is a hole, data is looked for
// all the same.
func TestHolesThatAreNotThere(t *testing.T) {
	t.Parallel()
	testkit.NeedRoot(t)
	data := newChanger(t, 1).noise(300_000)
	none, size := 0, int64(len(data))
	for name, fake := range map[string]disktest.Fake{
		"all a hole":       {Blocks: &none, Data: [][2]int64{}},
		"a hole in front":  {Blocks: &none, Data: [][2]int64{{size - 10, size}}},
		"a hole behind":    {Blocks: &none, Data: [][2]int64{{0, 10}}},
		"a hole in a tail": {Blocks: &none, Data: [][2]int64{{0, 131072}, {262144, 270000}}},
	} {
		for _, place := range []string{"tree", "overlay"} {
			t.Run(name+", "+place, func(t *testing.T) {
				t.Parallel()
				root := t.TempDir()
				testkit.Must(t, os.WriteFile(filepath.Join(root, "file"), data, 0o644))
				testkit.Must(t, os.WriteFile(filepath.Join(root, "small"), data[:5000], 0o644))
				disk := disktest.Faked(t, root)
				disk.Set("file", fake)
				disk.Set("small", disktest.Fake{Blocks: &none, Data: [][2]int64{}})
				tree := root
				if place == "overlay" {
					tree = disktest.Overlay(t, filepath.Join(t.TempDir(), "upper"), []string{root})
				}
				first := buildGeneration(t, tree, nil, Options{})
				if !bytes.Equal(fileOf(t, first, "file"), data) ||
					!bytes.Equal(fileOf(t, first, "small"), data[:5000]) {
					t.Error("a file is not in the image as it is")
				}
				disk.Mend()
				next := buildGeneration(t, tree, first, Options{})
				sameImage(t, "when holes are told right", next, buildGeneration(t, tree, nil, Options{}))
			})
		}
	}
}

func mustParse(t testing.TB, patterns ...string) *excludes.Patterns {
	t.Helper()
	parsed, err := excludes.Parse(patterns)
	testkit.Must(t, err)
	return parsed
}

// longAgo is a time without fractions of a second.
var longAgo = time.Unix(1e9, 0)

// Where holes are not believed, a file that could only be read for hours is refused.
func TestUnbelievedHoles(t *testing.T) {
	t.Parallel()
	testkit.NeedRoot(t)
	root := t.TempDir()
	testkit.Must(t, os.Mkdir(filepath.Join(root, "var"), 0o755))
	huge := filepath.Join(root, "var/huge")
	testkit.Must(t, os.WriteFile(huge, []byte("x"), 0o644))
	testkit.Must(t, os.Truncate(huge, 900<<30))
	disktest.Faked(t, root)
	_, err := Build(t.Context(), tempFile(t), root, Options{})
	if err == nil || !strings.Contains(err.Error(), "var/huge: ") || !strings.Contains(err.Error(), "exclude it") {
		t.Error(err)
	}
	if _, err := Build(t.Context(), tempFile(t), root, Options{Exclude: mustParse(t, "var/huge")}); err != nil {
		t.Error(err)
	}
}

// On an overlay of file systems whose holes are right, they are right; if one layer is of another
// kind, they may not be.
func TestTraits(t *testing.T) {
	t.Parallel()
	testkit.NeedRoot(t)
	ext4, btrfs := disktest.Loop(t, "ext4", 32<<20), disktest.Loop(t, "btrfs", 128<<20)
	packed := filepath.Join(t.TempDir(), "packed")
	disktest.Packed(t, packed, "squashfs", t.TempDir())
	odd := filepath.Join(t.TempDir(), "odd")
	testkit.Must(t, os.Mkdir(odd, 0o755))
	disktest.Faked(t, odd)
	overlay := func(upper string, lowers ...string) string {
		return disktest.Overlay(t, filepath.Join(upper, "upper"+filepath.Base(t.TempDir())+filepath.Base(lowers[0])),
			lowers)
	}
	covered := mustMkdir(t, filepath.Join(ext4, "covered"))
	work := mustMkdir(t, filepath.Join(ext4, "covered.work"))
	testkit.Must(t,
		unix.Mount("overlay", covered, "overlay", 0,
			"lowerdir="+covered+",upperdir="+mustMkdir(t, filepath.Join(ext4, "above"))+",workdir="+work))
	t.Cleanup(func() { unix.Unmount(covered, 0) })
	all := traits{numbers: true, holes: true, ctimes: true}
	good := traits{holes: true, ctimes: true}
	for name, test := range map[string]struct {
		folder string
		want   traits
	}{
		"ext4":                       {ext4, all},
		"btrfs":                      {btrfs, all},
		"squashfs":                   {packed, traits{}},
		"FUSE":                       {odd, traits{}},
		"overlay of ext4 and btrfs":  {overlay(ext4, btrfs), good},
		"overlay with FUSE in it":    {overlay(ext4, btrfs, odd), traits{}},
		"overlay over squashfs":      {overlay(ext4, packed), traits{}},
		"overlay of an overlay":      {overlay(ext4, overlay(btrfs, btrfs)), good},
		"FUSE in an inner overlay":   {overlay(ext4, overlay(btrfs, odd)), traits{}},
		"overlay over its own layer": {covered, traits{}},
		"a blank in a name":          {overlay(ext4, mustMkdir(t, filepath.Join(btrfs, "a b"))), good},
	} {
		fd, err := unix.Open(test.folder, unix.O_DIRECTORY, 0)
		testkit.Must(t, err)
		var st unix.Statx_t
		testkit.Must(t, statAt(fd, "", &st))
		v, err := openVolume(fd, &st)
		testkit.Must(t, err)
		unix.Close(fd)
		if v.traits != test.want {
			t.Errorf("%s: believed is %+v, want %+v", name, v.traits, test.want)
		}
	}
}

func mustMkdir(t *testing.T, path string) string {
	t.Helper()
	testkit.Must(t, os.Mkdir(path, 0o755))
	return path
}

// What changes in the innermost layer of nested overlays is seen, whatever its times say.
func TestNestedOverlays(t *testing.T) {
	t.Parallel()
	testkit.NeedRoot(t)
	dir := t.TempDir()
	odd := mustMkdir(t, filepath.Join(dir, "odd"))
	testkit.Must(t, os.WriteFile(filepath.Join(odd, "file"), []byte("one"), 0o644))
	disktest.Faked(t, odd).Set("file", disktest.Fake{Ino: 600, Mtime: longAgo, Ctime: longAgo})
	inner := disktest.Overlay(t, filepath.Join(dir, "inner"), []string{odd}, "xino=off")
	root := disktest.Overlay(t, filepath.Join(dir, "outer"), []string{inner}, "xino=on")
	first := buildGeneration(t, root, nil, Options{})
	testkit.Must(t, os.WriteFile(filepath.Join(odd, "file"), []byte("two"), 0o644))
	next := buildGeneration(t, root, first, Options{})
	if got := string(fileOf(t, next, "file")); got != "two" {
		t.Errorf("the image holds %q", got)
	}
}

// Files of nested subvolumes are in the index, and are recognised there when the file system has
// another device number.
func TestSubvolumesInIndex(t *testing.T) {
	t.Parallel()
	testkit.NeedRoot(t)
	testkit.NeedPrograms(t, "mount", "umount")
	image := filepath.Join(t.TempDir(), "disk")
	testkit.Must(t, os.WriteFile(image, nil, 0o600))
	testkit.Must(t, os.Truncate(image, 256<<20))
	dir := t.TempDir()
	testkit.Run(t, "mkfs.btrfs", "-q", image)
	mount := func() {
		testkit.Run(t, "mount", "-o", "loop", image, dir)
		t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	}
	mount()
	noise := newChanger(t, 1).noise
	for _, subvolume := range []string{"root", "root/opt", "root/opt/inner"} {
		disktest.Subvolume(t, filepath.Join(dir, subvolume))
		// The numbers in each begin anew, so files of different subvolumes have the same.
		testkit.Must(t, os.WriteFile(filepath.Join(dir, subvolume, "file"), noise(300_000), 0o644))
		testkit.Must(t, os.WriteFile(filepath.Join(dir, subvolume, "alone"), noise(40_000+len(subvolume)), 0o644))
	}
	root := filepath.Join(dir, "root")
	first := buildGeneration(t, root, nil, Options{})
	for {
		// Until nothing is too new to be believed.
		next := buildGeneration(t, root, first, Options{})
		if next.result.Read == 0 {
			break
		}
		first = buildGeneration(t, root, nil, Options{})
	}
	var before, after unix.Stat_t
	testkit.Must(t, unix.Stat(filepath.Join(root, "opt/inner"), &before))
	for after = before; after.Dev == before.Dev; testkit.Must(t, unix.Stat(filepath.Join(root, "opt/inner"), &after)) {
		testkit.Run(t, "umount", dir)
		disktest.Small(t, filepath.Join(t.TempDir(), "small")) // takes a device number
		mount()
	}
	next := buildGeneration(t, root, first, Options{})
	if !next.result.Unchanged || next.result.Read != 0 {
		t.Errorf("after another mount: %+v", next.result)
	}
	testkit.Must(t, os.WriteFile(filepath.Join(root, "opt/inner/file"), noise(300_000), 0o644))
	next = buildGeneration(t, root, first, Options{})
	sameImage(t, "after a change in a subvolume", next, buildGeneration(t, root, nil, Options{}))
	if next.result.Unchanged {
		t.Error("a change in a subvolume is not seen")
	}
}

// Where times prove nothing, everything is read.
func TestNoTrustInTimes(t *testing.T) {
	t.Parallel()
	testkit.NeedRoot(t)
	dir := t.TempDir()
	pack := func(content string) string {
		tree := t.TempDir()
		testkit.Must(t, os.WriteFile(filepath.Join(tree, "file"), []byte(content), 0o644))
		testkit.Must(t, os.Chtimes(filepath.Join(tree, "file"), longAgo, longAgo))
		testkit.Must(t, os.Chtimes(tree, longAgo, longAgo))
		place := filepath.Join(dir, content)
		disktest.Packed(t, place, "squashfs", tree)
		return place
	}
	one := pack("one")
	first := buildGeneration(t, one, nil, Options{})
	// so that the other one is likely to get its loop device, and with it its identity
	testkit.Must(t, unix.Unmount(one, 0))
	two := pack("two")
	next := buildGeneration(t, two, first, Options{})
	if got := string(fileOf(t, next, "file")); got != "two" {
		t.Errorf("the image holds %q", got)
	}
	if again := buildGeneration(t, two, next, Options{}); !again.result.Unchanged {
		t.Error("the same tree makes another image")
	}
}
