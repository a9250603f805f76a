package keys

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ltskeeper/internal/glob"

	"golang.org/x/crypto/ssh"
)

// Authority is a certificate authority for host keys.
type Authority struct {
	Hosts   []string // patterns of names and addresses, as in known_hosts: *, ? and !
	Key     Key
	Comment string // of the key, as the declaration has it
}

// Covers reports whether clients take the authority's certificates for a name. As in OpenSSH's
// match_hostname, a pattern that begins with ! and matches excludes the name.
func (a Authority) Covers(name string) bool {
	name = strings.ToLower(name)
	covered := false
	for _, pattern := range a.Hosts {
		pattern = strings.ToLower(pattern)
		if rest, negated := strings.CutPrefix(pattern, "!"); negated {
			if matchPattern(rest, name) {
				return false
			}
		} else if matchPattern(pattern, name) {
			covered = true
		}
	}
	return covered
}

// matchPattern is OpenSSH's match_pattern: * is any text, ? one character.
func matchPattern(pattern, s string) bool {
	return glob.Match(pattern, s, func(pattern string, p int, c byte) (next int, ok bool) {
		return p + 1, pattern[p] == '?' || pattern[p] == c
	})
}

// A Certificate is a host certificate that is carried as a Key.
type Certificate struct {
	*ssh.Certificate
	Certified    Key       // the key that it is for
	Begins, Ends time.Time // Ends is zero if it never ends
}

// ParseCertificate reads a certificate that is carried as a Key.
func ParseCertificate(k Key) (*Certificate, error) {
	public, err := ssh.ParsePublicKey(k.Blob)
	if err != nil {
		return nil, fmt.Errorf("parse certificate: %w", err)
	}
	cert, ok := public.(*ssh.Certificate)
	if !ok {
		return nil, errors.New("parse certificate: it is a plain key")
	}
	certified, err := ParseBlob(cert.Key.Marshal())
	if err != nil {
		return nil, fmt.Errorf("parse certificate: %w", err)
	}
	const last = 1 << 40 // seconds; what is beyond that never comes
	c := &Certificate{Certificate: cert, Certified: certified}
	c.Begins = time.Unix(int64(min(cert.ValidAfter, last)), 0).UTC()
	if cert.ValidBefore < last {
		c.Ends = time.Unix(int64(cert.ValidBefore), 0).UTC()
	}
	return c, nil
}

// PreferredCertificate returns the certificate that OpenSSH's clients look at, of all that a server
// has: the first in the order of KeyTypes.
func PreferredCertificate(certs []Key) (Key, bool) {
	for _, t := range KeyTypes {
		if i := slices.IndexFunc(certs, func(k Key) bool { return k.Type == t.Certificate }); i >= 0 {
			return certs[i], true
		}
	}
	return Key{}, false
}
