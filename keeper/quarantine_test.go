package keeper

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"ltskeeper/internal/remedy"
	"ltskeeper/internal/state"
)

func quarantineOf(names ...string) *quarantine {
	q := &quarantine{entries: map[string]quarantined{}}
	for i, name := range names {
		q.add(name, time.Unix(int64(i), 0), "test")
	}
	return q
}

func TestClockSetBackLeavesTheOrder(t *testing.T) {
	t.Parallel()
	q := quarantineOf()
	later := time.Unix(1_000_000, 0)
	q.add("app003", later, "test")
	q.add("app001", time.Unix(0, 0), "test")
	q.add("app000", time.Unix(0, 0), "test")
	if got := strings.Join(q.names(), " "); got != "app003 app001 app000" {
		t.Errorf("in it are %s", got)
	}
	q.add("app002", later.Add(time.Hour), "test")
	if e := q.entries["app002"]; !e.since.Equal(later.Add(time.Hour)) {
		t.Errorf("since %v", e.since)
	}
}

func TestQuarantineOnDisk(t *testing.T) {
	t.Parallel()
	folder := state.Folder(t.TempDir())
	q, err := loadQuarantine(folder)
	if err != nil {
		t.Fatal(err)
	}
	q.add("app02", time.Date(2026, 11, 20, 3, 0, 0, 0, time.UTC), "shows ssh-ed25519 SHA256:x")
	q.add("app01", time.Date(2026, 11, 20, 3, 0, 0, 0, time.UTC), "shows ssh-rsa SHA256:y")
	q.add("app02", time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC), "a later look does not change since when")
	if err := q.save(); err != nil {
		t.Fatal(err)
	}
	want := quarantineHeader +
		"app01 2026-11-20T03:00:00Z shows ssh-rsa SHA256:y\napp02 2026-11-20T03:00:00Z shows ssh-ed25519 SHA256:x\n"
	path := folder.Quarantine().Path()
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Fatalf("quarantine holds %q (%v), want %q", got, err, want)
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	again, err := loadQuarantine(folder)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.save(); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) {
		t.Error("a record that did not change was written again")
	}
	for _, damage := range []string{"app01\n", "app01 yesterday gone\n", " 2026-11-20T03:00:00Z x\n"} {
		if err := os.WriteFile(path, []byte(want+damage), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := loadQuarantine(folder); err == nil || !strings.Contains(err.Error(), path+":4") {
			t.Errorf("damaged line %q: error is %v, want one that names %s:4", damage, err, path)
		}
	}
}

// A record that says that nobody is in it is one; a file that an editor or a full disk emptied is
// none.
func TestQuarantineEmptied(t *testing.T) {
	t.Parallel()
	folder := state.Folder(t.TempDir())
	q, err := loadQuarantine(folder)
	must(t, err)
	must(t, q.save())
	path := folder.Quarantine().Path()
	if _, err := os.Lstat(path); err == nil {
		t.Error("a record was written though nobody was ever in it")
	}
	q.add("app01", time.Now(), "shows another key")
	must(t, q.save())
	q.release("app01")
	must(t, q.save())
	if q, err = loadQuarantine(folder); err != nil || len(q.entries) != 0 {
		t.Errorf("after the last was released: %v, %v", q, err)
	}
	for _, text := range []string{"", "\n\n"} {
		must(t, os.WriteFile(path, []byte(text), 0o644))
		if _, err := loadQuarantine(folder); err == nil || !strings.Contains(err.Error(), path) ||
			!reflect.DeepEqual(remedy.FindIn(err), []remedy.Remedy{removeQuarantine}) {
			t.Errorf("emptied to %q: %v, %v", text, err, remedy.FindIn(err))
		}
	}
}
