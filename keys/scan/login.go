package scan

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
	"ltskeeper/keys"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// Login is how a Scanner logs in to servers, to have them prove their keys. It opens no session
// there: an account that may do nothing is enough.
type Login struct {
	User string
	Auth ssh.AuthMethod
}

const maxIdentity = 16 << 10 // bytes

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
	data, err := regular.Read(path, maxIdentity)
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
func (s *search) visit(ctx context.Context, target Target, endpoint netip.AddrPort) keys.AddressSighting {
	seen := keys.AddressSighting{Address: endpoint.Addr().String()}
	fail := func(kind ErrorKind, err error) keys.AddressSighting {
		seen.Err = &Error{Name: target.Name, Address: seen.Address, Port: target.Port, Kind: kind, Err: err}
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
		addShown(&seen, v.shown)
		if keys.Contains(target.Trusted, key) {
			if seen.Testimony = v.testimony; err != nil {
				return fail(explainLogin(err, s.login.User, s.timeout))
			}
			return s.askCertificate(ctx, target, endpoint, open, seen)
		}
		before := len(hopes)
		hopes = slices.DeleteFunc(hopes, func(k keys.Key) bool {
			return k.Type == key.Type || !slices.Contains(seen.Offered, k.Type)
		})
		if len(hopes) == 0 || len(hopes) == before {
			return s.askCertificate(ctx, target, endpoint, open, seen)
		}
	}
}

// askCertificate asks for the certificate that clients prefer, if it is wanted and was not shown
// yet.
func (s *search) askCertificate(ctx context.Context, target Target, endpoint netip.AddrPort, open opening,
	seen keys.AddressSighting) keys.AddressSighting {
	for _, t := range keys.KeyTypes {
		if !target.Certificates || !open.offers(t.CertificateAlgorithms) {
			continue
		}
		if best, found := keys.PreferredCertificate(seen.Certificates); found && best.Type == t.Certificate {
			return seen
		}
		another, open, err := s.ask(ctx, endpoint, t.CertificateAlgorithms)
		if err != nil {
			kind, why := explain(err, open, s.timeout)
			seen.Err = &Error{Name: target.Name, Address: seen.Address, Port: target.Port, Kind: kind, Err: why}
			return seen
		}
		addShown(&seen, another)
		return seen
	}
	return seen
}

// call makes one visit.
func (s *search) call(ctx context.Context, endpoint netip.AddrPort, v *visit) error {
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
func (s *search) dial(ctx context.Context, endpoint netip.AddrPort) (net.Conn, error) {
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
	trusted []keys.Key
	hopes   []keys.Key // trusted keys of the types that are asked for first

	certificates bool // ask for those, too

	wire      *wire    // nil if there was no connection
	shown     shownKey // what the server showed
	testimony *keys.Testimony
}

// run logs in, if the server shows a trusted key, and hears what it says about its keys. The
// testimony is nil if that did not come about.
func (v *visit) run(endpoint netip.AddrPort) (t *keys.Testimony, err error) {
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
	t = &keys.Testimony{By: v.shown.key, Listed: listed}
	if err := proveKeys(conn, t, v.trusted); err != nil {
		return nil, err
	}
	return t, nil
}

// algorithms asks for the types of the hoped-for keys first. The others follow, so that a server
// which has none of them shows what it has instead; and so that sshd learns that RSA with SHA-2 is
// understood.
func (v *visit) algorithms() []string {
	var first, rest []keys.KeyType
	for _, t := range keys.KeyTypes {
		if keys.HasType(v.hopes, t.Name) {
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
	if !keys.Contains(v.trusted, shown.key) {
		return errGotKey
	}
	return nil
}

// hear waits for the server's list of host keys, which sshd sends as soon as somebody has logged
// in. The reply to a request that no server knows comes after it: a server that has sent no list by
// then has none, and the list is nil.
func hear(conn ssh.Conn, requests <-chan *ssh.Request) ([]keys.Key, error) {
	answered := make(chan error, 1)
	go func() {
		_, _, err := conn.SendRequest("keepalive@openssh.com", true, nil)
		answered <- err
	}()
	heard := func(r *ssh.Request) ([]keys.Key, error, bool) {
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

// proveKeys has the server prove the listed keys that are not trusted.
func proveKeys(conn ssh.Conn, t *keys.Testimony, trusted []keys.Key) error {
	var asked []keys.Key
	for _, k := range t.Listed {
		if !keys.Contains(trusted, k) && isProvable(k) {
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
			t.Unproven = append(t.Unproven, keys.Refusal{Key: k, Err: faults[i]})
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
