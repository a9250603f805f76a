package chroot

import (
	"os"
	"path/filepath"
	"testing"

	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/oddtest"
)

// A link is one in the client's root, where there is no /dev/zero. What is not a regular file is
// neither read nor replaced, and in the place of a folder nothing waits for a writer.
func TestOddThings(t *testing.T) {
	oddtest.Each(t, func(t *testing.T, thing oddtest.Thing) {
		r := client(t, map[string]string{"etc/lts.conf": "x", "etc/ssh/ssh_known_hosts": "x"})
		for _, name := range []string{"etc/lts.conf", "etc/ssh"} {
			thing.Replace(t, filepath.Join(r.Path(), name))
		}
		before, err := os.Lstat(filepath.Join(r.Path(), "etc/lts.conf"))
		testkit.Must(t, err)
		if data, err := r.Read("etc/lts.conf"); err == nil {
			t.Errorf("%q was read", data)
		}
		if changed, err := r.Put("etc/lts.conf", []byte("new"), 0o644); (err == nil) != changed || changed &&
			thing.Name != "link to /dev/zero" {
			t.Errorf("put: %v, %v", changed, err)
		}
		if _, err := r.Put("etc/ssh/ssh_known_hosts", []byte("new"),
			0o644); (err == nil) != (thing.Name == "folder") {
			t.Errorf("put below it: %v", err)
		}
		if _, err := r.makeFolders("etc/ssh"); (err == nil) != (thing.Name == "folder") {
			t.Errorf("makeDir: %v", err)
		}
		after, err := os.Lstat(filepath.Join(r.Path(), "etc/lts.conf"))
		if err != nil || !os.SameFile(before, after) {
			t.Errorf("it was replaced: %v", err)
		}
	})
}
