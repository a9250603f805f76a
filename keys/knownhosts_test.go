package keys_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/keytest"
	"ltskeeper/keys"
)

func encoded(name string) string { return base64.StdEncoding.EncodeToString(keytest.Key(name).Blob) }

func TestRenderKnownHosts(t *testing.T) {
	t.Parallel()
	e1 := keytest.Key("e1")
	hosts := []keys.Host{
		{Names: []string{"app02", "fd00:0::11", "10.0.0.2"}, Port: 2222, Keys: keytest.Keys("e2")},
		{Names: []string{"app01", "app01.example.org", "10.0.0.1", "fd00::11", "app01"},
			Keys: []keys.Key{e1, keytest.Key("r1")}},
		{Names: []string{"app03"}}, // no keys, no line
		{Names: []string{"*", "!app01", "a,b", "x y", "|1|", "#", ""}, Keys: keytest.Keys("e3")},
		{Names: []string{"app04", "*.example.org"}, Port: 22, Keys: keytest.Keys("x1")},
	}
	given := slices.Clone(hosts)
	got := keys.RenderKnownHosts(keys.KnownHosts{
		Header: "# made here", Hosts: hosts, Revoked: keytest.Keys("e4"), Local: []byte("# mine\nold " +
			keytest.Key("e5").FormatLine()),
	})
	want := "# made here\n" +
		"app01,app01.example.org,10.0.0.1,fd00::11 ssh-ed25519 " + encoded("e1") + "\n" +
		"app01,app01.example.org,10.0.0.1,fd00::11 ssh-rsa " + encoded("r1") + "\n" +
		"[app02]:2222,[fd00::11]:2222,[10.0.0.2]:2222 ssh-ed25519 " + encoded("e2") + "\n" +
		"app04 ssh-mldsa-44@openssh.com " + encoded("x1") + "\n" +
		"@revoked * ssh-ed25519 " + encoded("e4") + "\n" +
		"# mine\nold ssh-ed25519 " + encoded("e5") + "\n"
	if string(got) != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	if fmt.Sprint(hosts) != fmt.Sprint(given) {
		t.Error("the caller's hosts were moved")
	}
	if mistakes := keys.CheckKnownHosts(got); len(mistakes) > 0 {
		t.Errorf("mistakes in our own: %v", mistakes)
	}
	if got := keys.RenderKnownHosts(keys.KnownHosts{}); len(got) > 0 {
		t.Errorf("nothing renders as %q", got)
	}
}

// found returns the keys that ssh-keygen finds for a name.
func found(t *testing.T, file, name string) string {
	t.Helper()
	out, _ := exec.Command(testkit.FindProgram(t, "ssh-keygen"), "-F", name, "-f", file).Output()
	var all []keys.Key
	for line := range strings.Lines(string(out)) {
		if fields := strings.Fields(line); len(fields) == 3 && line[0] != '#' {
			k, err := keys.ParseKey(fields[1] + " " + fields[2])
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			all = append(all, k)
		}
	}
	return keytest.Names(all)
}

func TestOpenSSHReadsKnownHosts(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "known_hosts")
	data := keys.RenderKnownHosts(keys.KnownHosts{Header: "# made here", Hosts: []keys.Host{
		{Names: []string{"App01", "app01.example.org", "10.0.0.1", "FD00::0:11"}, Keys: keytest.Keys("e1 r1 c1")},
		{Names: []string{"app02", "10.0.0.2", "fd00::12"}, Port: 2222, Keys: keytest.Keys("e2")},
	}, Revoked: keytest.Keys("e4")})
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(testkit.FindProgram(t, "ssh-keygen"), "-lf", file).CombinedOutput()
	if lines := strings.Count(string(out), "\n"); err != nil || lines != 4 {
		t.Errorf("ssh-keygen -l reads %d of 4 keys: %v\n%s", lines, err, out)
	}
	for _, k := range keytest.Keys("e1 r1 c1 e2") { // it leaves markers out
		if !strings.Contains(string(out), k.Fingerprint()) {
			t.Errorf("ssh-keygen -l does not show %s", k.Fingerprint())
		}
	}
	for name, want := range map[string]string{
		"app01": "c1 e1 r1", "app01.example.org": "c1 e1 r1", "10.0.0.1": "c1 e1 r1", "fd00::11": "c1 e1 r1",
		"[app02]:2222": "e2", "[10.0.0.2]:2222": "e2", "[fd00::12]:2222": "e2",
		"app02": "", "fd00::12": "", "[app01]:2222": "", "app03": "",
	} {
		if got := found(t, file, name); got != want {
			t.Errorf("ssh-keygen -F %s finds %q, want %q", name, got, want)
		}
	}
}

