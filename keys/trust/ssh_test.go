package trust

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/keytest"
	"ltskeeper/internal/testkit/sshdtest"
	"ltskeeper/keys"
	"ltskeeper/keys/scan"
)

// ssh runs a command on the server with the real ssh and a known_hosts of ours.
func runSSH(t *testing.T, s *sshdtest.Server, knownHosts []byte, options ...string) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(file, knownHosts, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-F", "none", "-p", strconv.Itoa(s.Port), "-i", s.Identity, "-o", "BatchMode=yes",
		"-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile=" + file, "-o", "GlobalKnownHostsFile=none"}
	args = append(args, options...)
	out, err := exec.Command(testkit.FindProgram(t, "ssh"),
		append(args, s.User+"@"+s.Address, "echo", "hello")...).CombinedOutput()
	return string(out), err
}

// From a real server's keys, through scan, store and known_hosts, to a login.
func TestLoginWithWhatWasCollected(t *testing.T) {
	t.Parallel()
	s := sshdtest.Start(t, sshdtest.Options{})
	target := scan.Target{Name: "app01", Addresses: []string{s.Address}, Port: s.Port}
	policy := Policy{Name: "app01", Names: []string{"app01", s.Address}, FirstUse: true}
	dir := t.TempDir()
	look := func() Verdict {
		t.Helper()
		store := openStore(t, dir)
		v := store.Judge(policy, scanServer(t, &scan.Scanner{}, target), time.Now())
		if err := store.Apply(v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	render := func(v Verdict, revoked ...keys.Key) []byte {
		return keys.RenderKnownHosts(keys.KnownHosts{Hosts: []keys.Host{{Names: policy.Names, Port: s.Port,
			Keys: keys.PlainKeys(v.Trusted)}},
			Revoked: revoked})
	}

	first := look()
	if describeState(first) != "first-use" || len(first.Trusted) != 3 {
		t.Fatalf("first use: %+v", first)
	}
	for _, algorithm := range []string{"ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256"} {
		if out, err := runSSH(t, s, render(first), "-o", "HostKeyAlgorithms="+algorithm); err != nil ||
			out != "hello\n" {
			t.Errorf("%s: %v\n%s", algorithm, err, out)
		}
	}
	if out, err := runSSH(t, s, render(first, first.Trusted[0].Key), "-o",
		"HostKeyAlgorithms="+first.Trusted[0].Type); err == nil ||
		!strings.Contains(out, "REVOKED") {
		t.Errorf("with a revoked key: %v\n%s", err, out)
	}

	if err := s.ChangeKeys(); err != nil {
		t.Fatal(err)
	}
	changed := look()
	if describeState(changed) != "suspect" || !changed.NeedsDecision || len(changed.decision.changed) != 3 ||
		!keytest.Same(changed.Trusted, first.Trusted) {
		t.Fatalf("changed: %+v", changed)
	}
	if out, err := runSSH(t, s, render(changed)); err == nil || !strings.Contains(out, "HAS CHANGED") {
		t.Errorf("with the old keys: %v\n%s", err, out)
	}
	if _, replaced, err := openStore(t, dir).Accept(policy, nil, time.Now()); err != nil ||
		!keytest.Same(replaced, first.Trusted) {
		t.Fatalf("accept: replaced %v, %v", replaced, err)
	}
	accepted := look()
	if describeState(accepted) != "trusted" || len(accepted.decision.confirmed) != 3 || accepted.NeedsDecision {
		t.Fatalf("accepted: %+v", accepted)
	}
	if out, err := runSSH(t, s, render(accepted)); err != nil || out != "hello\n" {
		t.Errorf("with the accepted keys: %v\n%s", err, out)
	}
}

// loginAs logs in with the real ssh to a name that no name service knows, at the usual port as far
// as ssh knows.
func loginAs(t *testing.T, s *sshdtest.Server, name string, knownHosts []byte) (string, error) {
	t.Helper()
	return runSSH(t, s, knownHosts, "-o", "HostKeyAlias="+name)
}

// At another port the patterns are for that port.
func TestCertificateAtAPort(t *testing.T) {
	t.Parallel()
	ca, a := authority(t, "127.*", "!127.0.0.1")
	s := sshdtest.Start(t, sshdtest.Options{KeyTypes: []string{"ed25519"}})
	if err := s.Certify(ca, "-n", s.Address); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		port int
		want bool
	}{{s.Port, true}, {s.Port + 1, false}} {
		known := keys.RenderKnownHosts(keys.KnownHosts{Authorities: []keys.Authority{a}, Port: test.port})
		if out, err := runSSH(t, s, known); (err == nil) != test.want {
			t.Errorf("port %d: %v\n%s\n%s", test.port, err, known, out)
		}
		if mistakes := keys.CheckKnownHosts(known); len(mistakes) > 0 {
			t.Errorf("%q: %v", known, mistakes)
		}
	}
}

// A server at an IPv6 address is known by it, in brackets if its port is not the usual one.
func TestLoginOverIPv6(t *testing.T) {
	t.Parallel()
	s := sshdtest.StartIPv6(t, sshdtest.Options{KeyTypes: []string{"ed25519"}})
	key, err := keys.ParseKey(s.PublicKeys()[0])
	if err != nil {
		t.Fatal(err)
	}
	data := keys.RenderKnownHosts(keys.KnownHosts{Hosts: []keys.Host{{Names: []string{"::1"}, Port: s.Port,
		Keys: []keys.Key{key}}}})
	if out, err := runSSH(t, s, data); err != nil || out != "hello\n" {
		t.Errorf("login: %v\n%s", err, out)
	}
}

// scanServer asks a server for its keys.
func scanServer(t *testing.T, s *scan.Scanner, target scan.Target) keys.Sighting {
	t.Helper()
	if s.Timeout == 0 {
		s.Timeout = time.Minute // longer than a busy machine takes
	}
	sightings, err := s.Scan(t.Context(), []scan.Target{target}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return sightings[0]
}
