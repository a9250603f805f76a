package secrets

import (
	"archive/tar"
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"ltskeeper/internal/testkit"
)

// A sample is a private key as a real program writes it.
type sample struct {
	name string
	text string
	what string // is found
}

// samples makes private keys with the real programs, once for all tests.
var samples = sync.OnceValues(func() ([]sample, error) {
	dir, err := os.MkdirTemp("", "secrets-keys-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var made []sample
	for i, c := range []struct{ what, command string }{
		{"OpenSSH private key", "ssh-keygen -q -t ed25519 -N '' -f $KEY"},
		{"OpenSSH private key", "ssh-keygen -q -t ed25519 -N secret -f $KEY"},
		{"OpenSSH private key", "ssh-keygen -q -t ecdsa -N '' -f $KEY"},
		{"OpenSSH private key", "ssh-keygen -q -t rsa -b 2048 -N '' -f $KEY"},
		{"RSA private key", "ssh-keygen -q -t rsa -b 2048 -m PEM -N '' -f $KEY"},
		{"RSA private key", "ssh-keygen -q -t rsa -b 2048 -m PEM -N secret -f $KEY"}, // DEK-Info
		{"EC private key", "ssh-keygen -q -t ecdsa -m PEM -N '' -f $KEY"},
		{"private key", "ssh-keygen -q -t ecdsa -m PKCS8 -N '' -f $KEY"},
		{"encrypted private key", "ssh-keygen -q -t ecdsa -m PKCS8 -N secret -f $KEY"},
		{"private key", "openssl genrsa -out $KEY 2048"},
		{"RSA private key", "openssl genrsa -traditional -out $KEY 2048"},
		{"RSA private key", "openssl genrsa -traditional -aes256 -passout pass:secret -out $KEY 2048"},
		{"encrypted private key", "openssl genrsa -aes256 -passout pass:secret -out $KEY 2048"},
		{"EC private key", "openssl ecparam -name prime256v1 -genkey -out $KEY"}, // parameters before it
		{"EC private key", "openssl ecparam -name prime192v1 -genkey -noout -out $KEY"},
		{"private key", "openssl genpkey -algorithm ed25519 -out $KEY"},
		{"private key", "openssl genpkey -algorithm x25519 -out $KEY"},
		{"encrypted private key", "openssl genpkey -algorithm ed25519 -aes256 -pass pass:secret -out $KEY"},
		{"private key",
			"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=a -keyout $KEY -out $KEY.crt && cat $KEY >> $KEY.crt && mv $KEY.crt $KEY"},
		{"PGP private key",
			`gpg --homedir $DIR --batch --passphrase '' --quick-gen-key a@example.org ed25519 default never &&
			gpg --homedir $DIR --batch --export-secret-keys --armor --output $KEY; status=$?; gpgconf --homedir $DIR --kill all; exit $status`},
		{"PuTTY private key", "puttygen -q -t ed25519 --new-passphrase /dev/null -o $KEY"},
		{"PuTTY private key", "puttygen -q -t rsa -b 2048 --ppk-param version=2 --new-passphrase /dev/null -o $KEY"},
	} {
		program, _, _ := strings.Cut(c.command, " ")
		if _, err := exec.LookPath(program); err != nil {
			if program == "puttygen" || !testkit.IsStrict() {
				continue
			}
			return nil, err
		}
		home := filepath.Join(dir, fmt.Sprint(i))
		if err := os.Mkdir(home, 0o700); err != nil {
			return nil, err
		}
		cmd := exec.Command("sh", "-c", c.command)
		key := filepath.Join(home, "key")
		cmd.Env = append(os.Environ(), "KEY="+key, "DIR="+home)
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", c.command, err, out)
		}
		text, err := os.ReadFile(key)
		if err != nil {
			return nil, err
		}
		name, _, _ := strings.Cut(c.command, " -f ")
		made = append(made, sample{name, string(text), c.what})
	}
	return append(made, sample{"PuTTY by its manual", puttyKey(), "PuTTY private key"},
		sample{"OpenVPN by its manual", openVPNKey(), "OpenVPN Static key V1"}), nil
})

