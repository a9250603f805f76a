package thinclient

import (
	"os"
	"path/filepath"
	"testing"

	"ltskeeper/internal/testkit/oddtest"
)

// An lts.conf, or a file that it includes, in whose place is something odd sets nothing. A client
// must come up.
func TestOddSettings(t *testing.T) {
	for _, thing := range oddtest.Things() {
		t.Run(thing.Name, func(t *testing.T) {
			dir := t.TempDir()
			odd, conf := filepath.Join(dir, "odd"), filepath.Join(dir, "lts.conf")
			thing.Replace(t, odd)
			if err := os.WriteFile(conf, []byte("[default]\nA = all\ninclude "+odd+"\n[x]\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			oddtest.Bounded(t, func() {
				for _, path := range []string{odd, conf} {
					if got := NewSettings(func(string) string { return "" }, path).Get("A"); got != "" {
						t.Errorf("%s: %q", path, got)
					}
				}
			})
		})
	}
}
