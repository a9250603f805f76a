package trust

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/keytest"
	"ltskeeper/keys"
)

var app01 = Policy{Name: "app01", Names: []string{"App01.example.org", "10.0.0.1", "FD00::0011"}, FirstUse: true}

func openStore(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// collect judges a sighting and applies the verdict, as one run would.
func collect(t *testing.T, dir string, p Policy, addresses ...string) Verdict {
	t.Helper()
	s := openStore(t, dir)
	v := s.Judge(p, keytest.Sight(addresses...), keytest.Noon)
	if err := s.Apply(v); err != nil {
		t.Fatal(err)
	}
	return v
}

// tree lists a directory's files with their contents and times.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		files[d.Name()] = info.ModTime().String() + "\n" + string(data)
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return files
}

func TestStoreFiles(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state", "keys")
	if v := collect(t, dir, app01, "!"); describeState(v) != "none" {
		t.Fatalf("silent: %s", summary(v))
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("a server that was never seen left something: %v", err)
	}
	collect(t, dir, app01, "e1")
	collect(t, dir, app01, "e1 r1")
	for file, want := range map[string]string{
		"app01.pub":     keytest.Key("e1").FormatLine() + " first-use 2026-11-20T12:00:00Z\n",
		"app01.pending": keytest.Key("r1").FormatLine() + " shown 2026-11-20T12:00:00Z\n",
		"names":         namesHeader + "10.0.0.1\napp01\napp01.example.org\nfd00::11\n",
	} {
		data, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil || string(data) != want {
			t.Errorf("%s is %q, %v; want %q", file, data, err, want)
		}
		if info, err := os.Stat(filepath.Join(dir, file)); err != nil || info.Mode() != 0o644 {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
	}
	out, err := exec.Command(testkit.FindProgram(t, "ssh-keygen"), "-lf",
		filepath.Join(dir, "app01.pub")).CombinedOutput()
	if want := "256 " + keytest.Key("e1").Fingerprint() + " first-use 2026-11-20T12:00:00Z (ED25519)\n"; err != nil ||
		string(out) != want {
		t.Errorf("ssh-keygen -l says %q, %v; want %q", out, err, want)
	}
}

func TestNothingIsRewrittenWithoutNeed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	steps := [][]string{{"e1 r1"}, {"e2"}, {"!"}, {"e2 r1"}}
	for _, step := range steps {
		collect(t, dir, app01, step...)
		before := tree(t, dir)
		collect(t, dir, app01, step...)
		after := tree(t, dir)
		for file, data := range before {
			if after[file] != data {
				t.Errorf("%q: %s was rewritten", step, file)
			}
		}
		if len(after) != len(before) {
			t.Errorf("%q: %d files became %d", step, len(before), len(after))
		}
	}
}

