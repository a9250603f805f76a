package state

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ltskeeper/internal/regular"
	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/oddtest"
)

// files are all of the state, by their name on disk.
func files(folder Folder) map[string]File {
	return map[string]File{
		"quarantine":         folder.Quarantine(),
		"seen":               folder.Seen(),
		"programs":           folder.Programs(),
		"known-hosts-secret": folder.KnownHostsSecret(),
		"ltsp-initrd":        folder.InitrdBehind(),
		"succeeded":          folder.Succeeded(),
	}
}

// The names on disk, and who may read the files, stay what they are: an upgrade finds what the
// version before has written.
func TestFiles(t *testing.T) {
	t.Parallel()
	folder := Folder(filepath.Join(t.TempDir(), "not", "there", "yet"))
	expectExists := func(name string, f File, want bool) {
		t.Helper()
		if got, err := f.Exists(); got != want || err != nil {
			t.Errorf("%s exists: %v, %v, want %v", name, got, err, want)
		}
	}
	for name, f := range files(folder) {
		if want := filepath.Join(folder.Path(), name); f.Path() != want {
			t.Errorf("%s is at %s, want %s", name, f.Path(), want)
		}
		if _, err := f.Read(); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("read %s where there is none: %v", name, err)
		}
		expectExists(name, f, false)
		testkit.Must(t, f.Write([]byte("x"+name)))
		expectExists(name, f, true)
		if data, err := f.Read(); string(data) != "x"+name || err != nil {
			t.Errorf("%s holds %q, %v", name, data, err)
		}
		want := fs.FileMode(0o644)
		if name == "known-hosts-secret" {
			want = 0o600
		}
		if info, err := os.Lstat(f.Path()); err != nil || info.Mode() != want {
			t.Errorf("%s: mode %v, %v, want %v", name, info.Mode(), err, want)
		}
		testkit.Must(t, f.Remove())
		expectExists(name, f, false)
		testkit.Must(t, os.Symlink("nowhere", f.Path()))
		expectExists(name, f, true)
		testkit.Must(t, f.Remove())
	}
}

// Nothing is read of what is not a regular file of ordinary size, and nobody waits for it. What is
// written replaces it, but for a folder.
func TestOddFiles(t *testing.T) {
	oddtest.Each(t, func(t *testing.T, thing oddtest.Thing) {
		for name, f := range files(Folder(t.TempDir())) {
			thing.Replace(t, f.Path())
			if _, err := f.Read(); !regular.IsOdd(err) || !strings.Contains(err.Error(), f.Path()) {
				t.Errorf("read %s: %v", name, err)
			}
			if exists, err := f.Exists(); !exists || err != nil {
				t.Errorf("%s exists: %v, %v", name, exists, err)
			}
			if err := f.Write(nil); (err != nil) != (thing.Name == "folder") {
				t.Errorf("write %s: %v", name, err)
			}
		}
	})
}

// What a killed run has left goes, and nothing else.
func TestSweep(t *testing.T) {
	t.Parallel()
	folder := Folder(t.TempDir())
	testkit.Must(t, Folder(filepath.Join(folder.Path(), "none")).Sweep())
	testkit.Must(t, folder.Quarantine().Write([]byte("x")))
	left := filepath.Join(folder.Path(), ".ltskeeper-quarantine.tmp")
	testkit.Must(t, os.WriteFile(left, nil, 0o600))
	testkit.Must(t, folder.Sweep())
	if _, err := os.Lstat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, err := folder.Quarantine().Read(); err != nil {
		t.Error(err)
	}
}
