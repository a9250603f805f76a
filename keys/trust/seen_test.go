package trust

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"ltskeeper/internal/state"
	"ltskeeper/internal/testkit/keytest"
)

func TestSeen(t *testing.T) {
	t.Parallel()
	file := state.Folder(filepath.Join(t.TempDir(), "state")).Seen()
	judged := func(trusted string, seen string) Verdict {
		return judged(Policy{Name: "app01"}, record{trusted: keytest.Stored(trusted, "")}, keytest.Sight(seen),
			keytest.Noon)
	}
	// run is one run of the program: whether it wrote the file.
	run := func(v Verdict, at time.Time) bool {
		t.Helper()
		before, _ := os.Stat(file.Path())
		s := OpenSeen(file)
		s.Update(v, at)
		if err := s.Save(); err != nil {
			t.Fatal(err)
		}
		after, _ := os.Stat(file.Path())
		return after != nil && (before == nil || !os.SameFile(before, after))
	}
	last := func(name string) time.Time { return OpenSeen(file).Last("app01", keytest.Key(name)) }

	if run(judged("e1", "!"), keytest.Noon) {
		t.Error("written although nothing was seen")
	}
	if !run(judged("e1", "e1 r1"), keytest.Noon) || !last("e1").Equal(keytest.Noon) || !last("r1").Equal(keytest.Noon) {
		t.Errorf("first seen: %v, %v", last("e1"), last("r1"))
	}
	if run(judged("e1", "e1 r1"), keytest.Noon.Add(59*time.Minute)) {
		t.Error("written again within the hour")
	}
	if !run(judged("e1", "e1"), keytest.Noon.Add(2*time.Hour)) || !last("e1").Equal(keytest.Noon.Add(2*time.Hour)) {
		t.Errorf("seen again: %v", last("e1"))
	}
	if !last("r1").IsZero() {
		t.Errorf("the key that waits no more was last seen %v", last("r1"))
	}
	if !run(judged("e2", "!"), keytest.Noon.Add(2*time.Hour)) || !last("e1").IsZero() {
		t.Errorf("the key that is not trusted any more was last seen %v", last("e1"))
	}
}

func TestSeenForgets(t *testing.T) {
	t.Parallel()
	file := state.Folder(t.TempDir()).Seen()
	s := OpenSeen(file)
	s.Update(judged(Policy{Name: "app01", FirstUse: true}, record{}, keytest.Sight("e1"), keytest.Noon), keytest.Noon)
	if s.Last("app01", keytest.Key("e1")).IsZero() || !s.Last("app02", keytest.Key("e1")).IsZero() {
		t.Error("not recorded, or for the wrong server")
	}
	s.Forget("app01")
	if err := s.Save(); err != nil {
		t.Fatal(err)
	}
	if at := OpenSeen(file).Last("app01", keytest.Key("e1")); !at.IsZero() {
		t.Errorf("last seen %v", at)
	}
}

func TestSeenSurvivesGarbage(t *testing.T) {
	t.Parallel()
	file := state.Folder(t.TempDir()).Seen()
	fingerprint := keytest.Key("e1").Fingerprint()
	data := "garbage\napp01 yesterday " + fingerprint + "\n\x00\x00\x00\napp01 2026-11-20T12:00:00Z " + fingerprint +
		"\napp02"
	if err := file.Write([]byte(data)); err != nil {
		t.Fatal(err)
	}
	if at := OpenSeen(file).Last("app01", keytest.Key("e1")); !at.Equal(keytest.Noon) {
		t.Errorf("last seen %v", at)
	}
}
