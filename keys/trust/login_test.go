package trust

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"ltskeeper/internal/testkit/keytest"
	"ltskeeper/internal/testkit/sshdtest"
	"ltskeeper/keys"
	"ltskeeper/keys/scan"
)

// loginTo logs in as the account that may do nothing else.
func loginTo(t *testing.T, s *sshdtest.Server) *scan.Login {
	t.Helper()
	auth, _, err := scan.OpenIdentity(s.Restricted)
	if err != nil {
		t.Fatal(err)
	}
	return &scan.Login{User: s.User, Auth: auth}
}

// A keeper collects one server's keys, again and again.
type keeper struct {
	t      *testing.T
	server *sshdtest.Server
	dir    string
	login  *scan.Login
	policy Policy
	now    time.Time
	seen   keys.Sighting // the latest
}

func keep(t *testing.T, o sshdtest.Options) *keeper {
	t.Helper()
	s := sshdtest.Start(t, o)
	return &keeper{
		t: t, server: s, dir: t.TempDir(), login: loginTo(t, s), now: keytest.Noon,
		policy: Policy{Name: "app01", Names: []string{"app01", s.Address}, FirstUse: true,
			RetireAfter: 14 * 24 * time.Hour},
	}
}

func (k *keeper) collect() Verdict {
	k.t.Helper()
	store := openStore(k.t, k.dir)
	trusted, err := store.Trusted("app01", k.policy.Pins)
	if err != nil {
		k.t.Fatal(err)
	}
	to := scan.Target{Name: "app01", Addresses: []string{k.server.Address}, Port: k.server.Port,
		Trusted:      keys.PlainKeys(trusted),
		Certificates: len(k.policy.Authorities) > 0}
	k.seen = scanServer(k.t, &scan.Scanner{Login: k.login}, to)
	v := store.Judge(k.policy, k.seen, k.now)
	if err := store.Apply(v); err != nil {
		k.t.Fatal(err)
	}
	return v
}

// typesOf are the types of keys, in order.
func typesOf(list []keys.Stored) string {
	var types []string
	for _, k := range list {
		types = append(types, k.Type)
	}
	slices.Sort(types)
	return strings.Join(types, " ")
}

// logins makes sure of what the real ssh does with each of the algorithms.
func (k *keeper) logins(v Verdict, want map[string]bool) {
	k.t.Helper()
	known := keys.RenderKnownHosts(keys.KnownHosts{
		Hosts:   []keys.Host{{Names: k.policy.Names, Port: k.server.Port, Keys: keys.PlainKeys(v.Trusted)}},
		Revoked: keys.PlainKeys(openStore(k.t, k.dir).Revoked()),
	})
	for algorithm, right := range want {
		out, err := runSSH(k.t, k.server, known, "-o", "HostKeyAlgorithms="+algorithm)
		if (err == nil) != right {
			k.t.Errorf("login with %s: %v, want %v\n%s", algorithm, err, right, out)
		}
	}
}

const (
	ed25519Algorithm = "ssh-ed25519"
	ecdsaAlgorithm   = "ecdsa-sha2-nistp256"
	rsaAlgorithm     = "rsa-sha2-512"
)

