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
// of the agent whose socket it is. hangUp ends the connection to the agent.
func OpenIdentity(path string) (auth ssh.AuthMethod, hangUp func() error, err error) {
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

// askOverLogin asks an address of a server that has trusted keys, with a login. As a rule that is
// one connection: the key that it shows is trusted, and the server lists all others. If it shows
// another key than the trusted one of a type, it is asked for those of the other types: one of them
// may vouch for it.
func (r *run) askOverLogin(ctx context.Context, target Target, endpoint netip.AddrPort) keys.AddressSighting {
	seen := keys.AddressSighting{Address: endpoint.Addr().String()}
	fail := target.failWith(&seen)
	hopes := slices.Clone(target.Trusted)
	for {
		s := session{login: r.Login, trusted: target.Trusted, hopes: hopes, certificates: target.Certificates}
		err := r.connect(ctx, endpoint, func(w *wire) (err error) {
			s.wire = w
			s.testimony, err = s.hearTestimony(endpoint)
			return err
		})
		var open opening
		if s.wire != nil {
			open = s.wire.parseStart()
			seen.Offered = listKeyTypes(open.algorithms)
		}
		key := s.shown.key
		if key.Type == "" {
			return fail(explainFailure(err, open, r.Timeout))
		}
		addShown(&seen, s.shown)
		if keys.Contains(target.Trusted, key) {
			if seen.Testimony = s.testimony; err != nil {
				return fail(explainLogin(err, r.Login.User, r.Timeout))
			}
			return r.askForCertificate(ctx, target, endpoint, open, seen)
		}
		before := len(hopes)
		hopes = slices.DeleteFunc(hopes, func(k keys.Key) bool {
			return k.Type == key.Type || !slices.Contains(seen.Offered, k.Type)
		})
		if len(hopes) == 0 || len(hopes) == before {
			return r.askForCertificate(ctx, target, endpoint, open, seen)
		}
	}
}

// askForCertificate asks for the certificate that clients prefer, if it is wanted and was not shown
// yet.
func (r *run) askForCertificate(ctx context.Context, target Target, endpoint netip.AddrPort, open opening,
	seen keys.AddressSighting) keys.AddressSighting {
	for _, t := range keys.KeyTypes {
		if !target.Certificates || !open.offers(t.CertificateAlgorithms) {
			continue
		}
		if best, found := keys.PreferredCertificate(seen.Certificates); found && best.Type == t.Certificate {
			return seen
		}
		another, open, err := r.askForKey(ctx, endpoint, t.CertificateAlgorithms)
		if err != nil {
			return target.failWith(&seen)(explainFailure(err, open, r.Timeout))
		}
		addShown(&seen, another)
		return seen
	}
	return seen
}

// A session is one connection with a login.
type session struct {
	login   *Login
	trusted []keys.Key
	hopes   []keys.Key // trusted keys of the types that are asked for first

	certificates bool // ask for those, too

	wire      *wire    // nil if there was no connection
	shown     shownKey // what the server showed
	testimony *keys.Testimony
}

// hearTestimony logs in, if the server shows a trusted key, and hears what it says about its keys.
// The testimony is nil if that did not come about.
func (s *session) hearTestimony(endpoint netip.AddrPort) (t *keys.Testimony, err error) {
	config := &ssh.ClientConfig{
		Config:            ssh.Config{KeyExchanges: keyExchanges},
		User:              s.login.User,
		Auth:              []ssh.AuthMethod{s.login.Auth},
		HostKeyAlgorithms: s.algorithms(),
		HostKeyCallback:   s.checkHostKey,
	}
	conn, channels, requests, err := ssh.NewClientConn(s.wire, endpoint.String(), config)
	if err != nil {
		return nil, err
	}
	var wg sync.WaitGroup
	defer func() {
		conn.Close()
		wg.Wait()
		if failed := s.wire.failed(); err != nil && (isTimeout(failed) || errors.Is(failed, errFlood)) {
			err = failed // of which the connection says no more than that it ended
		}
	}()
	wg.Go(func() {
		for c := range channels {
			c.Reject(ssh.Prohibited, "")
		}
	})
	listed, err := awaitHostKeys(conn, requests)
	wg.Go(func() { ssh.DiscardRequests(requests) })
	if err != nil {
		return nil, err
	}
	t = &keys.Testimony{By: s.shown.key, Listed: listed}
	if err := proveKeys(conn, t, s.trusted); err != nil {
		return nil, err
	}
	return t, nil
}

// algorithms asks for the types of the hoped-for keys first. The others follow, so that a server
// which has none of them shows what it has instead; and so that sshd learns that RSA with SHA-2 is
// understood.
func (s *session) algorithms() []string {
	var first, rest []keys.KeyType
	for _, t := range keys.KeyTypes {
		if keys.HasType(s.hopes, t.Name) {
			first = append(first, t)
		} else {
			rest = append(rest, t)
		}
	}
	return append(listAlgorithms(first, s.certificates), listAlgorithms(rest, s.certificates)...)
}

// checkHostKey ends the connection before the login unless the key is trusted. It is called again
// if the server wants another key exchange: with the same key.
func (s *session) checkHostKey(_ string, _ net.Addr, public ssh.PublicKey) error {
	shown, err := readShownKey(public)
	if err != nil {
		return err
	}
	switch {
	case s.shown.key.Type == "":
		s.shown = shown
	case !s.shown.key.Equal(shown.key):
		return errors.New("shows another key in the middle of the connection")
	}
	if !keys.Contains(s.trusted, shown.key) {
		return errGotKey
	}
	return nil
}

// awaitHostKeys waits for the server's list of host keys, which sshd sends as soon as somebody has
// logged in. The reply to a request that no server knows comes after it: a server that has sent no
// list by then has none, and the list is nil.
func awaitHostKeys(conn ssh.Conn, requests <-chan *ssh.Request) ([]keys.Key, error) {
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
	ok, reply, err := conn.SendRequest(proveRequest, true, formatProofRequest(asked))
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
