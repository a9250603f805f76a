// Package scan asks servers for their SSH host keys. It decides nothing about them.
//
// A scan is unauthenticated: whoever sits on the wire can answer it. It shows only that whoever
// answered has the private key. With a login over a trusted key, the server itself lists its keys
// and proves that it has them.
package scan

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"ltskeeper/keys"

	"golang.org/x/crypto/ssh"
)

// Target is a server to be asked for its host keys.
type Target struct {
	Name      string     // the server's name; resolved if there are no addresses
	Addresses []string   // IP addresses or names; all of them are asked
	Port      int        // 0 means 22
	Trusted   []keys.Key // if there are any, a Scanner with a Login logs in over one of them

	Certificates bool // ask for certificates, too
}

// Scanner asks servers for their host keys. The zero value is ready to use.
type Scanner struct {
	Timeout  time.Duration // for one connection: TCP, banner and key exchange together; 0 means 5 s
	Parallel int           // connections at once; 0 means 64

	// Brief asks each address for one key only, the first type that it has: one connection shows
	// whether somebody is there who has that key.
	Brief bool

	// Login, if not nil, has servers with trusted keys prove the others.
	Login *Login

	// Resolve looks a name up; nil means the system's resolver.
	Resolve func(ctx context.Context, name string) ([]netip.Addr, error)
}

const (
	defaultTimeout  = 5 * time.Second
	defaultParallel = 64

	// sshd begins to drop connections when ten are not logged in yet (MaxStartups); the users
	// behind it want some of those.
	perEndpoint = 4

	// A name with more addresses than this is somebody's mistake.
	maxAddresses = 16
)

// listAlgorithms asks for keys of these types, in their order: for certificates before plain keys,
// if they are wanted, as OpenSSH's clients do.
func listAlgorithms(types []keys.KeyType, certificates bool) (all []string) {
	for _, t := range types {
		if certificates {
			all = append(all, t.CertificateAlgorithms...)
		}
	}
	for _, t := range types {
		all = append(all, t.Algorithms...)
	}
	return all
}

