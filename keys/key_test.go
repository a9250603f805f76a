package keys

import (
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseKey(t *testing.T) {
	t.Parallel()
	e1 := key("e1")
	b64 := base64.StdEncoding.EncodeToString(e1.Blob)
	opaque := base64.StdEncoding.EncodeToString(key("x1").Blob)
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
		{line: "ssh-big " + base64.StdEncoding.EncodeToString(append(sshString("ssh-big"), make([]byte, 1<<20)...)),
			err: "the most is 16384"},
	} {
		k, comment, err := ParseKeyLine(test.line)
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
	keygen := tool(t, "ssh-keygen")
	for _, name := range []string{"e1", "c1", "r1", "w1"} {
		k := storedKeys(name, "first-use 2026-11-20T12:00:00Z")[0]
		file := filepath.Join(t.TempDir(), "app01.pub")
		if err := os.WriteFile(file, formatKeyFile([]Stored{k}), 0o600); err != nil {
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
	plain := key("r1")
	padded := append(sshString("ssh-rsa"), sshString("\x01\x00\x01")...)
	n := plain.Blob[len(sshString("ssh-rsa"))+len(sshString("\x01\x00\x01")):]
	padded = append(padded, sshString("\x00\x00\x00"+string(n[4:]))...)
	k, err := parseBlob(padded)
	if err == nil && !k.Equal(plain) {
		t.Errorf("another key: %s", k.Fingerprint())
	}
}

func TestWeakness(t *testing.T) {
	t.Parallel()
	dsa := Key{Type: "ssh-dss", Blob: sshString("ssh-dss")}
	cert := Key{Type: "ssh-ed25519-cert-v01@openssh.com", Blob: sshString("ssh-ed25519-cert-v01@openssh.com")}
	negative := Key{Type: "ssh-rsa",
		Blob: append(append(sshString("ssh-rsa"), sshString("\x03")...),
			sshString("\x80"+strings.Repeat("\x01", 300))...)}
	for _, k := range []Key{key("w1"), dsa, cert, negative} {
		if k.Weakness() == nil {
			t.Errorf("%s passes", k.Type)
		}
	}
	for _, k := range keysOf("e1 c1 r1 x1") {
		if err := k.Weakness(); err != nil {
			t.Errorf("%s: %v", k.Type, err)
		}
	}
}

func TestCaution(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"e1": "", "c1": "", "x1": "",
		"r1": "weak: RSA of 2048 bits, 3072 would be sound"} {
		if got := key(name).Caution(); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	for _, k := range keysOf("e1 c1 r1 w1 x1") {
		f.Add(k.Line())
		f.Add(k.Line() + " pinned 2026-11-20T12:00:00Z")
		f.Add(k.Line()[:30])
	}
	f.Fuzz(func(t *testing.T, line string) {
		k, err := ParseKey(line)
		if err != nil {
			return
		}
		again, err := ParseKey(k.Line())
		if err != nil || !again.Equal(k) || again.Type != k.Type {
			t.Fatalf("%q became %q: %v", line, k.Line(), err)
		}
		if strings.ContainsAny(k.Line(), "\n\r") {
			t.Fatalf("%q is more than a line", k.Line())
		}
		k.Weakness()
	})
}