// knownHostsLines are lines for which there is a name to look up, so that OpenSSH can be asked
// about them.
var knownHostsLines = []struct{ line, name, mistake string }{
	{"app01 ssh-ed25519 " + encoded("e1"), "app01", ""},
	{"  app01,10.0.0.1 \t ssh-ed25519\t" + encoded("e1") + " with a comment", "10.0.0.1", ""},
	{"app01 ssh-ed25519 " + encoded("e1") + "\r", "app01", ""},
	{"@revoked * ssh-ed25519 " + encoded("e1"), "app01", ""},
	{"@cert-authority  *.example.org ssh-rsa " + encoded("r1"), "app01.example.org", ""},
	{hashed("app01") + " ssh-ed25519 " + encoded("e1"), "app01", ""},
	{"*.example.org,!bad.example.org ssh-rsa " + encoded("r1"), "app01.example.org", ""},
	{"[fd00::11]:2222 ecdsa-sha2-nistp256 " + encoded("c1"), "[fd00::11]:2222", ""},
	{"app01", "app01", "no key follows"},
	{"app01 # ssh-ed25519 " + encoded("e1"), "app01", "no key follows"},
	{"app01 ssh-ed25519", "app01", `nothing follows "ssh-ed25519"`},
	{"app01 ssh-ed25519 AAAA", "app01", "cut off"},
	{"app01 ssh-ed25519 " + encoded("e1")[:50], "app01", "not base64"},
	{"app01 ssh-rsa " + encoded("e1"), "app01", "the line says ssh-rsa"},
	{"ssh-ed25519 " + encoded("e1"), "ssh-ed25519", "is not a key type"},
	{"app01 1024 35 123456789", "app01", "not base64"},
	{"app01, 10.0.0.1 ssh-ed25519 " + encoded("e1"), "app01", "not base64"},
	{"@revoke * ssh-ed25519 " + encoded("e1"), "app01", "is not a marker"},
	{"@revoked", "app01", "no key follows"},
	{"@revoked\t* ssh-ed25519 " + encoded("e1"), "app01", "is not a marker"},
	{"@revoked @cert-authority * ssh-ed25519 " + encoded("e1"), "app01", "has two markers"},
	{"app01 ssh-ed25519 " + encoded("e1") + "!", "app01", "not base64"},
	{strings.TrimSuffix(hashed("app01"), "=") + " ssh-ed25519 " + encoded("e1"), "app01", "not a hashed host name"},
	{strings.Replace(hashed("app01"), "|1|", "|2|", 1) + " ssh-ed25519 " + encoded("e1"), "app01",
		"not a hashed host name"},
	{hashed("app01") + "," + hashed("app01") + " ssh-ed25519 " + encoded("e1"), "app01", "not a hashed host name"},
}

// hashed is a name as HashKnownHosts writes it.
func hashed(name string) string {
	salt := sha1.Sum(nil)
	mac := hmac.New(sha1.New, salt[:])
	mac.Write([]byte(name))
	encode := base64.StdEncoding.EncodeToString
	return "|1|" + encode(salt[:]) + "|" + encode(mac.Sum(nil))
}

