package secrets

import (
	"os"
	"path/filepath"
	"testing"

	"ltskeeper/internal/testkit/oddtest"
)

// In the place of what dpkg wrote down: an error in no time.
func TestOddPackages(t *testing.T) {
	for _, thing := range oddtest.Things() {
		for _, file := range []string{"status", "info/bash.md5sums"} {
			t.Run(thing.Name+" as "+filepath.Base(file), func(t *testing.T) {
				dir := t.TempDir()
				if err := os.MkdirAll(filepath.Join(dir, "var/lib/dpkg/info"), 0o755); err != nil {
					t.Fatal(err)
				}
				thing.Replace(t, filepath.Join(dir, "var/lib/dpkg", file))
				root, err := os.OpenRoot(dir)
				if err != nil {
					t.Fatal(err)
				}
				defer root.Close()
				oddtest.Bounded(t, func() {
					if _, err := ReadPackages(root.FS()); err == nil {
						t.Error("it was read")
					}
				})
			})
		}
	}
}
