package scan

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"ltskeeper/internal/testkit/keytest"
	"ltskeeper/keys"

	"golang.org/x/crypto/ssh"
)

// A witness is a server that lets everybody in and says about its keys what a test wants.
type witness struct {
	shows  ssh.Signer
	lists  []byte                                            // payload of hostkeys-00; nil: says nothing
	proves func(session []byte, asked []byte) (bool, []byte) // nil: never answers
	after  func(conn ssh.Conn)                               // what it does besides
	mute   bool                                              // answers no request at all
}

func (w witness) serve(c net.Conn, _ int) {
	config := &ssh.ServerConfig{PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) {
		return nil, nil
	}}
	config.AddHostKey(w.shows)
	conn, channels, requests, err := ssh.NewServerConn(c, config)
	if err != nil {
		return
	}
	defer conn.Close()
	go func() {
		for range channels {
		}
	}()
	if w.lists != nil {
		conn.SendRequest(hostKeysRequest, false, w.lists)
	}
	if w.after != nil {
		go w.after(conn)
	}
	for r := range requests {
		switch {
		case w.mute:
		case r.Type == proveRequest && w.proves != nil:
			ok, reply := w.proves(conn.SessionID(), r.Payload)
			r.Reply(ok, reply)
		case r.Type == proveRequest:
		default:
			r.Reply(false, nil)
		}
	}
}

