package chroot

import (
	"debug/elf"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ltskeeper/internal/testkit/elftest"
)

func TestMain(m *testing.M) {
	if name := os.Getenv("CHROOT_TEST_HOLD"); name != "" {
		hold(name)
		return
	}
	if path := os.Getenv("CHROOT_TEST_LOCK"); path != "" {
		lockUntilKilled(path)
		return
	}
	syscall.Umask(0o077) // what is written must not depend on it
	os.Exit(m.Run())
}

// program is what the kernel can start.
var program = string(elftest.Static(elf.EM_X86_64))

// tree makes files below a new folder: a name that ends in / is a folder, a value that begins with
// "->" is a symbolic link. Files are executable.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		file := filepath.Join(dir, name)
		folder := filepath.Dir(file)
		if strings.HasSuffix(name, "/") {
			folder = file
		}
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		target, isLink := strings.CutPrefix(content, "->")
		var err error
		switch {
		case strings.HasSuffix(name, "/"):
		case isLink:
			err = os.Symlink(target, file)
		default:
			err = errors.Join(os.WriteFile(file, []byte(content), 0o755), os.Chmod(file, 0o755))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// client opens a small client root with more files in it.
func client(t *testing.T, files map[string]string) *Root {
	t.Helper()
	all := map[string]string{"etc/": "", "bin/sh": program}
	for name, content := range files {
		all[name] = content
	}
	return mustOpen(t, tree(t, all))
}

func mustOpen(t *testing.T, path string) *Root {
	t.Helper()
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func TestOpenAcceptsClientRoots(t *testing.T) {
	t.Parallel()
	for name, files := range map[string]map[string]string{
		"busybox":    {"etc/": "", "bin/busybox": program, "bin/sh": "->busybox"},
		"init alone": {"etc/hostname": "ltsp", "sbin/init": program},
		"merged /usr": {
			"etc/": "", "bin": "->usr/bin", "sbin": "->usr/sbin", "lib": "->usr/lib",
			"usr/sbin/init": "->/lib/systemd/systemd", "usr/lib/systemd/systemd": program,
		},
		"merged /usr, absolute": {
			"etc/": "", "sbin": "->/usr/sbin", "lib": "->/usr/lib",
			"usr/sbin/init": "->../../../lib/systemd/systemd", "usr/lib/systemd/systemd": program,
		},
		"etc is a link": {"etc": "->/system/etc", "system/etc/": "", "bin/sh": program},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := tree(t, files)
			r, err := Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if r.Path() != dir || r.IsSystem() {
				t.Errorf("path %s, system %v", r.Path(), r.IsSystem())
			}
		})
	}
}

func TestOpenSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	outside := tree(t, map[string]string{"sh": program})
	dir := tree(t, map[string]string{
		"file":              "",
		"empty/":            "",
		"images/a.img":      "",
		"file etc/etc":      "",
		"no program/etc/":   "",
		"dangling/etc/":     "",
		"dangling/bin/sh":   "->/nowhere",
		"outside/etc/":      "",
		"outside/bin/sh":    "->" + outside + "/sh",
		"loop/etc":          "->etc",
		"data/etc/":         "",
		"data/bin/sh":       program,
		"script/etc/":       "",
		"script/sbin/init":  "#!/bin/bash\n",
		"script/bin/sh":     program,
		"folder/etc/":       "",
		"folder/sbin/init/": "",
	})
	if err := os.Chmod(filepath.Join(dir, "data/bin/sh"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"missing":    "no such file or directory",
		"file":       "it is not a directory",
		"empty":      "it is no client root: there is no etc in it",
		"images":     "it is no client root: there is no etc in it",
		"file etc":   "it is no client root: its etc is not a directory",
		"no program": "it is no client root: there is no program to start in it (sbin/init, etc/init, bin/init, bin/sh)",
		"dangling":   "it is no client root: /bin/sh leads to /nowhere, which does not exist",
		"outside":    "it is no client root: /bin/sh leads to " + outside + "/sh, which does not exist",
		"loop":       "etc: too many levels of symbolic links",
		"data":       "it is no client root: /bin/sh is not executable",
		"script":     "it is no client root: /sbin/init is a script whose interpreter /bin/bash does not exist",
		"folder":     "no program to start",
	} {
		path := filepath.Join(dir, name)
		r, err := Open(path)
		if err == nil {
			r.Close()
			t.Errorf("%s was opened", name)
			continue
		}
		if !strings.HasPrefix(err.Error(), "open client root "+path+": ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %q, want %q", name, err, want)
		}
	}
}

func TestSystemRootIsNeverWritten(t *testing.T) {
	t.Parallel()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink("/", link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/", link} {
		r := mustOpen(t, path)
		if !r.IsSystem() {
			t.Errorf("%s is not taken for the running system", path)
		}
		// The folder is the test's own: nothing is harmed if this fails.
		name := filepath.Join(filepath.Dir(link), "file")
		if changed, err := r.Put(name, []byte("x"), 0o644); err == nil || changed ||
			!strings.Contains(err.Error(), "running system") {
			t.Errorf("%s: changed %v, %v", path, changed, err)
		}
		if _, err := os.Lstat(name); err == nil {
			t.Errorf("%s was written", name)
		}
	}
}

// longAgo is a time at which no test runs.
var longAgo = time.Date(2020, 2, 2, 2, 2, 2, 222, time.UTC)

// backdate sets the modification time of everything below dir to longAgo.
func backdate(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type()&os.ModeSymlink == 0 {
			err = os.Chtimes(path, longAgo, longAgo)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
