package squashfs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ltskeeper/internal/excludes"
	"ltskeeper/internal/testkit"

	"golang.org/x/sys/unix"
)

// buildImage makes an image of a tree.
func buildImage(t testing.TB, root string, options Options) (image string) {
	t.Helper()
	f := tempFile(t)
	if _, err := Build(t.Context(), f, root, options); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// The torture tree goes through our writer and mksquashfs, and comes back through the kernel,
// unsquashfs, sqfsdiff and our reader.
func TestTorture(t *testing.T) {
	t.Parallel()
	testkit.NeedRoot(t)
	tree := newTorture(t)
	tree.torture()
	want := snapshot(t, tree.root)
	theirs := mksquashfs(t, tree.root, "-comp", "lz4")
	for _, c := range []Compression{Zstd, Gzip, LZ4} {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			compareWithPeer(t, tree.root, theirs, want, c)
		})
	}
	t.Run("elsewhere", func(t *testing.T) {
		t.Parallel()
		elsewhere(t, tree.root)
	})
	for _, options := range []string{
		"-comp lz4 -Xhc -always-use-fragments",
		"-comp gzip -Xcompression-level 1 -no-fragments -no-exports",
		"-comp zstd -Xcompression-level 1 -b 4096",
		"-comp zstd -Xcompression-level 1 -b 1048576",
		"-comp gzip -noI -noD -noF -noX -no-sparse -no-duplicates",
	} {
		t.Run("mksquashfs "+options, func(t *testing.T) {
			t.Parallel()
			r := openImage(t, mksquashfs(t, tree.root, strings.Fields(options)...))
			got := imageSnapshot(t, r)
			for _, broken := range []string{
				"same/tail-of-big", // mksquashfs 4.5 takes the end of a file for all of it
			} {
				got[broken] = want[broken]
			}
			compareSnapshots(t, "reader", withoutWrapped(got), withoutWrapped(want))
			if err := r.Verify(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// wrapped are the entries whose times mksquashfs cuts off to 32 bits.
var wrapped = regexp.MustCompile(`^times/(-1|-2147483648|4294967296|8589934597)(-|$)`)

func withoutWrapped(lines map[string]string) map[string]string {
	rest := make(map[string]string)
	for path, line := range lines {
		if !wrapped.MatchString(path) {
			rest[path] = line
		}
	}
	return rest
}

// compareWithPeer checks our image of a tree, of which theirs is mksquashfs's image and want the
// snapshot.
func compareWithPeer(t *testing.T, root, theirs string, want map[string]string, c Compression) {
	testkit.NeedPrograms(t, "unsquashfs", "sqfsdiff", "mount")
	image := buildImage(t, root, Options{Compression: c, Jobs: 1})
	if !sameFile(t, image, buildImage(t, root, Options{Compression: c, Jobs: 8})) {
		t.Error("the image depends on the number of jobs")
	}
	compareSnapshots(t, "kernel", mountSnapshot(t, image), want)

	r := openImage(t, image)
	compareSnapshots(t, "reader", imageSnapshot(t, r), want)
	if err := r.Verify(t.Context()); err != nil {
		t.Error(err)
	}
	for e, err := range r.Entries() {
		if err == nil && e.listingSize > metadataSize && e.indexCount == 0 {
			t.Errorf("%s: a listing of %d bytes, and no index", e.Path, e.listingSize)
		}
	}
	different, err := DiffTree(t.Context(), r, root, Options{})
	if err != nil {
		t.Error(err)
	}
	for _, d := range different {
		t.Errorf("DiffTree: %q: %v", d.Path, d.What)
	}

	different, err = DiffImages(t.Context(), openImage(t, theirs), r)
	if err != nil {
		t.Error(err)
	}
	for _, d := range different {
		if !wrapped.MatchString(d.Path) || !slices.Equal(d.What, []string{"mtime"}) {
			t.Errorf("DiffImages: %q: %v", d.Path, d.What)
		}
	}
	sqfsdiff(t, theirs, image)
	unsquashfs(t, theirs, image, c)
}

func sameFile(t testing.TB, a, b string) bool {
	t.Helper()
	contentA, err := os.ReadFile(a)
	if err != nil {
		t.Fatal(err)
	}
	contentB, err := os.ReadFile(b)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Equal(contentA, contentB)
}

// sqfsdiff has squashfs-tools-ng look for differences between two images.
func sqfsdiff(t *testing.T, theirs, ours string) {
	t.Helper()
	out, err := exec.Command("sqfsdiff", "-T", "-a", theirs, "-b", ours).Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || exit.ExitCode() != 1) {
		t.Errorf("sqfsdiff: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSuffix(line, "\n")
		path, timestamp := strings.CutSuffix(line, " has a different timestamp")
		if timestamp && wrapped.MatchString(strings.TrimPrefix(path, "/")) ||
			strings.HasSuffix(line, " has an extended type") || strings.HasSuffix(line, " has a basic type") {
			continue
		}
		t.Errorf("sqfsdiff: %s", line)
	}
}

// unsquashfs has squashfs-tools list both images.
func unsquashfs(t *testing.T, theirs, ours string, c Compression) {
	t.Helper()
	got, want := testkit.Run(t, "unsquashfs", "-s", ours), testkit.Run(t, "unsquashfs", "-s", theirs)
	inodes := regexp.MustCompile(`Number of inodes \d+|Number of ids \d+`)
	for _, line := range append(inodes.FindAllString(want, -1),
		"Found a valid SQUASHFS 4:0 superblock on "+ours+".", "Compression "+c.String(), "Block size 131072",
		"Filesystem is exportable via NFS", "Duplicates are removed",
	) {
		if !strings.Contains(got, line+"\n") {
			t.Errorf("unsquashfs -s does not say %q:\n%s", line, got)
		}
	}
	gotList, wantList := unsquashfsList(t, ours), unsquashfsList(t, theirs)
	if len(gotList) != len(wantList) {
		t.Errorf("unsquashfs -lln lists %d lines, and %d of mksquashfs's image", len(gotList), len(wantList))
		return
	}
	for i := range gotList {
		if gotList[i] != wantList[i] {
			t.Errorf("unsquashfs -lln\n     ours %s\ntheirs %s", gotList[i], wantList[i])
		}
	}
}

// unsquashfsList is what unsquashfs lists, but for the sizes of directories, which depend on where
// their inodes are, and for times that mksquashfs cuts off.
func unsquashfsList(t *testing.T, image string) []string {
	size := regexp.MustCompile(`(?m)^(d\S+ +\S+) +\d+`)
	times := regexp.MustCompile(`(?m)^(.*) \S+ \S+( squashfs-root/times/.*)$`)
	out := testkit.Run(t, "unsquashfs", "-lln", image)
	return strings.Split(times.ReplaceAllString(size.ReplaceAllString(out, "$1"), "$1$2"), "\n")
}

// elsewhere copies the tree to another file system, which lists names in another order and has
// other inode numbers: the image is the same.
func elsewhere(t *testing.T, root string) {
	testkit.NeedPrograms(t, "rsync")
	copied, err := os.MkdirTemp("/dev/shm", "squashfs-test-")
	if err != nil {
		t.Skip(err)
	}
	defer os.RemoveAll(copied)
	testkit.Run(t, "rsync", "-aHAX", root+"/", copied)
	if !sameFile(t, buildImage(t, root, Options{}), buildImage(t, copied, Options{})) {
		t.Errorf("the image depends on the file system")
		compareSnapshots(t, "copied", snapshot(t, copied), snapshot(t, root))
	}
}

// Inode numbers of neighbours may be farther apart than the 16 bits that a directory has for them.
func TestManyInodes(t *testing.T) {
	t.Parallel()
	testkit.NeedRoot(t)
	root, err := os.MkdirTemp("/dev/shm", "squashfs-test-") // where making files is quick
	if err != nil {
		root = t.TempDir()
	}
	defer os.RemoveAll(root)
	tree := &tortureTree{TB: t, root: root}
	tree.file("first", nil)
	tree.dir("many")
	for i := range 33000 {
		tree.mknod(fmt.Sprintf("many/%d", i), unix.S_IFIFO, 0, 0)
	}
	tree.file("near/a", nil)
	tree.link("first", "near/b")
	r := openImage(t, buildImage(t, root, Options{}))
	compareSnapshots(t, "reader", imageSnapshot(t, r), snapshot(t, root))
	if err := r.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

// Directories nest as deep as the reader follows them, far beyond the longest path that a system
// call takes, and no deeper.
func TestDepth(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	at, err := unix.Open(root, unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { unix.Close(at) }()
	deeper := func(n int) {
		for range n {
			next := -1
			err := unix.Mkdirat(at, "deeper", 0o755)
			if err == nil {
				next, err = unix.Openat(at, "deeper", unix.O_DIRECTORY, 0)
			}
			if err != nil {
				t.Fatal(err)
			}
			unix.Close(at)
			at = next
		}
	}
	deeper(maxDepth - 1)
	r := openImage(t, buildImage(t, root, Options{}))
	if err := r.Verify(t.Context()); err != nil {
		t.Error(err)
	}
	if n := r.super.Inodes; n != maxDepth {
		t.Errorf("%d inodes, want %d", n, maxDepth)
	}
	deeper(1)
	_, err = Build(t.Context(), tempFile(t), root, Options{})
	if err == nil || !strings.Contains(err.Error(), "more than 4096 directories deep") {
		t.Error(err)
	}
}

// A file of holes that would take all memory to list is an error that names it.
func TestFileTooLarge(t *testing.T) {
	t.Parallel()
	root, err := os.MkdirTemp("/dev/shm", "squashfs-test-")
	if err != nil {
		t.Skip(err) // other file systems may refuse so large a file themselves
	}
	defer os.RemoveAll(root)
	tree := &tortureTree{TB: t, root: root}
	tree.check(os.Truncate(tree.file("var/log/lastlog", nil), 1<<62))
	_, err = Build(t.Context(), tempFile(t), root, Options{})
	if err == nil || !strings.Contains(err.Error(), "var/log/lastlog") || !strings.Contains(err.Error(), "exclude it") {
		t.Error(err)
	}
}

// A root made of this machine's essential packages.
func TestDebianRoot(t *testing.T) {
	t.Parallel()
	testkit.NeedRoot(t)
	root := debianRoot(t)
	t.Run("all", func(t *testing.T) {
		t.Parallel()
		compareWithPeer(t, root, mksquashfs(t, root, "-comp", "lz4"), snapshot(t, root), Zstd)
	})
	t.Run("exclude", func(t *testing.T) {
		t.Parallel()
		exclude, err := excludes.Parse(excludes.Defaults())
		if err != nil {
			t.Fatal(err)
		}
		list := filepath.Join(t.TempDir(), "list")
		if err := os.WriteFile(list, []byte(strings.Join(excludes.Defaults(), "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
		theirs := openImage(t, mksquashfs(t, root, "-comp", "lz4", "-wildcards", "-ef", list))
		ours := openImage(t, buildImage(t, root, Options{Exclude: exclude}))
		different, err := DiffImages(t.Context(), theirs, ours)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range different {
			if d.Old == nil || d.New == nil || !d.New.IsDir() || !slices.Equal(d.What, []string{"mtime"}) ||
				int64(d.New.Mtime) != ours.Time().Unix() {
				t.Errorf("%s: %v", d.Path, d.What)
			}
		}
	})
}

// debianRoot copies the files of this machine's essential packages, its /etc and dpkg's database.
func debianRoot(t *testing.T) string {
	t.Helper()
	testkit.NeedPrograms(t, "dpkg-query", "rsync")
	root := t.TempDir()
	var names []string
	for line := range strings.Lines(testkit.Run(t, "dpkg-query", "-W", "-f", "${Essential} ${binary:Package}\n")) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "yes "); ok {
			names = append(names, name)
		}
	}
	list := []string{"/bin", "/sbin", "/lib", "/lib64"}
	for line := range strings.Lines(testkit.Run(t, "dpkg-query", append([]string{"-L"}, names...)...)) {
		path := strings.TrimSpace(line)
		dir, err := filepath.EvalSymlinks(filepath.Dir(path)) // /bin is /usr/bin
		if err != nil || !filepath.IsAbs(path) || path == "/." {
			continue
		}
		list = append(list, filepath.Join(dir, filepath.Base(path)))
	}
	slices.Sort(list)
	file := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(file, []byte(strings.Join(slices.Compact(list), "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	testkit.Run(t, "rsync", "-aHAX", "--ignore-missing-args", "--files-from", file, "/", root)
	testkit.Run(t, "rsync", "-aHAX", "--relative", "/etc", "/var/lib/dpkg", "/var/cache/debconf", root)
	for _, dir := range []string{"dev", "proc", "sys", "run", "tmp", "home/user"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "home/user/private"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	return root
}

func mustParseExcludes(t testing.TB, list string) *excludes.Patterns {
	t.Helper()
	patterns, err := excludes.Parse(strings.Split(list, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return patterns
}
