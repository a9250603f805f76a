package trust

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ltskeeper/keys"

	"golang.org/x/crypto/ssh"
)

// ExpiresSoon is how long before its end a certificate is reported.
const ExpiresSoon = 14 * 24 * time.Hour

// A certFault is why clients do not take a certificate.
type certFault struct {
	what    string // the end of a sentence that begins with the certificate
	foreign bool
}

func (f *certFault) Error() string { return f.what }

// isForeign reports whether no declared authority has signed the certificate.
func isForeign(err error) bool {
	fault, ok := errors.AsType[*certFault](err)
	return ok && fault.foreign
}

// checkCertificate judges a host certificate for a name as OpenSSH's clients do
// (sshkey_cert_check_host), all of them: a principal that is a pattern and an empty list, which
// only some take, are refused.
func checkCertificate(k keys.Stored, name string, authorities []keys.Authority, revoked []keys.Stored,
	now time.Time) (until time.Time, err error) {
	fault := func(format string, args ...any) error { return &certFault{what: fmt.Sprintf(format, args...)} }
	cert, err := keys.ParseCertificate(k.Key)
	if err != nil {
		return until, fault("cannot be read")
	}
	signer, err := keys.ParseBlob(cert.SignatureKey.Marshal())
	if err != nil {
		return until, fault("is signed by a key that cannot be read")
	}
	var declared, covering bool
	for _, a := range authorities {
		if a.Key.Equal(signer) {
			declared = true
			covering = covering || a.Covers(name)
		}
	}
	certified := cert.Certified
	if taken := k.Origin.At; now.Before(cert.Begins) && now.Before(taken) {
		now = taken // it is on record, and had begun: the clock has been set back since
	}
	switch {
	case !declared:
		return until, &certFault{fmt.Sprintf("is signed by somebody else, %s", describeKeys(signer)), true}
	case cert.CertType != ssh.HostCert:
		return until, fault("is one for users, not for hosts")
	case keys.Contains(revoked, signer):
		return until, fault("is signed by a revoked key, %s", describeKeys(signer))
	case keys.Contains(revoked, certified):
		return until, fault("is of a revoked key")
	case certified.Weakness() != nil:
		return until, fault("is of a key that is refused: %v", certified.Weakness())
	case signer.Weakness() != nil:
		return until, fault("is signed by a key that is refused: %v", signer.Weakness())
	case !slices.Contains(keys.SignatureAlgorithms(signer.Type), cert.Signature.Format):
		return until, fault("has a signature of the kind %.40q, which clients refuse", cert.Signature.Format)
	case now.Before(cert.Begins):
		return until, fault("is not yet valid: it begins %s", cert.Begins.Format(time.RFC3339))
	case !cert.Ends.IsZero() && !now.Before(cert.Ends):
		return until, fault("has expired at %s", cert.Ends.Format(time.RFC3339))
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
	if checker.CheckCert(strings.ToLower(name), cert.Certificate) != nil {
		return until, fault("has a signature that is not its CA's")
	}
	return cert.Ends, nil
}

// certification are what clients take of those that a server showed, and of those on record.
type certification struct {
	good    []keys.Stored
	vouched []keys.Key // shown with a good one
	notes   []string   // what is to be said about them, a sentence each
	alarm   bool       // somebody has to see to them
}

// judgeCertificates judges the certificates that were shown, and those on record, for the names
// that clients use. The keys in them are not trusted otherwise: OpenSSH would take a plain line
// after the certificate has expired.
func (in input) judgeCertificates(hasTrusted bool) (c certification) {
	p, r, now := in.policy, in.record, in.now
	if len(p.Authorities) == 0 || len(p.ClientNames) == 0 {
		return c
	}
	isCovered := p.IsCovered()
	note := func(alarm bool, format string, args ...any) {
		if said := fmt.Sprintf(format, args...); !slices.Contains(c.notes, said) {
			c.notes = append(c.notes, said)
		}
		c.alarm = c.alarm || alarm
	}
	for _, k := range r.certs { // what was good once may be so no more
		if _, err := checkCertificate(k, p.ClientNames[0], p.Authorities, r.revoked, now); err == nil {
			c.good = append(c.good, k)
		}
	}
	for _, a := range in.addresses {
		shown, found := keys.PreferredCertificate(a.Certificates)
		if !found {
			if isCovered && len(a.Types()) > 0 && a.Err == nil {
				note(!hasTrusted, "%s shows no certificate, though a CA covers it", p.Name)
			}
			continue
		}
		best := recallOrigin(shown, r.certs)
		for _, name := range p.ClientNames {
			until, err := checkCertificate(best, name, p.Authorities, r.revoked, now)
			switch {
			case isForeign(err) && !isCovered:
			case err != nil:
				note(true, "%s shows a certificate that %v (for the name %s, of %s)", p.Name, err, name,
					describeCertified(shown))
			case !until.IsZero() && until.Sub(now) < ExpiresSoon:
				note(true, "%s shows a certificate that expires at %s (of %s)", p.Name, until.Format(time.RFC3339),
					describeCertified(shown))
			}
			if name == p.ClientNames[0] && err == nil {
				c.take(best, now)
			}
		}
	}
	return c
}

// take records a good certificate in place of an older one of its type.
func (c *certification) take(k keys.Stored, now time.Time) {
	cert, _ := keys.ParseCertificate(k.Key)
	c.vouched = append(c.vouched, cert.Certified)
	if keys.Contains(c.good, k) {
		return
	}
	c.good = slices.DeleteFunc(c.good, func(old keys.Stored) bool { return old.Type == k.Type })
	c.good = append(c.good, k.Stamp(keys.HowCertified, now))
}

// IsCovered reports whether a declared CA is to vouch for the server, under one of the names that
// clients use.
func (p Policy) IsCovered() bool {
	return slices.ContainsFunc(p.ClientNames, func(name string) bool {
		return slices.ContainsFunc(p.Authorities, func(a keys.Authority) bool { return a.Covers(name) })
	})
}

// Refused says why clients do not take a certificate that a server shows, as the end of a sentence
// that begins with it; nil if they do. What another CA has signed is nobody's concern where no
// declared one covers the server.
func (s *Store) Refused(p Policy, certificate keys.Stored, now time.Time) error {
	for _, name := range p.ClientNames {
		_, err := checkCertificate(certificate, name, p.Authorities, s.revoked, now)
		if err == nil || isForeign(err) && !p.IsCovered() {
			continue
		}
		return fmt.Errorf("%w (for the name %s)", err, name)
	}
	return nil
}

// describeCertified names the key of a certificate.
func describeCertified(k keys.Key) string {
	cert, err := keys.ParseCertificate(k)
	if err != nil {
		return k.Type
	}
	return describeKeys(cert.Certified)
}
