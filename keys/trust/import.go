package trust

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"ltskeeper/keys"
)

// Imported is what became of keys that a person brought from elsewhere.
type Imported struct {
	New       []keys.Stored // trusted from now on
	Known     []keys.Stored // trusted before
	Conflicts []keys.Stored // of a type of which another key is trusted: they wait for a person
	Refused   []RefusedKey  // never trusted, and why
}

// RefusedKey is a key that was offered and cannot be trusted.
type RefusedKey struct {
	keys.Stored
	Err error // why
}

// Import trusts keys that a person brought from elsewhere, if they replace none: one of a type of
// which another key is trusted, or that a person has rejected, waits to be accepted.
func (s *Store) Import(p Policy, offered []keys.Stored, now time.Time) (Imported, error) {
	var done Imported
	r, err := s.readRecord(p)
	if err != nil {
		return done, err
	}
	r.rejected = slices.Concat(r.rejected, r.recallRejected(keys.PlainKeys(offered)))
	after := record{trusted: slices.Clone(r.trusted), pending: slices.Clone(r.pending), certs: r.certs}
	for _, k := range offered {
		imported := k.Stamp(keys.HowImported, now)
		switch reason := s.checkImportable(p, k.Key); {
		case reason != nil:
			done.Refused = append(done.Refused, RefusedKey{k, reason})
		case keys.Contains(r.trusted, k):
			done.Known = append(done.Known, recallOrigin(k.Key, r.trusted))
		case keys.Contains(after.trusted, k), keys.Contains(done.Conflicts, k): // twice in what is imported
		case keys.HasType(after.trusted, k.Type), keys.Contains(r.rejected, k):
			done.Conflicts = append(done.Conflicts, imported)
			if !keys.Contains(after.pending, k) {
				after.pending = append(after.pending, imported)
			}
		default:
			done.New = append(done.New, imported)
			after.trusted = append(after.trusted, imported)
		}
	}
	if len(after.pending) > maxPending {
		return Imported{}, fmt.Errorf("import keys of %s: more than %d would wait for a decision", p.Name, maxPending)
	}
	after.pending = withoutKeys(after.pending, after.trusted)
	after.rejected = withoutKeys(r.rejected, after.pending)
	after.trusted = sortKeys(after.trusted)
	c := change{server: p.Name, before: r, after: after}
	if len(done.New)+len(done.Conflicts) > 0 {
		c.names = p.allNames()
	}
	return done, s.commit(now, "imported", nil, c)
}

func (s *Store) checkImportable(p Policy, k keys.Key) error {
	switch {
	case s.isRevoked(k):
		return errors.New("it is revoked")
	case k.Weakness() != nil:
		return k.Weakness()
	case !p.isPinned(k):
		return fmt.Errorf("%s has pins, and this is none of them", p.Name)
	}
	return nil
}
