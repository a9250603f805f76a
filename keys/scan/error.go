package scan

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"ltskeeper/keys"

	"golang.org/x/crypto/ssh"
)

// ErrorKind says in what way an address kept its keys to itself.
type ErrorKind string

const (
	KindUnresolved  ErrorKind = "unresolved"  // the name has no address
	KindUnreachable ErrorKind = "unreachable" // no TCP connection
	KindThrottled   ErrorKind = "throttled"   // sshd is up, but turns this machine away for a while
	KindTimeout     ErrorKind = "timeout"     // connected, but no key in time
	KindProtocol    ErrorKind = "protocol"    // what it says is not SSH as we know it
	KindLogin       ErrorKind = "login"       // it showed a trusted key, but lets nobody in
)

// AddressError is why an address showed no keys, or not all of them.
type AddressError struct {
	Name    string // the target's
	Address string // as in AddressSighting
	Port    int
	Kind    ErrorKind
	Err     error // one short line, nothing in it that a terminal would obey
}

func (e *AddressError) Error() string {
	at := net.JoinHostPort(e.Address, strconv.Itoa(e.Port))
	return fmt.Sprintf("scan %s at %s: %v", e.Name, at, e.Err)
}

func (e *AddressError) Unwrap() error { return e.Err }

// failWith returns a function that returns the sighting with an error about the target.
func (t Target) failWith(seen *keys.AddressSighting) func(ErrorKind, error) keys.AddressSighting {
	return func(kind ErrorKind, err error) keys.AddressSighting {
		seen.Err = &AddressError{Name: t.Name, Address: seen.Address, Port: t.Port, Kind: kind, Err: err}
		return *seen
	}
}

var (
	errGotKey    = errors.New("the key is known")
	errNoAddress = errors.New("the name has no address")
)

// dialError is a failure before there is a connection.
type dialError struct{ error }

func (e dialError) Unwrap() error { return e.error }

// explainFailure says in one line why a connection showed no key.
func explainFailure(err error, open opening, timeout time.Duration) (ErrorKind, error) {
	var dial dialError
	var negotiation *ssh.AlgorithmNegotiationError
	var errno syscall.Errno
	switch {
	case errors.As(err, &dial) && errors.Is(err, syscall.ECONNRESET): // taken up and dropped
		return explainNoVersion(err, "")
	case errors.As(err, &dial) && isTimeout(err):
		return KindUnreachable, fmt.Errorf("no answer within %v", timeout)
	case errors.As(err, &dial) && errors.As(err, &errno):
		return KindUnreachable, errno
	case errors.As(err, &dial):
		return KindUnreachable, cleanError(err)
	case isTimeout(err) && open.version == "":
		return KindTimeout, fmt.Errorf("connected, but no SSH version within %v", timeout)
	case isTimeout(err):
		return KindTimeout, fmt.Errorf("connected, but no host key within %v", timeout)
	case errors.Is(err, errFlood):
		return KindProtocol, errFlood
	case open.version == "":
		return explainNoVersion(err, open.preface)
	case isClosed(err):
		return KindProtocol, errors.New("closed the connection during the key exchange")
	case errors.As(err, &negotiation) && negotiation.What == "host key":
		return KindProtocol, fmt.Errorf("has no host key that can be verified here, only %.200s",
			strings.Join(listKeyTypes(open.algorithms), ", "))
	case errors.As(err, &negotiation):
		return KindProtocol, fmt.Errorf("no common algorithm for %s", negotiation.What)
	}
	return KindProtocol, cleanError(err)
}

// explainNoVersion tells a busy sshd from something else. Under MaxStartups and PerSourcePenalties
// sshd (drop_connection in sshd.c) sends a line of its own instead of the version, as far as it
// can; then it closes.
func explainNoVersion(err error, preface string) (ErrorKind, error) {
	said := strings.TrimSpace(preface)
	switch {
	case strings.Contains(said, "Exceeded MaxStartups"), strings.Contains(said, "Not allowed at this time"):
		return KindThrottled, fmt.Errorf("turned away by sshd: %.60q", said)
	case said == "" && isClosed(err):
		return KindThrottled, errors.New("closed the connection before a word, as sshd does with too many of them")
	case said == "":
		return KindProtocol, cleanError(err)
	}
	return KindProtocol, fmt.Errorf("no SSH server: it says %.60q", said)
}

func explainLookup(err error, timeout time.Duration) error {
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return errNoAddress
	case isTimeout(err):
		return fmt.Errorf("no answer from the name service within %v", timeout)
	case errors.As(err, &dns):
		return errors.New("the name service does not answer; /etc/resolv.conf says which one is asked")
	}
	return cleanError(err)
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
	return KindLogin, fmt.Errorf("does not log %s in: %w", user, cleanError(err))
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

func isClosed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// cleanError shortens an error that may quote the server, and takes away what is not plain text.
func cleanError(err error) error {
	text := strings.TrimPrefix(err.Error(), "ssh: handshake failed: ")
	text = strings.TrimPrefix(text, "ssh: ")
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text[:min(len(text), 200)])
	return errors.New(text)
}

// dropUnroutable leaves out addresses that a name resolves to and this machine has no route for, if
// another one answered: a name may well have an IPv6 address where nobody uses IPv6.
func dropUnroutable(found []address, sightings []keys.AddressSighting) []keys.AddressSighting {
	answered := false
	for _, seen := range sightings {
		answered = answered || len(seen.Keys) > 0
	}
	var kept []keys.AddressSighting
	for i, seen := range sightings {
		noRoute := errors.Is(seen.Err, syscall.ENETUNREACH) ||
			errors.Is(seen.Err, syscall.EAFNOSUPPORT) || errors.Is(seen.Err, syscall.EADDRNOTAVAIL)
		if answered && noRoute && !found[i].declared {
			continue
		}
		kept = append(kept, seen)
	}
	return kept
}
