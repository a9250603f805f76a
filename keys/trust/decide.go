package trust

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"ltskeeper/keys"
)

// Apply writes what the verdicts decided, and nothing if they changed nothing.
func (s *Store) Apply(verdicts ...Verdict) error {
	var changes []change
	var now time.Time
	for _, v := range verdicts {
		if v.Err == nil {
			changes = append(changes, v.decision.change)
			now = v.decision.at
		}
	}
	return s.commit(now, byScan, nil, changes...)
}

// Accept trusts pending or rejected keys, each in place of the trusted keys of its type. Without
// fingerprints it accepts all pending ones; two of one type are then an error, as are keys that are
// not pinned though others are.
func (s *Store) Accept(p Policy, fingerprints []string, now time.Time) (accepted, replaced []keys.Stored, err error) {
	r, err := s.readRecord(p)
	if err != nil {
		return nil, nil, err
	}
	accepted, err = choosePending(r, fingerprints)
	if err != nil {
		return nil, nil, fmt.Errorf("accept keys of %s: %w", p.Name, err)
	}
	for i, k := range accepted {
		if err := s.checkAcceptable(p, k.Key, accepted[:i]); err != nil {
			return nil, nil, fmt.Errorf("accept key %s of %s: %w", k.Fingerprint(), p.Name, err)
		}
		accepted[i] = k.Stamp(keys.HowAccepted, now)
	}
	kept := withoutTypes(r.trusted, accepted)
	after := record{
		trusted: sortKeys(slices.Concat(accepted, kept)), certs: r.certs,
		pending: withoutTypes(r.pending, accepted), rejected: withoutKeys(r.rejected, accepted),
	}
	c := change{server: p.Name, names: p.allNames(), before: r, after: after}
	return accepted, withoutKeys(r.trusted, kept), s.commit(now, "replaced", nil, c)
}

// withoutTypes returns the keys of a list whose types no other has.
func withoutTypes(list, others []keys.Stored) []keys.Stored {
	return slices.DeleteFunc(slices.Clone(list), func(k keys.Stored) bool { return keys.HasType(others, k.Type) })
}

func (s *Store) checkAcceptable(p Policy, k keys.Key, others []keys.Stored) error {
	switch {
	case s.isRevoked(k):
		return errors.New("it is revoked")
	case !p.isPinned(k):
		return fmt.Errorf("%s has pins, and this is none of them: add it to the pins instead", p.Name)
	case keys.HasType(others, k.Type):
		return fmt.Errorf("there are several %s keys: name the one to accept", k.Type)
	}
	return nil
}

// Reject ends the wait of pending keys without trusting them: they are not offered again. Without
// fingerprints it rejects all of them.
func (s *Store) Reject(name string, fingerprints []string, now time.Time) (rejected []keys.Stored, err error) {
	r, err := s.readRecord(Policy{Name: name})
	if err != nil {
		return nil, err
	}
	rejected, err = choosePending(record{pending: r.pending}, fingerprints)
	if err != nil {
		return nil, fmt.Errorf("reject keys of %s: %w", name, err)
	}
	for i, k := range rejected {
		rejected[i] = k.Stamp(keys.HowRejected, now)
	}
	after := record{trusted: r.trusted, certs: r.certs, pending: withoutKeys(r.pending, rejected),
		rejected: slices.Concat(r.rejected, rejected)}
	after.rejected = after.rejected[max(0, len(after.rejected)-maxRejected):]
	return rejected, s.commit(now, "rejected", nil, change{server: name, before: r, after: after})
}

// choosePending returns the pending or rejected keys with these fingerprints; without any, all that
// wait.
func choosePending(r record, fingerprints []string) ([]keys.Stored, error) {
	if len(fingerprints) == 0 {
		if len(r.pending) == 0 {
			return nil, errors.New("no key is pending")
		}
		return slices.Clone(r.pending), nil
	}
	chosen, missing := findKeys(slices.Concat(r.pending, r.rejected), fingerprints)
	if missing != "" {
		return nil, fmt.Errorf("no pending key has the fingerprint %s", missing)
	}
	return chosen, nil
}

// findKeys returns the keys with these fingerprints, each once, or the first fingerprint that none
// has.
func findKeys(list []keys.Stored, fingerprints []string) (found []keys.Stored, missing string) {
	for _, fingerprint := range fingerprints {
		i := slices.IndexFunc(list, func(k keys.Stored) bool { return k.Fingerprint() == fingerprint })
		if i < 0 {
			return nil, fingerprint
		}
		if !keys.Contains(found, list[i]) {
			found = append(found, list[i])
		}
	}
	return found, ""
}

// Retire forgets the keys of a server that is no more, even if its files are damaged. Its names
// remain known, so that it has no first use if it comes back.
func (s *Store) Retire(name string, now time.Time) error {
	if err := checkServer(name); err != nil {
		return err
	}
	suffixes := []string{trustedSuffix, pendingSuffix, certSuffix}
	if !slices.ContainsFunc(suffixes, func(suffix string) bool {
		_, err := os.Lstat(s.path(name + suffix))
		return err == nil
	}) {
		return nil
	}
	var before record // what can be read of it
	before.trusted, _ = s.load(name, trustedSuffix)
	before.certs, _ = s.Certificates(name)
	pending, _ := s.load(name, pendingSuffix)
	before.pending, before.rejected = splitRejected(pending)
	if err := s.commit(now, "retired", nil, change{server: name, names: []string{name}, before: before}); err != nil {
		return err
	}
	for _, suffix := range suffixes { // one that is damaged is still there
		if err := s.write(name+suffix, nil); err != nil {
			return err
		}
	}
	return s.sync()
}
