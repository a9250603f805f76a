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
	names         []string // that have no first use from now on
	before, after record
}

// byScan is what the log says of a change that nobody ordered.
const byScan = "scan"

// commit is the one place where trust changes: every decision ends here. On disk names come before
// the first key of theirs, the log before what it tells of, and a revocation before the files that
// it takes keys from. Nothing is written for what stays as it is.
func (s *Store) commit(now time.Time, by string, revoked []keys.Stored, changes ...change) error {
	var used []string
	for _, c := range changes {
		used = append(used, c.names...)
	}
	if err := s.rememberNames(used); err != nil {
		return err
	}
	if err := s.appendLog(s.logEntries(now, by, revoked, changes)); err != nil {
		return err
	}
	if len(revoked) > 0 {
		all := append(s.Revoked(), revoked...)
		if err := s.write(revokedFile, formatKeyFile(all)); err != nil {
			return err
		}
		s.revoked = all
		if err := s.sync(); err != nil {
			return err
		}
	}
	hasChanged := false
	for _, c := range changes {
		for _, f := range []struct {
			suffix        string
			before, after []keys.Stored
		}{
			{trustedSuffix, c.before.trusted, c.after.trusted},
			{certSuffix, c.before.certs, c.after.certs},
			{pendingSuffix, c.before.untrusted(), c.after.untrusted()},
		} {
			if haveSameEntries(f.before, f.after) {
				continue
			}
			hasChanged = true
			if err := s.write(c.server+f.suffix, formatKeyFile(f.after)); err != nil {
				return err
			}
		}
	}
	if !hasChanged {
		return nil
	}
	return s.sync()
}

// untrusted returns the keys of NAME.pending.
func (r record) untrusted() []keys.Stored { return slices.Concat(r.pending, r.rejected) }

// haveSameEntries reports whether two lists hold the same keys with the same comments, in whatever
// order.
func haveSameEntries(a, b []keys.Stored) bool {
	missing := func(k keys.Stored) bool {
		same := func(other keys.Stored) bool {
			return other.Equal(k.Key) && other.Origin.Comment() == k.Origin.Comment()
		}
		return !slices.ContainsFunc(b, same)
	}
	return len(a) == len(b) && !slices.ContainsFunc(a, missing)
}

// logEntries are what the log says about the changes: a line for each key that comes to be trusted,
// rejected or revoked, or ceases to be so. That a key waits is no decision, and anybody can bring
// it about.
func (s *Store) logEntries(now time.Time, by string, revoked []keys.Stored, changes []change) []Entry {
	var entries []Entry
	add := func(server string, k keys.Key, from, to State, by string) {
		entries = append(entries, Entry{
			Time: now.UTC().Truncate(time.Second), Server: server, Type: k.Type, Key: k.Fingerprint(),
			From: from, To: to, By: by, Order: s.order,
		})
	}
	for _, k := range revoked {
		add(anyServer, k.Key, StateUnknown, StateRevoked, by)
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
			from, to := c.before.stateOf(k), c.after.stateOf(k)
			if to == StateUnknown && isRevoked(k) {
				to = StateRevoked
			}
			why := by
			switch {
			case to == StateTrusted:
				why = recallOrigin(k, c.after.trusted).Origin.What()
			case by == byScan && !recallOrigin(k, c.before.trusted).Origin.Gone.IsZero():
				why = "retired"
			case by == byScan && to == StateRejected:
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
				add(c.server, cert.Certified, c.before.stateOf(cert.Certified), StateCertified,
					"certificate of "+ssh.FingerprintSHA256(cert.SignatureKey))
			}
		}
	}
	return entries
}

// stateOf returns what a record says about a key.
func (r record) stateOf(k keys.Key) State {
	switch {
	case keys.Contains(r.trusted, k):
		return StateTrusted
	case keys.Contains(r.rejected, k):
		return StateRejected
	case keys.Contains(r.pending, k):
		return StatePending
	}
	return StateUnknown
}
