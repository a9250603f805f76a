package trust

import (
	"slices"
	"time"

	"ltskeeper/keys"

	"golang.org/x/crypto/ssh"
)

// A change is what becomes of one server's keys.
type change struct {
	server        string
	names         []string // to be known from now on
	before, after record
}

// byScan is what the log says of a change that nobody ordered.
const byScan = "scan"

// commit is the one place where trust changes: every decision ends here. On disk names come before
// the first key of theirs, the log before what it tells of, and a revocation before the files that
// it takes keys from. Nothing is written for what stays as it is.
func (s *Store) commit(now time.Time, by string, revoked []keys.Stored, changes ...change) error {
	var names []string
	for _, c := range changes {
		names = append(names, c.names...)
	}
	if err := s.addNames(names); err != nil {
		return err
	}
	if err := s.log(s.entries(now, by, revoked, changes)); err != nil {
		return err
	}
	changed := false
	if len(revoked) > 0 {
		changed = true
		all := append(s.Revoked(), revoked...)
		if err := s.write(revokedFile, formatKeyFile(all)); err != nil {
			return err
		}
		s.revoked = all
		if err := s.sync(); err != nil {
			return err
		}
	}
	for _, c := range changes {
		if !sameEntries(c.before.trusted, c.after.trusted) {
			changed = true
			if err := s.write(c.server+trustedSuffix, formatKeyFile(c.after.trusted)); err != nil {
				return err
			}
		}
		if !sameEntries(c.before.certs, c.after.certs) {
			changed = true
			if err := s.write(c.server+certSuffix, formatKeyFile(c.after.certs)); err != nil {
				return err
			}
		}
		before, after := c.before.untrusted(), c.after.untrusted()
		if !sameEntries(before, after) {
			changed = true
			if err := s.write(c.server+pendingSuffix, formatKeyFile(after)); err != nil {
				return err
			}
		}
	}
	if !changed {
		return nil
	}
	return s.sync()
}

// untrusted is what stands in NAME.pending.
func (r record) untrusted() []keys.Stored { return slices.Concat(r.waiting, r.rejected) }

// sameEntries reports whether two lists hold the same keys with the same comments, in whatever
// order.
func sameEntries(a, b []keys.Stored) bool {
	missing := func(k keys.Stored) bool {
		same := func(other keys.Stored) bool {
			return other.Equal(k.Key) && other.Origin.Comment() == k.Origin.Comment()
		}
		return !slices.ContainsFunc(b, same)
	}
	return len(a) == len(b) && !slices.ContainsFunc(a, missing)
}

// entries is what the log says about the changes: a line for each key that comes to be trusted,
// rejected or revoked, or ceases to be so. That a key waits is no decision, and anybody can bring
// it about.
func (s *Store) entries(now time.Time, by string, revoked []keys.Stored, changes []change) []Entry {
	var entries []Entry
	add := func(server string, k keys.Key, from, to Standing, by string) {
		entries = append(entries, Entry{
			Time: now.UTC().Truncate(time.Second), Server: server, Type: k.Type, Key: k.Fingerprint(),
			From: from, To: to, By: by, Order: s.order,
		})
	}
	for _, k := range revoked {
		add(anyServer, k.Key, Unknown, Revoked, by)
	}
	isRevoked := func(k keys.Key) bool { return s.isRevoked(k) || keys.Contains(revoked, k) }
	for _, c := range changes {
		var all []keys.Key
		for _, k := range slices.Concat(c.after.trusted, c.after.rejected, c.before.trusted, c.before.rejected) {
			if !keys.Contains(all, k) {
				all = append(all, k.Key)
			}
		}
		for _, k := range all {
			from, to := c.before.standing(k), c.after.standing(k)
			if to == Unknown && isRevoked(k) {
				to = Revoked
			}
			why := by
			switch {
			case to == Trusted:
				why = remember(k, c.after.trusted, keys.Origin{}).Origin.What()
			case by == byScan && !remember(k, c.before.trusted, keys.Origin{}).Origin.Gone.IsZero():
				why = "retired"
			case by == byScan && to == Rejected:
				why = "recalled" // from the log: NAME.pending was lost
			}
			if from != to {
				add(c.server, k, from, to, why)
			}
		}
	}
	for _, c := range changes {
		for _, k := range c.after.certs {
			if cert, err := keys.ParseCertificate(k.Key); err == nil && !keys.Contains(c.before.certs, k) {
				add(c.server, cert.Certified, c.before.standing(cert.Certified), Certified,
					"certificate of "+ssh.FingerprintSHA256(cert.SignatureKey))
			}
		}
	}
	return entries
}

// standing is what a record says about a key.
func (r record) standing(k keys.Key) Standing {
	switch {
	case keys.Contains(r.trusted, k):
		return Trusted
	case keys.Contains(r.rejected, k):
		return Rejected
	case keys.Contains(r.waiting, k):
		return Pending
	}
	return Unknown
}