func mustSamples(t testing.TB) []sample {
	t.Helper()
	keys, err := samples()
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// puttyKey is a key as appendix C of PuTTY's manual describes it.
func puttyKey() string {
	text := func(parts ...[]byte) string {
		var blob []byte
		for _, p := range parts {
			blob = append(binary.BigEndian.AppendUint32(blob, uint32(len(p))), p...)
		}
		return base64.StdEncoding.EncodeToString(blob)
	}
	seed := bytes.Repeat([]byte{0xa7}, ed25519.SeedSize)
	public := text([]byte("ssh-ed25519"), ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey))
	return "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nComment: LAB\\nick\n" +
		"Public-Lines: 2\n" + public[:64] + "\n" + public[64:] + "\n" +
		"Private-Lines: 1\n" + text(seed) + "\nPrivate-MAC: " + strings.Repeat("0f", 32) + "\n"
}

func openVPNKey() string {
	return "#\n# 2048 bit OpenVPN static key\n#\n-----BEGIN OpenVPN Static key V1-----\n" +
		strings.Repeat("0123456789abcdef0123456789abcdef\n", 16) + "-----END OpenVPN Static key V1-----\n"
}

// dress is how people put keys into files.
var dress = map[string]func(key string) string{
	"alone":           func(key string) string { return key },
	"CRLF":            func(key string) string { return strings.ReplaceAll(key, "\n", "\r\n") },
	"CR":              func(key string) string { return strings.ReplaceAll(key, "\n", "\r") },
	"no newline":      func(key string) string { return strings.TrimRight(key, "\n") },
	"trailing blanks": func(key string) string { return strings.ReplaceAll(key, "\n", " \t\n") },
	"after s_client":  func(key string) string { return sClient + key + "---\nread R BLOCK\n" },
	"heredoc": func(key string) string {
		return "#!/bin/sh\ncat > /root/key <<'EOF'\n" + key + "EOF\nchmod 600 /root/key\n"
	},
	"shell string": func(key string) string { return "key=\"" + strings.TrimRight(key, "\n") + "\"\nexport key\n" },
	"echo":         func(key string) string { return "echo '" + key + "' > key\n" },
	"environment file": func(key string) string {
		return "A=b\nKEY=" + strings.ReplaceAll(key, "\n", `\n`) + "\nC=d\n"
	},
	"YAML": func(key string) string {
		return "users:\n- key: |\n    " + strings.ReplaceAll(key, "\n", "\n    ") + "\n"
	},
	"comment": func(key string) string { return "# " + strings.ReplaceAll(key, "\n", "\n# ") + "\n" },
	"JSON": func(key string) string {
		text, _ := json.Marshal(map[string]string{"type": "service_account", "private_key": key, "z": "z"})
		return string(text)
	},
	"JSON, after a certificate": func(key string) string {
		text, _ := json.Marshal("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n" + key)
		return string(text)
	},
	"C source": func(key string) string {
		return "static const char key[] =\n    \"" + strings.ReplaceAll(key, "\n", "\\n\"\n    \"") + "\";\n"
	},
	"Python source":         func(key string) string { return "KEY = b\"\"\"" + key + "\"\"\"\n" },
	"after a header alone":  func(key string) string { return "-----BEGIN RSA PRIVATE KEY-----\n" + key },
	"after a placeholder":   func(key string) string { return placeholder + key },
	"after a cut off key":   func(key string) string { return key[:len(key)/2] + "\n" + key },
	"after half of PuTTY's": func(key string) string { return puttyKey()[:150] + "\n" + key },
	"after a header and noise": func(key string) string {
		return "-----BEGIN PRIVATE KEY-----\n" + strings.Repeat("é:=", maxLine) + "\n" + key
	},
	"behind a long line": func(key string) string { return strings.Repeat("-", 200_000) + "\n" + key },
}

