package packages

import (
	"os"
	"path/filepath"
	"testing"

	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/oddtest"
)

// In the place of what dpkg wrote down: an error in no time.
func TestOddPackages(t *testing.T) {
	oddtest.Each(t, func(t *testing.T, thing oddtest.Thing) {
		for _, file := range []string{"status", "info/bash.md5sums"} {
			dir := t.TempDir()
			testkit.Must(t, os.MkdirAll(filepath.Join(dir, "var/lib/dpkg/info"), 0o755))
			thing.Replace(t, filepath.Join(dir, "var/lib/dpkg", file))
			root, err := os.OpenRoot(dir)
			testkit.Must(t, err)
			defer root.Close()
			if _, err := ReadFiles(root.FS()); err == nil {
				t.Errorf("%s was read", file)
			}
		}
	})
}
