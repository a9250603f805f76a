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
			changes = append(changes, v.change())
			now = v.at
		}
	}
	return s.commit(now, byScan, nil, changes...)
}

func (v *Verdict) change() change {
	return change{
		server: v.Name, names: v.names, before: v.before,
		after: record{trusted: v.Trusted, waiting: v.Pending, rejected: v.rejected, certs: v.Certified},
	}
}

// Accept trusts pending or rejected keys, each in place of the trusted keys of its type. Without
// fingerprints it accepts all pending ones; two of one type are then an error, as are keys that are
// not pinned though others are.
func (s *Store) Accept(p Policy, fingerprints []string, now time.Time) (accepted, replaced []keys.Stored, err error) {
	r, err := s.record(p)
	if err != nil {
		return nil, nil, err
	}
	accepted, err = choose(r, fingerprints)
	if err != nil {
		return nil, nil, fmt.Errorf("accept keys of %s: %w", p.Name, err)
	}
	for i, k := range accepted {
		if err := s.acceptable(p, k.Key, accepted[:i]); err != nil {
			return nil, nil, fmt.Errorf("accept key %s of %s: %w", k.Fingerprint(), p.Name, err)
		}
		accepted[i].Origin = keys.StampOrigin(keys.HowAccepted, now)
	}
	after := record{trusted: slices.Clone(accepted), certs: r.certs}
	for _, k := range r.trusted {
		if keys.HasType(accepted, k.Type) {
			replaced = append(replaced, k)
		} else {
			after.trusted = append(after.trusted, k)
		}
	}
	sortKeys(after.trusted)
	for _, k := range r.waiting {
		if !keys.HasType(accepted, k.Type) {
			after.waiting = append(after.waiting, k)
		}
	}
	for _, k := range r.rejected {
		if !keys.Contains(accepted, k) {
			after.rejected = append(after.rejected, k)
		}
	}
	c := change{server: p.Name, names: append([]string{p.Name}, p.Names...), before: r, after: after}
	return accepted, replaced, s.commit(now, "replaced", nil, c)
}

func (s *Store) acceptable(p Policy, k keys.Key, others []keys.Stored) error {
	switch {
	case s.isRevoked(k):
		return errors.New("it is revoked")
	case !pinned(p.Pins, k):
		return fmt.Errorf("%s has pins, and this is none of them: add it to the pins instead", p.Name)
	case keys.HasType(others, k.Type):
		return fmt.Errorf("there are several %s keys: name the one to accept", k.Type)
	}
	return nil
}

// Reject ends the wait of pending keys without trusting them: they are not offered again. Without
// fingerprints it rejects all of them.
func (s *Store) Reject(name string, fingerprints []string, now time.Time) (rejected []keys.Stored, err error) {
	r, err := s.record(Policy{Name: name})
	if err != nil {
		return nil, err
	}
	rejected, err = choose(record{waiting: r.waiting}, fingerprints)
	if err != nil {
		return nil, fmt.Errorf("reject keys of %s: %w", name, err)
	}
	for i := range rejected {
		rejected[i].Origin = keys.StampOrigin(keys.HowRejected, now)
	}
	after := record{trusted: r.trusted, certs: r.certs, rejected: slices.Concat(r.rejected, rejected)}
	after.rejected = after.rejected[max(0, len(after.rejected)-maxRejected):]
	for _, k := range r.waiting {
		if !keys.Contains(rejected, k) {
			after.waiting = append(after.waiting, k)
		}
	}
	return rejected, s.commit(now, "rejected", nil, change{server: name, before: r, after: after})
}

// choose finds the keys with these fingerprints, or all that wait.
func choose(r record, fingerprints []string) ([]keys.Stored, error) {
	if len(fingerprints) == 0 {
		if len(r.waiting) == 0 {
			return nil, errors.New("no key is pending")
		}
		return slices.Clone(r.waiting), nil
	}
	var chosen []keys.Stored
	for _, fingerprint := range fingerprints {
		has := func(k keys.Stored) bool { return k.Fingerprint() == fingerprint }
		all := slices.Concat(r.waiting, r.rejected)
		i := slices.IndexFunc(all, has)
		if i < 0 {
			return nil, fmt.Errorf("no pending key has the fingerprint %s", fingerprint)
		}
		if !keys.Contains(chosen, all[i]) {
			chosen = append(chosen, all[i])
		}
	}
	return chosen, nil
}

// Retire forgets the keys of a server that is no more, even if its files are damaged. Its names
// remain known, so that it has no first use if it comes back.
func (s *Store) Retire(name string, now time.Time) error {
	if err := checkServer(name); err != nil {
		return err
	}
	held := false
	for _, suffix := range []string{trustedSuffix, pendingSuffix, certSuffix} {
		_, err := os.Lstat(s.path(name + suffix))
		held = held || err == nil
	}
	if !held {
		return nil
	}
	var before record // what can be read of it
	before.trusted, _ = s.load(name, trustedSuffix)
	before.certs, _ = s.Certificates(name)
	pending, _ := s.load(name, pendingSuffix)
	before.waiting, before.rejected = splitPending(pending)
	if err := s.commit(now, "retired", nil, change{server: name, names: []string{name}, before: before}); err != nil {
		return err
	}
	for _, suffix := range []string{trustedSuffix, pendingSuffix, certSuffix} { // one that is damaged is still there
		if err := s.write(name+suffix, nil); err != nil {
			return err
		}
	}
	return s.sync()
}
