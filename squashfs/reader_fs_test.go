package squashfs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"testing"
	"testing/fstest"

	"golang.org/x/sys/unix"
)

// A file system over an image is a correct fs.FS, and says the same as the tree that the image was
// made of.
func TestReaderFS(t *testing.T) {
	t.Parallel()
	tree := smallTree(t)
	tree.symlink("/nowhere", "etc/dangling")
	tree.symlink("share", "usr/link to a folder")
	tree.check(os.Chmod(tree.path("usr/share"), 0o1777))
	tree.check(os.Chmod(tree.path("usr/bin/large"), os.ModeSetuid|os.ModeSetgid|0o755))
	fsys := openImage(t, buildImage(t, tree.root, Options{})).FS()
	if err := fstest.TestFS(fsys, "etc/hosts", "usr/share/doc/file-29", "usr/share/large", "etc/dangling"); err != nil {
		t.Error(err)
	}
	root, err := os.OpenRoot(tree.root)
	tree.check(err)
	defer root.Close()
	names := 0
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		tree.check(err)
		names++
		want, err := d.Info()
		tree.check(err)
		got, err := fsys.Lstat(name)
		tree.check(err)
		if got.Mode() != want.Mode() || got.ModTime().Unix() != want.ModTime().Unix() || name != "." &&
			got.Name() != want.Name() ||
			want.Mode().IsRegular() && got.Size() != want.Size() {
			t.Errorf("%s: got %v, want %v", name, fs.FormatFileInfo(got), fs.FormatFileInfo(want))
		}
		if want.Mode()&fs.ModeSymlink != 0 {
			target, err := fsys.ReadLink(name)
			tree.check(err)
			if want, _ := root.Readlink(name); target != want {
				t.Errorf("%s leads to %q, want %q", name, target, want)
			}
			return nil
		}
		if !want.Mode().IsRegular() {
			return nil
		}
		content, err := fs.ReadFile(fsys, name)
		tree.check(err)
		if want, _ := root.ReadFile(name); !bytes.Equal(content, want) {
			t.Errorf("%s: %d bytes of content differ", name, len(content))
		}
		return nil
	})
	if err != nil || names < 40 {
		t.Errorf("%d names, %v", names, err)
	}
}

func TestReaderFSFollowsNoLink(t *testing.T) {
	t.Parallel()
	tree := newTorture(t)
	tree.file("etc/hosts", []byte("hosts"))
	tree.symlink("etc", "link")
	tree.symlink("hosts", "etc/link")
	tree.check(unix.Mkfifo(tree.path("fifo"), 0o644))
	fsys := openImage(t, buildImage(t, tree.root, Options{})).FS()
	for name, want := range map[string]error{
		"link/hosts": fs.ErrNotExist, "etc/hosts/x": fs.ErrNotExist, "none": fs.ErrNotExist,
		"/etc": fs.ErrInvalid, "etc/": fs.ErrInvalid, "etc/../etc": fs.ErrInvalid, "": fs.ErrInvalid,
		"./etc": fs.ErrInvalid,
	} {
		if _, err := fsys.Open(name); !errors.Is(err, want) {
			t.Errorf("Open(%q): %v, want %v", name, err, want)
		}
		if _, err := fsys.Lstat(name); !errors.Is(err, want) {
			t.Errorf("Lstat(%q): %v, want %v", name, err, want)
		}
	}
	for _, name := range []string{"etc/link", "fifo", "etc"} {
		f, err := fsys.Open(name)
		tree.check(err)
		if _, err := io.ReadAll(f); err == nil {
			t.Errorf("%s was read", name)
		}
	}
	if _, err := fsys.ReadLink("etc/hosts"); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("ReadLink of a file: %v", err)
	}
	if _, err := fs.ReadDir(fsys, "etc/hosts"); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("ReadDir of a file: %v", err)
	}
}

// A name that is not UTF-8, as many old trees have, can be asked for.
func TestReaderFSLatin1(t *testing.T) {
	t.Parallel()
	tree := newTorture(t)
	tree.file("etc/m\xfcller", []byte("x"))
	fsys := openImage(t, buildImage(t, tree.root, Options{})).FS()
	if content, err := fs.ReadFile(fsys, "etc/m\xfcller"); err != nil || string(content) != "x" {
		t.Errorf("got %q, %v", content, err)
	}
}
