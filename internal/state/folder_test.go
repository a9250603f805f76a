package state

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"ltskeeper/internal/testkit"

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
	testkit.Must(t, os.MkdirAll(folder.KeysPath(), 0o755))
	expect("an empty store", "keys")
	for _, name := range []string{"names", "app01.pub", ".hidden"} {
		testkit.Must(t, os.WriteFile(filepath.Join(folder.KeysPath(), name), nil, 0o644))
	}
	expect("a store", "keys", "keys/.hidden", "keys/app01.pub", "keys/names")
	moved := filepath.Join(folder.Path(), "moved")
	testkit.Must(t, os.Rename(folder.KeysPath(), moved))
	testkit.Must(t, os.Symlink("moved", folder.KeysPath()))
	expect("a link to the store", "keys", "keys/.hidden", "keys/app01.pub", "keys/names")
	testkit.Must(t, os.Remove(folder.KeysPath()))
	testkit.Must(t, unix.Mkfifo(folder.KeysPath(), 0o644))
	expect("a fifo", "keys")
}
