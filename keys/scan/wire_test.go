package scan

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unicode"

	"ltskeeper/internal/testkit/keytest"
	"ltskeeper/keys"
)

const errNoRoute = syscall.ENETUNREACH

func TestParseOpening(t *testing.T) {
	t.Parallel()
	hello := version + string(kexInit("ssh-ed25519,rsa-sha2-512"))
	for _, test := range []struct{ name, data, preface, version, algorithms string }{
		{"whole", hello, "", "SSH-2.0-OpenSSH_9.9", "ssh-ed25519,rsa-sha2-512"},
		{"with a banner", "Welcome\r\nto app01\r\n" + hello, "Welcome\r\nto app01\r\n", "SSH-2.0-OpenSSH_9.9",
			"ssh-ed25519,rsa-sha2-512"},
		{"more packets", hello + hello, "", "SSH-2.0-OpenSSH_9.9", "ssh-ed25519,rsa-sha2-512"},
		{"nothing", "", "", "", ""},
		{"no line end", "SSH-2.0-OpenSSH_9.9", "SSH-2.0-OpenSSH_9.9", "", ""},
		{"version only", version, "", "SSH-2.0-OpenSSH_9.9", ""},
		{"half a packet", hello[:len(hello)/2], "", "SSH-2.0-OpenSSH_9.9", ""},
		{"another message", version + string(packet(make([]byte, 100))), "", "SSH-2.0-OpenSSH_9.9", ""},
		{"a list beyond the packet",
			version +
				string(packet(append(append([]byte{20}, make([]byte, 16)...), 0, 0, 1, 0))), "", "SSH-2.0-OpenSSH_9.9",
			""},
	} {
		got := parseOpening([]byte(test.data))
		if want := (opening{test.preface, test.version, test.algorithms}); got != want {
			t.Errorf("%s: %+v, want %+v", test.name, got, want)
		}
	}
}

func TestKeyTypes(t *testing.T) {
	t.Parallel()
	got := listKeyTypes("rsa-sha2-512,rsa-sha2-256,ssh-ed25519,,\x1b[31m,ssh-ed25519,ssh-mldsa-44@openssh.com")
	if want := []string{"ssh-rsa", "ssh-ed25519", "ssh-mldsa-44@openssh.com"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestKeyTypesAreFew(t *testing.T) {
	t.Parallel()
	var many []string
	for i := range 1000 {
		many = append(many, fmt.Sprintf("type-%d", i))
	}
	if got := listKeyTypes(strings.Join(many, ",")); len(got) != 64 {
		t.Errorf("%d types", len(got))
	}
}

type endless struct{ net.Conn }

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestWireIsBounded(t *testing.T) {
	t.Parallel()
	w := newWire(endless{})
	n, err := io.Copy(io.Discard, struct{ io.Reader }{w})
	if n != maxReceived || !errors.Is(err, errFlood) {
		t.Errorf("%d bytes, %v", n, err)
	}
	if len(w.start) > maxOpening {
		t.Errorf("%d bytes remembered", len(w.start))
	}
}

func FuzzParseOpening(f *testing.F) {
	f.Add([]byte(version + string(kexInit("ssh-ed25519,rsa-sha2-512"))))
	f.Add([]byte("Exceeded MaxStartups\r\n"))
	f.Add([]byte("Welcome\n" + version + strings.Repeat("\x00", 40)))
	f.Add([]byte("SSH-\n\x00\x00\x00\x01\x00\x14"))
	f.Fuzz(func(t *testing.T, data []byte) {
		o := parseOpening(data)
		if o.version != "" && !strings.HasPrefix(o.version, "SSH-") {
			t.Fatalf("version %q", o.version)
		}
		for _, typ := range listKeyTypes(o.algorithms) {
			if !keys.IsKeyType(typ) {
				t.Fatalf("key type %q", typ)
			}
		}
		_, err := explainNoVersion(io.EOF, o.preface)
		if text := err.Error(); len(text) > 400 || strings.ContainsFunc(text, unicode.IsControl) {
			t.Fatalf("no line for a terminal: %q", text)
		}
	})
}

// FuzzExchange plays a server that sends the data, whatever it is asked.
func FuzzExchange(f *testing.F) {
	hello := version + string(kexInit("ssh-ed25519"))
	f.Add([]byte(hello))
	reply := append([]byte{31}, keytest.SSHString(string(keytest.Key("e1").Blob))...)
	reply = append(reply, keytest.SSHString(strings.Repeat("\x09", 32))...)
	reply = append(reply,
		keytest.SSHString(string(keytest.SSHString("ssh-ed25519"))+string(keytest.SSHString(strings.Repeat("s",
			64))))...)
	f.Add([]byte(hello + string(packet(reply))))
	f.Add([]byte("\n\n\n" + version))
	f.Fuzz(func(t *testing.T, data []byte) {
		client, server := net.Pipe()
		go io.Copy(io.Discard, server)
		go func() {
			server.Write(data)
			server.Close()
		}()
		defer client.Close()
		k, open, err := exchangeKeys(newWire(client), netip.MustParseAddrPort("127.0.0.1:22"),
			listAlgorithms(keys.KeyTypes, true))
		if err == nil {
			t.Fatalf("a key without a signature: %s", k.key.FormatLine())
		}
		if _, err := explainFailure(err, open, 0); strings.ContainsFunc(err.Error(), unicode.IsControl) {
			t.Fatalf("no line for a terminal: %q", err)
		}
	})
}
