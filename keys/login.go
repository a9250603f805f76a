package keys

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"ltskeeper/internal/regular"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// Login is how a Scanner logs in to servers, to have them prove their keys. It opens no session
// there: an account that may do nothing is enough.
type Login struct {
	User string
	Auth ssh.AuthMethod
}

// OpenIdentity returns a way to log in with the private key in the file at path, or with the keys
// of the agent whose socket it is. close ends the connection to the agent.
func OpenIdentity(path string) (auth ssh.AuthMethod, close func() error, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, fmt.Errorf("open identity: %w", err)
	}
	if info.Mode()&os.ModeSocket != 0 {
		conn, err := net.Dial("unix", path)
		if err != nil {
			return nil, nil, fmt.Errorf("open identity: no agent answers: %w", err)
		}
		return ssh.PublicKeysCallback(agent.NewClient(conn).Signers), conn.Close, nil
	}
	data, err := regular.Read(path, maxBlob)
	if regular.IsOdd(err) {
		return nil, nil, fmt.Errorf("open identity %s: it is neither a private key nor an agent's socket", path)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("open identity: %w", err)
	}
	signer, err := ssh.ParsePrivateKey(data)
	if locked := (*ssh.PassphraseMissingError)(nil); errors.As(err, &locked) {
		return nil, nil, fmt.Errorf("open identity %s: it has a passphrase; use one without, or an agent", path)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("open identity %s: %w", path, err)
	}
	return ssh.PublicKeys(signer), func() error { return nil }, nil
}

// visit asks an address of a server that has trusted keys, with a login. As a rule that is one
// connection: the key that it shows is trusted, and the server tells of all others. If it shows
// another key than the trusted one of a type, it is asked for those of the other types: one of them
// may vouch for it.
func (s *scan) visit(ctx context.Context, target Target, endpoint netip.AddrPort) AddressSighting {
	seen := AddressSighting{Address: endpoint.Addr().String()}
	fail := func(kind ErrorKind, err error) AddressSighting {
		seen.Err = &ScanError{Name: target.Name, Address: seen.Address, Port: target.Port, Kind: kind, Err: err}
		return seen
	}
	hopes := slices.Clone(target.Trusted)
	for {
		v := visit{login: s.login, trusted: target.Trusted, hopes: hopes, certificates: target.Certificates}
		err := s.call(ctx, endpoint, &v)
		if v.wire == nil {
			return fail(explain(err, opening{}, s.timeout))
		}
		open := v.wire.opening()
		seen.Offered = keyTypes(open.algorithms)
		key := v.shown.key
		if key.Type == "" {
			return fail(explain(err, open, s.timeout))
		}
		seen.add(v.shown)
		if contains(target.Trusted, key) {
			if seen.Testimony = v.testimony; err != nil {
				return fail(explainLogin(err, s.login.User, s.timeout))
			}
			return s.askCertificate(ctx, target, endpoint, open, seen)
		}
		before := len(hopes)
		hopes = slices.DeleteFunc(hopes, func(k Key) bool {
			return k.Type == key.Type || !slices.Contains(seen.Offered, k.Type)
		})
		if len(hopes) == 0 || len(hopes) == before {
			return s.askCertificate(ctx, target, endpoint, open, seen)
		}
	}
}

// askCertificate asks for the certificate that clients prefer, if it is wanted and was not shown
// yet.
func (s *scan) askCertificate(ctx context.Context, target Target, endpoint netip.AddrPort, open opening,
	seen AddressSighting) AddressSighting {
	for _, t := range hostKeyTypes {
		if !target.Certificates || !open.offers(t.certAlgorithms) {
			continue
		}
		if best, found := preferred(seen.Certificates); found && best.Type == t.certType {
			return seen
		}
		another, open, err := s.ask(ctx, endpoint, t.certAlgorithms)
		if err != nil {
			kind, why := explain(err, open, s.timeout)
			seen.Err = &ScanError{Name: target.Name, Address: seen.Address, Port: target.Port, Kind: kind, Err: why}
			return seen
		}
		seen.add(another)
		return seen
	}
	return seen
}

// call makes one visit.
func (s *scan) call(ctx context.Context, endpoint netip.AddrPort, v *visit) error {
	leave, err := s.enter(ctx, endpoint)
	if err != nil {
		return err
	}
	defer leave()
	conn, err := s.dial(ctx, endpoint)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	v.wire = newWire(conn)
	v.testimony, err = v.run(endpoint)
	return err
}

// dial opens a connection that ends at its deadline.
func (s *scan) dial(ctx context.Context, endpoint netip.AddrPort) (net.Conn, error) {
	deadline := time.Now().Add(s.timeout)
	dialer := net.Dialer{Deadline: deadline}
	conn, err := dialer.DialContext(ctx, "tcp", endpoint.String())
	if err != nil {
		return nil, dialError{err}
	}
	return conn, conn.SetDeadline(deadline)
}

// A visit is one connection with a login.
type visit struct {
	login   *Login
	trusted []Key
	hopes   []Key // trusted keys of the types that are asked for first

	certificates bool // ask for those, too

	wire      *wire    // nil if there was no connection
	shown     shownKey // what the server showed
	testimony *Testimony
}

