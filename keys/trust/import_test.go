package trust

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ltskeeper/internal/testkit/keytest"
	"ltskeeper/keys"
)

func TestImport(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name                             string
		trusted, pending, rejected       string
		revoked, pins                    string
		offered                          string
		fresh, known, conflicts, refused string
		trustedAfter, pendingAfter       string
	}{
		{name: "all new", offered: "e1 r1 x1", fresh: "e1 r1 x1", trustedAfter: "e1 r1 x1"},
		{name: "twice", offered: "e1 e1", fresh: "e1", trustedAfter: "e1"},
		{name: "known", trusted: "e1", offered: "e1", known: "e1", trustedAfter: "e1"},
		{name: "a further type", trusted: "e1", offered: "e1 r1", fresh: "r1", known: "e1", trustedAfter: "e1 r1"},
		{name: "in conflict", trusted: "e1", offered: "e2 r1", fresh: "r1", conflicts: "e2", trustedAfter: "e1 r1",
			pendingAfter: "e2"},
		{name: "in conflict with itself", offered: "e1 e2", fresh: "e1", conflicts: "e2", trustedAfter: "e1",
			pendingAfter: "e2"},
		{name: "what waited", pending: "e1 r1", offered: "e1", fresh: "e1", trustedAfter: "e1", pendingAfter: "r1"},
		{name: "what was rejected", trusted: "r1", rejected: "e1", offered: "e1", conflicts: "e1", trustedAfter: "r1",
			pendingAfter: "e1"},
		{name: "revoked", revoked: "e1", offered: "e1 r1", fresh: "r1", refused: "e1", trustedAfter: "r1"},
		{name: "weak", offered: "w1", refused: "w1"},
		{name: "not pinned", pins: "e1", offered: "e1 r1", fresh: "e1", refused: "r1", trustedAfter: "e1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			put(t, dir, "app01.pub", keytest.Keys(test.trusted)...)
			put(t, dir, "app01.pending",
				append(keytest.Stored(test.pending, ""), keytest.Stored(test.rejected, "rejected")...)...)
			put(t, dir, "revoked", keytest.Keys(test.revoked)...)
			for _, file := range []string{"app01.pub", "app01.pending"} {
				if info, err := os.Stat(filepath.Join(dir, file)); err == nil && info.Size() == 0 {
					os.Remove(filepath.Join(dir, file))
				}
			}
			p := app01
			for _, k := range keytest.Keys(test.pins) {
				p.Pins = append(p.Pins, k.Fingerprint())
			}
			done, err := openStore(t, dir).Import(p, keytest.Stored(test.offered, ""), keytest.Noon)
			if err != nil {
				t.Fatal(err)
			}
			var refused []keys.Key
			for _, r := range done.Refused {
				refused = append(refused, r.Key)
			}
			s := openStore(t, dir)
			pending, err := s.Pending("app01")
			if err != nil {
				t.Fatal(err)
			}
			for what, pair := range map[string][2]string{
				"new": {keytest.Names(done.New), test.fresh}, "known": {keytest.Names(done.Known), test.known},
				"conflicts": {keytest.Names(done.Conflicts), test.conflicts}, "refused": {keytest.Names(refused),
					test.refused},
				"trusted": {keytest.Names(s.mustTrust(t)), test.trustedAfter}, "pending": {keytest.Names(pending),
					test.pendingAfter},
			} {
				if pair[0] != pair[1] {
					t.Errorf("%s: %q, want %q", what, pair[0], pair[1])
				}
			}
		})
	}
}

// An import is no way back to a first use.
func TestImportEndsFirstUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := openStore(t, dir).Import(app01, keytest.Stored("e1", ""), keytest.Noon); err != nil {
		t.Fatal(err)
	}
	if err := openStore(t, dir).Retire("app01", keytest.Noon); err != nil {
		t.Fatal(err)
	}
	if v := collect(t, dir, app01, "e2"); describeState(v) != "pending" {
		t.Errorf("%s", summary(v))
	}
	if told := strings.Join(story(t, dir), "\n"); !strings.Contains(told, "app01 e1 unknown trusted imported") {
		t.Errorf("the log says\n%s", told)
	}
}