func rsaSigner(t testing.TB, bits int) ssh.Signer {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// listOf is the payload of hostkeys-00.
func listOf(list ...keys.Key) []byte { return formatProofRequest(list) }

// signed is the reply to hostkeys-prove-00 by these signers, for a session.
func signed(t testing.TB, session []byte, algorithm string, k keys.Key, signer ssh.Signer) []byte {
	t.Helper()
	sig, err := signer.(ssh.AlgorithmSigner).SignWithAlgorithm(rand.Reader, formatProof(session, k), algorithm)
	if err != nil {
		t.Error(err)
		return nil
	}
	return keytest.SSHString(string(ssh.Marshal(sig)))
}

func anyLogin(t testing.TB) *Login {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	return &Login{User: "keeper", Auth: ssh.PublicKeys(signer)}
}

func TestHostileWitnesses(t *testing.T) {
	trusted := newSigner(t)
	own := keytest.KeyOf(t, trusted)
	many := make([]keys.Key, maxListed+1)
	for i := range many {
		many[i] = keytest.KeyOf(t, newSigner(t))
	}
	var flood []byte
	for len(flood) < 1<<20 {
		flood = append(flood, listOf(own)...)
	}
	for _, test := range []struct {
		name    string
		witness witness
		kind    ErrorKind
		msg     string
	}{
		{"too many keys", witness{lists: listOf(many...)}, KindProtocol, "more than 32"},
		{"a list that is cut off", witness{lists: listOf(own)[:20]}, KindProtocol, "cut off"},
		{"a list of rubbish", witness{lists: keytest.SSHString("\x1b[31m")}, KindProtocol, "cannot be read"},
		{"no answer at all", witness{mute: true}, KindTimeout, "within"},
		{"no proof", witness{lists: listOf(own, many[0])}, KindTimeout, "within"},
		{"requests without end", witness{mute: true, after: func(c ssh.Conn) {
			for {
				if _, _, err := c.SendRequest("x@example.org", false, make([]byte, 20<<10)); err != nil {
					return
				}
			}
		}}, KindProtocol, "sends far more"},
		{"small requests without end", witness{mute: true, after: func(c ssh.Conn) {
			for {
				if _, _, err := c.SendRequest("x@example.org", false, nil); err != nil {
					return
				}
			}
		}}, KindProtocol, "sends far more"},
		{"channels without end", witness{mute: true, after: func(c ssh.Conn) {
			for {
				go c.OpenChannel("x@example.org", make([]byte, 1<<10))
				if _, _, err := c.SendRequest("x@example.org", false, make([]byte, 1<<10)); err != nil {
					return
				}
			}
		}}, KindProtocol, "sends far more"},
		{"an endless proof", witness{lists: listOf(own, many[0]), proves: func(_, _ []byte) (bool, []byte) {
			return true, bytes.Repeat([]byte("\x00\x00\x00\x01x"), 6000)
		}}, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.witness.shows = trusted
			to := listenWith(t, test.witness.serve)
			to.Trusted = []keys.Key{own}
			timeout := time.Minute
			if test.kind == KindTimeout {
				timeout = time.Second
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began := time.Now()
			seen := scanOne(t, &Scanner{Timeout: timeout, Login: anyLogin(t)}, to).Addresses[0]
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; used > 32<<20 {
				t.Errorf("allocated %d MB, all in all", used>>20)
			}
			if test.kind == KindTimeout && time.Since(began) > 20*time.Second {
				t.Errorf("took %v", time.Since(began))
			}
			if !slices.ContainsFunc(seen.Keys, own.Equal) {
				t.Errorf("showed %v", seen.Keys)
			}
			if test.kind == "" {
				if seen.Err != nil || len(seen.Testimony.Proven) > 0 {
					t.Errorf("%+v", seen)
				}
				return
			}
			e, ok := seen.Err.(*AddressError)
			if !ok || e.Kind != test.kind || !strings.Contains(e.Error(), test.msg) || seen.Testimony != nil {
				t.Errorf("%+v, want %s %q", seen, test.kind, test.msg)
			}
		})
	}
}

// Whoever cannot show a trusted key learns nothing, not even the user's name.
func TestNobodyLogsInToAStranger(t *testing.T) {
	t.Parallel()
	stranger := newSigner(t)
	asked := make(chan string, 10)
	to := listenWith(t, func(c net.Conn, _ int) {
		config := &ssh.ServerConfig{PublicKeyCallback: func(m ssh.ConnMetadata, _ ssh.PublicKey) (*ssh.Permissions,
			error) {
			asked <- m.User()
			return nil, nil
		}}
		config.AddHostKey(stranger)
		ssh.NewServerConn(c, config)
	})
	to.Trusted = keytest.Keys("e1 r1")
	seen := scanOne(t, &Scanner{Timeout: time.Minute, Login: anyLogin(t)}, to).Addresses[0]
	if len(asked) > 0 || seen.Testimony != nil || seen.Err != nil ||
		!keytest.Same(seen.Keys, []keys.Key{keytest.KeyOf(t, stranger)}) {
		t.Errorf("%+v, %d asked", seen, len(asked))
	}
}

func FuzzParseHostKeys(f *testing.F) {
	f.Add(listOf(keytest.Keys("e1 r1 c1 x1 w1")...))
	f.Add(listOf(keytest.Key("e1"))[:30])
	f.Add([]byte{0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, payload []byte) {
		list, err := parseHostKeys(payload)
		if len(list) > maxListed || err != nil && list != nil {
			t.Errorf("%d keys, %v", len(list), err)
		}
		for _, k := range list {
			if again, err := keys.ParseKey(k.FormatLine()); err != nil || !again.Equal(k) {
				t.Errorf("%q: %v", k.FormatLine(), err)
			}
		}
	})
}

func FuzzCheckProofs(f *testing.F) {
	signer := func() ssh.Signer {
		s, err := ssh.NewSignerFromSigner(ed25519.NewKeyFromSeed(bytes.Repeat([]byte("s"), 32)))
		if err != nil {
			f.Fatal(err)
		}
		return s
	}()
	session, k := []byte("session"), keytest.KeyOf(f, signer)
	right := signed(f, session, ssh.KeyAlgoED25519, k, signer)
	f.Add(right)
	f.Add(right[:30])
	f.Add(append(slices.Clone(right), right...))
	f.Fuzz(func(t *testing.T, reply []byte) {
		faults := checkProofs(reply, session, []keys.Key{k, keytest.Key("r1")})
		if faults[1] == nil || faults[0] == nil && !bytes.HasPrefix(reply, right) {
			t.Errorf("%x proves something", reply)
		}
	})
}

func TestOnlyProofProves(t *testing.T) {
	t.Parallel()
	trusted, other, thief := newSigner(t), rsaSigner(t, 2048), rsaSigner(t, 2048)
	k := keytest.KeyOf(t, other)
	other512 := func(session []byte) []byte { return signed(t, session, ssh.KeyAlgoRSASHA512, k, other) }
	for _, test := range []struct {
		name   string
		proves func(session, asked []byte) (bool, []byte)
		want   string // "" if the key is proven
	}{
		{"SHA-512", func(s, _ []byte) (bool, []byte) { return true, other512(s) }, ""},
		{"SHA-256", func(s, _ []byte) (bool, []byte) { return true, signed(t, s, ssh.KeyAlgoRSASHA256, k, other) }, ""},
		{"SHA-1", func(s, _ []byte) (bool, []byte) {
			return true, signed(t, s, ssh.KeyAlgoRSA, k, other)
		}, `of the kind "ssh-rsa"`},
		{"another session", func(s, _ []byte) (bool, []byte) {
			return true, other512(append([]byte("x"), s...))
		}, "not of this key and this session"},
		{"another key", func(s, _ []byte) (bool, []byte) {
			return true, signed(t, s, ssh.KeyAlgoRSASHA512, k, thief)
		}, "not of this key and this session"},
		{"another text", func(s, _ []byte) (bool, []byte) {
			return true, signed(t, s, ssh.KeyAlgoRSASHA512, keytest.KeyOf(t, thief), other)
		}, "not of this key and this session"},
		{"the key that vouches", func(s, _ []byte) (bool, []byte) {
			return true, signed(t, s, ssh.KeyAlgoED25519, k, trusted)
		}, `of the kind "ssh-ed25519"`},
		{"refused", func(_, _ []byte) (bool, []byte) { return false, nil }, "refuses"},
		{"nothing", func(_, _ []byte) (bool, []byte) { return true, nil }, "missing"},
		{"more than asked for", func(s, _ []byte) (bool, []byte) {
			return true, append(other512(s), other512(s)...)
		}, "more in it"},
		{"half", func(s, _ []byte) (bool, []byte) { return true, other512(s)[:100] }, "missing"},
		{"no signature", func(s, _ []byte) (bool, []byte) {
			return true, keytest.SSHString("yes")
		}, "cannot be read"},
		{"the request again", func(_, asked []byte) (bool, []byte) { return true, asked }, "cannot be read"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			to := listenWith(t,
				witness{shows: trusted, lists: listOf(keytest.KeyOf(t, trusted), k), proves: test.proves}.serve)
			to.Trusted = []keys.Key{keytest.KeyOf(t, trusted)}
			seen := scanOne(t, &Scanner{Timeout: time.Minute, Login: anyLogin(t)}, to)
			said := seen.Addresses[0].Testimony
			switch proven := keys.Contains(said.Proven, k); {
			case proven != (test.want == "") || proven && len(said.Unproven) > 0:
				t.Errorf("%+v", said)
			case !proven && (len(said.Unproven) != 1 || !said.Unproven[0].Key.Equal(k) ||
				!strings.Contains(said.Unproven[0].Err.Error(), test.want)):
				t.Errorf("unproven: %+v, want %q", said.Unproven, test.want)
			}
		})
	}
}