const sClient = "CONNECTED(00000003)\ndepth=0 CN = a\n---\nServer certificate\n-----BEGIN CERTIFICATE-----\n" +
	"MIIBIjCByqADAgECAgEBMAoGCCqGSM49BAMCMAAwHhcNMjQwMTAxMDAwMDAwWhcN\n-----END CERTIFICATE-----\nsubject=CN = a\n---\n"

const placeholder = "-----BEGIN OPENSSH PRIVATE KEY-----\n...\n-----END OPENSSH PRIVATE KEY-----\n"

// find scans text for what stands in a file without a name.
func find(text string) (Finding, bool) {
	var s Scanner
	s.Write([]byte(text))
	return s.Result()
}

func TestPrivateKeys(t *testing.T) {
	t.Parallel()
	for _, key := range mustSamples(t) {
		for name, wear := range dress {
			got, ok := find(wear(key.text))
			if !ok || got.What != key.what {
				t.Errorf("%s, %s: found %q, not %q, in\n%s", key.name, name, got.What, key.what, wear(key.text))
			}
		}
	}
}

// TestBackslash: a backslash is one where line ends are line ends.
func TestBackslash(t *testing.T) {
	t.Parallel()
	if _, ok := find(strings.Replace(puttyKey(), `LAB\nick`, `LAB\nick!`, 1)); !ok {
		t.Error("a user's name ended the line")
	}
}

func TestPrivateKeysInArchives(t *testing.T) {
	t.Parallel()
	keys := mustSamples(t)
	for _, format := range []tar.Format{tar.FormatUSTAR, tar.FormatPAX, tar.FormatGNU} {
		for _, key := range keys {
			var archive bytes.Buffer
			w := tar.NewWriter(&archive)
			for _, file := range []struct {
				name, text string
			}{{"doc", "-----BEGIN RSA PRIVATE KEY-----"}, {"key", key.text}} {
				if err := w.WriteHeader(&tar.Header{Name: file.name, Mode: 0o600, Size: int64(len(file.text)),
					Format: format}); err != nil {
					t.Fatal(err)
				}
				w.Write([]byte(file.text))
			}
			w.Close()
			for seed := range uint64(20) {
				var s Scanner
				writeSplit(&s, archive.Bytes(), rand.New(rand.NewPCG(seed, 6)))
				if got, ok := s.Result(); !ok || got.What != key.what {
					t.Fatalf("%s in %v, seed %d: found %q", key.name, format, seed, got.What)
				}
			}
		}
	}
}

