package squashfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/disktest"

	"golang.org/x/sys/unix"
)

// makers make an entry of each kind.
var makers = map[string]func(path string) error{
	"file": func(path string) error { return os.WriteFile(path, []byte("victim"), 0o644) },
	"folder": func(path string) error {
		return errors.Join(os.Mkdir(path, 0o755), os.WriteFile(filepath.Join(path, "inside"), []byte("inside"), 0o600))
	},
	"link":   func(path string) error { return os.Symlink("target", path) },
	"fifo":   func(path string) error { return unix.Mkfifo(path, 0o640) },
	"device": func(path string) error { return unix.Mknod(path, unix.S_IFCHR|0o620, int(unix.Mkdev(5, 1))) },
	"empty":  func(path string) error { return os.WriteFile(path, nil, 0o644) },
}

// checkLikeMksquashfs builds clean and upon the image before, and compares both with what
// mksquashfs makes of the tree.
func checkLikeMksquashfs(t *testing.T, root string, o Options) *generation {
	t.Helper()
	clean := buildGeneration(t, root, nil, o)
	r := openImage(t, clean.path)
	if err := r.Verify(t.Context()); err != nil {
		t.Error(err)
	}
	want := imageSnapshot(t, openImage(t, mksquashfs(t, root, "-comp", "lz4")))
	compareSnapshots(t, "image", imageSnapshot(t, r), want)
	again := buildGeneration(t, root, clean, o)
	if !again.result.Unchanged {
		t.Error("the same tree makes another image")
	}
	return clean
}

// Through an overlay over two btrfs subvolumes a file with two names has the number of something
// else.
func TestRepeatedNumbers(t *testing.T) {
	t.Parallel()
	testkit.NeedRoot(t)
	testkit.NeedPrograms(t, "mksquashfs")
	disk := disktest.Loop(t, "btrfs", 256<<20)
	for kind, makeVictim := range makers {
		for _, name := range []string{"aaa-victim", "victim"} {
			t.Run(kind+" "+name, func(t *testing.T) {
				base := filepath.Join(disk, kind+name)
				testkit.Must(t, os.Mkdir(base, 0o755))
				lower, upper := filepath.Join(base, "lower"), filepath.Join(base, "upper")
				for _, subvolume := range []string{lower, upper} {
					disktest.Subvolume(t, subvolume)
					testkit.Must(t, os.MkdirAll(filepath.Join(subvolume, "root/etc"), 0o755))
				}
				a, victim := filepath.Join(lower, "root/etc/a"), filepath.Join(upper, "root/etc", name)
				testkit.Must(t, makeVictim(victim))
				for n := 0; ; n++ {
					testkit.Must(t, os.WriteFile(a, []byte("content of a"), 0o644))
					have, want := inodeNumber(t, a), inodeNumber(t, victim)
					if have == want {
						break
					}
					if have > want {
						testkit.Must(t, os.Rename(victim, fmt.Sprint(upper, "/before", n)))
						testkit.Must(t, makeVictim(victim))
					}
					testkit.Must(t, os.Rename(a, fmt.Sprint(lower, "/before", n)))
				}
				testkit.Must(t, os.Link(a, filepath.Join(lower, "root/etc/b")))
				root := disktest.Overlay(t, filepath.Join(upper, "root"), []string{filepath.Join(lower, "root")})
				if inodeNumber(t, filepath.Join(root, "etc/a")) != inodeNumber(t, filepath.Join(root, "etc", name)) {
					t.Skip("this kernel does not repeat numbers")
				}
				first := checkLikeMksquashfs(t, root, Options{})

				// What cannot be known by its number is read at the next build.
				if kind == "file" {
					testkit.Must(t, os.WriteFile(victim, []byte("VICTIM"), 0o644))
					next := buildGeneration(t, root, first, Options{})
					sameImage(t, "after a change", next, buildGeneration(t, root, nil, Options{}))
				}
			})
		}
	}
}

// Through an overlay the tree's root may have the number of a folder in it, as all btrfs subvolumes
// begin with 256.
func TestNumberOfTheRoot(t *testing.T) {
	t.Parallel()
	testkit.NeedRoot(t)
	disk := disktest.Loop(t, "btrfs", 128<<20)
	lower, upper := filepath.Join(disk, "lower"), filepath.Join(disk, "upper")
	for _, subvolume := range []string{lower, upper, filepath.Join(lower, "inner")} {
		disktest.Subvolume(t, subvolume)
	}
	testkit.Must(t, os.WriteFile(filepath.Join(lower, "inner/file"), []byte("content"), 0o644))
	root := disktest.Overlay(t, upper, []string{lower})
	if inodeNumber(t, root) != inodeNumber(t, filepath.Join(root, "inner")) {
		t.Skip("this kernel does not repeat numbers")
	}
	checkLikeMksquashfs(t, root, Options{})
}