func TestCheckKnownHosts(t *testing.T) {
	t.Parallel()
	for _, test := range knownHostsLines {
		data := "# first\n" + test.line + "\n"
		mistakes := keys.CheckKnownHosts([]byte(data))
		switch {
		case test.mistake == "" && len(mistakes) > 0:
			t.Errorf("%.60q: %v", test.line, mistakes)
		case test.mistake != "" &&
			(len(mistakes) != 1 || mistakes[0].Line != 2 || !strings.Contains(mistakes[0].Error(), test.mistake)):
			t.Errorf("%.60q: %v, want %q", test.line, mistakes, test.mistake)
		}
	}
	for _, line := range []string{"", " ", "# a comment", "  \t# a comment", "\r",
		"app01 ssh-mldsa-44@openssh.com " + encoded("x1")} {
		if mistakes := keys.CheckKnownHosts([]byte(line)); len(mistakes) > 0 {
			t.Errorf("%.60q: %v", line, mistakes)
		}
	}
	if mistakes := keys.CheckKnownHosts([]byte("app01 ssh-ed25519 \x00" + encoded("e1"))); len(mistakes) != 1 {
		t.Errorf("with a NUL byte: %v", mistakes)
	}
}

// The judge of what OpenSSH reads is OpenSSH.
func TestCheckKnownHostsAgreesWithOpenSSH(t *testing.T) {
	t.Parallel()
	keygen := testkit.FindProgram(t, "ssh-keygen")
	for _, test := range knownHostsLines {
		file := filepath.Join(t.TempDir(), "known_hosts")
		if err := os.WriteFile(file, []byte(test.line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		// Without -l it would not look at the key.
		out, _ := exec.Command(keygen, "-l", "-F", test.name, "-f", file).CombinedOutput()
		if read := strings.Contains(string(out), "found: line 1"); read != (test.mistake == "") {
			t.Errorf("%.60q: OpenSSH reads it: %v, but the mistake here is %q\n%s", test.line, read, test.mistake, out)
		}
	}
}

func BenchmarkRenderKnownHosts(b *testing.B) {
	var hosts []keys.Host
	for i := range 1000 {
		name := fmt.Sprintf("app%04d", i)
		hosts = append(hosts, keys.Host{
			Names: []string{name, name + ".example.org", fmt.Sprintf("10.0.%d.%d", i/256, i%256),
				fmt.Sprintf("fd00::%x", i)},
			Keys: keytest.Keys("e1 c1 r1"),
		})
	}
	for b.Loop() {
		keys.RenderKnownHosts(keys.KnownHosts{Header: "# made here", Hosts: hosts})
	}
}

func FuzzCheckKnownHosts(f *testing.F) {
	for _, l := range knownHostsLines {
		f.Add([]byte(l.line))
		f.Add([]byte("# first\n" + l.line + "\n" + l.line))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		lines := bytes.Count(data, []byte("\n")) + 1
		last := 0
		for _, m := range keys.CheckKnownHosts(data) {
			if m.Line <= last || m.Line > lines {
				t.Fatalf("mistake in line %d after line %d of %d", m.Line, last, lines)
			}
			last = m.Line
		}
	})
}

// Hashed names are found by OpenSSH, tell no name, and are the same every night.
func TestHashedNames(t *testing.T) {
	t.Parallel()
	k := keys.KnownHosts{Secret: []byte("a secret"), Hosts: []keys.Host{
		{Names: []string{"App01", "fd00::11"}, Keys: keytest.Keys("e1 r1")},
		{Names: []string{"app02"}, Port: 2222, Keys: keytest.Keys("e2")},
	}, Revoked: keytest.Keys("e4"), Authorities: []keys.Authority{{Hosts: []string{"*.example.org"},
		Key: keytest.Key("e5")}}}
	data := keys.RenderKnownHosts(k)
	if again := keys.RenderKnownHosts(k); !bytes.Equal(data, again) {
		t.Error("the same hosts give other bytes")
	}
	k.Secret = []byte("another")
	if other := keys.RenderKnownHosts(k); bytes.Equal(data, other) {
		t.Error("the secret is of no consequence")
	}
	if mistakes := keys.CheckKnownHosts(data); len(mistakes) > 0 ||
		bytes.Contains(bytes.ToLower(data), []byte("app0")) {
		t.Errorf("%v\n%s", mistakes, data)
	}
	file := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"app01": "e1 r1", "fd00::11": "e1 r1", "[app02]:2222": "e2",
		"app03": ""} {
		if got := found(t, file, name); got != want {
			t.Errorf("%s: OpenSSH finds %q, want %q", name, got, want)
		}
	}
}