func TestNoPrivateKeys(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("TUlJRXBBSUJBQUtDQVFFQTdW\n", 20)
	armored := func(label, body string) string {
		return "-----BEGIN " + label + "-----\n" + body + "-----END " + label + "-----\n"
	}
	if _, ok := find(armored("PRIVATE KEY", body)); !ok {
		t.Fatal("what the cases vary is not found as it is")
	}
	for name, text := range map[string]string{
		"nothing":                 "",
		"header alone":            "-----BEGIN PRIVATE KEY-----\n",
		"header and footer":       armored("PRIVATE KEY", ""),
		"all headers":             strings.Repeat("-----BEGIN RSA PRIVATE KEY-----\n", 100),
		"placeholder":             placeholder,
		"cut out":                 armored("RSA PRIVATE KEY", "MIIEpAIBAAKCAQEA7V\n[...]\nMIIEpAIBAAKCAQEA7V\n"),
		"words":                   armored("PRIVATE KEY", "put your own private key here instead of this text\n"),
		"a word":                  armored("PRIVATE KEY", "YourPrivateKeyHere00\n"),
		"no base64":               armored("PRIVATE KEY", body+"!\n"),
		"base64 cut off":          armored("PRIVATE KEY", body+"TUl\n"),
		"padding inside":          armored("PRIVATE KEY", "TUk=\n"+body),
		"header after the body":   armored("PRIVATE KEY", body+"Proc-Type: 4,ENCRYPTED\n"),
		"another footer":          "-----BEGIN PRIVATE KEY-----\n" + body + "-----END RSA PRIVATE KEY-----\n",
		"no footer":               "-----BEGIN PRIVATE KEY-----\n" + body,
		"header with more behind": "-----BEGIN PRIVATE KEY----- of mine\n" + body + "-----END PRIVATE KEY-----\n",
		"no magic":                armored("OPENSSH PRIVATE KEY", body),
		"certificate":             armored("CERTIFICATE", body),
		"public key":              armored("PUBLIC KEY", body),
		"PGP public key":          armored("PGP PUBLIC KEY BLOCK", body),
		"parameters":              armored("DH PARAMETERS", body),
		"a label for terminals":   armored("\x1b[2J PRIVATE KEY", body),
		"a label without end":     armored(strings.Repeat("X", maxLabel)+" PRIVATE KEY", body),
		"in a sentence":           "as in " + armored("PRIVATE KEY", body),
		"a program's constant":    "\x7fELF\x00\x00\x00" + armored("PRIVATE KEY", body),
		"one at a block's start":  strings.Repeat("\x00", 1024) + armored("PRIVATE KEY", body),
		"Python's constant":       "\xe3\x08\x00z\xf0" + armored("PRIVATE KEY", body),
		"with a zero in it":       "-----BEGIN PRIVATE KEY-----\n" + body + "\x00\n-----END PRIVATE KEY-----\n",
		"a program's help":        "usage: -----BEGIN RSA PRIVATE KEY-----\n\n\n",
		"a line too long":         armored("PRIVATE KEY", strings.Repeat("TUlJ", maxLine/4+1)+"\n"),
		"PuTTY, public":           "PuTTY-User-Key-File-3: ssh-rsa\nPublic-Lines: 1\n" + body + "Private-MAC: 00\n",
		"PuTTY, nothing private":  "PuTTY-User-Key-File-3: ssh-rsa\nPrivate-Lines: 0\nPrivate-MAC: 00\n",
		"PuTTY, header":           "PuTTY-User-Key-File-\nPrivate-Lines: 1\n" + body + "Private-MAC: 00\n",
	} {
		if got, ok := find(text); ok {
			t.Errorf("%s: found %+v in\n%s", name, got, text)
		}
	}
}

// TestTruncated cuts keys off everywhere before their footer's end.
func TestTruncated(t *testing.T) {
	t.Parallel()
	for _, key := range mustSamples(t) {
		end := strings.LastIndex(key.text, "-")
		if i := strings.Index(key.text, "Private-MAC:"); i >= 0 {
			end = i + len("Private-MAC")
		}
		for n := range end {
			if got, ok := find(key.text[:n]); ok {
				t.Fatalf("%s: found %+v in its first %d bytes", key.name, got, n)
			}
		}
	}
}

// TestPrograms scans programs and libraries that hold headers of private keys, or whole keys to
// test themselves with.
func TestPrograms(t *testing.T) {
	t.Parallel()
	var s Scanner
	for _, pattern := range []string{
		"/usr/bin/ssh*", "/usr/bin/gpg*", "/usr/bin/openssl", "/usr/sbin/sshd", "/usr/lib/openssh/*",
		"/usr/lib/*/libgnutls.*", "/usr/lib/*/libcrypto.*", "/usr/lib/*/libssh*.so*", "/usr/lib/*/libnm.so*",
		"/usr/lib/*/libgio*",
	} {
		programs, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, program := range programs {
			content, err := os.ReadFile(program)
			if err != nil {
				continue // a directory
			}
			s.Reset(program[1:])
			s.Write(content)
			if got, ok := s.Result(); ok {
				t.Errorf("%s: found %+v", program, got)
			}
		}
	}
}
