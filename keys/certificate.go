package keys

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// Authority is a certificate authority for host keys.
type Authority struct {
	Hosts   []string // patterns of names and addresses, as in known_hosts: *, ? and !
	Key     Key
	Comment string // of the key, as the declaration has it
}

// expiresSoon is how long before its end a certificate is spoken of.
const expiresSoon = 14 * 24 * time.Hour

// covers reports whether clients take the authority's certificates for a name. As in OpenSSH's
// match_hostname, a pattern that begins with ! and matches excludes the name.
func (a Authority) covers(name string) bool {
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
	star, mark := -1, 0
	i, j := 0, 0
	for j < len(s) {
		switch {
		case i < len(pattern) && pattern[i] == '*':
			star, mark = i, j
			i++
		case i < len(pattern) && (pattern[i] == '?' || pattern[i] == s[j]):
			i++
			j++
		case star >= 0: // let the last star take one character more
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[i:], "*") == ""
}

// parseCertificate reads a certificate that is carried as a Key.
func parseCertificate(k Key) (cert *ssh.Certificate, certified Key, err error) {
	public, err := ssh.ParsePublicKey(k.Blob)
	if err != nil {
		return nil, Key{}, fmt.Errorf("parse certificate: %w", clean(err))
	}
	cert, ok := public.(*ssh.Certificate)
	if !ok {
		return nil, Key{}, errors.New("parse certificate: it is a plain key")
	}
	certified, err = parseBlob(cert.Key.Marshal())
	return cert, certified, err
}

// A certFault is why clients do not take a certificate.
type certFault struct {
	what    string // the end of a sentence that begins with the certificate
	foreign bool   // no declared authority has signed it
}

func (f *certFault) Error() string { return f.what }

// checkCertificate judges a host certificate for a name as OpenSSH's clients do
// (sshkey_cert_check_host), all of them: a principal that is a pattern and an empty list, which
// only some take, are refused.
func checkCertificate(k Stored, name string, authorities []Authority, revoked func(Key) bool,
	now time.Time) (until time.Time, err error) {
	fault := func(format string, args ...any) error { return &certFault{what: fmt.Sprintf(format, args...)} }
	cert, certified, err := parseCertificate(k.Key)
	if err != nil {
		return until, fault("cannot be read")
	}
	signer, err := parseBlob(cert.SignatureKey.Marshal())
	if err != nil {
		return until, fault("is signed by a key that cannot be read")
	}
	var declared, covering bool
	for _, a := range authorities {
		if a.Key.Equal(signer) {
			declared = true
			covering = covering || a.covers(name)
		}
	}
	after, before := validity(cert)
	if taken := k.Origin.At; now.Before(after) && now.Before(taken) {
		now = taken // it is on record, and had begun: the clock has been set back since
	}
	switch {
	case !declared:
		return until, &certFault{fmt.Sprintf("is signed by somebody else, %s", describe(signer)), true}
	case cert.CertType != ssh.HostCert:
		return until, fault("is one for users, not for hosts")
	case revoked(signer):
		return until, fault("is signed by a revoked key, %s", describe(signer))
	case revoked(certified):
		return until, fault("is of a revoked key")
	case certified.Weakness() != nil:
		return until, fault("is of a key that is refused: %v", certified.Weakness())
	case signer.Weakness() != nil:
		return until, fault("is signed by a key that is refused: %v", signer.Weakness())
	case !slices.Contains(algorithmsOf(signer.Type), cert.Signature.Format):
		return until, fault("has a signature of the kind %.40q, which clients refuse", cert.Signature.Format)
	case now.Before(after):
		return until, fault("is not yet valid: it begins %s", after.Format(time.RFC3339))
	case !before.IsZero() && !now.Before(before):
		return until, fault("has expired at %s", before.Format(time.RFC3339))
	case len(cert.CriticalOptions) > 0:
		return until, fault("has critical options, which clients refuse")
	case len(cert.ValidPrincipals) == 0:
		return until, fault("has no principals: it would be good for every name")
	case !slices.Contains(cert.ValidPrincipals, strings.ToLower(name)):
		return until, fault("is not for this name: its principals are %.200q", strings.Join(cert.ValidPrincipals, ", "))
	case !covering:
		return until, fault("does not count: no CA pattern covers the name")
	}
	checker := ssh.CertChecker{Clock: func() time.Time { return now }}
	if checker.CheckCert(strings.ToLower(name), cert) != nil {
		return until, fault("has a signature that is not its CA's")
	}
	return before, nil
}

// Validity is when a certificate that is carried as a Key begins and ends to be valid, ends being
// zero for one that never does, and the key it is for.
func (k Key) Validity() (begins, ends time.Time, of Key, err error) {
	cert, of, err := parseCertificate(k)
	if err != nil {
		return begins, ends, Key{}, err
	}
	begins, ends = validity(cert)
	return begins, ends, of, nil
}

// validity is when a certificate begins and ends to be valid: zero for one that never ends.
func validity(cert *ssh.Certificate) (after, before time.Time) {
	const last = 1 << 40 // seconds; what is beyond that never comes
	after = time.Unix(int64(min(cert.ValidAfter, last)), 0).UTC()
	if cert.ValidBefore < last {
		before = time.Unix(int64(cert.ValidBefore), 0).UTC()
	}
	return after, before
}

// certTypes are the types of certificates in the order in which OpenSSH's clients prefer them: they
// look at no other than the first that a server has.
func preferred(certs []Key) (Key, bool) {
	for _, t := range hostKeyTypes {
		if i := slices.IndexFunc(certs, func(k Key) bool { return k.Type == t.certType }); i >= 0 {
			return certs[i], true
		}
	}
	return Key{}, false
}

// certify judges the certificates that were shown, and those on record, for the names that clients
// use.
func (v *Verdict) certify(p Policy, r record, revoked func(Key) bool, now time.Time) {
	if len(p.Authorities) == 0 || len(p.Listed) == 0 {
		return
	}
	v.covered = p.Covered()
	note := func(alarm bool, format string, args ...any) {
		said := fmt.Sprintf(format, args...)
		if !slices.Contains(v.CertNotes, said) {
			v.CertNotes = append(v.CertNotes, said)
		}
		v.certAlarm = v.certAlarm || alarm
	}
	for _, k := range r.certs { // what was good once may be so no more
		if _, err := checkCertificate(k, p.Listed[0], p.Authorities, revoked, now); err == nil {
			v.Certified = append(v.Certified, k)
		}
	}
	for _, a := range v.seen.Addresses {
		shown, found := preferred(a.Certificates)
		if !found {
			if v.covered && len(a.types()) > 0 && a.Err == nil {
				note(len(v.Trusted) == 0, "%s shows no certificate, though a CA covers it", v.Name)
			}
			continue
		}
		best := remember(shown, r.certs, Origin{})
		for _, name := range p.Listed {
			until, err := checkCertificate(best, name, p.Authorities, revoked, now)
			var fault *certFault
			switch {
			case errors.As(err, &fault) && fault.foreign && !v.covered:
			case err != nil:
				note(true, "%s shows a certificate that %v (for the name %s, of %s)", v.Name, err, name,
					certifiedName(shown))
			case !until.IsZero() && until.Sub(now) < expiresSoon:
				note(true, "%s shows a certificate that expires at %s (of %s)", v.Name, until.Format(time.RFC3339),
					certifiedName(shown))
			}
			if name == p.Listed[0] && err == nil {
				v.takeCertificate(best, now)
			}
		}
	}
}

// Covered says whether a declared CA is to vouch for the server, under one of the names that
// clients use.
func (p Policy) Covered() bool {
	return slices.ContainsFunc(p.Listed, func(name string) bool {
		return slices.ContainsFunc(p.Authorities, func(a Authority) bool { return a.covers(name) })
	})
}

// Refused says why clients do not take a certificate that a server shows, as the end of a sentence
// that begins with it; nil if they do. What another CA has signed is nobody's concern where no
// declared one covers the server.
func (s *Store) Refused(p Policy, certificate Stored, now time.Time) error {
	for _, name := range p.Listed {
		_, err := checkCertificate(certificate, name, p.Authorities, s.isRevoked, now)
		var fault *certFault
		if err == nil || errors.As(err, &fault) && fault.foreign && !p.Covered() {
			continue
		}
		return fmt.Errorf("%w (for the name %s)", err, name)
	}
	return nil
}

// takeCertificate records a good one in place of an older one of its type.
func (v *Verdict) takeCertificate(k Stored, now time.Time) {
	_, certified, _ := parseCertificate(k.Key)
	v.vouched = append(v.vouched, certified)
	if contains(v.Certified, k) {
		return
	}
	v.Certified = slices.DeleteFunc(v.Certified, func(old Stored) bool { return old.Type == k.Type })
	k.Origin = stampOrigin(HowCertified, now)
	v.Certified = append(v.Certified, k)
}

// certifiedName names the key of a certificate.
func certifiedName(k Key) string {
	_, certified, err := parseCertificate(k)
	if err != nil {
		return k.Type
	}
	return describe(certified)
}

// certified reports whether an address shows a key that a good certificate vouches for.
func (v *Verdict) certified(a AddressSighting) bool {
	return slices.ContainsFunc(a.Keys, func(k Key) bool { return contains(v.vouched, k) })
}
