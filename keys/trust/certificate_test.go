package trust

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/keytest"
	"ltskeeper/internal/testkit/sshdtest"
	"ltskeeper/keys"
	"ltskeeper/keys/scan"
)

// authority makes a CA with ssh-keygen and returns its private key's path.
func authority(t *testing.T, hosts ...string) (string, keys.Authority) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca")
	if out, err := exec.Command(testkit.FindProgram(t, "ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f",
		path).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	line, err := os.ReadFile(path + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	k, err := keys.ParseKey(string(line))
	if err != nil {
		t.Fatal(err)
	}
	return path, keys.Authority{Hosts: hosts, Key: k}
}

// OpenSSH's clients judge certificates as we do: with what we render they log in to a server
// exactly if we say that they can.
func TestCertificatesAsOpenSSHJudgesThem(t *testing.T) {
	t.Parallel()
	ca, declared := authority(t, "*.example.org")
	other, _ := authority(t)
	for _, test := range []struct {
		name     string
		ca       string
		args     []string
		hosts    []string
		fault    string // "" if it is good
		stricter bool   // some clients take it, and we do not
	}{
		{"good", ca, []string{"-n", keytest.AppName}, nil, "", false},
		{"good for more names", ca, []string{"-n", "x," + keytest.AppName}, nil, "", false},
		{"good for ever", ca, []string{"-n", keytest.AppName, "-V", "always:forever"}, nil, "", false},
		{"another name", ca, []string{"-n", "app02.example.org"}, nil, "is not for this name", false},
		{"the short name", ca, []string{"-n", "app01"}, nil, "is not for this name", false},
		{"a pattern", ca, []string{"-n", "*.example.org"}, nil, "is not for this name", false},
		{"no name", ca, nil, nil, "has no principals", true},
		{"expired", ca, []string{"-n", keytest.AppName, "-V", "20200101:20200201"}, nil, "has expired at 2020-", false},
		{"not yet valid", ca, []string{"-n", keytest.AppName, "-V", "+1d:+2d"}, nil, "is not yet valid", false},
		{"somebody else's", other, []string{"-n", keytest.AppName}, nil,
			"is signed by somebody else, ssh-ed25519 SHA256:",
			false},
		{"a pattern that does not cover the name", ca, []string{"-n", keytest.AppName}, []string{"*.example.com"},
			"no CA pattern covers the name", false},
		{"a pattern that excludes the name", ca, []string{"-n", keytest.AppName}, []string{"*.example.org", "!app01.*"},
			"no CA pattern covers the name", false},
		{"a pattern in capitals", ca, []string{"-n", keytest.AppName}, []string{"APP??.EXAMPLE.org"}, "", false},
		{"critical options", ca, []string{"-n", keytest.AppName, "-O", "critical:x@example.org=1"}, nil,
			"has critical options",
			false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := sshdtest.Start(t, sshdtest.Options{KeyTypes: []string{"ed25519"}})
			if err := s.Certify(test.ca, test.args...); err != nil {
				t.Fatal(err)
			}
			a := declared
			if test.hosts != nil {
				a.Hosts = test.hosts
			}
			seen := scanServer(t, &scan.Scanner{},
				scan.Target{Addresses: []string{s.Address}, Port: s.Port, Certificates: true})
			if len(seen.Addresses[0].Certificates) != 1 || len(seen.Addresses[0].Keys) != 1 {
				t.Fatalf("%+v", seen)
			}
			_, err := checkCertificate(keys.Stored{Key: seen.Addresses[0].Certificates[0]}, keytest.AppName,
				[]keys.Authority{a}, nil,
				time.Now())

			if (err == nil) != (test.fault == "") || err != nil && !strings.Contains(err.Error(), test.fault) {
				t.Errorf("%v, want %q", err, test.fault)
			}
			known := keys.RenderKnownHosts(keys.KnownHosts{Authorities: []keys.Authority{a}})
			out, failed := loginAs(t, s, keytest.AppName, known)
			if (failed == nil) != (err == nil) && !test.stricter {
				t.Errorf("we say %v, ssh says %v\n%s", err, failed, out)
			}
		})
	}
}

