package thinclient

import (
	"os"
	"path/filepath"
	"testing"

	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/oddtest"
)

// An lts.conf, or a file that it includes, in whose place is something odd sets nothing. A client
// must come up.
func TestOddSettings(t *testing.T) {
	oddtest.Each(t, func(t *testing.T, thing oddtest.Thing) {
		dir := t.TempDir()
		odd, conf := filepath.Join(dir, "odd"), filepath.Join(dir, "lts.conf")
		thing.Replace(t, odd)
		testkit.Must(t, os.WriteFile(conf, []byte("[default]\nA = all\ninclude "+odd+"\n[x]\n"), 0o644))
		for _, path := range []string{odd, conf} {
			if got := NewSettings(func(string) string { return "" }, path).Get("A"); got != "" {
				t.Errorf("%s: %q", path, got)
			}
		}
	})
}
