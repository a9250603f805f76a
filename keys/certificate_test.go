package keys

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"ltskeeper/internal/testkit/sshdtest"
)

// authority makes a CA with ssh-keygen and returns its private key's path.
func authority(t *testing.T, hosts ...string) (string, Authority) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca")
	if out, err := exec.Command(tool(t, "ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f",
		path).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	line, err := os.ReadFile(path + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	k, err := ParseKey(string(line))
	if err != nil {
		t.Fatal(err)
	}
	return path, Authority{Hosts: hosts, Key: k}
}

// loginAs logs in with the real ssh to a name that no name service knows, at the usual port as far
// as ssh knows.
func loginAs(t *testing.T, s *sshdtest.Server, name string, knownHosts []byte) (string, error) {
	t.Helper()
	return runSSH(t, s, knownHosts, "-o", "HostKeyAlias="+name)
}

const appName = "app01.example.org"

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
		{"good", ca, []string{"-n", appName}, nil, "", false},
		{"good for more names", ca, []string{"-n", "x," + appName}, nil, "", false},
		{"good for ever", ca, []string{"-n", appName, "-V", "always:forever"}, nil, "", false},
		{"another name", ca, []string{"-n", "app02.example.org"}, nil, "is not for this name", false},
		{"the short name", ca, []string{"-n", "app01"}, nil, "is not for this name", false},
		{"a pattern", ca, []string{"-n", "*.example.org"}, nil, "is not for this name", false},
		{"no name", ca, nil, nil, "has no principals", true},
		{"expired", ca, []string{"-n", appName, "-V", "20200101:20200201"}, nil, "has expired at 2020-", false},
		{"not yet valid", ca, []string{"-n", appName, "-V", "+1d:+2d"}, nil, "is not yet valid", false},
		{"somebody else's", other, []string{"-n", appName}, nil, "is signed by somebody else, ssh-ed25519 SHA256:",
			false},
		{"a pattern that does not cover the name", ca, []string{"-n", appName}, []string{"*.example.com"},
			"no CA pattern covers the name", false},
		{"a pattern that excludes the name", ca, []string{"-n", appName}, []string{"*.example.org", "!app01.*"},
			"no CA pattern covers the name", false},
		{"a pattern in capitals", ca, []string{"-n", appName}, []string{"APP??.EXAMPLE.org"}, "", false},
		{"critical options", ca, []string{"-n", appName, "-O", "critical:x@example.org=1"}, nil, "has critical options",
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
			to := target("app01", s)
			to.Certificates = true
			seen := scanOne(t, patient, to)
			if len(seen.Addresses[0].Certificates) != 1 || len(seen.Addresses[0].Keys) != 1 {
				t.Fatalf("%+v", seen)
			}
			_, err := checkCertificate(Stored{Key: seen.Addresses[0].Certificates[0]}, appName, []Authority{a},
				func(Key) bool { return false }, time.Now())
			if (err == nil) != (test.fault == "") || err != nil && !strings.Contains(err.Error(), test.fault) {
				t.Errorf("%v, want %q", err, test.fault)
			}
			known := RenderKnownHosts(KnownHosts{Authorities: []Authority{a}})
			out, failed := loginAs(t, s, appName, known)
			if (failed == nil) != (err == nil) && !test.stricter {
				t.Errorf("we say %v, ssh says %v\n%s", err, failed, out)
			}
		})
	}
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
		known := RenderKnownHosts(KnownHosts{Authorities: []Authority{a}, Port: test.port})
		if out, err := runSSH(t, s, known); (err == nil) != test.want {
			t.Errorf("port %d: %v\n%s\n%s", test.port, err, known, out)
		}
		if mistakes := CheckKnownHosts(known); len(mistakes) > 0 {
			t.Errorf("%q: %v", known, mistakes)
		}
	}
}

// certified is a server with a CA, as a farm would declare it.
func certified(t *testing.T, o sshdtest.Options) (k *keeper, ca string) {
	t.Helper()
	k = keep(t, o)
	k.login = nil
	ca, a := authority(t, "*.example.org")
	k.policy.Names = append(k.policy.Names, appName)
	k.policy.Authorities, k.policy.Listed = []Authority{a}, []string{appName}
	k.now = time.Now()
	return k, ca
}