func inodeNumber(t testing.TB, path string) uint64 {
	t.Helper()
	var st unix.Stat_t
	testkit.Must(t, unix.Lstat(path, &st))
	return st.Ino
}

// A file system may show any number, link count and time for anything.
func TestFakedNumbers(t *testing.T) {
	t.Parallel()
	testkit.NeedRoot(t)
	testkit.NeedPrograms(t, "mksquashfs")
	then := time.Unix(1e9, 5)
	same := disktest.Fake{Ino: 600, Nlink: 2, Mtime: then, Ctime: then}
	for kind, makeVictim := range makers {
		for _, name := range []string{"aaa-victim", "victim"} {
			t.Run(kind+" "+name, func(t *testing.T) {
				t.Parallel()
				root := t.TempDir()
				testkit.Must(t, os.Mkdir(filepath.Join(root, "etc"), 0o755))
				testkit.Must(t, os.WriteFile(filepath.Join(root, "etc/a"), []byte("content of a"), 0o644))
				testkit.Must(t, os.Link(filepath.Join(root, "etc/a"), filepath.Join(root, "etc/b")))
				testkit.Must(t, makeVictim(filepath.Join(root, "etc", name)))
				disk := disktest.Faked(t, root)
				for _, n := range []string{"a", "b", name} {
					disk.Set("etc/"+n, disktest.Fake{Ino: 600})
					if got := inodeNumber(t, filepath.Join(root, "etc", n)); got != 600 {
						t.Fatalf("%s has number %d", n, got)
					}
				}
				checkLikeMksquashfs(t, root, Options{})
			})
		}
	}

	// Not even a stat that agrees in everything proves that two files are one.
	t.Run("all agrees", func(t *testing.T) {
		t.Parallel()
		root := t.TempDir()
		for name, content := range map[string]string{"a": "one", "b": "two", "c": "one"} {
			testkit.Must(t, os.WriteFile(filepath.Join(root, name), []byte(content), 0o644))
		}
		testkit.Must(t, os.Symlink("one", filepath.Join(root, "link-a")))
		testkit.Must(t, os.Symlink("two", filepath.Join(root, "link-b")))
		disk := disktest.Faked(t, root)
		for _, name := range []string{"a", "b", "c"} {
			disk.Set(name, disktest.Fake{Ino: 600, Nlink: 3, Mtime: then, Ctime: then})
		}
		for _, name := range []string{"link-a", "link-b"} {
			disk.Set(name, disktest.Fake{Ino: 700, Nlink: 2, Mtime: then, Ctime: then})
		}
		first := buildGeneration(t, root, nil, Options{})
		if got := inodesOf(t, first, "a", "b", "c"); got[0] == got[1] || got[0] != got[2] {
			t.Errorf("a, b and c have the inodes %v", got)
		}
		if got := inodesOf(t, first, "link-a", "link-b"); got[0] == got[1] {
			t.Error("two links are one")
		}
		// No time moves with this change.
		testkit.Must(t, os.WriteFile(filepath.Join(root, "b"), []byte("TWO"), 0o644))
		next := buildGeneration(t, root, first, Options{})
		sameImage(t, "after a change", next, buildGeneration(t, root, nil, Options{}))
		if next.result.Unchanged {
			t.Error("a change is not seen")
		}
	})

	// More names than links are not believed; names with one link are never joined.
	t.Run("counts", func(t *testing.T) {
		t.Parallel()
		root := t.TempDir()
		for _, name := range []string{"a", "b", "c", "d", "e"} {
			testkit.Must(t, os.WriteFile(filepath.Join(root, name), []byte("content of "+name), 0o644))
		}
		testkit.Must(t, os.WriteFile(filepath.Join(root, "e"), []byte("content of d"), 0o644))
		disk := disktest.Faked(t, root)
		for _, name := range []string{"a", "b", "c"} {
			disk.Set(name, same)
		}
		for _, name := range []string{"d", "e"} {
			disk.Set(name, disktest.Fake{Ino: 601, Nlink: 1, Mtime: then, Ctime: then})
		}
		first := buildGeneration(t, root, nil, Options{})
		seen := map[uint32]bool{}
		for _, inode := range inodesOf(t, first, "a", "b", "c", "d", "e") {
			if seen[inode] {
				t.Error("different files share an inode")
			}
			seen[inode] = true
		}
	})

	// What a previous index has under a number that is ambiguous now is another file's, extended
	// attributes included.
	t.Run("attributes", func(t *testing.T) {
		t.Parallel()
		root := t.TempDir()
		testkit.Must(t, os.WriteFile(filepath.Join(root, "a"), []byte("one"), 0o644))
		testkit.Must(t, unix.Setxattr(filepath.Join(root, "a"), "user.of", []byte("a"), 0))
		disk := disktest.Faked(t, root)
		disk.Set("a", disktest.Fake{Ino: 600, Mtime: then, Ctime: then})
		first := buildGeneration(t, root, nil, Options{})
		testkit.Must(t, os.WriteFile(filepath.Join(root, "b"), []byte("two"), 0o644))
		disk.Set("b", disktest.Fake{Ino: 600, Mtime: then, Ctime: then})
		next := buildGeneration(t, root, first, Options{})
		sameImage(t, "after a second file", next, buildGeneration(t, root, nil, Options{}))
	})
}