func TestFirstUseHappensOnce(t *testing.T) {
	t.Parallel()
	remove := func(file string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, file)); err != nil {
				t.Fatal(err)
			}
		}
	}
	other := func(name string, names ...string) Policy { return Policy{Name: name, Names: names, FirstUse: true} }
	for _, test := range []struct {
		name   string
		before func(t *testing.T, dir string)
		policy Policy
	}{
		{"key file lost", remove("app01.pub"), app01},
		{"removed and added again", func(t *testing.T, dir string) {
			if err := openStore(t, dir).Retire("app01", keytest.Noon); err != nil {
				t.Fatal(err)
			}
		}, app01},
		{"removed and added in capitals", func(t *testing.T, dir string) {
			if err := openStore(t, dir).Retire("app01", keytest.Noon); err != nil {
				t.Fatal(err)
			}
		}, other("APP01")},
		{"another name, the same alias", nil, other("app02", "app01.EXAMPLE.org")},
		{"another name, the same address", nil, other("app02", "fd00:0:0::11")},
		{"another name, the same address in IPv6", nil, other("app02", "::ffff:10.0.0.1")},
		{"another name, that was an alias", nil, other("app01.example.org")},
		{"its key is revoked", func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, "revoked"), formatKeyFile(keytest.Stored("e1 r1", "")),
				0o644); err != nil {
				t.Fatal(err)
			}
			collect(t, dir, app01, "!")
		}, app01},
		{"the names are lost, and a server with keys shows it", func(t *testing.T, dir string) {
			collect(t, dir, other("app07", "10.0.0.7"), "e3")
			remove("names")(t, dir)
			remove("app01.pub")(t, dir)
		}, app01},
		{"removed, and the names are lost", func(t *testing.T, dir string) {
			if err := openStore(t, dir).Retire("app01", keytest.Noon); err != nil {
				t.Fatal(err)
			}
			remove("names")(t, dir)
		}, app01},
		{"removed, and the names are emptied and then begun anew", func(t *testing.T, dir string) {
			if err := openStore(t, dir).Retire("app01", keytest.Noon); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(filepath.Join(dir, "names"), 0); err != nil {
				t.Fatal(err)
			}
			collect(t, dir, other("app07", "10.0.0.7"), "e3")
			remove("log")(t, dir)
		}, app01},
		{"the names are lost, and mended before it comes back", func(t *testing.T, dir string) {
			collect(t, dir, other("app07", "10.0.0.7"), "e3")
			remove("names")(t, dir)
			remove("app01.pub")(t, dir)
			collect(t, dir, app01, "!")
			collect(t, dir, other("app07", "10.0.0.7"), "e3")
		}, app01},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if v := collect(t, dir, app01, "e1 r1"); describeState(v) != "first-use" {
				t.Fatalf("first use: %s", summary(v))
			}
			if test.before != nil {
				test.before(t, dir)
			}
			v := collect(t, dir, test.policy, "e2")
			if describeState(v) != "pending" || len(v.Trusted) > 0 || !v.NeedsDecision ||
				v.decision.refusedFirstUse == "" {
				t.Errorf("%s (%s)", summary(v), v.decision.refusedFirstUse)
			}
			if again := collect(t, dir, test.policy, "e2"); len(again.Trusted) > 0 {
				t.Errorf("trusted the second time: %s", summary(again))
			}
		})
	}
}

// What was only ever seen is no first use later, either.
func TestFirstUseRefusedIsNotTakenLater(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	refuse := app01
	refuse.FirstUse = false
	collect(t, dir, refuse, "e1")
	if !openStore(t, dir).used.known["app01"] {
		t.Error("a pending key, but the name is not known")
	}
	if v := collect(t, dir, app01, "e1"); len(v.Trusted) > 0 {
		t.Errorf("refused first: %s", summary(v))
	}
	if err := os.Remove(filepath.Join(dir, "app01.pending")); err != nil {
		t.Fatal(err)
	}
	if v := collect(t, dir, app01, "e1"); len(v.Trusted) > 0 {
		t.Errorf("refused first, and the file lost: %s", summary(v))
	}
	dir = t.TempDir()
	collect(t, dir, app01, "e1", "e2")
	if v := collect(t, dir, app01, "e2", "!"); len(v.Trusted) > 0 {
		t.Errorf("conflict first: %s", summary(v))
	}
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "revoked"), formatKeyFile(keytest.Stored("e1", "")), 0o644); err != nil {
		t.Fatal(err)
	}
	collect(t, dir, app01, "e1")
	if v := collect(t, dir, app01, "e2"); len(v.Trusted) > 0 {
		t.Errorf("revoked key first: %s", summary(v))
	}
}

