package scan

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unicode"

	"golang.org/x/crypto/ssh"

	"ltskeeper/internal/testkit/keytest"
	"ltskeeper/internal/testkit/sshdtest"
	"ltskeeper/keys"
)

// patient waits longer than a busy machine takes.
var patient = &Scanner{Timeout: time.Minute}

func targetOf(name string, s *sshdtest.Server) Target {
	return Target{Name: name, Addresses: []string{s.Address}, Port: s.Port}
}

// scanOne scans one target.
func scanOne(t *testing.T, s *Scanner, target Target) keys.Sighting {
	t.Helper()
	sightings, err := s.Scan(t.Context(), []Target{target}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return sightings[0]
}

// formatLines are the keys as public key lines.
func formatLines(list []keys.Key) []string {
	var all []string
	for _, k := range list {
		all = append(all, k.FormatLine())
	}
	return all
}

func TestScanShowsEveryHostKey(t *testing.T) {
	t.Parallel()
	s := sshdtest.Start(t, sshdtest.Options{KeyTypes: []string{"ed25519", "ecdsa", "ecdsa384", "ecdsa521", "rsa"}})
	seen := scanOne(t, patient, targetOf("app01", s)).Addresses
	if len(seen) != 1 || seen[0].Err != nil || !slices.Equal(formatLines(seen[0].Keys), s.PublicKeys()) {
		t.Errorf("sighting %+v, want %q", seen, s.PublicKeys())
	}
	want := []string{"ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa"}
	offered := slices.Clone(seen[0].Offered)
	slices.Sort(offered)
	slices.Sort(want)
	if !slices.Equal(offered, want) {
		t.Errorf("offered %q, want %q", offered, want)
	}
}

// Not every server has the key exchange that is asked for first.
func TestScanAgreesOnAKeyExchange(t *testing.T) {
	t.Parallel()
	for _, kex := range []string{"ecdh-sha2-nistp256", "ecdh-sha2-nistp521", "diffie-hellman-group14-sha256",
		"diffie-hellman-group16-sha512", "diffie-hellman-group-exchange-sha256"} {
		t.Run(kex, func(t *testing.T) {
			t.Parallel()
			s := sshdtest.Start(t,
				sshdtest.Options{KeyTypes: []string{"ed25519"}, Config: []string{"KexAlgorithms " + kex}})
			seen := scanOne(t, patient, targetOf("app01", s)).Addresses[0]
			if seen.Err != nil || !slices.Equal(formatLines(seen.Keys), s.PublicKeys()) {
				t.Errorf("%v, %v", seen.Keys, seen.Err)
			}
		})
	}
}

func TestScanNeverAsksForSHA1(t *testing.T) {
	t.Parallel()
	s := sshdtest.Start(t,
		sshdtest.Options{KeyTypes: []string{"rsa", "ed25519"},
			Config: []string{"HostKeyAlgorithms ssh-rsa,ssh-ed25519"}})
	seen := scanOne(t, patient, targetOf("app01", s)).Addresses[0]
	if seen.Err != nil || len(seen.Keys) != 1 || seen.Keys[0].Type != "ssh-ed25519" ||
		!slices.Contains(seen.Offered, "ssh-rsa") {
		t.Errorf("beside another key: %+v", seen)
	}
	s = sshdtest.Start(t, sshdtest.Options{KeyTypes: []string{"rsa"}, Config: []string{"HostKeyAlgorithms ssh-rsa"}})
	seen = scanOne(t, patient, targetOf("app01", s)).Addresses[0]
	var e *AddressError
	if !errors.As(seen.Err, &e) || e.Kind != KindProtocol || !strings.Contains(e.Error(), "only ssh-rsa") ||
		len(seen.Keys) > 0 {
		t.Errorf("alone: %+v", seen)
	}
}

func TestScanWeakKey(t *testing.T) {
	t.Parallel()
	s := sshdtest.Start(t, sshdtest.Options{KeyTypes: []string{"rsa1024"}})
	seen := scanOne(t, patient, targetOf("app01", s)).Addresses[0]
	if seen.Err != nil || len(seen.Keys) != 1 || seen.Keys[0].Weakness() == nil {
		t.Errorf("%+v", seen)
	}
}

func TestScanSeveralAddresses(t *testing.T) {
	t.Parallel()
	one := sshdtest.Start(t, sshdtest.Options{KeyTypes: []string{"ed25519"}})
	two := sshdtest.Start(t, sshdtest.Options{KeyTypes: []string{"ed25519"}, Port: one.Port})
	scanner := &Scanner{Timeout: time.Minute, Resolve: resolver(map[string]string{
		"app01":        one.Address + " ::ffff:" + one.Address + " " + two.Address,
		"one.internal": one.Address,
	})}
	for _, test := range []struct {
		addresses []string
		want      []string
	}{
		{nil, []string{one.Address, two.Address}}, // in the order of addresses
		{[]string{two.Address, "one.internal", one.Address}, []string{two.Address, one.Address}},
		{[]string{two.Address, "nowhere.internal"}, []string{two.Address, "nowhere.internal"}},
	} {
		seen := scanOne(t, scanner, Target{Name: "app01", Addresses: test.addresses, Port: one.Port})
		var got []string
		for _, a := range seen.Addresses {
			got = append(got, a.Address)
			server := map[string]*sshdtest.Server{one.Address: one, two.Address: two}[a.Address]
			if server != nil && !slices.Equal(formatLines(a.Keys), server.PublicKeys()) {
				t.Errorf("%s shows %v, %v", a.Address, a.Keys, a.Err)
			}
		}
		if test.addresses == nil {
			slices.Sort(got)
			slices.Sort(test.want)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%q: scanned %q, want %q", test.addresses, got, test.want)
		}
	}
}

// resolver is one that knows the names of a map.
func resolver(known map[string]string) func(context.Context, string) ([]netip.Addr, error) {
	return func(_ context.Context, name string) (ips []netip.Addr, err error) {
		for _, ip := range strings.Fields(known[name]) {
			ips = append(ips, netip.MustParseAddr(ip))
		}
		if len(ips) == 0 {
			return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
		}
		return ips, nil
	}
}

func TestScanIPv6(t *testing.T) {
	t.Parallel()
	s := sshdtest.StartIPv6(t, sshdtest.Options{KeyTypes: []string{"ed25519"}})
	seen := scanOne(t, patient, targetOf("app01", s))
	if !slices.Equal(formatLines(seen.Addresses[0].Keys), s.PublicKeys()) {
		t.Errorf("%+v", seen.Addresses)
	}
}

// Names often have an IPv6 address where no machine has a route for it.
func TestScanLeavesOutWhatHasNoRoute(t *testing.T) {
	t.Parallel()
	unroutable := keys.AddressSighting{Address: "2001:db8::1",
		Err: &AddressError{Kind: KindUnreachable, Err: os.NewSyscallError("connect", errNoRoute)}}
	answered := keytest.Sight("e1").Addresses[0]
	resolved, declared := []address{{}, {}}, []address{{declared: true}, {declared: true}}
	both := []keys.AddressSighting{answered, unroutable}
	if got := dropUnroutable(resolved, both); len(got) != 1 {
		t.Errorf("resolved: %+v", got)
	}
	if got := dropUnroutable(declared, both); len(got) != 2 {
		t.Errorf("declared: %+v", got)
	}
	if got := dropUnroutable(resolved[:1], both[1:]); len(got) != 1 {
		t.Errorf("alone: %+v", got)
	}
}

func TestScanManyTargets(t *testing.T) {
	t.Parallel()
	s := sshdtest.Start(t, sshdtest.Options{KeyTypes: []string{"ed25519"}})
	var targets []Target
	for i := range 40 {
		targets = append(targets, Target{Name: fmt.Sprintf("app%02d", i), Addresses: []string{s.Address}, Port: s.Port})
	}
	targets[7].Port = 1 // nobody
	var calls []int
	sightings, err := patient.Scan(t.Context(), targets, func(done, total int) {
		calls = append(calls, done)
		if total != len(targets) {
			t.Errorf("total %d", total)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, seen := range sightings {
		var failed *AddressError
		if errors.As(seen.Addresses[0].Err, &failed) != (i == 7) || i == 7 && failed.Name != targets[i].Name {
			t.Errorf("sighting %d: %v", i, seen.Addresses[0].Err)
		}
		// sshd as Debian ships it drops connections from the eleventh on.
		if i != 7 && len(seen.Addresses[0].Keys) != 1 {
			t.Errorf("%s: %+v", targets[i].Name, seen.Addresses[0])
		}
	}
	if len(calls) != len(targets) || !slices.IsSorted(calls) || calls[0] != 1 {
		t.Errorf("progress: %v", calls)
	}
}

// listenWith starts a server that does with each connection what it is told to. It stops, and waits
// for what it has begun, when the test ends.
func listenWith(t testing.TB, serve func(conn net.Conn, n int)) Target {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	wg.Go(func() {
		for n := 1; ; n++ {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				defer context.AfterFunc(ctx, func() { conn.Close() })()
				serve(conn, n)
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		cancel()
		wg.Wait()
	})
	return Target{Name: "app01", Addresses: []string{"127.0.0.1"}, Port: listener.Addr().(*net.TCPAddr).Port}
}

const version = "SSH-2.0-OpenSSH_9.9\r\n"

// packet is an SSH packet before encryption.
func packet(payload []byte) []byte {
	padding := 16 - (5+len(payload))%16
	if padding < 4 {
		padding += 16
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(1+len(payload)+padding))
	b = append(b, byte(padding))
	b = append(b, payload...)
	return append(b, make([]byte, padding)...)
}

func kexInit(hostKeys string) []byte {
	b := append([]byte{20}, make([]byte, 16)...)
	for _, list := range []string{"curve25519-sha256", hostKeys, "aes128-ctr", "aes128-ctr",
		"hmac-sha2-256", "hmac-sha2-256", "none", "none", "", ""} {
		b = append(b, keytest.SSHString(list)...)
	}
	return packet(append(b, 0, 0, 0, 0, 0))
}

// drainConn reads what the client sends, so that closing is no reset.
func drainConn(conn net.Conn) { go io.Copy(io.Discard, conn) }

func TestScanHostileServers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		serve func(conn net.Conn, n int)
		kind  ErrorKind
		msg   string
	}{
		{"web server", func(c net.Conn, _ int) { drainConn(c); io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") },
			KindProtocol, `no SSH server: it says "HTTP/1.1 400 Bad Request"`},
		{"colours", func(c net.Conn, _ int) { drainConn(c); io.WriteString(c, "\x1b[31mred\a\r\n") },
			KindProtocol, `it says "\x1b[31mred\a"`},
		{"colours in the version", func(c net.Conn, _ int) {
			drainConn(c)
			io.WriteString(c, "SSH-1.5-\x1b[31mred\r\n")
			c.Write(packet([]byte("\x1b[31mred")))
		}, KindProtocol, ""},
		{"silence", func(c net.Conn, _ int) { io.Copy(io.Discard, c) },
			KindTimeout, "connected, but no SSH version within"},
		{"silence after the version", func(c net.Conn, _ int) { io.WriteString(c, version); io.Copy(io.Discard, c) },
			KindTimeout, "connected, but no host key within"},
		{"silence after KEXINIT", func(c net.Conn, _ int) {
			io.WriteString(c, version)
			c.Write(kexInit("ssh-ed25519"))
			io.Copy(io.Discard, c)
		}, KindTimeout, "connected, but no host key within"},
		{"endless line", func(c net.Conn, _ int) { drainConn(c); repeat(c, "AAAA") },
			KindProtocol, "no SSH server: it says"},
		{"endless lines", func(c net.Conn, _ int) { drainConn(c); repeat(c, "welcome to the banner\n") },
			KindProtocol, "no SSH server: it says"},
		{"endless empty lines", func(c net.Conn, _ int) { drainConn(c); repeat(c, "\n") },
			KindProtocol, ""},
		{"endless messages", func(c net.Conn, _ int) {
			drainConn(c)
			io.WriteString(c, version)
			c.Write(kexInit("ssh-ed25519"))
			repeat(c, string(packet(append([]byte{2}, keytest.SSHString(strings.Repeat("x", 1000))...))))
		}, KindProtocol, ""},
		{"giant packet", func(c net.Conn, _ int) {
			drainConn(c)
			io.WriteString(c, version)
			c.Write([]byte{0xff, 0xff, 0xff, 0xff, 4, 20})
			repeat(c, "AAAA")
		}, KindProtocol, ""},
		{"giant list", func(c net.Conn, _ int) {
			io.WriteString(c, version)
			c.Write(kexInit(strings.Repeat("evil\x1b[31m,", 20000)))
			io.Copy(io.Discard, c)
		}, KindProtocol, "has no host key that can be verified here"},
		{"one byte at a time", func(c net.Conn, _ int) {
			drainConn(c)
			for {
				if _, err := c.Write([]byte("A")); err != nil {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
		}, KindTimeout, "connected, but no SSH version within"},
		{"closes at once", func(c net.Conn, _ int) { drainConn(c) },
			KindThrottled, "closed the connection before a word"},
		{"resets at once", func(c net.Conn, _ int) { c.(*net.TCPConn).SetLinger(0) },
			KindThrottled, "closed the connection before a word"},
		{"MaxStartups", func(c net.Conn, _ int) { drainConn(c); io.WriteString(c, "Exceeded MaxStartups\r\n") },
			KindThrottled, `turned away by sshd: "Exceeded MaxStartups"`},
		{"PerSourcePenalties", func(c net.Conn, _ int) {
			drainConn(c)
			io.WriteString(c, "Not allowed at this time\r\n")
		},
			KindThrottled, `turned away by sshd: "Not allowed at this time"`},
		{"closes after the version", func(c net.Conn, _ int) { drainConn(c); io.WriteString(c, version) },
			KindProtocol, "closed the connection during the key exchange"},
		{"closes after KEXINIT", func(c net.Conn, _ int) {
			drainConn(c)
			io.WriteString(c, version)
			c.Write(kexInit("ssh-ed25519"))
		},
			KindProtocol, "closed the connection during the key exchange"},
		{"no host key we know", func(c net.Conn, _ int) {
			io.WriteString(c, version)
			c.Write(kexInit("ssh-mldsa-44@openssh.com,ssh-dss"))
			io.Copy(io.Discard, c)
		}, KindProtocol, "only ssh-mldsa-44@openssh.com, ssh-dss"},
		{"no first KEXINIT", func(c net.Conn, _ int) {
			drainConn(c)
			io.WriteString(c, version)
			c.Write(packet([]byte{21}))
		}, KindProtocol, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			hostile := listenWith(t, test.serve)
			timeout := patient.Timeout
			if test.kind == KindTimeout {
				timeout = 2 * time.Second
			}
			seen := scanOne(t, &Scanner{Timeout: timeout}, hostile).Addresses[0]
			var e *AddressError
			if !errors.As(seen.Err, &e) || e.Kind != test.kind || !strings.Contains(e.Error(), test.msg) {
				t.Errorf("got %v, want %s with %q", seen.Err, test.kind, test.msg)
			}
			if len(seen.Keys) > 0 {
				t.Errorf("keys %v", seen.Keys)
			}
			if text := seen.Err.Error(); len(text) > 400 || strings.ContainsFunc(text, unicode.IsControl) {
				t.Errorf("no line for a terminal: %q", text)
			}
			if len(seen.Offered) > 64 {
				t.Errorf("%d key types", len(seen.Offered))
			}
		})
	}
}

// repeat writes until the other side has had enough.
func repeat(w io.Writer, s string) {
	b := []byte(strings.Repeat(s, 1000))
	for {
		if _, err := w.Write(b); err != nil {
			return
		}
	}
}

func TestScanUnreachable(t *testing.T) {
	t.Parallel()
	resolve := func(ctx context.Context, name string) ([]netip.Addr, error) {
		switch name {
		case "slow":
			<-ctx.Done()
			return nil, ctx.Err()
		case "nobody": // to ask
			return nil,
				&net.DNSError{Err: "read udp [::1]:37906->[::1]:53: read: connection refused", Name: name,
					IsTemporary: true}
		}
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	for _, test := range []struct {
		target Target
		kind   ErrorKind
		msg    string
	}{
		{Target{Name: "app01", Addresses: []string{"127.0.0.1"}, Port: 1}, KindUnreachable,
			"scan app01 at 127.0.0.1:1: connection refused"},
		{Target{Name: "app01", Addresses: []string{"::1"}, Port: 1}, KindUnreachable, "scan app01 at [::1]:1: "},
		{Target{Name: "app01", Addresses: []string{"127.0.0.1"}, Port: 1<<16 + 22}, KindUnreachable,
			"scan app01 at 127.0.0.1:65558: 65558 is no port"},
		{Target{Name: "app01"}, KindUnresolved, "scan app01 at app01:22: the name has no address"},
		{Target{Name: "nobody"}, KindUnresolved,
			"scan nobody at nobody:22: the name service does not answer; /etc/resolv.conf says which one is asked"},
		{Target{Name: "slow"}, KindUnresolved, "scan slow at slow:22: no answer from the name service within 300ms"},
	} {
		timeout := patient.Timeout
		if test.target.Name == "slow" {
			timeout = 300 * time.Millisecond
		}
		seen := scanOne(t, &Scanner{Timeout: timeout, Resolve: resolve}, test.target).Addresses
		var e *AddressError
		if len(seen) != 1 || !errors.As(seen[0].Err, &e) || e.Kind != test.kind ||
			!strings.HasPrefix(e.Error(), test.msg) {
			t.Errorf("%+v: %+v, want %q", test.target, seen, test.msg)
		}
	}
}

// A real sshd that has too many strangers at its door.
func TestScanThrottledBySSHD(t *testing.T) {
	t.Parallel()
	s := sshdtest.Start(t, sshdtest.Options{KeyTypes: []string{"ed25519"}, Config: []string{"MaxStartups 1"}})
	stranger, err := net.Dial("tcp", net.JoinHostPort(s.Address, fmt.Sprint(s.Port)))
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	if _, err := stranger.Read(make([]byte, 1)); err != nil { // sshd has counted it
		t.Fatal(err)
	}
	seen := scanOne(t, patient, targetOf("app01", s)).Addresses[0]
	var e *AddressError
	if !errors.As(seen.Err, &e) || e.Kind != KindThrottled {
		t.Errorf("%v", seen.Err)
	}
}

// sshServer answers as an SSH server with these host keys.
func sshServer(conn net.Conn, signers ...ssh.Signer) {
	config := &ssh.ServerConfig{NoClientAuth: true}
	for _, s := range signers {
		config.AddHostKey(s)
	}
	ssh.NewServerConn(conn, config)
}

func newSigner(t *testing.T) ssh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// impostor shows somebody else's public key, which anybody can read, and signs with a private key
// of its own.
type impostor struct {
	ssh.Signer
	public ssh.PublicKey
}

func (i impostor) PublicKey() ssh.PublicKey { return i.public }

func TestScanWantsProofOfPossession(t *testing.T) {
	t.Parallel()
	victim, own := newSigner(t), newSigner(t)
	honest := listenWith(t, func(c net.Conn, _ int) { sshServer(c, victim) })
	if seen := scanOne(t, patient, honest).Addresses[0]; len(seen.Keys) != 1 {
		t.Fatalf("an honest server: %+v", seen)
	}
	thief := listenWith(t, func(c net.Conn, _ int) { sshServer(c, impostor{own, victim.PublicKey()}) })
	seen := scanOne(t, patient, thief).Addresses[0]
	var e *AddressError
	if len(seen.Keys) > 0 || !errors.As(seen.Err, &e) || e.Kind != KindProtocol {
		t.Errorf("a key was shown by somebody who does not have it: %+v", seen)
	}
}

func TestScanKeepsWhatItSawBeforeAFailure(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	other, err := ssh.ParsePublicKey(keytest.Key("c1").Blob)
	if err != nil {
		t.Fatal(err)
	}
	half := listenWith(t, func(c net.Conn, n int) {
		if n == 1 {
			sshServer(c, s, impostor{s, other})
		} else {
			drainConn(c)
		}
	})
	seen := scanOne(t, patient, half).Addresses[0]
	var e *AddressError
	if len(seen.Keys) != 1 || !slices.Contains(seen.Offered, "ecdsa-sha2-nistp256") ||
		!errors.As(seen.Err, &e) || e.Kind != KindThrottled {
		t.Errorf("%+v", seen)
	}
}

func TestScanBoundsConnections(t *testing.T) {
	t.Parallel()
	const parallel = 6
	var now, most, here, mostHere atomic.Int32
	count := func(n, most *atomic.Int32) func() {
		now := n.Add(1)
		for {
			old := most.Load()
			if now <= old || most.CompareAndSwap(old, now) {
				return func() { n.Add(-1) }
			}
		}
	}
	var targets []Target
	for i := range 5 {
		targets = append(targets, listenWith(t, func(c net.Conn, _ int) {
			defer count(&now, &most)()
			if i == 0 {
				defer count(&here, &mostHere)()
			}
			time.Sleep(20 * time.Millisecond)
			drainConn(c)
		}))
	}
	for range 12 {
		targets = append(targets, targets[0])
	}
	if _, err := (&Scanner{Parallel: parallel}).Scan(t.Context(), targets, nil); err != nil {
		t.Fatal(err)
	}
	// A server may still be closing when its client has moved on.
	if most.Load() > 2*parallel || mostHere.Load() > 2*perEndpoint {
		t.Errorf("%d connections at once, %d to one server", most.Load(), mostHere.Load())
	}
}

// Not parallel: other tests' goroutines would be in the way.
func TestScanEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	hang := listenWith(t, func(c net.Conn, n int) {
		if n == 2 {
			cancel(errors.New("ctrl-c"))
		}
		io.Copy(io.Discard, c)
	})
	targets := []Target{{Name: "unresolved"}}
	for range 100 {
		targets = append(targets, hang)
	}
	scanner := &Scanner{Timeout: time.Hour, Resolve: func(ctx context.Context, _ string) ([]netip.Addr, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	_, err := scanner.Scan(ctx, targets, func(int, int) { t.Error("progress after the end") })
	if err == nil || !strings.Contains(err.Error(), "ctrl-c") {
		t.Errorf("error %v", err)
	}
	waitForGoroutines(t)
}

// Not parallel, either.
func TestScanLeavesNoGoroutines(t *testing.T) {
	s := newSigner(t)
	targets := []Target{
		listenWith(t, func(c net.Conn, _ int) { sshServer(c, s) }),
		listenWith(t, func(c net.Conn, _ int) { drainConn(c); repeat(c, "\n") }),
		listenWith(t, func(c net.Conn, _ int) { io.WriteString(c, version); io.Copy(io.Discard, c) }),
		listenWith(t, func(c net.Conn, _ int) {}),
	}
	if _, err := (&Scanner{Timeout: 100 * time.Millisecond}).Scan(t.Context(), targets, nil); err != nil {
		t.Fatal(err)
	}
	waitForGoroutines(t)
}

// waitForGoroutines waits until no goroutine of a scan is left. The library's own end a moment
// after the connection that they were for.
func waitForGoroutines(t *testing.T) {
	t.Helper()
	var stacks string
	for range 1000 {
		b := make([]byte, 1<<20)
		stacks = string(b[:runtime.Stack(b, true)])
		if !strings.Contains(stacks, "keys.(*scan)") && !strings.Contains(stacks, "ssh.(*handshakeTransport)") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("goroutines are left:\n%s", stacks)
}

// BenchmarkScan scans 200 names of one sshd that has three host keys, at an address each. sshd,
// which forks for every connection, takes most of the time.
func BenchmarkScan(b *testing.B) {
	s := sshdtest.Start(b, sshdtest.Options{Address: "0.0.0.0", Port: 2226, Config: []string{"MaxStartups 1000"}})
	var targets []Target
	for i := range 200 {
		targets = append(targets,
			Target{Name: fmt.Sprintf("app%03d", i), Addresses: []string{fmt.Sprintf("127.11.0.%d", i+1)}, Port: s.Port})
	}
	var before, after syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &before); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		sightings, err := patient.Scan(b.Context(), targets, nil)
		if err != nil {
			b.Fatal(err)
		}
		for _, seen := range sightings {
			if a := seen.Addresses[0]; len(a.Keys) != 3 {
				b.Fatal(a.Err)
			}
		}
	}
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &after); err != nil {
		b.Fatal(err)
	}
	own := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	b.ReportMetric(float64(own)/float64(b.N), "own-cpu-ns/op")
}

func TestHostileCertificates(t *testing.T) {
	t.Parallel()
	signer := newSigner(t)
	for _, length := range []int{100, 30 << 10} {
		target := listenWith(t, func(c net.Conn, _ int) { sshServer(c, impostor{signer, hugeKey(length)}) })
		target.Certificates = true
		if seen := scanOne(t, patient, target).Addresses[0]; seen.Err == nil || len(seen.Certificates) > 0 {
			t.Errorf("%d bytes: %+v", length, seen)
		}
	}
}

// hugeKey is the public half of nothing, of some length.
type hugeKey int

func (h hugeKey) Type() string { return ssh.CertAlgoED25519v01 }

func (h hugeKey) Marshal() []byte {
	return append(keytest.SSHString(ssh.CertAlgoED25519v01), make([]byte, h)...)
}

func (h hugeKey) Verify([]byte, *ssh.Signature) error { return nil }