// run logs in, if the server shows a trusted key, and hears what it says about its keys. The
// testimony is nil if that did not come about.
func (v *visit) run(endpoint netip.AddrPort) (t *Testimony, err error) {
	config := &ssh.ClientConfig{
		Config:            ssh.Config{KeyExchanges: keyExchanges},
		User:              v.login.User,
		Auth:              []ssh.AuthMethod{v.login.Auth},
		HostKeyAlgorithms: v.algorithms(),
		HostKeyCallback:   v.check,
	}
	conn, channels, requests, err := ssh.NewClientConn(v.wire, endpoint.String(), config)
	if err != nil {
		return nil, err
	}
	var wg sync.WaitGroup
	defer func() {
		conn.Close()
		wg.Wait()
		if failed := v.wire.failed(); err != nil && (isTimeout(failed) || errors.Is(failed, errFlood)) {
			err = failed // of which the connection says no more than that it ended
		}
	}()
	wg.Go(func() {
		for c := range channels {
			c.Reject(ssh.Prohibited, "")
		}
	})
	listed, err := hear(conn, requests)
	wg.Go(func() { ssh.DiscardRequests(requests) })
	if err != nil {
		return nil, err
	}
	t = &Testimony{By: v.shown.key, Listed: listed}
	if err := t.prove(conn, v.trusted); err != nil {
		return nil, err
	}
	return t, nil
}

// algorithms asks for the types of the hoped-for keys first. The others follow, so that a server
// which has none of them shows what it has instead; and so that sshd learns that RSA with SHA-2 is
// understood.
func (v *visit) algorithms() []string {
	var first, rest []hostKeyType
	for _, t := range hostKeyTypes {
		if hasType(v.hopes, t.keyType) {
			first = append(first, t)
		} else {
			rest = append(rest, t)
		}
	}
	return append(algorithmsFor(first, v.certificates), algorithmsFor(rest, v.certificates)...)
}

// check ends the connection before the login unless the key is trusted. It is called again if the
// server wants another key exchange: with the same key.
func (v *visit) check(_ string, _ net.Addr, public ssh.PublicKey) error {
	shown, err := readShown(public)
	if err != nil {
		return err
	}
	switch {
	case v.shown.key.Type == "":
		v.shown = shown
	case !v.shown.key.Equal(shown.key):
		return errors.New("shows another key in the middle of the connection")
	}
	if !contains(v.trusted, shown.key) {
		return errGotKey
	}
	return nil
}

// hear waits for the server's list of host keys, which sshd sends as soon as somebody has logged
// in. The reply to a request that no server knows comes after it: a server that has sent no list by
// then has none, and the list is nil.
func hear(conn ssh.Conn, requests <-chan *ssh.Request) ([]Key, error) {
	answered := make(chan error, 1)
	go func() {
		_, _, err := conn.SendRequest("keepalive@openssh.com", true, nil)
		answered <- err
	}()
	heard := func(r *ssh.Request) ([]Key, error, bool) {
		if r.Type != hostKeysRequest {
			r.Reply(false, nil) // which does nothing if none is wanted
			return nil, nil, false
		}
		list, err := parseHostKeys(r.Payload)
		return list, err, true
	}
	for {
		select {
		case r, ok := <-requests:
			if !ok {
				return nil, <-answered
			}
			if list, err, done := heard(r); done {
				return list, errors.Join(err, <-answered)
			}
		case err := <-answered:
			if err != nil {
				return nil, err
			}
			for {
				select {
				case r, ok := <-requests:
					if !ok {
						return nil, nil
					}
					if list, err, done := heard(r); done {
						return list, err
					}
				default:
					return nil, nil
				}
			}
		}
	}
}

// prove has the server prove the listed keys that are not trusted.
func (t *Testimony) prove(conn ssh.Conn, trusted []Key) error {
	var asked []Key
	for _, k := range t.Listed {
		if !contains(trusted, k) && k.provable() {
			asked = append(asked, k)
		}
	}
	if len(asked) == 0 {
		return nil
	}
	ok, reply, err := conn.SendRequest(proveRequest, true, proofRequest(asked))
	if err != nil {
		return err
	}
	faults := slices.Repeat([]error{errors.New("the server refuses to")}, len(asked))
	if ok {
		faults = checkProofs(reply, conn.SessionID(), asked)
	}
	for i, k := range asked {
		if faults[i] == nil {
			t.Proven = append(t.Proven, k)
		} else {
			t.Unproven = append(t.Unproven, Refusal{k, faults[i]})
		}
	}
	return nil
}

// explainLogin says in one line why somebody who showed a trusted key did not tell about the
// others.
func explainLogin(err error, user string, timeout time.Duration) (ErrorKind, error) {
	var list listError
	switch {
	case errors.As(err, &list):
		return KindProtocol, list
	case isTimeout(err):
		return KindTimeout, fmt.Errorf("showed a trusted key, but did not log %s in within %v", user, timeout)
	case errors.Is(err, errFlood):
		return KindProtocol, errFlood
	}
	return KindLogin, fmt.Errorf("does not log %s in: %w", user, clean(err))
}