func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	good := string(formatKeyFile(keytest.Stored("e1 r1", "")))
	for _, damage := range []struct{ name, data, msg string }{
		{"empty", "", "it holds no key"},
		{"only a comment", "# nothing\n", "it holds no key"},
		{"cut in the key", good[:len(good)-100], "cut off in the middle of a line"},
		{"cut before the newline", good[:len(good)-1], "cut off in the middle of a line"},
		{"cut and mended by an editor", good[:len(good)-100] + "\n", "line 2"},
		{"garbage", "\x00\x00\x00\n", "line 1"},
		{"weak", keytest.Key("w1").FormatLine() + "\n", "too short"},
		{"a known_hosts line", "app01 " + good, "line 1"},
	} {
		t.Run(damage.name, func(t *testing.T) {
			t.Parallel()
			for _, file := range []string{"app01.pub", "app01.pending"} {
				dir := t.TempDir()
				collect(t, dir, app01, "e1")
				path := filepath.Join(dir, file)
				if err := os.WriteFile(path, []byte(damage.data), 0o644); err != nil {
					t.Fatal(err)
				}
				before := tree(t, dir)
				v := collect(t, dir, app01, "e2")
				if describeState(v) != "unreadable" || v.Err == nil || !strings.Contains(v.Err.Error(), damage.msg) ||
					!strings.Contains(v.Err.Error(), path) || len(v.Added) > 0 {
					t.Errorf("%s: %s, %v", file, summary(v), v.Err)
				}
				if file == "app01.pending" && keytest.Names(v.Trusted) != "e1" {
					t.Errorf("%s: trusted are %q", file, keytest.Names(v.Trusted))
				}
				if fmt.Sprint(tree(t, dir)) != fmt.Sprint(before) {
					t.Errorf("%s: something was written", file)
				}
				if _, _, err := openStore(t, dir).Accept(app01, nil, keytest.Noon); err == nil {
					t.Errorf("%s: accepted", file)
				}
				// Retiring works, and does not bring first use back.
				if err := openStore(t, dir).Retire("app01", keytest.Noon); err != nil {
					t.Errorf("%s: %v", file, err)
				}
				if v := collect(t, dir, app01, "e2"); len(v.Trusted) > 0 || v.Err != nil {
					t.Errorf("%s retired: %s, %v", file, summary(v), v.Err)
				}
			}
		})
	}
}

func TestDamagedStore(t *testing.T) {
	t.Parallel()
	for file, damages := range map[string][]string{
		"names": {"app01", "app 01\n", "../app01\n", "*\n"},
		"revoked": {keytest.Key("e1").FormatLine(), "@revoked * " + keytest.Key("e1").FormatLine() + "\n",
			"ssh-ed25519 AAAA\n"},
	} {
		for _, data := range damages {
			dir := t.TempDir()
			path := filepath.Join(dir, file)
			if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := OpenReadOnly(dir); err == nil || !strings.Contains(err.Error(), path) ||
				!strings.Contains(err.Error(), "backup") {
				t.Errorf("%s with %q: %v", file, data, err)
			}
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "revoked"),
		[]byte("# stolen in May\n"+keytest.Key("w1").FormatLine()+" from the old app01\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := OpenReadOnly(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := keytest.Names(s.Revoked()); got != "w1" {
		t.Errorf("revoked: %q; a weak key can be revoked, too", got)
	}
}

func TestAccept(t *testing.T) {
	t.Parallel()
	pins := []string{keytest.Key("e2").Fingerprint()}
	for _, test := range []struct {
		name         string
		first        string   // trusted
		then         []string // what it shows next
		pins         []string
		accept       []string
		want         string // trusted afterwards
		replaced     string
		stillPending string
		err          string
	}{
		{name: "all", first: "e1", then: []string{"e2 r1"}, want: "e2 r1", replaced: "e1"},
		{name: "one", first: "e1", then: []string{"e2 r1"}, accept: []string{"e2"}, want: "e2", replaced: "e1",
			stillPending: "r1"},
		{name: "another type", first: "e1", then: []string{"e1 r1"}, want: "e1 r1"},
		{name: "nothing waits", first: "e1", then: []string{"e1"}, err: "accept keys of app01: no key is pending"},
		{name: "unknown fingerprint", first: "e1", then: []string{"e2"}, accept: []string{"e3"},
			err: "no pending key has the fingerprint " + keytest.Key("e3").Fingerprint()},
		{name: "not the trusted one", first: "e1", then: []string{"e2"}, accept: []string{"e1"}, err: "no pending key"},
		{name: "two of a type", first: "e1", then: []string{"e2", "e3"}, err: "there are several ssh-ed25519 keys"},
		{name: "one of two of a type", first: "e1", then: []string{"e2", "e3"}, accept: []string{"e3"}, want: "e3",
			replaced: "e1"},
		{name: "not pinned", first: "e1", then: []string{"e3"}, pins: pins, err: "app01 has pins"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			collect(t, dir, app01, test.first)
			collect(t, dir, app01, test.then...)
			p := app01
			p.Pins = test.pins
			var accept []string
			for _, k := range keytest.Keys(strings.Join(test.accept, " ")) {
				accept = append(accept, k.Fingerprint())
			}
			before := fmt.Sprint(tree(t, dir))
			_, replaced, err := openStore(t, dir).Accept(p, accept, keytest.Noon)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("error %v, want %q", err, test.err)
				}
				if fmt.Sprint(tree(t, dir)) != before {
					t.Error("something was written")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			trusted, err := openStore(t, dir).Trusted("app01", nil)
			if err != nil || keytest.Names(trusted) != test.want {
				t.Errorf("trusted %q, %v; want %q", keytest.Names(trusted), err, test.want)
			}
			pending, err := openStore(t, dir).Pending("app01")
			if err != nil || keytest.Names(pending) != test.stillPending {
				t.Errorf("pending %q, %v; want %q", keytest.Names(pending), err, test.stillPending)
			}
			if keytest.Names(replaced) != test.replaced {
				t.Errorf("replaced %q; want %q", keytest.Names(replaced), test.replaced)
			}
		})
	}
}

