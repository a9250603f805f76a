package scan

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ltskeeper/internal/testkit/oddtest"
)

func TestOpenIdentityRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "text"), []byte("not a key\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "missing", "text"} {
		if _, _, err := OpenIdentity(filepath.Join(dir, name)); err == nil ||
			!strings.Contains(err.Error(), "open identity") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestOddIdentities(t *testing.T) {
	oddtest.Each(t, func(t *testing.T, thing oddtest.Thing) {
		path := filepath.Join(t.TempDir(), "identity")
		thing.Replace(t, path)
		if _, _, err := OpenIdentity(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Error(err)
		}
	})
}
