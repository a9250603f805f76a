package state

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestListKeyPaths(t *testing.T) {
	t.Parallel()
	folder := Folder(filepath.Join(t.TempDir(), "a [pattern]"))
	expect := func(when string, want ...string) {
		t.Helper()
		for i, name := range want {
			want[i] = filepath.Join(folder.Path(), name)
		}
		if got := folder.ListKeyPaths(); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", when, got, want)
		}
	}
	expect("no folder")
	must(t, os.MkdirAll(folder.KeysPath(), 0o755))
	expect("an empty store", "keys")
	for _, name := range []string{"names", "app01.pub", ".hidden"} {
		must(t, os.WriteFile(filepath.Join(folder.KeysPath(), name), nil, 0o644))
	}
	expect("a store", "keys", "keys/.hidden", "keys/app01.pub", "keys/names")
	moved := filepath.Join(folder.Path(), "moved")
	must(t, os.Rename(folder.KeysPath(), moved))
	must(t, os.Symlink("moved", folder.KeysPath()))
	expect("a link to the store", "keys", "keys/.hidden", "keys/app01.pub", "keys/names")
	must(t, os.Remove(folder.KeysPath()))
	must(t, unix.Mkfifo(folder.KeysPath(), 0o644))
	expect("a fifo", "keys")
}