func TestAcceptRefusesRevokedKeys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	collect(t, dir, app01, "e1")
	collect(t, dir, app01, "e2")
	if err := os.WriteFile(filepath.Join(dir, "revoked"), formatKeyFile(keytest.Stored("e2", "")), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := openStore(t, dir).Accept(app01, nil, keytest.Noon); err == nil ||
		!strings.Contains(err.Error(), "it is revoked") {
		t.Errorf("error %v", err)
	}
}

func TestReject(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	collect(t, dir, app01, "e1")
	if v := collect(t, dir, app01, "e2"); !v.NeedsDecision {
		t.Fatalf("changed: %s", summary(v))
	}
	rejected, err := openStore(t, dir).Reject("app01", nil, keytest.Noon)
	if err != nil || keytest.Names(rejected) != "e2" {
		t.Fatalf("rejected %q, %v", keytest.Names(rejected), err)
	}
	for range 2 {
		v := collect(t, dir, app01, "e2")
		if got, want := summary(v), "suspect [e1] rejected[e2]"; got != want {
			t.Errorf("still shown: %s; want %s", got, want)
		}
	}
	if pending, err := openStore(t, dir).Pending("app01"); err != nil || len(pending) > 0 {
		t.Errorf("offered again: %q, %v", keytest.Names(pending), err)
	}
	if _, err := openStore(t, dir).Reject("app01", nil, keytest.Noon); err == nil {
		t.Error("rejected what does not wait")
	}
	// A person may think again, but then has to name the key.
	if _, _, err := openStore(t, dir).Accept(app01, nil, keytest.Noon); err == nil {
		t.Error("accepted without naming it")
	}
	if _, _, err := openStore(t, dir).Accept(app01, []string{keytest.Key("e2").Fingerprint()},
		keytest.Noon); err != nil {
		t.Error(err)
	}
	if v := collect(t, dir, app01, "e2"); summary(v) != "trusted [e2]" {
		t.Errorf("accepted after all: %s", summary(v))
	}
	if _, err := os.Stat(filepath.Join(dir, "app01.pending")); !os.IsNotExist(err) {
		t.Errorf("an empty file is left: %v", err)
	}
}

