package image

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"ltskeeper/internal/clientfs"
	"ltskeeper/internal/excludes"
	"ltskeeper/internal/mounts"
	"ltskeeper/internal/testkit"
	"ltskeeper/squashfs"
)

func parseExcludes(t *testing.T, lines ...string) *excludes.Patterns {
	t.Helper()
	patterns, err := excludes.Parse(lines)
	testkit.Must(t, err)
	return patterns
}

func TestContents(t *testing.T) {
	t.Parallel()
	tree := fstest.MapFS{
		"etc/hosts":         {Data: []byte("hosts"), Mode: 0o644},
		"etc/shadow":        {Data: []byte("secret"), Mode: 0o600, ModTime: time.Unix(77, 0)},
		"etc/link":          {Data: []byte("hosts"), Mode: fs.ModeSymlink | 0o777},
		"home/user/x":       {Data: []byte("x")},
		"opt/app/x":         {Data: []byte("x")},
		"srv/deep/mount/x":  {Data: []byte("x")},
		"srv/deep/file":     {Data: []byte("x"), Mode: 0o644},
		"usr/bin/env":       {Data: []byte("env"), Mode: 0o755},
		"root/x":            {Data: []byte("x")},
		"mnt/disk/exclude":  {Data: []byte("x")},
		"etc/ssh/known":     {Data: []byte("old"), Mode: 0o600},
		"var/log/excluded":  {Data: []byte("x")},
		"sbin/init.covered": {Data: []byte("x"), Mode: 0o755},
	}
	o := squashfs.Options{
		Exclude: parseExcludes(t, "home/*", "root", "var/log"),
		Overlay: []squashfs.OverlayFile{
			{Path: "etc/ssh/known", Content: []byte("new"), Mode: 0o644},
			{Path: "etc/shadow", Content: []byte("*"), ContentOnly: true},
			{Path: "home/made/deep/file", Content: []byte("made"), Mode: 0o755},
			{Path: "srv/deep/mount/over", Content: []byte("over"), Mode: 0o644},
		},
	}
	o.Mounts = []squashfs.Mount{{Path: "srv/deep/mount"}, {Path: "mnt/disk"}, {Path: "sbin/init.covered"},
		{Path: "opt/app", IsTaken: true}}
	c := newContents(tree, o)
	if err := fstest.TestFS(c, "etc/hosts", "etc/link", "home/made/deep/file", "usr/bin/env", "opt/app/x"); err != nil {
		t.Error(err)
	}
	var names []string
	testkit.Must(t, fs.WalkDir(c, ".", func(name string, d fs.DirEntry, err error) error {
		names = append(names, name)
		return err
	}))
	want := strings.Fields(`. etc etc/hosts etc/link etc/shadow etc/ssh etc/ssh/known home home/made home/made/deep home/made/deep/file
		mnt mnt/disk opt opt/app opt/app/x sbin sbin/init.covered srv srv/deep srv/deep/file srv/deep/mount srv/deep/mount/over usr usr/bin usr/bin/env var`)
	if !slices.Equal(names, want) {
		t.Errorf("it holds\n%q\nwant\n%q", names, want)
	}
	for name, want := range map[string]string{
		"etc/ssh/known": "-rw-r--r-- new", "etc/shadow": "-rw------- *", "home/made/deep/file": "-rwxr-xr-x made",
		"etc/hosts": "-rw-r--r-- hosts", "sbin/init.covered": "-rwxr-xr-x ", "srv/deep/mount/over": "-rw-r--r-- over",
	} {
		info, err := c.Lstat(name)
		testkit.Must(t, err)
		content, err := fs.ReadFile(c, name)
		testkit.Must(t, err)
		if got := info.Mode().String() + " " + string(content); got != want || info.Size() != int64(len(content)) {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for _, name := range []string{"home/user", "home/user/x", "root", "root/x", "srv/deep/mount/x", "mnt/disk/exclude",
		"none"} {
		if _, err := c.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Lstat(%s): %v", name, err)
		}
		if _, err := c.Open(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Open(%s): %v", name, err)
		}
	}
}

// What contents shows is what the image then holds, in a tree with a real mount.
func TestContentsAsTheImage(t *testing.T) {
	t.Parallel()
	testkit.NeedRoot(t)
	p := newPlace(t)
	p.Write("root/usr/share/x", "x")
	p.Write("root/home/user/x", "x")
	p.Write("root/data/below", "x")
	p.Write("root/same/below", "x")
	p.Write("root/file", "below")
	testkit.Must(t, os.Symlink("/usr", filepath.Join(p.root, "link")))
	for _, m := range []struct {
		source, target, kind string
		flags                uintptr
	}{
		{"none", "data", "tmpfs", 0}, {filepath.Join(p.root, "usr"), "same", "",
			syscall.MS_BIND}, {filepath.Join(p.root, "etc/hostname"), "file", "", syscall.MS_BIND},
	} {
		target := filepath.Join(p.root, m.target)
		testkit.Must(t, syscall.Mount(m.source, target, m.kind, m.flags, ""))
		t.Cleanup(func() { syscall.Unmount(target, syscall.MNT_DETACH) })
	}
	p.Write("root/data/inside", "x")
	from := p.newSource("one")
	from.Options.Exclude = parseExcludes(t, "home/*")
	from.Options.Overlay = []squashfs.OverlayFile{
		{Path: "etc/hostname", Content: []byte("other"), ContentOnly: true}, {Path: "etc/new/file",
			Content: []byte("new"), Mode: 0o640},
		{Path: "data/over", Content: []byte("over"), Mode: 0o644},
	}
	root, err := os.OpenRoot(p.root)
	testkit.Must(t, err)
	defer root.Close()
	from.Options.Mounts = p.mounts()
	before := listFS(t, newContents(clientfs.NewFolder(root), from.Options))
	b, err := p.Build(t.Context(), from, p.now)
	testkit.Must(t, err)
	img, err := openImage(filepath.Join(b.dir, imageFile))
	testkit.Must(t, err)
	defer img.Close()
	if after := listFS(t, img.FS()); after != before {
		t.Errorf("the image holds\n%s\nand was to hold\n%s", after, before)
	}
	for _, name := range []string{"data/over", "etc/new/file", "same"} {
		if !strings.Contains(before, name) {
			t.Errorf("%s is not in\n%s", name, before)
		}
	}
}

// mounts is what is mounted in the tree, none of which is taken.
func (p *place) mounts() (list []squashfs.Mount) {
	p.t.Helper()
	table, err := mounts.ReadTable(p.root)
	testkit.Must(p.t, err)
	for _, m := range table.Mounts {
		list = append(list, squashfs.Mount{Path: m.Path, ID: m.ID})
	}
	return list
}

// listFS lists all files with their modes and contents.
func listFS(t *testing.T, fsys fs.FS) string {
	t.Helper()
	var list bytes.Buffer
	testkit.Must(t, fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		testkit.Must(t, err)
		info, err := d.Info()
		testkit.Must(t, err)
		line := info.Mode().String() + " " + name
		switch {
		case info.Mode().IsRegular():
			content, err := fs.ReadFile(fsys, name)
			testkit.Must(t, err)
			line += " " + string(content)
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := fs.ReadLink(fsys, name)
			testkit.Must(t, err)
			line += " -> " + target
		}
		list.WriteString(line + "\n")
		return nil
	}))
	return list.String()
}
