package keys

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"
)

// Target is a server to be asked for its host keys.
type Target struct {
	Name      string   // the server's name; resolved if there are no addresses
	Addresses []string // IP addresses or names; all of them are asked
	Port      int      // 0 means 22
}

// Sighting is what one scan of a target saw.
type Sighting struct {
	Target    Target
	Addresses []AddressSighting // at least one
}

// AddressSighting is what one address of a target showed. Every key in it has
// signed the key exchange it was shown in, so that whoever answered has the
// private key.
type AddressSighting struct {
	Address string   // IP address, or the name if that could not be resolved
	Offered []string // key types in the server's first KEXINIT, also those that cannot be asked for
	Keys    []Key    // at most one a type, in the order they were asked for
	Err     error    // a *ScanError, or nil if every type that can be asked for was shown
}

// ErrorKind says in what way an address kept its keys to itself.
type ErrorKind string

const (
	KindUnresolved  ErrorKind = "unresolved"  // the name has no address
	KindUnreachable ErrorKind = "unreachable" // no TCP connection
	KindThrottled   ErrorKind = "throttled"   // sshd is up, but turns this machine away for a while
	KindTimeout     ErrorKind = "timeout"     // connected, but no key in time
	KindProtocol    ErrorKind = "protocol"    // what it says is not SSH as we know it
)

// ScanError is why an address showed no keys, or not all of them.
type ScanError struct {
	Name    string // the target's
	Address string // as in AddressSighting
	Port    int
	Kind    ErrorKind
	Err     error // one short line, nothing in it that a terminal would obey
}

func (e *ScanError) Error() string {
	at := net.JoinHostPort(e.Address, strconv.Itoa(e.Port))
	return fmt.Sprintf("scan %s at %s: %v", e.Name, at, e.Err)
}

func (e *ScanError) Unwrap() error { return e.Err }

// Scanner asks servers for their host keys. The zero value is ready to use.
type Scanner struct {
	Timeout  time.Duration // for one connection: TCP, banner and key exchange together; 0 means 5 s
	Parallel int           // connections at once; 0 means 64

	// Resolve looks a name up; nil means the system's resolver.
	Resolve func(ctx context.Context, name string) ([]netip.Addr, error)
}

// Scan asks all targets at once, one connection for each host key type that
// a server has and this package can verify: Ed25519, ECDSA and RSA with SHA-2.
// The sightings stand in the order of the targets. What goes wrong with one
// address stands in its sighting; Scan itself fails only if ctx ends.
// progress, if not nil, is called after each target, one call at a time.
func (s *Scanner) Scan(ctx context.Context, targets []Target, progress func(done, total int)) ([]Sighting, error) {
	panic("not yet")
}
