package keys_test

import (
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/keytest"
	"ltskeeper/keys"
)

func TestParseKey(t *testing.T) {
	t.Parallel()
	e1 := keytest.Key("e1")
	b64 := base64.StdEncoding.EncodeToString(e1.Blob)
	opaque := base64.StdEncoding.EncodeToString(keytest.Key("x1").Blob)
	for _, test := range []struct {
		line, typ, comment, err string
	}{
		{line: "ssh-ed25519 " + b64, typ: "ssh-ed25519"},
		{line: "  ssh-ed25519\t" + b64 + "  first-use 2026-11-20T12:00:00Z \n", typ: "ssh-ed25519",
			comment: "first-use 2026-11-20T12:00:00Z"},
		{line: "ssh-mldsa-44@openssh.com " + opaque + " new", typ: "ssh-mldsa-44@openssh.com", comment: "new"},
		{line: "", err: "the line is empty"},
		{line: "ssh-ed25519", err: `nothing follows "ssh-ed25519"`},
		{line: "ssh-ed25519 " + b64[:40], err: "cut off"},
		{line: "ssh-ed25519 " + b64[:39], err: "not base64"},
		{line: "ssh-ed25519 " + b64[:20] + "\x00" + b64[21:], err: "not base64"},
		{line: "ssh-rsa " + b64, err: `the line says ssh-rsa, the key itself "ssh-ed25519"`},
		{line: "@revoked * ssh-ed25519 " + b64, err: `"@revoked" is not a key type`},
		{line: "app01 ssh-ed25519 " + b64, err: "not base64"},
		{line: "ssh-ed25519 " + base64.StdEncoding.EncodeToString(append(e1.Blob, 0)), err: "trailing junk"},
		{line: "ssh-ed25519 " + b64 + " \x1b[31mred", err: "control characters"},
		{line: "ssh-big " +
			base64.StdEncoding.EncodeToString(append(keytest.SSHString("ssh-big"), make([]byte, 1<<20)...)),
			err: "the most is 16384"},
	} {
		k, comment, err := keys.ParseKeyLine(test.line)
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%.60q: error %v, want one with %q", test.line, err, test.err)
			}
			continue
		}
		if err != nil || k.Type != test.typ || comment != test.comment {
			t.Errorf("%.60q: %q with comment %q, %v", test.line, k.Type, comment, err)
		}
	}
}

func TestFingerprintAgreesWithSSHKeygen(t *testing.T) {
	t.Parallel()
	keygen := testkit.FindProgram(t, "ssh-keygen")
	for _, name := range []string{"e1", "c1", "r1", "w1"} {
		k := keytest.Stored(name, "first-use 2026-11-20T12:00:00Z")[0]
		file := filepath.Join(t.TempDir(), "app01.pub")
		if err := os.WriteFile(file, []byte(k.FormatLine()+" "+k.Origin.Comment()+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(keygen, "-lf", file).CombinedOutput()
		if err != nil || !strings.Contains(string(out), " "+k.Fingerprint()+" "+k.Origin.Comment()+" (") {
			t.Errorf("%s: ssh-keygen says %q, %v; want %s and the comment", name, out, err, k.Fingerprint())
		}
	}
}

// A number may be written with more zeros in front than it needs. If that made another key of it, a
// revoked key would only have to change its clothes.
func TestOneKeyHasOneEncoding(t *testing.T) {
	t.Parallel()
	plain := keytest.Key("r1")
	padded := append(keytest.SSHString("ssh-rsa"), keytest.SSHString("\x01\x00\x01")...)
	n := plain.Blob[len(keytest.SSHString("ssh-rsa"))+len(keytest.SSHString("\x01\x00\x01")):]
	padded = append(padded, keytest.SSHString("\x00\x00\x00"+string(n[4:]))...)
	k, err := keys.ParseBlob(padded)
	if err == nil && !k.Equal(plain) {
		t.Errorf("another key: %s", k.Fingerprint())
	}
}

func TestWeakness(t *testing.T) {
	t.Parallel()
	dsa := keys.Key{Type: "ssh-dss", Blob: keytest.SSHString("ssh-dss")}
	cert := keys.Key{Type: "ssh-ed25519-cert-v01@openssh.com",
		Blob: keytest.SSHString("ssh-ed25519-cert-v01@openssh.com")}
	negative := keys.Key{Type: "ssh-rsa",
		Blob: append(append(keytest.SSHString("ssh-rsa"), keytest.SSHString("\x03")...),
			keytest.SSHString("\x80"+strings.Repeat("\x01", 300))...)}
	for _, k := range []keys.Key{keytest.Key("w1"), dsa, cert, negative} {
		if k.Weakness() == nil {
			t.Errorf("%s passes", k.Type)
		}
	}
	for _, k := range keytest.Keys("e1 c1 r1 x1") {
		if err := k.Weakness(); err != nil {
			t.Errorf("%s: %v", k.Type, err)
		}
	}
}

func TestCaution(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"e1": "", "c1": "", "x1": "",
		"r1": "weak: RSA of 2048 bits, 3072 would be sound"} {
		if got := keytest.Key(name).Caution(); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	for _, k := range keytest.Keys("e1 c1 r1 w1 x1") {
		f.Add(k.FormatLine())
		f.Add(k.FormatLine() + " pinned 2026-11-20T12:00:00Z")
		f.Add(k.FormatLine()[:30])
	}
	f.Fuzz(func(t *testing.T, line string) {
		k, err := keys.ParseKey(line)
		if err != nil {
			return
		}
		again, err := keys.ParseKey(k.FormatLine())
		if err != nil || !again.Equal(k) || again.Type != k.Type {
			t.Fatalf("%q became %q: %v", line, k.FormatLine(), err)
		}
		if strings.ContainsAny(k.FormatLine(), "\n\r") {
			t.Fatalf("%q is more than a line", k.FormatLine())
		}
		k.Weakness()
	})
}

func TestSSHFPAgreesWithSSHKeygen(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"e1", "c1", "r1"} {
		file := filepath.Join(t.TempDir(), "key.pub")
		if err := os.WriteFile(file, []byte(keytest.Key(name).FormatLine()+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(testkit.FindProgram(t, "ssh-keygen"), "-r", "app01", "-f", file).CombinedOutput()
		data, ok := keytest.Key(name).SSHFP()
		if err != nil || !ok || !strings.Contains(string(out), "app01 IN SSHFP "+data+"\n") {
			t.Errorf("%s: %q, ssh-keygen says %v %q", name, data, err, out)
		}
	}
	if _, ok := keytest.Key("x1").SSHFP(); ok {
		t.Error("a record for a type without a number")
	}
}