// The log remembers a rejection whose file is lost, or is an older one in which the key still
// waits.
func TestRejectionOutlivesItsFile(t *testing.T) {
	t.Parallel()
	for _, older := range []string{"", "e2"} {
		dir := t.TempDir()
		collect(t, dir, app01, "e1")
		collect(t, dir, app01, "e2 r2")
		if _, err := openStore(t, dir).Reject("app01", nil, keytest.Noon); err != nil {
			t.Fatal(err)
		}
		lose := func() {
			t.Helper()
			if err := os.Remove(filepath.Join(dir, "app01.pending")); err != nil {
				t.Fatal(err)
			}
			if older != "" {
				put(t, dir, "app01.pending", keytest.Keys(older)...)
			}
		}
		lose()
		if r, err := openStore(t, dir).readRecord(Policy{Name: "APP01"}); err != nil || len(r.logged) != 2 {
			t.Errorf("in other letters: %v rejected, %v", r.logged, err)
		}
		for range 2 {
			v := collect(t, dir, app01, "e2")
			if got, want := summary(v), "suspect [e1] rejected[e2]"; got != want {
				t.Errorf("shown again: %s; want %s", got, want)
			}
		}
		if told := story(t, dir); !slices.Contains(told,
			"app01 e2 "+map[string]string{"": "unknown", "e2": "pending"}[older]+" rejected recalled") {
			t.Errorf("the log says %q", told)
		}

		// A proof does not bring it back either.
		lose()
		proof := keytest.Sight("e1")
		proof.Addresses[0].Testimony = &keys.Testimony{By: keytest.Key("e1"), Listed: keytest.Keys("e1 e2 r2"),
			Proven: keytest.Keys("e2 r2")}
		s := openStore(t, dir)
		v := s.Judge(app01, proof, keytest.Noon)
		if err := s.Apply(v); err != nil || summary(v) != "trusted [e1]" {
			t.Errorf("proven: %s, %v", summary(v), err)
		}

		// Nor does an import; a person who names it does, for good.
		lose()
		if done, err := openStore(t, dir).Import(app01, keytest.Stored("r2", ""), keytest.Noon); err != nil ||
			keytest.Names(done.Conflicts) != "r2" {
			t.Errorf("imported: %+v, %v", done, err)
		}
		if _, _, err := openStore(t, dir).Accept(app01, []string{keytest.Key("r2").Fingerprint()},
			keytest.Noon); err != nil {
			t.Error(err)
		}
		os.Remove(filepath.Join(dir, "app01.pending"))
		if v := collect(t, dir, app01, "e1 r2"); summary(v) != "trusted [e1 r2]" {
			t.Errorf("accepted after all: %s", summary(v))
		}
		os.Remove(filepath.Join(dir, "app01.pub"))
		if v := collect(t, dir, app01, "r2"); summary(v) != "pending [] pending[r2] new[r2] decision" {
			t.Errorf("not rejected any more: %s", summary(v))
		}
	}
}