// certified is a server with a CA, as a farm would declare it.
func certified(t *testing.T, o sshdtest.Options) (k *keeper, ca string) {
	t.Helper()
	k = keep(t, o)
	k.login = nil
	ca, a := authority(t, "*.example.org")
	k.policy.Names = append(k.policy.Names, keytest.AppName)
	k.policy.Authorities, k.policy.ClientNames = []keys.Authority{a}, []string{keytest.AppName}
	k.now = time.Now()
	return k, ca
}

func (k *keeper) known(v Verdict) []byte {
	return keys.RenderKnownHosts(keys.KnownHosts{
		Hosts:       []keys.Host{{Names: k.policy.Names, Keys: keys.PlainKeys(v.Trusted)}},
		Authorities: k.policy.Authorities, Revoked: keys.PlainKeys(openStore(k.t, k.dir).Revoked()),
	})
}

// A server that is known by its certificate alone: its key stands in no line, a new key needs
// nobody, and the end of the certificate is the end of trust.
func TestTrustedByCertificateAlone(t *testing.T) {
	t.Parallel()
	k, ca := certified(t, sshdtest.Options{KeyTypes: []string{"ed25519"}})
	if err := k.server.Certify(ca, "-n", keytest.AppName, "-V", "-1d:+30d"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		v := k.collect()
		if describeState(v) != "trusted" || len(v.Certified) != 1 || len(v.Trusted)+len(v.Pending) > 0 ||
			v.NeedsDecision ||
			len(v.decision.certs.notes) > 0 {
			t.Fatalf("%s, %q", summary(v), v.Reasons)
		}
		if known := string(k.known(v)); strings.Contains("\n"+known, "\napp01") {
			t.Errorf("a plain line:\n%s", known)
		}
		if out, err := loginAs(t, k.server, keytest.AppName, k.known(v)); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
	if told := story(t, k.dir); len(told) != 1 ||
		!strings.Contains(told[0], "unknown certified certificate of SHA256:") {
		t.Errorf("the log says %q", told)
	}

	// Another key, certified: nothing to decide.
	if err := k.server.ChangeKeys(); err != nil {
		t.Fatal(err)
	}
	if err := k.server.Certify(ca, "-n", keytest.AppName, "-V", "-1d:+10d"); err != nil {
		t.Fatal(err)
	}
	v := k.collect()
	if describeState(v) != "trusted" || len(v.Pending) > 0 || !v.NeedsDecision || len(v.decision.certs.notes) != 1 ||
		!strings.Contains(v.decision.certs.notes[0], "expires at") {
		t.Errorf("a new key, expiring soon: %s, %q", summary(v), v.Reasons)
	}

	// While it is silent, the certificate on record counts as long as it is valid.
	k.server.Stop()
	if v := k.collect(); describeState(v) != "silent" || len(v.Certified) != 1 {
		t.Errorf("silent: %s", summary(v))
	}
	good, until, err := openStore(t, k.dir).Certified(k.policy, k.now.AddDate(0, 0, 9))
	if left := until.Sub(k.now); !good || err != nil || left < 9*24*time.Hour || left > 11*24*time.Hour {
		t.Errorf("on record: %v until %v, %v", good, until, err)
	}
	if good, _, err := openStore(t, k.dir).Certified(k.policy, k.now.AddDate(0, 0, 11)); good || err != nil {
		t.Errorf("on record and expired: %v, %v", good, err)
	}

	// Somebody who has none answers in its place.
	if err := k.server.ChangeKeys(); err != nil {
		t.Fatal(err)
	}
	v = k.collect()
	if !v.IsSuspect || !v.NeedsDecision || len(v.Added) > 0 || len(v.Pending) != 1 {
		t.Errorf("an impostor: %s, %q", summary(v), v.Reasons)
	}
	if out, err := loginAs(t, k.server, keytest.AppName, k.known(v)); err == nil {
		t.Errorf("ssh lets the impostor in\n%s", out)
	}
}

// A server that a CA covers has no first use: it shows a certificate, or waits.
func TestNoFirstUseUnderACA(t *testing.T) {
	t.Parallel()
	k, _ := certified(t, sshdtest.Options{KeyTypes: []string{"ed25519"}})
	v := k.collect()
	if describeState(v) != "pending" || !v.NeedsDecision ||
		!strings.Contains(strings.Join(v.Reasons, "\n"), "shows no certificate, though a CA covers it") {
		t.Errorf("%s, %q", summary(v), v.Reasons)
	}
}

// A key that was trusted before its certificate stays so, and what is wrong with the certificate is
// said: OpenSSH falls back to the plain line.
func TestPlainKeyWithABadCertificate(t *testing.T) {
	t.Parallel()
	k, ca := certified(t, sshdtest.Options{KeyTypes: []string{"ed25519"}})
	put(t, k.dir, "app01.pub", func() keys.Key {
		key, err := keys.ParseKey(k.server.PublicKeys()[0])
		if err != nil {
			t.Fatal(err)
		}
		return key
	}())
	if err := k.server.Certify(ca, "-n", keytest.AppName, "-V", "20200101:20200201"); err != nil {
		t.Fatal(err)
	}
	v := k.collect()
	if describeState(v) != "trusted" || !v.NeedsDecision || len(v.Trusted) != 1 || len(v.Certified) > 0 {
		t.Errorf("%s, %q", summary(v), v.Reasons)
	}
	want := fmt.Sprintf("app01 shows a certificate that has expired at 2020-02-01T00:00:00Z "+
		"(for the name %s, of ssh-ed25519 %s)", keytest.AppName, v.Trusted[0].Fingerprint())
	if said := strings.Join(v.Reasons, "\n"); said != want {
		t.Errorf("it says %q, want %q", said, want)
	}
	if out, err := loginAs(t, k.server, keytest.AppName, k.known(v)); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// A certificate that was taken stays good where this machine's clock is set back to before its
// beginning, shown or not; a new one has not begun then.
func TestClockSetBackBeforeACertificate(t *testing.T) {
	t.Parallel()
	k, ca := certified(t, sshdtest.Options{KeyTypes: []string{"ed25519"}})
	if err := k.server.Certify(ca, "-n", keytest.AppName, "-V", "-1h:+1d"); err != nil {
		t.Fatal(err)
	}
	if v := k.collect(); describeState(v) != "trusted" {
		t.Fatalf("%s, %q", summary(v), v.Reasons)
	}
	k.now = k.now.AddDate(-20, 0, 0)
	if v := k.collect(); describeState(v) != "trusted" || v.NeedsDecision || len(v.Certified) != 1 {
		t.Errorf("shown: %s, %q", summary(v), v.Reasons)
	}
	if good, _, err := openStore(t, k.dir).Certified(k.policy, k.now); !good || err != nil {
		t.Errorf("on record: %v, %v", good, err)
	}
	if err := k.server.Certify(ca, "-n", keytest.AppName, "-V", "-1h:+1d"); err != nil {
		t.Fatal(err)
	}
	if v := k.collect(); !v.NeedsDecision || !strings.Contains(strings.Join(v.Reasons, "\n"), "is not yet valid") ||
		len(v.Certified) != 1 {
		t.Errorf("a new one: %s, %q", summary(v), v.Reasons)
	}
}

// Revocation is stronger than a certificate.
func TestRevokedKeyWithACertificate(t *testing.T) {
	t.Parallel()
	k, ca := certified(t, sshdtest.Options{KeyTypes: []string{"ed25519"}})
	if err := k.server.Certify(ca, "-n", keytest.AppName); err != nil {
		t.Fatal(err)
	}
	v := k.collect()
	if _, err := openStore(t, k.dir).Revoke("app01", v.decision.certs.vouched, k.now); err != nil {
		t.Fatal(err)
	}
	v = k.collect()
	if !v.IsSuspect || len(v.decision.revoked) != 1 || len(v.Certified) > 0 {
		t.Errorf("%s, %q", summary(v), v.Reasons)
	}
	if out, err := loginAs(t, k.server, keytest.AppName, k.known(v)); err == nil {
		t.Errorf("ssh lets it in\n%s", out)
	}
	// So is that of the CA's own key.
	if _, err := openStore(t, k.dir).Revoke("", []keys.Key{k.policy.Authorities[0].Key}, k.now); err != nil {
		t.Fatal(err)
	}
	if err := k.server.ChangeKeys(); err != nil {
		t.Fatal(err)
	}
	if err := k.server.Certify(ca, "-n", keytest.AppName); err != nil {
		t.Fatal(err)
	}
	v = k.collect()
	if len(v.Certified) > 0 || !strings.Contains(strings.Join(v.Reasons, "\n"), "is signed by a revoked key") {
		t.Errorf("a revoked CA: %s, %q", summary(v), v.Reasons)
	}
	if out, err := loginAs(t, k.server, keytest.AppName, k.known(v)); err == nil {
		t.Errorf("ssh lets it in\n%s", out)
	}
}

// With a login, one connection shows the certificate and has the keys proven.
func TestLoginAndCertificate(t *testing.T) {
	t.Parallel()
	k, ca := certified(t, sshdtest.Options{KeyTypes: []string{"ed25519", "rsa"}})
	k.login = loginTo(t, k.server)
	trusted, err := keys.ParseKey(k.server.PublicKeys()[1]) // clients prefer the certificate of the other
	if err != nil {
		t.Fatal(err)
	}
	put(t, k.dir, "app01.pub", trusted)
	if err := k.server.Certify(ca, "-n", keytest.AppName); err != nil {
		t.Fatal(err)
	}
	v := k.collect()
	if describeState(v) != "trusted" || len(v.Certified) != 1 ||
		v.Certified[0].Type != "ssh-ed25519-cert-v01@openssh.com" ||
		len(v.Added) != 1 || v.NeedsDecision {
		t.Errorf("%s, %q", summary(v), v.Reasons)
	}
	v = k.collect()
	if a := k.seen.Addresses[0]; len(a.Keys) != 1 || len(a.Certificates) != 1 || a.Testimony == nil {
		t.Errorf("the second time: %+v", a)
	}
}

// Somebody writes the CA's key into a certificate that he signs himself.
func TestForgedCertificate(t *testing.T) {
	t.Parallel()
	ca := keytest.Signer("two")
	k := keytest.Certificate(t)
	declared := []keys.Authority{{Hosts: []string{"*"}, Key: keytest.KeyOf(t, ca)}}
	if _, err := checkCertificate(keys.Stored{Key: k}, keytest.AppName, declared, nil, keytest.Noon); err != nil {
		t.Fatalf("a good one: %v", err)
	}
	cert, err := keys.ParseCertificate(k)
	if err != nil {
		t.Fatal(err)
	}
	if err := cert.SignCert(rand.Reader, keytest.Signer("thief")); err != nil {
		t.Fatal(err)
	}
	cert.SignatureKey = ca.PublicKey()
	forged, err := keys.ParseBlob(cert.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := checkCertificate(keys.Stored{Key: forged}, keytest.AppName, declared,
		nil, keytest.Noon); err == nil ||
		!strings.Contains(err.Error(), "not its CA's") {
		t.Errorf("a forged one: %v", err)
	}
}

func FuzzCertificate(f *testing.F) {
	f.Add([]byte("ssh-ed25519-cert-v01@openssh.com"))
	f.Add(append(keytest.SSHString("ssh-ed25519-cert-v01@openssh.com"), make([]byte, 300)...))
	f.Add([]byte(keytest.Certificate(f).Blob))
	f.Fuzz(func(t *testing.T, blob []byte) {
		k := keys.Key{Type: "ssh-ed25519-cert-v01@openssh.com", Blob: blob}
		if _, err := checkCertificate(keys.Stored{Key: k}, keytest.AppName,
			[]keys.Authority{{Hosts: []string{"*"}, Key: keytest.Key("e1")}},
			nil, keytest.Noon); err == nil {
			t.Errorf("%x is taken, which e1 has not signed", blob)
		}
	})
}