// Scan asks all targets at once, one connection for each host key type that a server has and this
// package can verify: Ed25519, ECDSA and RSA with SHA-2. With a login it opens only one connection
// to a server that has trusted keys. The sightings are in the order of the targets. What goes wrong
// with one address is in its sighting; Scan itself fails only if ctx ends. progress, if not nil, is
// called after each target, one call at a time.
func (s *Scanner) Scan(ctx context.Context, targets []Target, progress func(done, total int)) ([]keys.Sighting, error) {
	r := s.start()
	sightings := make([]keys.Sighting, len(targets))
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		done int
	)
	for i, target := range targets {
		wg.Go(func() {
			sightings[i] = r.scanTarget(ctx, target)
			if progress != nil && ctx.Err() == nil {
				mu.Lock()
				defer mu.Unlock()
				done++
				progress(done, len(targets))
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("scan servers: %w", context.Cause(ctx))
	}
	return sightings, nil
}

// run is one run of a Scanner.
type run struct {
	Scanner     // with its defaults
	lookups     slots
	connections slots

	mu        sync.Mutex
	endpoints map[netip.AddrPort]slots
}

func (s *Scanner) start() *run {
	r := &run{Scanner: *s, endpoints: make(map[netip.AddrPort]slots)}
	r.Timeout = cmp.Or(max(s.Timeout, 0), defaultTimeout)
	r.Parallel = cmp.Or(max(s.Parallel, 0), defaultParallel)
	r.lookups, r.connections = make(slots, r.Parallel), make(slots, r.Parallel)
	if r.Resolve == nil {
		r.Resolve = func(ctx context.Context, name string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", name)
		}
	}
	return r
}

// scanTarget asks all addresses of a target at once.
func (r *run) scanTarget(ctx context.Context, target Target) keys.Sighting {
	if target.Port == 0 {
		target.Port = keys.DefaultPort
	}
	found := r.resolveTarget(ctx, target)
	sightings := make([]keys.AddressSighting, len(found))
	var wg sync.WaitGroup
	for i, a := range found {
		wg.Go(func() { sightings[i] = r.scanAddress(ctx, target, a) })
	}
	wg.Wait()
	return keys.Sighting{Addresses: dropUnroutable(found, sightings)}
}

// address is one place where a target is to be found, or why it is not.
type address struct {
	ip       netip.Addr
	declared bool // not found out by resolving a name
	name     string
	err      error
}

// resolveTarget resolves the target: each address once, the declared ones in their order.
func (r *run) resolveTarget(ctx context.Context, target Target) []address {
	names := target.Addresses
	if len(names) == 0 {
		names = []string{target.Name}
	}
	lookups := make([][]address, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() { lookups[i] = r.lookUp(ctx, name) })
	}
	wg.Wait()

	var found []address
	known := make(map[netip.Addr]bool)
	for _, a := range slices.Concat(lookups...) {
		if a.err == nil && known[a.ip] {
			continue
		}
		known[a.ip] = true
		found = append(found, a)
	}
	return found
}

func (r *run) lookUp(ctx context.Context, name string) (found []address) {
	if ip, err := netip.ParseAddr(name); err == nil {
		return []address{{ip: ip.Unmap(), name: name, declared: true}}
	}
	fail := func(err error) []address { return []address{{name: name, err: err}} }
	leave, err := r.lookups.enter(ctx)
	if err != nil {
		return fail(err)
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	ips, err := r.Resolve(ctx, name)
	if err != nil {
		return fail(err)
	}
	for _, ip := range ips {
		found = append(found, address{ip: ip.Unmap(), name: name})
	}
	if len(found) == 0 {
		return fail(errNoAddress)
	}
	slices.SortFunc(found, func(a, b address) int { return a.ip.Compare(b.ip) })
	return found[:min(len(found), maxAddresses)]
}

// scanAddress asks one address for its keys, one after the other.
func (r *run) scanAddress(ctx context.Context, target Target, a address) keys.AddressSighting {
	seen := keys.AddressSighting{Address: a.name}
	fail := target.failWith(&seen)
	if a.err != nil {
		return fail(KindUnresolved, explainLookup(a.err, r.Timeout))
	}
	seen.Address = a.ip.String()
	if target.Port < 1 || target.Port > 65535 {
		return fail(KindUnreachable, fmt.Errorf("%d is no port", target.Port))
	}
	endpoint := netip.AddrPortFrom(a.ip, uint16(target.Port))
	if r.Login != nil && len(target.Trusted) > 0 {
		return r.askOverLogin(ctx, target, endpoint)
	}

	first, open, err := r.askForKey(ctx, endpoint, listAlgorithms(keys.KeyTypes, target.Certificates))
	seen.Offered = listKeyTypes(open.algorithms)
	if err != nil {
		return fail(explainFailure(err, open, r.Timeout))
	}
	addShown(&seen, first)
	if r.Brief {
		return seen
	}
	for _, t := range keys.KeyTypes {
		algorithms := listAlgorithms([]keys.KeyType{t}, target.Certificates)
		if t.Name == first.key.Type || !open.offers(algorithms) {
			continue
		}
		another, open, err := r.askForKey(ctx, endpoint, algorithms)
		if err != nil {
			return fail(explainFailure(err, open, r.Timeout))
		}
		addShown(&seen, another)
	}
	return seen
}

// A shownKey is a key that a server has signed a key exchange with, and the certificate that it
// showed with it, if any.
type shownKey struct {
	key, certificate keys.Key
}

func readShownKey(public ssh.PublicKey) (s shownKey, err error) {
	if cert, ok := public.(*ssh.Certificate); ok {
		if s.certificate, err = keys.ParseBlob(cert.Marshal()); err != nil {
			return shownKey{}, err
		}
		public = cert.Key
	}
	s.key, err = keys.ParseBlob(public.Marshal())
	return s, err
}

func addShown(a *keys.AddressSighting, s shownKey) {
	if !keys.Contains(a.Keys, s.key) {
		a.Keys = append(a.Keys, s.key)
	}
	if s.certificate.Type != "" {
		a.Certificates = append(a.Certificates, s.certificate)
	}
}

// askForKey opens one connection and returns the key that the server signs the key exchange with.
func (r *run) askForKey(ctx context.Context, endpoint netip.AddrPort,
	algorithms []string) (shown shownKey, open opening, err error) {
	err = r.connect(ctx, endpoint, func(w *wire) (err error) {
		shown, open, err = exchangeKeys(w, endpoint, algorithms)
		return err
	})
	return shown, open, err
}

// connect opens a connection for as long as use takes, or until its deadline.
func (r *run) connect(ctx context.Context, endpoint netip.AddrPort, use func(*wire) error) error {
	leave, err := r.enter(ctx, endpoint)
	if err != nil {
		return err
	}
	defer leave()
	deadline := time.Now().Add(r.Timeout)
	dialer := net.Dialer{Deadline: deadline}
	conn, err := dialer.DialContext(ctx, "tcp", endpoint.String())
	if err != nil {
		return dialError{err}
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	return use(newWire(conn))
}

// exchangeKeys runs a key exchange up to the point where the key is known and its signature
// verified.
func exchangeKeys(w *wire, endpoint netip.AddrPort, algorithms []string) (shownKey, opening, error) {
	var shown shownKey
	config := &ssh.ClientConfig{
		Config:            ssh.Config{KeyExchanges: keyExchanges},
		HostKeyAlgorithms: algorithms,
		// Called once the signature is verified; the error ends the exchange.
		HostKeyCallback: func(_ string, _ net.Addr, public ssh.PublicKey) (err error) {
			if shown, err = readShownKey(public); err != nil {
				return err
			}
			return errGotKey
		},
	}
	_, _, _, err := ssh.NewClientConn(w, endpoint.String(), config)
	open := w.parseStart()
	if shown.key.Type == "" {
		return shownKey{}, open, err
	}
	return shown, open, nil
}

// keyExchanges are what the library has and what is sound, the cheapest first. What is exchanged is
// thrown away, so the strength of the secret is no matter.
var keyExchanges = []string{
	ssh.KeyExchangeCurve25519,
	ssh.KeyExchangeECDHP256,
	ssh.KeyExchangeECDHP384,
	ssh.KeyExchangeECDHP521,
	ssh.KeyExchangeMLKEM768X25519,
	ssh.KeyExchangeDH14SHA256,
	ssh.KeyExchangeDH16SHA512,
	ssh.KeyExchangeDHGEXSHA256,
}

// slots is a number of things that may happen at once.
type slots chan struct{}

func (s slots) enter(ctx context.Context) (leave func(), err error) {
	select {
	case s <- struct{}{}:
		return func() { <-s }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// enter waits until a connection to the endpoint may be opened.
func (r *run) enter(ctx context.Context, endpoint netip.AddrPort) (leave func(), err error) {
	r.mu.Lock()
	here, ok := r.endpoints[endpoint]
	if !ok {
		here = make(slots, perEndpoint)
		r.endpoints[endpoint] = here
	}
	r.mu.Unlock()
	leaveHere, err := here.enter(ctx)
	if err != nil {
		return nil, err
	}
	leaveAll, err := r.connections.enter(ctx)
	if err != nil {
		leaveHere()
		return nil, err
	}
	return func() { leaveAll(); leaveHere() }, nil
}