func TestRejectedKeysAreFew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	collect(t, dir, app01, "e0")
	for i := range 12 {
		collect(t, dir, app01, fmt.Sprintf("e%d", 10+i))
		if _, err := openStore(t, dir).Reject("app01", nil, keytest.Noon.Add(time.Duration(i)*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	rejected, err := openStore(t, dir).Rejected("app01")
	if err != nil || len(rejected) != maxRejected || !keys.Contains(rejected, keytest.Key("e21")) {
		t.Errorf("%d keys, %v; want the last %d", len(rejected), err, maxRejected)
	}
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	collect(t, dir, app01, "e1")
	if err := os.WriteFile(filepath.Join(dir, ".ltskeeper-app02.pub.tmp"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	before := fmt.Sprint(tree(t, dir))
	s, err := OpenReadOnly(dir)
	if err != nil {
		t.Fatal(err)
	}
	v := s.Judge(app01, keytest.Sight("e2"), keytest.Noon)
	if len(v.decision.changed) != 1 {
		t.Errorf("judged %s", summary(v))
	}
	if err := s.Apply(v); err == nil {
		t.Error("Apply wrote")
	}
	if err := s.Apply(s.Judge(app01, keytest.Sight("e1"), keytest.Noon)); err != nil {
		t.Errorf("a verdict without news: %v", err)
	}
	if err := s.Retire("app01", keytest.Noon); err == nil {
		t.Error("Retire wrote")
	}
	if fmt.Sprint(tree(t, dir)) != before {
		t.Error("something was written")
	}
}

func TestLeftoversOfACrashAreRemoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	collect(t, dir, app01, "e1")
	for _, file := range []string{".ltskeeper-app01.pub.tmp", ".ltskeeper-app01.pending.tmp", ".ltskeeper-names.tmp",
		".hidden"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	openStore(t, dir)
	var left []string
	for file := range tree(t, dir) {
		left = append(left, file)
	}
	slices.Sort(left)
	if want := []string{".hidden", "app01.pub", "log", "names"}; !slices.Equal(left, want) {
		t.Errorf("left are %q, want %q", left, want)
	}
}

// A crash between two files must leave names without keys, never keys without their names.
func TestNamesComeBeforeKeys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "names"), 0o755); err != nil { // in the way
		t.Fatal(err)
	}
	s := &Store{dir: dir, used: usedNames{known: map[string]bool{}}}
	v := judged(app01, record{}, keytest.Sight("e1"), keytest.Noon)
	if err := s.Apply(v); err == nil {
		t.Fatal("a folder was replaced")
	}
	if files := tree(t, dir); len(files) > 0 {
		t.Errorf("files appeared: %v", files)
	}
}

func TestRetireRemembersKeysFromElsewhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "app01.pub"), formatKeyFile(keytest.Stored("e1", "")),
		0o644); err != nil {
		t.Fatal(err)
	}
	if err := openStore(t, dir).Retire("app01", keytest.Noon); err != nil {
		t.Fatal(err)
	}
	if v := collect(t, dir, app01, "e2"); len(v.Trusted) > 0 {
		t.Errorf("%s", summary(v))
	}
}

func TestPinEndsARejection(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	collect(t, dir, app01, "e1")
	collect(t, dir, app01, "e2")
	if _, err := openStore(t, dir).Reject("app01", nil, keytest.Noon); err != nil {
		t.Fatal(err)
	}
	p := app01
	p.Pins = []string{keytest.Key("e2").Fingerprint()}
	collect(t, dir, p, "e2")
	rejected, err := openStore(t, dir).Rejected("app01")
	if err != nil || len(rejected) > 0 {
		t.Errorf("rejected are %q, %v", keytest.Names(rejected), err)
	}
}