// Keys of types that nobody here can verify are listed and not asked to be proven.
func TestUnknownTypesAreNotProven(t *testing.T) {
	t.Parallel()
	trusted := newSigner(t)
	to := listenWith(t,
		witness{shows: trusted, lists: listOf(keytest.KeyOf(t, trusted), keytest.Key("x1"), keytest.Key("w1"))}.serve)
	to.Trusted = []keys.Key{keytest.KeyOf(t, trusted)}
	said := scanOne(t, &Scanner{Timeout: time.Minute, Login: anyLogin(t)}, to).Addresses[0].Testimony
	if !keytest.Same(said.Listed, append(keytest.Keys("x1 w1"), to.Trusted...)) ||
		len(said.Proven)+len(said.Unproven) > 0 {
		t.Errorf("%+v", said)
	}
}

// Somebody on the wire answers for one key type, and lets the server answer for the other: his key
// stands beside what the server says.
func TestManInTheMiddleForOneType(t *testing.T) {
	t.Parallel()
	thief, honestSigner, other := newSigner(t), newSigner(t), rsaSigner(t, 2048)
	trusted := []keys.Key{keytest.KeyOf(t, honestSigner), keytest.KeyOf(t, other)}
	honest := witness{shows: other, lists: listOf(trusted...)}
	to := listenWith(t, func(c net.Conn, n int) {
		if n%2 == 1 {
			sshServer(c, thief, other)
		} else {
			honest.serve(c, n)
		}
	})
	to.Trusted = trusted
	seen := scanOne(t, &Scanner{Timeout: time.Minute, Login: anyLogin(t)}, to)
	if a := seen.Addresses[0]; a.Testimony == nil || !a.Testimony.By.Equal(keytest.KeyOf(t, other)) ||
		!keytest.Same(a.Keys, []keys.Key{keytest.KeyOf(t, thief), keytest.KeyOf(t, other)}) ||
		!keytest.Same(a.Testimony.Listed, trusted) {
		t.Errorf("%+v", a)
	}
}
