package clientfs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/fstest"
	"time"
)

func link(target string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink | 0o777}
}

// chroot's tests compare the rule with the kernel's own, in random trees.
func TestStat(t *testing.T) {
	t.Parallel()
	root := fstest.MapFS{
		"usr/lib/x":      {Data: []byte("x")},
		"lib":            link("usr/lib"),
		"absolute":       link("/usr/lib"),
		"above":          link("../../../../usr/lib"),
		"chain":          link("/absolute/../lib"),
		"dangling":       link("/run/deep/file"),
		"dangling above": link("/run/../usr"),
		"loop":           link("pool"),
		"pool":           link("loop"),
		"file as folder": link("usr/lib/x/y"),
	}
	for name, want := range map[string]string{
		"lib/x": "usr/lib/x", "absolute/x": "usr/lib/x", "above/x": "usr/lib/x", "chain/x": "usr/lib/x",
		"/../lib/../lib//x": "usr/lib/x",
		"lib":               "usr/lib", ".": ".", "": ".",
	} {
		place, info, err := Stat(root, name)
		if err != nil || place != want || info.Name() != filepath.Base(want) {
			t.Errorf("%q: got %q, %v, want %q", name, place, err, want)
		}
	}
	for name, missing := range map[string]bool{
		"none": true, "dangling": true, "dangling above": true, "file as folder": true, "loop": false,
	} {
		if place, _, err := Stat(root, name); err == nil || IsMissing(err) != missing {
			t.Errorf("%q: got %q, %v; missing: %v", name, place, err, IsMissing(err))
		}
	}
	if place, err := Resolve(root, "dangling"); err != nil || place != "run/deep/file" {
		t.Errorf("dangling is at %q, %v", place, err)
	}
	if content, err := ReadStart(root, "lib/x", 10); err != nil || string(content) != "x" {
		t.Errorf("read %q, %v", content, err)
	}
	if _, err := ReadStart(root, "lib", 10); err == nil {
		t.Error("a folder was read")
	}
}

func TestFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, content := range map[string]string{"etc/hosts": "hosts", "etc/ssh/config": "", "usr/x": "x"} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755),
			os.WriteFile(path, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Symlink("/dev/zero", filepath.Join(dir, "zero")),
		os.Symlink("usr", filepath.Join(dir, "lib"))); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := fstest.TestFS(NewFolder(root), "etc/hosts", "etc/ssh/config", "usr/x", "zero", "lib"); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "m\xfcller"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if content, err := ReadStart(NewFolder(root), "m\xfcller", 10); err != nil || string(content) != "x" {
		t.Errorf("a name that is not UTF-8: %q, %v", content, err)
	}
}

// Nothing that can block is opened, and no more is read than was asked for.
func TestFolderDoesNotBlock(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "sparse"), nil, 0o644),
		os.Truncate(filepath.Join(dir, "sparse"), 1<<40)); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f, err := NewFolder(root).Open("fifo")
		if err != nil {
			t.Error(err)
			return
		}
		if _, err := f.Read(make([]byte, 1)); err == nil {
			t.Error("a fifo was read")
		}
		if content, err := ReadStart(NewFolder(root), "sparse", 100); err != nil || len(content) != 100 {
			t.Errorf("read %d bytes, %v", len(content), err)
		}
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("it blocks")
	}
}