func TestServerNamesStayInTheStore(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	dir := filepath.Join(outside, "keys")
	s := openStore(t, dir)
	for _, name := range []string{"", ".", "..", "../evil", "a/b", "/etc/passwd", "-rf", ".hidden", "a\x00b", "a b",
		"*", "app01:22", strings.Repeat("a", 300)} {
		p := Policy{Name: name, FirstUse: true}
		if v := s.Judge(p, keytest.Sight("e1"), keytest.Noon); v.Err == nil || len(v.Trusted) > 0 {
			t.Errorf("%.20q was judged: %s", name, summary(v))
		}
		if _, err := s.Trusted(name, nil); err == nil {
			t.Errorf("%.20q was read", name)
		}
		if _, _, err := s.Accept(p, nil, keytest.Noon); err == nil {
			t.Errorf("%.20q was accepted", name)
		}
		if _, err := s.Reject(name, nil, keytest.Noon); err == nil {
			t.Errorf("%.20q was rejected", name)
		}
		if err := s.Retire(name, keytest.Noon); err == nil {
			t.Errorf("%.20q was retired", name)
		}
	}
	if files := tree(t, outside); len(files) > 0 {
		t.Errorf("files appeared: %v", files)
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	var verdicts []Verdict
	for i := range 30 {
		p := Policy{Name: fmt.Sprintf("app%02d", i), Names: []string{fmt.Sprintf("10.0.0.%d", i)}, FirstUse: true}
		verdicts = append(verdicts, s.Judge(p, keytest.Sight("e1"), keytest.Noon))
	}
	if err := s.Apply(verdicts...); err != nil {
		t.Fatal(err)
	}
	if files := tree(t, dir); len(files) != 32 {
		t.Errorf("%d files, want 30, names and log", len(files))
	}
}

// The same as TestNoScanAddsKeysToAServerThatHadOne, with files, some of which get lost.
func TestNoAccidentAddsKeysToAServerThatHadOne(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		random := rand.New(rand.NewPCG(seed, 3))
		dir := t.TempDir()
		had := collect(t, dir, app01, "e1 r1").Trusted
		for range 8 {
			file := filepath.Join(dir, []string{"app01.pub", "app01.pending"}[random.IntN(2)])
			switch data, err := os.ReadFile(file); random.IntN(5) {
			case 0:
				os.Remove(file)
			case 1:
				if err == nil {
					os.WriteFile(file, data[:random.IntN(len(data)+1)], 0o644)
				}
			case 2:
				if err := openStore(t, dir).Retire("app01", keytest.Noon); err != nil {
					t.Fatal(err)
				}
			}
			v := collect(t, dir, app01, fmt.Sprintf("e%d c1", 1+random.IntN(3)))
			for _, k := range v.Trusted {
				if !keys.Contains(had, k) {
					t.Fatalf("seed %d: %s", seed, summary(v))
				}
			}
		}
	}
}

func BenchmarkThousandServers(b *testing.B) {
	dir := b.TempDir()
	policy := func(i int) Policy {
		name := fmt.Sprintf("app%04d", i)
		return Policy{Name: name, Names: []string{name, name + ".example.org", fmt.Sprintf("10.0.%d.%d", i/256, i%256)},
			FirstUse: true}
	}
	run := func(b *testing.B) {
		s, err := Open(dir)
		if err != nil {
			b.Fatal(err)
		}
		var verdicts []Verdict
		for i := range 1000 {
			verdicts = append(verdicts, s.Judge(policy(i), keytest.Sight("e1 c1 r1"), keytest.Noon))
		}
		if err := s.Apply(verdicts...); err != nil {
			b.Fatal(err)
		}
	}
	start := time.Now()
	run(b)
	b.Logf("first use: %v", time.Since(start))
	for b.Loop() {
		run(b)
	}
}

func FuzzKeyFile(f *testing.F) {
	f.Add(formatKeyFile(keytest.Stored("e1 r1", "")))
	f.Add(formatKeyFile(keytest.Stored("w1", "")))
	f.Add([]byte("# a comment\n\n" + keytest.Key("x1").FormatLine() + " rejected 2026-11-20T12:00:00Z\n"))
	f.Add(formatKeyFile(keytest.Stored("e1", ""))[:50])
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := parseServerKeys(data)
		if err != nil {
			return
		}
		again, err := parseServerKeys(formatKeyFile(list))
		if err != nil || len(again) != len(list) || !bytes.Equal(formatKeyFile(again), formatKeyFile(list)) {
			t.Fatalf("%q became %q: %v", formatKeyFile(list), formatKeyFile(again), err)
		}
		pending, rejected := splitRejected(list)
		if len(pending)+len(rejected) != len(list) {
			t.Fatal("a key is neither pending nor rejected")
		}
	})
}

func FuzzNames(f *testing.F) {
	f.Add([]byte(namesHeader + "app01\n10.0.0.1\nfd00::11\n"))
	f.Add([]byte("App01.example.org.\n::ffff:10.0.0.1\n"))
	f.Add([]byte("app01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		names, err := parseNames(data)
		if err != nil {
			return
		}
		again, err := parseNames(formatNames(names))
		if err != nil || fmt.Sprint(again) != fmt.Sprint(names) {
			t.Fatalf("%v became %v: %v", names, again, err)
		}
	})
}