func (k *keeper) known(v Verdict) []byte {
	return RenderKnownHosts(KnownHosts{
		Hosts:       []Host{{Names: k.policy.Names, Keys: Plain(v.Trusted)}},
		Authorities: k.policy.Authorities, Revoked: Plain(open(k.t, k.dir).Revoked()),
	})
}

// A server that is known by its certificate alone: its key stands in no line, a new key needs
// nobody, and the end of the certificate is the end of trust.
func TestTrustedByCertificateAlone(t *testing.T) {
	t.Parallel()
	k, ca := certified(t, sshdtest.Options{KeyTypes: []string{"ed25519"}})
	if err := k.server.Certify(ca, "-n", appName, "-V", "-1d:+30d"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		v := k.collect()
		if v.State != StateTrusted || len(v.Certified) != 1 || len(v.Trusted)+len(v.Pending) > 0 || v.Decision ||
			len(v.CertNotes) > 0 {
			t.Fatalf("%s, %q", summary(v), v.Reasons())
		}
		if known := string(k.known(v)); strings.Contains("\n"+known, "\napp01") {
			t.Errorf("a plain line:\n%s", known)
		}
		if out, err := loginAs(t, k.server, appName, k.known(v)); err != nil {
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
	if err := k.server.Certify(ca, "-n", appName, "-V", "-1d:+10d"); err != nil {
		t.Fatal(err)
	}
	v := k.collect()
	if v.State != StateTrusted || len(v.Pending) > 0 || !v.Decision || len(v.CertNotes) != 1 ||
		!strings.Contains(v.CertNotes[0], "expires at") {
		t.Errorf("a new key, expiring soon: %s, %q", summary(v), v.Reasons())
	}

	// While it is silent, the certificate on record counts as long as it is valid.
	k.server.Stop()
	if v := k.collect(); v.State != StateSilent || len(v.Certified) != 1 {
		t.Errorf("silent: %s", summary(v))
	}
	good, until, err := open(t, k.dir).Certified(k.policy, k.now.AddDate(0, 0, 9))
	if left := until.Sub(k.now); !good || err != nil || left < 9*24*time.Hour || left > 11*24*time.Hour {
		t.Errorf("on record: %v until %v, %v", good, until, err)
	}
	if good, _, err := open(t, k.dir).Certified(k.policy, k.now.AddDate(0, 0, 11)); good || err != nil {
		t.Errorf("on record and expired: %v, %v", good, err)
	}

	// Somebody who has none answers in its place.
	if err := k.server.ChangeKeys(); err != nil {
		t.Fatal(err)
	}
	v = k.collect()
	if !v.Suspect || !v.Decision || len(v.Added) > 0 || len(v.Pending) != 1 {
		t.Errorf("an impostor: %s, %q", summary(v), v.Reasons())
	}
	if out, err := loginAs(t, k.server, appName, k.known(v)); err == nil {
		t.Errorf("ssh lets the impostor in\n%s", out)
	}
}

// A server that a CA covers has no first use: it shows a certificate, or waits.
func TestNoFirstUseUnderACA(t *testing.T) {
	t.Parallel()
	k, _ := certified(t, sshdtest.Options{KeyTypes: []string{"ed25519"}})
	v := k.collect()
	if v.State != StatePending || !v.Decision ||
		!strings.Contains(strings.Join(v.Reasons(), "\n"), "shows no certificate, though a CA covers it") {
		t.Errorf("%s, %q", summary(v), v.Reasons())
	}
}

// A key that was trusted before its certificate stays so, and what is wrong with the certificate is
// said: OpenSSH falls back to the plain line.
func TestPlainKeyWithABadCertificate(t *testing.T) {
	t.Parallel()
	k, ca := certified(t, sshdtest.Options{KeyTypes: []string{"ed25519"}})
	put(t, k.dir, "app01.pub", func() Key {
		key, err := ParseKey(k.server.PublicKeys()[0])
		if err != nil {
			t.Fatal(err)
		}
		return key
	}())
	if err := k.server.Certify(ca, "-n", appName, "-V", "20200101:20200201"); err != nil {
		t.Fatal(err)
	}
	v := k.collect()
	if v.State != StateTrusted || !v.Decision || len(v.Trusted) != 1 || len(v.Certified) > 0 {
		t.Errorf("%s, %q", summary(v), v.Reasons())
	}
	want := fmt.Sprintf("app01 shows a certificate that has expired at 2020-02-01T00:00:00Z (for the name %s, of ssh-ed25519 %s)", appName, v.Trusted[0].Fingerprint())
	if said := strings.Join(v.Reasons(), "\n"); said != want {
		t.Errorf("it says %q, want %q", said, want)
	}
	if out, err := loginAs(t, k.server, appName, k.known(v)); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// A certificate that was taken stays good where this machine's clock is set back to before its
// beginning, shown or not; a new one has not begun then.
func TestClockSetBackBeforeACertificate(t *testing.T) {
	t.Parallel()
	k, ca := certified(t, sshdtest.Options{KeyTypes: []string{"ed25519"}})
	if err := k.server.Certify(ca, "-n", appName, "-V", "-1h:+1d"); err != nil {
		t.Fatal(err)
	}
	if v := k.collect(); v.State != StateTrusted {
		t.Fatalf("%s, %q", summary(v), v.Reasons())
	}
	k.now = k.now.AddDate(-20, 0, 0)
	if v := k.collect(); v.State != StateTrusted || v.Decision || len(v.Certified) != 1 {
		t.Errorf("shown: %s, %q", summary(v), v.Reasons())
	}
	if good, _, err := open(t, k.dir).Certified(k.policy, k.now); !good || err != nil {
		t.Errorf("on record: %v, %v", good, err)
	}
	if err := k.server.Certify(ca, "-n", appName, "-V", "-1h:+1d"); err != nil {
		t.Fatal(err)
	}
	if v := k.collect(); !v.Decision || !strings.Contains(strings.Join(v.Reasons(), "\n"), "is not yet valid") ||
		len(v.Certified) != 1 {
		t.Errorf("a new one: %s, %q", summary(v), v.Reasons())
	}
}

// Revocation is stronger than a certificate.
func TestRevokedKeyWithACertificate(t *testing.T) {
	t.Parallel()
	k, ca := certified(t, sshdtest.Options{KeyTypes: []string{"ed25519"}})
	if err := k.server.Certify(ca, "-n", appName); err != nil {
		t.Fatal(err)
	}
	v := k.collect()
	if _, err := open(t, k.dir).Revoke("app01", v.vouched, k.now); err != nil {
		t.Fatal(err)
	}
	v = k.collect()
	if !v.Suspect || len(v.Revoked) != 1 || len(v.Certified) > 0 {
		t.Errorf("%s, %q", summary(v), v.Reasons())
	}
	if out, err := loginAs(t, k.server, appName, k.known(v)); err == nil {
		t.Errorf("ssh lets it in\n%s", out)
	}
	// So is that of the CA's own key.
	if _, err := open(t, k.dir).Revoke("", []Key{k.policy.Authorities[0].Key}, k.now); err != nil {
		t.Fatal(err)
	}
	if err := k.server.ChangeKeys(); err != nil {
		t.Fatal(err)
	}
	if err := k.server.Certify(ca, "-n", appName); err != nil {
		t.Fatal(err)
	}
	v = k.collect()
	if len(v.Certified) > 0 || !strings.Contains(strings.Join(v.Reasons(), "\n"), "is signed by a revoked key") {
		t.Errorf("a revoked CA: %s, %q", summary(v), v.Reasons())
	}
	if out, err := loginAs(t, k.server, appName, k.known(v)); err == nil {
		t.Errorf("ssh lets it in\n%s", out)
	}
}

// With a login, one connection shows the certificate and has the keys proven.
func TestLoginAndCertificate(t *testing.T) {
	t.Parallel()
	k, ca := certified(t, sshdtest.Options{KeyTypes: []string{"ed25519", "rsa"}})
	k.login = loginTo(t, k.server)
	trusted, err := ParseKey(k.server.PublicKeys()[1]) // clients prefer the certificate of the other
	if err != nil {
		t.Fatal(err)
	}
	put(t, k.dir, "app01.pub", trusted)
	if err := k.server.Certify(ca, "-n", appName); err != nil {
		t.Fatal(err)
	}
	v := k.collect()
	if v.State != StateTrusted || len(v.Certified) != 1 || v.Certified[0].Type != "ssh-ed25519-cert-v01@openssh.com" ||
		len(v.Added) != 1 || v.Decision {
		t.Errorf("%s, %q", summary(v), v.Reasons())
	}
	v = k.collect()
	if a := v.seen.Addresses[0]; len(a.Keys) != 1 || len(a.Certificates) != 1 || a.Testimony == nil {
		t.Errorf("the second time: %+v", a)
	}
}

func TestHostileCertificates(t *testing.T) {
	t.Parallel()
	signer := newSigner(t)
	for _, length := range []int{100, 30 << 10} {
		target := listen(t, func(c net.Conn, _ int) { sshServer(c, impostor{signer, hugeKey(length)}) })
		target.Certificates = true
		if seen := scanOne(t, patient, target).Addresses[0]; seen.Err == nil || len(seen.Certificates) > 0 {
			t.Errorf("%d bytes: %+v", length, seen)
		}
	}
}

func TestMatchPattern(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"a*", "a", true}, {"a*b", "aXbXb", true}, {"a*b", "aXbXc",
			false},
		{"?", "", false}, {"?", "a", true}, {"*.org", "x.org", true}, {"*.org", "org", false}, {"a**b", "ab", true},
		{"*a*a*a*a*a*a*b", strings.Repeat("a", 2000), false},
	} {
		if got := matchPattern(test.pattern, test.s); got != test.want {
			t.Errorf("%q %q: %v", test.pattern, test.s, got)
		}
	}
}

// Somebody writes the CA's key into a certificate that he signs himself.
func TestForgedCertificate(t *testing.T) {
	t.Parallel()
	ca := signerOf("two")
	k := goodCertificate(t)
	declared := []Authority{{Hosts: []string{"*"}, Key: keyOf(t, ca)}}
	none := func(Key) bool { return false }
	if _, err := checkCertificate(Stored{Key: k}, appName, declared, none, noon); err != nil {
		t.Fatalf("a good one: %v", err)
	}
	cert, _, err := parseCertificate(k)
	if err != nil {
		t.Fatal(err)
	}
	if err := cert.SignCert(rand.Reader, signerOf("thief")); err != nil {
		t.Fatal(err)
	}
	cert.SignatureKey = ca.PublicKey()
	forged, err := parseBlob(cert.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := checkCertificate(Stored{Key: forged}, appName, declared, none, noon); err == nil ||
		!strings.Contains(err.Error(), "not its CA's") {
		t.Errorf("a forged one: %v", err)
	}
}

func FuzzCertificate(f *testing.F) {
	f.Add([]byte("ssh-ed25519-cert-v01@openssh.com"))
	f.Add(append(sshString("ssh-ed25519-cert-v01@openssh.com"), make([]byte, 300)...))
	f.Add([]byte(goodCertificate(f).Blob))
	f.Fuzz(func(t *testing.T, blob []byte) {
		k := Key{Type: "ssh-ed25519-cert-v01@openssh.com", Blob: blob}
		if _, err := checkCertificate(Stored{Key: k}, appName, []Authority{{Hosts: []string{"*"}, Key: key("e1")}},
			func(Key) bool { return false }, noon); err == nil {
			t.Errorf("%x is taken, which e1 has not signed", blob)
		}
	})
}

// hugeKey is the public half of nothing, of some length.
type hugeKey int

func (h hugeKey) Type() string { return ssh.CertAlgoED25519v01 }
func (h hugeKey) Marshal() []byte {
	return append(sshString(ssh.CertAlgoED25519v01), make([]byte, h)...)
}
func (h hugeKey) Verify([]byte, *ssh.Signature) error { return nil }

// goodCertificate is one that its CA, whoever that is, has signed.
func goodCertificate(t testing.TB) Key {
	t.Helper()
	one, two := signerOf("one"), signerOf("two")
	cert := &ssh.Certificate{
		Key: one.PublicKey(), CertType: ssh.HostCert, ValidPrincipals: []string{appName},
		ValidBefore: ssh.CertTimeInfinity,
	}
	if err := cert.SignCert(rand.Reader, two); err != nil {
		t.Fatal(err)
	}
	k, err := parseBlob(cert.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// signerOf makes an Ed25519 signer, the same one for the same text.
func signerOf(text string) ssh.Signer {
	signer, err := ssh.NewSignerFromSigner(ed25519.NewKeyFromSeed(bytes.Repeat([]byte(text), 32)[:32]))
	if err != nil {
		panic(err)
	}
	return signer
}
