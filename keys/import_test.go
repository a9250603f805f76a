package keys

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
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
			put(t, dir, "app01.pub", keysOf(test.trusted)...)
			put(t, dir, "app01.pending",
				append(storedKeys(test.pending, ""), storedKeys(test.rejected, "rejected")...)...)
			put(t, dir, "revoked", keysOf(test.revoked)...)
			for _, file := range []string{"app01.pub", "app01.pending"} {
				if info, err := os.Stat(filepath.Join(dir, file)); err == nil && info.Size() == 0 {
					os.Remove(filepath.Join(dir, file))
				}
			}
			p := app01
			for _, k := range keysOf(test.pins) {
				p.Pins = append(p.Pins, k.Fingerprint())
			}
			done, err := open(t, dir).Import(p, storedKeys(test.offered, ""), noon)
			if err != nil {
				t.Fatal(err)
			}
			var refused []Key
			for _, r := range done.Refused {
				refused = append(refused, r.Key)
			}
			s := open(t, dir)
			pending, err := s.Pending("app01")
			if err != nil {
				t.Fatal(err)
			}
			for what, pair := range map[string][2]string{
				"new": {namesOf(done.New), test.fresh}, "known": {namesOf(done.Known), test.known},
				"conflicts": {namesOf(done.Conflicts), test.conflicts}, "refused": {namesOf(refused), test.refused},
				"trusted": {namesOf(s.mustTrust(t)), test.trustedAfter}, "pending": {namesOf(pending),
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
	if _, err := open(t, dir).Import(app01, storedKeys("e1", ""), noon); err != nil {
		t.Fatal(err)
	}
	if err := open(t, dir).Retire("app01", noon); err != nil {
		t.Fatal(err)
	}
	if v := collect(t, dir, app01, "e2"); v.State != StatePending {
		t.Errorf("%s", summary(v))
	}
	if told := strings.Join(story(t, dir), "\n"); !strings.Contains(told, "app01 e1 unknown trusted imported") {
		t.Errorf("the log says\n%s", told)
	}
}

func TestLineFor(t *testing.T) {
	t.Parallel()
	names := []string{"App01", "app01.example.org", "10.0.0.1", "fd00::1"}
	for hosts, want := range map[string]bool{
		"": true, "app01": true, "APP01": true, "[app01]:2222": true, "[app01]:22": false, "app02": false,
		"10.0.0.1": true,
		"fd00::1":  true, "[fd00::1]:2222": true, "x,app01": true, "*.example.org": true,
		"*.example.org,!app01.*": false, "*": true,
		hashed("app01"): true, hashed("[app01]:2222"): true, hashed("app02"): false, "|1|x|y": false,
	} {
		if got := (Line{Hosts: hosts}).For(names, 2222); got != want {
			t.Errorf("%q: %v", hosts, got)
		}
	}
}

func TestSSHFPAgreesWithSSHKeygen(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"e1", "c1", "r1"} {
		file := filepath.Join(t.TempDir(), "key.pub")
		if err := os.WriteFile(file, []byte(key(name).Line()+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(tool(t, "ssh-keygen"), "-r", "app01", "-f", file).CombinedOutput()
		data, ok := key(name).SSHFP()
		if err != nil || !ok || !strings.Contains(string(out), "app01 IN SSHFP "+data+"\n") {
			t.Errorf("%s: %q, ssh-keygen says %v %q", name, data, err, out)
		}
	}
	if _, ok := key("x1").SSHFP(); ok {
		t.Error("a record for a type without a number")
	}
}