func inodesOf(t *testing.T, g *generation, paths ...string) (inodes []uint32) {
	t.Helper()
	r := openImage(t, g.path)
	for _, path := range paths {
		e, err := r.Lookup(path)
		testkit.Must(t, err)
		inodes = append(inodes, e.Inode)
	}
	return inodes
}

// A file with two names that changes all the time is one file in every image, and once it holds
// still an image built upon the one before is what a clean build makes.
func TestLinksThatChange(t *testing.T) {
	t.Parallel()
	c := newChanger(t, 1)
	log := c.path("log")
	c.write(log, []byte("begin\n"))
	testkit.Must(t, os.Mkdir(c.path("folder"), 0o755))
	testkit.Must(t, os.Link(log, c.path("folder/log")))
	for n := range 200 {
		c.write(c.path(fmt.Sprint("file", n)), c.noise(100))
	}
	stop := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			f, err := os.OpenFile(log, os.O_APPEND|os.O_WRONLY, 0)
			if err == nil {
				f.WriteString("line\n")
				f.Close()
			}
			os.Truncate(log, 6)
			os.Chmod(log, 0o600)
			os.Chmod(log, 0o644)
		}
	})
	var last *generation
	for range 5 {
		out := tempFile(t)
		if _, err := Build(t.Context(), out, c.root, Options{}); err != nil {
			if !strings.Contains(err.Error(), "changes while it is read") {
				t.Error(err)
			}
			continue
		}
		last = &generation{path: out.Name()}
		if err := openImage(t, last.path).Verify(t.Context()); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	writer.Wait()
	first := buildGeneration(t, c.root, nil, Options{})
	if got := inodesOf(t, first, "log", "folder/log"); got[0] != got[1] {
		t.Error("a file with two names is two")
	}
	sameImage(t, "afterwards", buildGeneration(t, c.root, first, Options{}), buildGeneration(t, c.root, nil, Options{}))
}

// Something of a tree that is renamed while the tree is walked is not in the image twice.
func TestRenameWhileWalked(t *testing.T) {
	t.Parallel()
	c := newChanger(t, 2)
	testkit.Must(t, os.Mkdir(c.path("a"), 0o755))
	testkit.Must(t, os.Mkdir(c.path("z"), 0o755))
	for n := range 300 {
		testkit.Must(t, os.MkdirAll(c.path(fmt.Sprint("m/", n)), 0o755))
		c.write(c.path(fmt.Sprint("m/", n, "/file")), c.noise(50))
	}
	c.write(c.path("a/wanderer"), []byte("one file"))
	stop := make(chan struct{})
	var mover sync.WaitGroup
	mover.Go(func() {
		from, to := c.path("a/wanderer"), c.path("z/wanderer")
		for {
			select {
			case <-stop:
				return
			default:
				os.Rename(from, to)
				from, to = to, from
			}
		}
	})
	for range 10 {
		out := tempFile(t)
		if _, err := Build(t.Context(), out, c.root, Options{}); err != nil {
			continue // it never held still
		}
		var names []string
		for e, err := range openImage(t, out.Name()).Entries() {
			testkit.Must(t, err)
			if strings.HasSuffix(e.Path, "wanderer") {
				names = append(names, e.Path)
			}
		}
		if len(names) > 1 {
			t.Errorf("one file is in the image as %q", names)
		}
	}
	close(stop)
	mover.Wait()
}
