package trust

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"ltskeeper/internal/remedy"
	"ltskeeper/internal/state"
	"ltskeeper/internal/testkit"
)

func TestClockSetBackLeavesTheOrder(t *testing.T) {
	t.Parallel()
	q := new(Quarantine)
	later := time.Unix(1_000_000, 0)
	q.Add("app003", later, "test")
	q.Add("app001", time.Unix(0, 0), "test")
	q.Add("app000", time.Unix(0, 0), "test")
	if got := strings.Join(q.Servers(), " "); got != "app003 app001 app000" {
		t.Errorf("in it are %s", got)
	}
	q.Add("app002", later.Add(time.Hour), "test")
	if e, is := q.Find("app002"); !is || !e.Since.Equal(later.Add(time.Hour)) {
		t.Errorf("since %v", e.Since)
	}
}

func TestQuarantineOnDisk(t *testing.T) {
	t.Parallel()
	file := state.Folder(t.TempDir()).Quarantine()
	q, err := OpenQuarantine(file)
	if err != nil {
		t.Fatal(err)
	}
	q.Add("app02", time.Date(2026, 11, 20, 3, 0, 0, 0, time.UTC), "shows ssh-ed25519 SHA256:x")
	q.Add("app01", time.Date(2026, 11, 20, 3, 0, 0, 0, time.UTC), "shows ssh-rsa SHA256:y")
	q.Add("app02", time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC), "a later scan does not change since when")
	if err := q.Save(); err != nil {
		t.Fatal(err)
	}
	want := quarantineHeader +
		"app01 2026-11-20T03:00:00Z shows ssh-rsa SHA256:y\napp02 2026-11-20T03:00:00Z shows ssh-ed25519 SHA256:x\n"
	path := file.Path()
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Fatalf("quarantine holds %q (%v), want %q", got, err, want)
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	again, err := OpenQuarantine(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Save(); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) {
		t.Error("a record that did not change was written again")
	}
	for _, damage := range []string{"app01\n", "app01 yesterday gone\n", " 2026-11-20T03:00:00Z x\n"} {
		if err := os.WriteFile(path, []byte(want+damage), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenQuarantine(file); err == nil || !strings.Contains(err.Error(), path+":4") {
			t.Errorf("damaged line %q: error is %v, want one that names %s:4", damage, err, path)
		}
	}
}

// A record that says that nobody is in it is one; a file that an editor or a full disk emptied is
// none.
func TestQuarantineEmptied(t *testing.T) {
	t.Parallel()
	file := state.Folder(t.TempDir()).Quarantine()
	q, err := OpenQuarantine(file)
	testkit.Must(t, err)
	testkit.Must(t, q.Save())
	path := file.Path()
	if _, err := os.Lstat(path); err == nil {
		t.Error("a record was written though nobody was ever in it")
	}
	q.Add("app01", time.Now(), "shows another key")
	testkit.Must(t, q.Save())
	q.Release("app01")
	testkit.Must(t, q.Save())
	if q, err = OpenQuarantine(file); err != nil || len(q.entries) != 0 {
		t.Errorf("after the last was released: %v, %v", q, err)
	}
	for _, text := range []string{"", "\n\n"} {
		testkit.Must(t, os.WriteFile(path, []byte(text), 0o644))
		if _, err := OpenQuarantine(file); err == nil || !strings.Contains(err.Error(), path) ||
			!reflect.DeepEqual(remedy.FindIn(err), []remedy.Remedy{removeQuarantine}) {
			t.Errorf("emptied to %q: %v, %v", text, err, remedy.FindIn(err))
		}
	}
}
