package keeper

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"ltskeeper/farm"
	"ltskeeper/internal/state"
)

func servers(n int) []farm.Server {
	var list []farm.Server
	for i := range n {
		list = append(list, farm.Server{Name: fmt.Sprintf("app%03d", i)})
	}
	return list
}

func trustedAll(string) bool { return true }

func quarantineOf(names ...string) *quarantine {
	q := &quarantine{entries: map[string]quarantined{}}
	for i, name := range names {
		q.add(name, time.Unix(int64(i), 0), "test")
	}
	return q
}

func TestNoMoreThanAQuarterOfAListIsOut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ declared, out int }{
		{1, 0}, // never the last server
		{2, 1}, // at least one
		{3, 1}, {4, 1}, {7, 1},
		{8, 2}, {11, 2}, {12, 3}, {1000, 250},
	} {
		list := servers(c.declared)
		q := quarantineOf()
		for _, s := range list {
			q.add(s.Name, time.Unix(0, 0), "all keys changed at once")
		}
		if got := len(list) - len(q.listed(list, trustedAll)); got != c.out {
			t.Errorf("of %d servers that are all suspect, %d are out, want %d", c.declared, got, c.out)
		}
	}
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

func TestThoseInQuarantineLongestAreOutFirst(t *testing.T) {
	t.Parallel()
	q := quarantineOf("app002", "app000", "app003")
	got := joined(q.listed(servers(4), trustedAll))
	if want := "app000 app001 app003"; got != want {
		t.Errorf("listed %q, want %q", got, want)
	}
	// One that leaves makes room for the next.
	q.release("app002")
	got = joined(q.listed(servers(4), trustedAll))
	if want := "app001 app002 app003"; got != want {
		t.Errorf("listed %q, want %q", got, want)
	}
}

func TestAServerWithoutTrustedKeysTakesNoPlace(t *testing.T) {
	t.Parallel()
	q := quarantineOf("app000", "app001")
	// app000 has no key: it is not listed anyway, and the quarter is there for app001.
	got := joined(q.listed(servers(4), func(name string) bool { return name != "app000" }))
	if want := "app002 app003"; got != want {
		t.Errorf("listed %q, want %q", got, want)
	}
	// The last server with a key stays, suspect or not.
	got = joined(q.listed(servers(4), func(name string) bool { return name == "app001" }))
	if want := "app001"; got != want {
		t.Errorf("listed %q, want %q", got, want)
	}
}

// Whatever is in quarantine and whoever has keys: a list is never emptied, never loses more than
// the bound, and holds no server without a key.
func TestListedProperties(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2000) {
		rng := rand.New(rand.NewPCG(seed, 1))
		list := servers(1 + rng.IntN(30))
		q, trusted := quarantineOf(), map[string]bool{}
		for _, s := range list {
			trusted[s.Name] = rng.IntN(4) > 0
			if rng.IntN(2) == 0 {
				q.add(s.Name, time.Unix(int64(rng.IntN(5)), 0), "test")
			}
		}
		usable := 0
		for _, in := range trusted {
			if in {
				usable++
			}
		}
		listed := q.listed(list, func(name string) bool { return trusted[name] })
		out := usable - len(listed)
		if usable > 0 && len(listed) == 0 {
			t.Fatalf("seed %d: nobody is left of %d usable servers", seed, usable)
		}
		if out > max(1, len(list)/4) {
			t.Fatalf("seed %d: %d of %d servers are out", seed, out, len(list))
		}
		for _, s := range listed {
			if !trusted[s.Name] {
				t.Fatalf("seed %d: %s is listed without a key", seed, s.Name)
			}
		}
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
			!strings.Contains(err.Error(), "remove it") {
			t.Errorf("emptied to %q: %v", text, err)
		}
	}
}

func joined(list []farm.Server) string {
	var names []string
	for _, s := range list {
		names = append(names, s.Name)
	}
	return strings.Join(names, " ")
}
