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

// expiresSoon is how long before its end a certificate is spoken of.
const expiresSoon = 14 * 24 * time.Hour

// A certFault is why clients do not take a certificate.
type certFault struct {
	what    string // the end of a sentence that begins with the certificate
	foreign bool   // no declared authority has signed it
}

func (f *certFault) Error() string { return f.what }

// checkCertificate judges a host certificate for a name as OpenSSH's clients do
// (sshkey_cert_check_host), all of them: a principal that is a pattern and an empty list, which
// only some take, are refused.
func checkCertificate(k keys.Stored, name string, authorities []keys.Authority, revoked func(keys.Key) bool,
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

// certify judges the certificates that were shown, and those on record, for the names that clients
// use.
func (v *Verdict) certify(p Policy, r record, revoked func(keys.Key) bool, now time.Time) {
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
		shown, found := keys.PreferredCertificate(a.Certificates)
		if !found {
			if v.covered && len(a.Types()) > 0 && a.Err == nil {
				note(len(v.Trusted) == 0, "%s shows no certificate, though a CA covers it", v.Name)
			}
			continue
		}
		best := remember(shown, r.certs, keys.Origin{})
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
		return slices.ContainsFunc(p.Authorities, func(a keys.Authority) bool { return a.Covers(name) })
	})
}

// Refused says why clients do not take a certificate that a server shows, as the end of a sentence
// that begins with it; nil if they do. What another CA has signed is nobody's concern where no
// declared one covers the server.
func (s *Store) Refused(p Policy, certificate keys.Stored, now time.Time) error {
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
func (v *Verdict) takeCertificate(k keys.Stored, now time.Time) {
	cert, _ := keys.ParseCertificate(k.Key)
	v.vouched = append(v.vouched, cert.Certified)
	if keys.Contains(v.Certified, k) {
		return
	}
	v.Certified = slices.DeleteFunc(v.Certified, func(old keys.Stored) bool { return old.Type == k.Type })
	k.Origin = keys.StampOrigin(keys.HowCertified, now)
	v.Certified = append(v.Certified, k)
}

// certifiedName names the key of a certificate.
func certifiedName(k keys.Key) string {
	cert, err := keys.ParseCertificate(k)
	if err != nil {
		return k.Type
	}
	return describe(cert.Certified)
}

// certified reports whether an address shows a key that a good certificate vouches for.
func (v *Verdict) certified(a keys.AddressSighting) bool {
	return slices.ContainsFunc(a.Keys, func(k keys.Key) bool { return keys.Contains(v.vouched, k) })
}