// A server gets further keys, and one day loses the first one: nobody is asked, and clients can log
// in all the time.
func TestProofLetsKeysRotate(t *testing.T) {
	t.Parallel()
	k := keep(t, sshdtest.Options{KeyTypes: []string{"ed25519"}})
	if v := k.collect(); describeState(v) != "first-use" {
		t.Fatalf("first use: %s", summary(v))
	}
	if v := k.collect(); describeState(v) != "trusted" || len(v.decision.confirmed) != 1 ||
		k.seen.Addresses[0].Testimony == nil {
		t.Fatalf("with a login: %+v", v)
	}
	first := openStore(t, k.dir).mustTrust(t)[0]

	for _, typ := range []string{"rsa", "ecdsa", "ed25519"} {
		if err := k.server.AddKey(typ); err != nil {
			t.Fatal(err)
		}
	}
	v := k.collect()
	if describeState(v) != "trusted" || v.NeedsDecision || len(v.Added) != 3 ||
		typesOf(v.Trusted) != "ecdsa-sha2-nistp256 ssh-ed25519 ssh-ed25519 ssh-rsa" {
		t.Fatalf("proven: %s, %v", summary(v), v.Reasons)
	}
	for _, added := range v.Added {
		if by := added.Origin.VouchedBy; by == "" || by == added.Fingerprint() {
			t.Errorf("%s was vouched for by %q", added.Type, by)
		}
	}
	k.logins(v, map[string]bool{ed25519Algorithm: true, ecdsaAlgorithm: true, rsaAlgorithm: true})
	if out := strings.Join(story(t, k.dir), "\n"); !strings.Contains(out,
		"unknown trusted proven by "+first.Fingerprint()) {
		t.Errorf("the log says\n%s", out)
	}

	// The old key is gone: that is said once, it stays for a while, and then goes.
	if err := k.server.DropKey("ed25519"); err != nil {
		t.Fatal(err)
	}
	v = k.collect()
	if len(v.decision.leaving) != 1 || !v.NeedsDecision || v.IsSuspect || len(v.Trusted) != 4 {
		t.Fatalf("gone: %s", summary(v))
	}
	if said := strings.Join(v.Reasons, "\n"); !strings.Contains(said,
		"app01 has no ssh-ed25519 "+first.Fingerprint()+" any more, which is trusted until 2026-12-04") {
		t.Errorf("it says %q", said)
	}
	k.now = k.now.AddDate(0, 0, 13)
	if v := k.collect(); len(v.decision.leaving) > 0 || v.NeedsDecision || len(v.Trusted) != 4 {
		t.Fatalf("a day before its time: %s", summary(v))
	}
	k.now = k.now.AddDate(0, 0, 1)
	v = k.collect()
	if len(v.Removed) != 1 || v.NeedsDecision || typesOf(v.Trusted) != "ecdsa-sha2-nistp256 ssh-ed25519 ssh-rsa" {
		t.Fatalf("retired: %s", summary(v))
	}
	k.logins(v, map[string]bool{ed25519Algorithm: true, ecdsaAlgorithm: true, rsaAlgorithm: true})
	if told := story(t, k.dir); !strings.HasSuffix(told[len(told)-1], "trusted unknown retired") {
		t.Errorf("the log ends with %q", told[len(told)-1])
	}
}

// mustTrust are the trusted keys of app01.
func (s *Store) mustTrust(t *testing.T) []keys.Key {
	t.Helper()
	trusted, err := s.Trusted("app01", nil)
	if err != nil {
		t.Fatal(err)
	}
	return keys.PlainKeys(trusted)
}

// A key that comes back in time, because its server was rolled back, stays.
func TestKeyThatComesBackStays(t *testing.T) {
	t.Parallel()
	one, two := keytest.Key("e1"), keytest.Key("r1")
	testify := func(listed ...keys.Key) keys.Sighting {
		s := keytest.Sight("e1")
		s.Addresses[0].Testimony = &keys.Testimony{By: one, Listed: listed}
		return s
	}
	p := Policy{Name: "app01", RetireAfter: time.Hour}
	r := record{trusted: keytest.Stored("e1 r1", "")}
	for i, step := range []struct {
		after  time.Duration
		seen   keys.Sighting
		want   string
		leaves bool
	}{
		{0, testify(one), "trusted [e1 r1] decision", true},
		{30 * time.Minute, testify(one), "trusted [e1 r1]", false},
		{50 * time.Minute, testify(one, two), "trusted [e1 r1]", false},
		{2 * time.Hour, testify(one), "trusted [e1 r1] decision", true},
		{4 * time.Hour, keytest.Sight("e1"), "trusted [e1 r1]", false}, // a scan does not tell
		{5 * time.Hour, testify(), "trusted [e1 r1]", false},           // nor does a server that says nothing
		{6 * time.Hour, testify(one), "trusted [e1] removed[r1]", false},
	} {
		v := judged(p, r, step.seen, keytest.Noon.Add(step.after))
		if got := summary(v); got != step.want || (len(v.decision.leaving) > 0) != step.leaves {
			t.Errorf("step %d: %s, leaving %q; want %s", i, got, keytest.Names(v.decision.leaving), step.want)
		}
		r = v.decision.change.after
	}
}

// The key changed, and nothing is left that could vouch for the new one.
func TestRotationWithoutTheOldKey(t *testing.T) {
	t.Parallel()
	k := keep(t, sshdtest.Options{KeyTypes: []string{"ed25519"}})
	k.collect()
	if err := k.server.ChangeKeys(); err != nil {
		t.Fatal(err)
	}
	v := k.collect()
	if describeState(v) != "suspect" || !v.NeedsDecision || len(v.decision.changed) != 1 || len(v.Added) > 0 ||
		k.seen.Addresses[0].Testimony != nil {
		t.Errorf("%s", summary(v))
	}
	k.logins(v, map[string]bool{ed25519Algorithm: false})
}

// One key of several changed: one of the others vouches for it.
func TestAnotherTypeVouches(t *testing.T) {
	t.Parallel()
	k := keep(t, sshdtest.Options{KeyTypes: []string{"ed25519", "rsa"}})
	k.collect()
	if err := k.server.DropKey("ed25519"); err != nil {
		t.Fatal(err)
	}
	if err := k.server.AddKey("ed25519"); err != nil {
		t.Fatal(err)
	}
	v := k.collect()
	if describeState(v) != "trusted" || len(v.Added) != 1 || len(v.decision.leaving) != 1 ||
		v.Added[0].Type != "ssh-ed25519" {
		t.Fatalf("%s", summary(v))
	}
	k.logins(v, map[string]bool{ed25519Algorithm: true, rsaAlgorithm: true})
}

