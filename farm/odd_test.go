package farm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ltskeeper/internal/testkit/oddtest"
)

// In the place of a file of the declaration: a mistake that names the file and what to do, in no
// time.
func TestOddFiles(t *testing.T) {
	for _, thing := range oddtest.Things() {
		for _, file := range []string{"ltskeeper.toml", "servers.d/app01.toml", "lts.conf", "known_hosts.local"} {
			t.Run(thing.Name+" as "+filepath.Base(file), func(t *testing.T) {
				dir := write(t, map[string]string{"ltskeeper.toml": "", "servers.d/app01.toml": ""})
				thing.Replace(t, filepath.Join(dir, file))
				oddtest.Bounded(t, func() {
					got := findMistakes(t, dir)
					if len(got) != 1 || !strings.HasPrefix(got[0], file+": it cannot be read: ") ||
						!strings.Contains(got[0], thing.Want) ||
						!strings.HasSuffix(got[0], "; move it away, and put the file in its place") {
						t.Errorf("%q", got)
					}
				})
			})
		}
	}
}

// A server whose file is gone is not one that was never declared.
func TestAServerLinkThatLeadsNowhere(t *testing.T) {
	dir := write(t, map[string]string{"ltskeeper.toml": "", "servers.d/app01.toml": ""})
	if err := os.Symlink("gone", filepath.Join(dir, "servers.d/app02.toml")); err != nil {
		t.Fatal(err)
	}
	want := "servers.d/app02.toml: it is a symbolic link that leads nowhere; put the file in its place, or remove it"
	if got := findMistakes(t, dir); len(got) != 1 || got[0] != want {
		t.Errorf("%q, want %q", got, want)
	}
}
