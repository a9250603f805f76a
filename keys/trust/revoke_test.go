package trust

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ltskeeper/internal/testkit/keytest"
	"ltskeeper/keys"
)

// vouched makes a key that another one vouched for.
func vouched(name, by string) keys.Stored {
	return keys.Stored{Key: keytest.Key(name),
		Origin: keys.Origin{How: keys.HowProven, VouchedBy: keytest.Key(by).Fingerprint(), At: keytest.Noon}}
}

// put writes a server's trusted keys as somebody else would.
func put[K keys.AnyKey](t *testing.T, dir, file string, list ...K) {
	t.Helper()
	var lines []byte
	for _, k := range list {
		lines = append(lines, formatKeyFile([]keys.Stored{toStored(k)})...)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, file), lines, 0o644); err != nil {
		t.Fatal(err)
	}
}

func toStored[K keys.AnyKey](k K) keys.Stored {
	if plain, ok := any(k).(keys.Key); ok {
		return keys.Stored{Key: plain}
	}
	return any(k).(keys.Stored)
}

func TestRevokeTakesAKeyFromEverybody(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, dir, "app01.pub", keytest.Key("e1"), keytest.Key("r1"))
	put(t, dir, "app02.pub", keytest.Key("e1"))
	put(t, dir, "app03.pub", keytest.Key("e3"))
	put(t, dir, "app03.pending", keytest.Key("e1"), keytest.Key("r3"))
	before := tree(t, dir)
	s := openStore(t, dir)
	revoked, err := s.Revoke("app01", keytest.Keys("e1 e1"), keytest.Noon)
	if err != nil || keytest.Names(revoked) != "e1" || keytest.Names(s.Revoked()) != "e1" {
		t.Fatalf("revoked %q, in the store %q, %v", keytest.Names(revoked), keytest.Names(s.Revoked()), err)
	}
	s = openStore(t, dir)
	if got := keytest.Names(s.Revoked()); got != "e1" {
		t.Errorf("on disk: %q", got)
	}
	for name, want := range map[string]string{"app01": "r1", "app02": "", "app03": "e3"} {
		if list, err := s.Trusted(name, nil); err != nil || keytest.Names(list) != want {
			t.Errorf("%s trusts %q, %v; want %q", name, keytest.Names(list), err, want)
		}
	}
	if list, err := s.Pending("app03"); err != nil || keytest.Names(list) != "r3" {
		t.Errorf("pending %q, %v", keytest.Names(list), err)
	}
	if after := tree(t, dir); after["app03.pub"] != before["app03.pub"] {
		t.Error("a file without the key was rewritten")
	}
	if again, err := s.Revoke("app01", keytest.Keys("e1"), keytest.Noon); err != nil || len(again) > 0 {
		t.Errorf("revoked again: %q, %v", keytest.Names(again), err)
	}
}

// Nothing brings a revoked key back: neither another name, nor a first use, nor what a person does
// without thinking of it.
func TestRevocationLasts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	collect(t, dir, app01, "e1 r1")
	if _, err := openStore(t, dir).Revoke("app01", keytest.Keys("e1 r1"), keytest.Noon); err != nil {
		t.Fatal(err)
	}
	if v := collect(t, dir, app01, "e2"); summary(v) != "pending [] pending[e2] new[e2] decision" {
		t.Errorf("first use came back: %s", summary(v))
	}
	if err := openStore(t, dir).Retire("app01", keytest.Noon); err != nil {
		t.Fatal(err)
	}
	other := Policy{Name: "app09", Names: []string{"app09"}, FirstUse: true}
	if v := collect(t, dir, other, "e1 c1"); summary(v) != "suspect [] pending[c1] new[c1] revoked[e1] decision" {
		t.Errorf("under another name: %s", summary(v))
	}
	pinned := Policy{Name: "app08", Names: []string{"app08"}, Pins: []string{keytest.Key("r1").Fingerprint()}}
	if v := collect(t, dir, pinned, "r1"); summary(v) != "suspect [] revoked[r1] decision" {
		t.Errorf("pinned: %s", summary(v))
	}
}

// A key that waits nowhere and is known to nobody can be revoked as well.
func TestRevokeUnknownKeys(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "keys")
	if _, err := openStore(t, dir).Revoke("", keytest.Keys("e1 w1 x1"), keytest.Noon); err != nil {
		t.Fatal(err)
	}
	if got := keytest.Names(openStore(t, dir).Revoked()); got != "e1 w1 x1" {
		t.Errorf("revoked %q", got)
	}
	cert := keys.Key{Type: "ssh-ed25519-cert-v01@openssh.com",
		Blob: keytest.SSHString("ssh-ed25519-cert-v01@openssh.com")}
	if _, err := openStore(t, dir).Revoke("", []keys.Key{cert}, keytest.Noon); err == nil {
		t.Error("a certificate was taken for a key")
	}
}

func TestRevokeGoesOnWhereAFileIsDamaged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, dir, "app01.pub", keytest.Key("e1"), keytest.Key("r1"))
	if err := os.WriteFile(filepath.Join(dir, "app02.pub"), []byte("ssh-ed25519 AAAA"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := openStore(t, dir).Revoke("app01", keytest.Keys("e1"), keytest.Noon); err == nil ||
		!strings.Contains(err.Error(), "app02.pub") {
		t.Errorf("error %v", err)
	}
	s := openStore(t, dir)
	if list, err := s.Trusted("app01", nil); err != nil || keytest.Names(list) != "r1" ||
		keytest.Names(s.Revoked()) != "e1" {
		t.Errorf("app01 trusts %q, %v", keytest.Names(list), err)
	}
}

func TestOffspring(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, dir, "app01.pub", keytest.Stored("e1", "")[0], vouched("r1", "e1"), vouched("c1", "r1"),
		keytest.Stored("c2", "")[0])
	put(t, dir, "app02.pub", vouched("e2", "c1"), vouched("e1", "e2")) // in a circle
	for parents, want := range map[string]string{"e1": "c1 e2 r1", "r1": "c1 e1 e2", "c2": "", "e2": "c1 e1 r1",
		"e1 r1": "c1 e2"} {
		if got, err := openStore(t, dir).Offspring(keytest.Keys(parents)); err != nil || keytest.Names(got) != want {
			t.Errorf("offspring of %s: %q, %v; want %q", parents, keytest.Names(got), err, want)
		}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, dir, "app01.pub", keytest.Key("e1"))
	put(t, dir, "app01.pending", append(keytest.Stored("e2", ""), keytest.Stored("e3", "rejected")...)...)
	for _, name := range []string{"e1", "e2", "e3"} {
		if found, err := openStore(t, dir).Find("app01", []string{keytest.Key(name).Fingerprint()}); err != nil ||
			keytest.Names(found) != name {
			t.Errorf("found %q, %v; want %s", keytest.Names(found), err, name)
		}
	}
	if _, err := openStore(t, dir).Find("app01", []string{keytest.Key("r1").Fingerprint()}); err == nil {
		t.Error("found what is not there")
	}
}
