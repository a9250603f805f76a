package trust

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ltskeeper/internal/state"
	"ltskeeper/internal/testkit/keytest"
	"ltskeeper/internal/testkit/oddtest"
)

// In the place of a server's file: the server's keys are unreadable, and nothing is written. In the
// place of a file that holds for all servers: the store does not open. Each error names the file
// and what to do.
func TestOddFiles(t *testing.T) {
	for _, file := range []string{"app01.pub", "app01.pending", "app01.cert", "names", "revoked", "log"} {
		t.Run(file, func(t *testing.T) {
			oddtest.Each(t, func(t *testing.T, thing oddtest.Thing) {
				dir := t.TempDir()
				collect(t, dir, app01, "e1")
				path := filepath.Join(dir, file)
				thing.Replace(t, path)
				s, err := Open(dir)
				if strings.HasPrefix(file, "app01") && err == nil {
					v := s.Judge(app01, keytest.Sight("e2"), keytest.Noon)
					if err = v.Err; describeState(v) != "unreadable" || s.Apply(v) != nil {
						t.Errorf("%s", summary(v))
					}
				}
				if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), thing.Want) ||
					!strings.Contains(err.Error(), "restore it from a backup") &&
						!strings.Contains(err.Error(), "remove it: the server") {
					t.Errorf("%v", err)
				}
			})
		})
	}
}

// In the place of what was seen last: nothing was.
func TestOddSeen(t *testing.T) {
	oddtest.Each(t, func(t *testing.T, thing oddtest.Thing) {
		file := state.Folder(t.TempDir()).Seen()
		thing.Replace(t, file.Path())
		if seen := OpenSeen(file); len(seen.last) > 0 {
			t.Errorf("%+v", seen)
		}
	})
}

// The log is not written through a link: what that leads to may be another's.
func TestALogThatIsALink(t *testing.T) {
	dir := t.TempDir()
	collect(t, dir, app01, "e1")
	log, other := filepath.Join(dir, "log"), filepath.Join(t.TempDir(), "other")
	if err := os.Rename(log, other); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(other, log); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, dir)
	err = s.Apply(s.Judge(Policy{Name: "app02", FirstUse: true}, keytest.Sight("r1"), keytest.Noon))
	if err == nil ||
		!strings.Contains(err.Error(), log+": it is a symbolic link and not a regular file; put the log itself there") {
		t.Error(err)
	}
	if after, err := os.ReadFile(other); err != nil || string(after) != string(before) {
		t.Errorf("%q, %v", after, err)
	}
}

// A log of holes is read in pieces, as far as a log may go.
func TestALogOfHoles(t *testing.T) {
	dir := t.TempDir()
	collect(t, dir, app01, "e1")
	log := filepath.Join(dir, "log")
	if err := os.Truncate(log, maxLog); err != nil {
		t.Fatal(err)
	}
	oddtest.Bounded(t, func() {
		entries, unreadable, err := openStore(t, dir).Log()
		if err != nil || len(entries) != 1 || len(unreadable) != 1 || unreadable[0] != 2 {
			t.Errorf("%+v, %v, %v", entries, unreadable, err)
		}
	})
}
