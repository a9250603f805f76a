package keys

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"ltskeeper/internal/state"
)

func TestSeen(t *testing.T) {
	t.Parallel()
	file := state.Folder(filepath.Join(t.TempDir(), "state")).Seen()
	judged := func(trusted string, seen string) Verdict {
		return judge(Policy{Name: "app01"}, record{trusted: storedKeys(trusted, "")}, func(Key) bool {
			return false
		}, sight(seen), noon)
	}
	// run is one run of the program: whether it wrote the file.
	run := func(v Verdict, at time.Time) bool {
		t.Helper()
		before, _ := os.Stat(file.Path())
		s := OpenSeen(file)
		s.Record(v, at)
		if err := s.Save(); err != nil {
			t.Fatal(err)
		}
		after, _ := os.Stat(file.Path())
		return after != nil && (before == nil || !os.SameFile(before, after))
	}
	last := func(name string) time.Time { return OpenSeen(file).Last("app01", key(name)) }

	if run(judged("e1", "!"), noon) {
		t.Error("written although nothing was seen")
	}
	if !run(judged("e1", "e1 r1"), noon) || !last("e1").Equal(noon) || !last("r1").Equal(noon) {
		t.Errorf("first seen: %v, %v", last("e1"), last("r1"))
	}
	if run(judged("e1", "e1 r1"), noon.Add(59*time.Minute)) {
		t.Error("written again within the hour")
	}
	if !run(judged("e1", "e1"), noon.Add(2*time.Hour)) || !last("e1").Equal(noon.Add(2*time.Hour)) {
		t.Errorf("seen again: %v", last("e1"))
	}
	if !last("r1").IsZero() {
		t.Errorf("the key that waits no more was last seen %v", last("r1"))
	}
	if !run(judged("e2", "!"), noon.Add(2*time.Hour)) || !last("e1").IsZero() {
		t.Errorf("the key that is not trusted any more was last seen %v", last("e1"))
	}
}

func TestSeenForgets(t *testing.T) {
	t.Parallel()
	file := state.Folder(t.TempDir()).Seen()
	s := OpenSeen(file)
	s.Record(judge(Policy{Name: "app01", FirstUse: true}, record{}, func(Key) bool {
		return false
	}, sight("e1"), noon), noon)
	if s.Last("app01", key("e1")).IsZero() || !s.Last("app02", key("e1")).IsZero() {
		t.Error("not recorded, or for the wrong server")
	}
	s.Forget("app01")
	if err := s.Save(); err != nil {
		t.Fatal(err)
	}
	if at := OpenSeen(file).Last("app01", key("e1")); !at.IsZero() {
		t.Errorf("last seen %v", at)
	}
}

func TestSeenSurvivesGarbage(t *testing.T) {
	t.Parallel()
	file := state.Folder(t.TempDir()).Seen()
	fingerprint := key("e1").Fingerprint()
	data := "garbage\napp01 yesterday " + fingerprint + "\n\x00\x00\x00\napp01 2026-11-20T12:00:00Z " + fingerprint +
		"\napp02"
	if err := file.Write([]byte(data)); err != nil {
		t.Fatal(err)
	}
	if at := OpenSeen(file).Last("app01", key("e1")); !at.Equal(noon) {
		t.Errorf("last seen %v", at)
	}
}