// A pinned server trusts what is pinned, whatever it proves, and loses none of it.
func TestProofAndPins(t *testing.T) {
	t.Parallel()
	k := keep(t, sshdtest.Options{KeyTypes: []string{"ed25519", "rsa"}})
	for _, line := range k.server.PublicKeys() {
		key, err := keys.ParseKey(line)
		if err != nil {
			t.Fatal(err)
		}
		k.policy.Pins = append(k.policy.Pins, key.Fingerprint())
	}
	if v := k.collect(); len(v.Trusted) != 2 {
		t.Fatalf("%s", summary(v))
	}
	if err := k.server.DropKey("ed25519"); err != nil {
		t.Fatal(err)
	}
	if err := k.server.AddKey("ecdsa"); err != nil {
		t.Fatal(err)
	}
	k.collect()
	k.now = k.now.AddDate(1, 0, 0)
	if v := k.collect(); typesOf(v.Trusted) != "ssh-ed25519 ssh-rsa" || typesOf(v.Pending) != "ecdsa-sha2-nistp256" ||
		v.NeedsDecision {
		t.Errorf("%s", summary(v))
	}
}

// A thief has one trusted key and has his own proven with it. Once the theft is known, both go.
func TestThiefIsRevokedWithHisKeys(t *testing.T) {
	t.Parallel()
	k := keep(t, sshdtest.Options{KeyTypes: []string{"ed25519", "rsa"}})
	k.collect()
	if err := k.server.DropKey("rsa"); err != nil { // the thief's machine has the stolen key,
		t.Fatal(err)
	}
	if err := k.server.AddKey("rsa"); err != nil { // and one of his own
		t.Fatal(err)
	}
	v := k.collect()
	if len(v.Added) != 1 {
		t.Fatalf("the thief: %s", summary(v))
	}
	k.logins(v, map[string]bool{rsaAlgorithm: true})

	store := openStore(t, k.dir)
	stolen := k.seen.Addresses[0].Testimony.By
	offspring, err := store.Offspring([]keys.Key{stolen})
	if err != nil || !keytest.Same(offspring, v.Added) {
		t.Fatalf("offspring %v, %v", offspring, err)
	}
	if _, err := store.Revoke("app01", append(keys.PlainKeys(offspring), stolen), k.now); err != nil {
		t.Fatal(err)
	}
	v = k.collect()
	if !v.IsSuspect || !v.NeedsDecision || len(v.decision.revoked) == 0 || typesOf(v.Trusted) != "ssh-rsa" {
		t.Errorf("afterwards: %s", summary(v))
	}
	k.logins(v, map[string]bool{rsaAlgorithm: false, ed25519Algorithm: false})
}

func TestLoginRefused(t *testing.T) {
	t.Parallel()
	k := keep(t, sshdtest.Options{KeyTypes: []string{"ed25519", "rsa"}})
	k.collect()
	stranger := filepath.Join(t.TempDir(), "key")
	private, err := os.ReadFile(filepath.Join(k.server.Dir, "host_key_1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(stranger, private, 0o600); err != nil {
		t.Fatal(err)
	}
	auth, _, err := scan.OpenIdentity(stranger)
	if err != nil {
		t.Fatal(err)
	}
	k.login.Auth = auth
	v := k.collect()
	failed, ok := k.seen.Addresses[0].Err.(*scan.AddressError)
	if describeState(v) != "trusted" || v.NeedsDecision || !ok || failed.Kind != scan.KindLogin ||
		!strings.Contains(failed.Error(), "does not log "+k.server.User+" in") {
		t.Errorf("%s, %v", summary(v), failed)
	}
}

func TestLoginWithAnAgent(t *testing.T) {
	t.Parallel()
	k := keep(t, sshdtest.Options{KeyTypes: []string{"ed25519"}})
	data, err := os.ReadFile(k.server.Restricted)
	if err != nil {
		t.Fatal(err)
	}
	private, err := ssh.ParseRawPrivateKey(data)
	if err != nil {
		t.Fatal(err)
	}
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: private}); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "agent") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "socket")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			agent.ServeAgent(ring, conn)
		}
	}()
	auth, end, err := scan.OpenIdentity(socket)
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	k.login.Auth = auth
	k.collect()
	if k.collect(); k.seen.Addresses[0].Testimony == nil {
		t.Errorf("%+v", k.seen)
	}
}
