package trust

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"ltskeeper/keys"
)

// record is what the store holds about a server.
type record struct {
	trusted  []keys.Stored // all of NAME.pub
	pending  []keys.Stored // NAME.pending
	rejected []keys.Stored // NAME.pending
	certs    []keys.Stored // NAME.cert
	revoked  []keys.Stored // of whatever server

	// logged are the fingerprints of the rejected keys, and since when they are so, from the log.
	// It remembers them if NAME.pending is lost.
	logged map[string]time.Time

	past    string // why there is no first use; "" if nothing speaks against it
	inDoubt bool   // names are missing from the list, and nobody knows which
}

func (r record) isRevoked(k keys.Key) bool { return keys.Contains(r.revoked, k) }

// recallRejected returns those of the keys that a person rejected, as the log says, though
// NAME.pending lacks that.
func (r record) recallRejected(list []keys.Key) (recalled []keys.Stored) {
	for _, k := range list {
		at, is := r.logged[k.Fingerprint()]
		if is && !keys.Contains(r.rejected, k) && !keys.Contains(recalled, k) {
			recalled = append(recalled, k.Stamp(keys.HowRejected, at))
		}
	}
	return recalled
}

// decision is what a sighting changes for a server, and why.
type decision struct {
	change
	at time.Time

	isFirstUse     bool
	added, removed []keys.Stored // to and from the trusted keys
	leaving        []keys.Stored // trusted, and not listed by the server for the first time
	retireAt       time.Time     // when they cease to be trusted

	classes
	revoked, weak []keys.Key     // shown or listed, though never trusted
	unproven      []keys.Refusal // listed by the server, which failed to prove that it has them
	certs         certification

	withheld        bool   // some address has keys, but none of a trusted type
	conflict        string // what the addresses show, if they disagree on keys that are not trusted
	refusedFirstUse string // why the keys of a server that has none are not trusted by first use
}

// classes are what a server shows and lists, by what it means beside the trusted keys.
type classes struct {
	confirmed []keys.Stored // trusted
	changed   []keys.Stored // shown instead of a trusted key of the same type
	others    []keys.Stored // not decided about, either
	rejected  []keys.Stored // shown, though a person has rejected them
}

// input is all that a decision depends on.
type input struct {
	policy Policy
	record record
	evidence
	now time.Time
}

// judgeSighting decides what a sighting means for a server. The rules, strongest first:
//
//   - A revoked key and a weak one are never trusted.
//   - With pins, exactly the pinned keys are trusted.
//   - A server that never had a key is trusted with those that the administrator's own
//     known_hosts has for it.
//   - One for which there are none, and shows the same at all addresses that answer, is trusted
//     with what it shows, if first use is allowed (first_use.go).
//   - A key that the server proves to have, over a connection that a trusted key authenticated, is
//     trusted beside the others, unless a person rejected it (testimony.go).
//   - A certificate of a declared CA counts as the strictest of the clients would count it. It
//     makes no key trusted beyond itself (certificate.go).
//   - Nothing else makes a key trusted; what is shown waits for a person.
//
// A trusted key ceases to be one, beside those, only if the server has said for long that it does
// not have it any more.
func judgeSighting(p Policy, r record, seen keys.Sighting, now time.Time) decision {
	before := r
	in := input{p, r, sortEvidence(seen, r), now}
	in.record.rejected = slices.Concat(r.rejected, r.recallRejected(slices.Concat(in.shown, in.listed)))

	kept, removed := in.keepTrusted()
	added := slices.Concat(in.trustPinned(kept), in.trustAdopted(kept))
	said := in.hearTestimony(slices.Concat(kept, added))
	added = append(added, said.proven...)
	trusted, leaving, retired := in.retireUnlisted(slices.Concat(kept, added), said)
	certs := in.judgeCertificates(len(trusted) > 0)
	undecided := in.findUndecided(trusted, certs.vouched)
	conflict := in.describeConflict(trusted, undecided, certs.vouched)
	refused, isFirstUse := "", false
	if len(trusted) == 0 && len(undecided) > 0 {
		refused = in.refuseFirstUse(conflict != "")
		isFirstUse = refused == ""
	}
	if isFirstUse {
		for _, k := range undecided {
			added = append(added, k.Stamp(keys.HowFirstUse, now))
		}
		trusted, undecided = added, nil
	}

	after := record{
		trusted: sortKeys(trusted), rejected: withoutKeys(in.record.rejected, trusted), certs: certs.good,
		pending: in.findPending(trusted, slices.Concat(undecided, withoutKeys(said.pending, undecided)), said),
	}
	d := decision{
		change: change{server: p.Name, before: before, after: after}, at: now,
		isFirstUse: isFirstUse, refusedFirstUse: refused,
		added: added, removed: slices.Concat(removed, retired), leaving: leaving, retireAt: now.Add(p.RetireAfter),
		revoked: slices.Concat(in.revoked, withoutKeys(said.revoked, in.revoked)), weak: in.weak,
		unproven: said.unproven, certs: certs, conflict: conflict,
		classes:  in.classify(trusted, undecided, said, certs.vouched),
		withheld: len(trusted)+len(certs.good) > 0 && in.lacksAll(trusted, certs.vouched),
	}
	held := len(after.trusted) + len(after.pending) + len(after.rejected) + len(after.certs)
	if r.inDoubt || held+len(d.removed)+len(d.revoked) > 0 {
		d.names = p.allNames()
	}
	return d
}

// keepTrusted carries over what the store trusts, if it is still allowed.
func (in input) keepTrusted() (kept, removed []keys.Stored) {
	for _, k := range in.record.trusted {
		if in.record.isRevoked(k.Key) || !in.policy.isPinned(k.Key) {
			removed = append(removed, k)
		} else {
			kept = append(kept, k)
		}
	}
	return kept, removed
}

func (in input) trustPinned(trusted []keys.Stored) (added []keys.Stored) {
	for _, k := range in.shown {
		if len(in.policy.Pins) > 0 && in.policy.isPinned(k) && !keys.Contains(trusted, k) {
			added = append(added, k.Stamp(keys.HowPinned, in.now))
		}
	}
	return added
}

// trustAdopted trusts a server that never had a key with those of the policy. Of several of one
// type, those count that it shows, if it shows one of them.
func (in input) trustAdopted(trusted []keys.Stored) (added []keys.Stored) {
	if len(in.policy.Pins) > 0 || len(trusted) > 0 || in.record.past != "" {
		return nil
	}
	for _, k := range in.policy.Adopted {
		isSuperseded := !keys.Contains(in.shown, k) &&
			slices.ContainsFunc(in.policy.Adopted, func(other keys.Key) bool {
				return other.Type == k.Type && keys.Contains(in.shown, other)
			})
		if !isSuperseded && !in.record.isRevoked(k) && k.Weakness() == nil && !keys.Contains(added, k) {
			added = append(added, k.Stamp(keys.HowAdopted, in.now))
		}
	}
	return added
}

// findUndecided returns the keys that were shown and that nothing is known about but that they may
// have waited before.
func (in input) findUndecided(trusted []keys.Stored, vouched []keys.Key) (undecided []keys.Stored) {
	for _, k := range in.shown {
		switch {
		case keys.Contains(trusted, k), keys.Contains(in.record.rejected, k), keys.Contains(vouched, k):
		case keys.Contains(in.record.pending, k):
			undecided = append(undecided, recallOrigin(k, in.record.pending))
		default:
			undecided = append(undecided, k.Stamp(keys.HowShown, in.now))
		}
	}
	return undecided
}

// describeConflict says what the addresses show if they disagree on keys that are not trusted.
func (in input) describeConflict(trusted, undecided []keys.Stored, vouched []keys.Key) string {
	if len(undecided) == 0 || !in.disagree(trusted) && !in.lacksAll(slices.Concat(trusted, undecided), vouched) {
		return ""
	}
	var parts []string
	for _, a := range in.addresses {
		if len(a.Keys) > 0 {
			parts = append(parts, a.Address+" "+describeKeys(a.Keys...))
		}
	}
	return strings.Join(parts, "; ")
}

func (in input) classify(trusted, undecided []keys.Stored, said testimony, vouched []keys.Key) (c classes) {
	for _, k := range slices.Concat(in.shown, said.listed) {
		if keys.Contains(trusted, k) && !keys.Contains(c.confirmed, k) {
			c.confirmed = append(c.confirmed, recallOrigin(k, trusted))
		}
	}
	for _, k := range in.shown {
		if !keys.Contains(trusted, k) && !keys.Contains(vouched, k) && keys.Contains(in.record.rejected, k) {
			c.rejected = append(c.rejected, recallOrigin(k, in.record.rejected))
		}
	}
	for _, k := range undecided {
		if keys.HasType(trusted, k.Type) {
			c.changed = append(c.changed, k)
		} else {
			c.others = append(c.others, k)
		}
	}
	c.others = append(c.others, withoutKeys(said.pending, undecided)...)
	return c
}

// maxPending is more than a server has keys. Only one whose addresses disagree comes near it.
const maxPending = 16

// findPending returns the keys that wait from now on: the latest that the server showed or listed,
// and those that have waited and that the sighting does not settle.
func (in input) findPending(trusted, latest []keys.Stored, said testimony) []keys.Stored {
	var types, shown []string
	for _, a := range in.addresses {
		types = append(types, a.Types()...)
		for _, k := range a.Keys {
			shown = append(shown, k.Type)
		}
	}
	for _, k := range in.record.pending {
		switch {
		case keys.Contains(trusted, k), keys.Contains(latest, k), in.record.isRevoked(k.Key), said.complete:
		case slices.Contains(shown, k.Type): // settled by the trusted key, or by a later one
		case len(types) > 0 && !slices.Contains(types, k.Type):
		default:
			latest = append(latest, k)
		}
	}
	return sortKeys(latest[:min(len(latest), maxPending)])
}

// isSuspect reports whether what answers may not be the server at all.
func (d decision) isSuspect() bool {
	return len(d.revoked) > 0 || len(d.changed) > 0 || d.withheld ||
		haveCommonType(keys.PlainKeys(d.rejected), d.after.trusted) || haveCommonType(d.weak, d.after.trusted)
}

// isConfirmed reports whether the server showed what is trusted, and nothing against it.
func (d decision) isConfirmed() bool {
	return !d.isSuspect() && !d.isFirstUse && len(d.confirmed)+len(d.certs.vouched) > 0
}

// needsDecision reports whether a person has to decide, or look.
func (d decision) needsDecision() bool {
	onlyRejected := len(d.rejected) > 0 && len(d.others) == 0 && len(d.weak) == 0
	return len(d.revoked) > 0 || d.conflict != "" || d.withheld && !onlyRejected ||
		len(d.leaving) > 0 || d.certs.alarm || len(d.unproven) > 0 ||
		slices.ContainsFunc(d.after.pending, d.isUndecided) ||
		slices.ContainsFunc(d.weak, func(k keys.Key) bool { return d.isUndecided(keys.Stored{Key: k}) })
}

func (d decision) isUndecided(pending keys.Stored) bool {
	return IsUndecided(pending, d.after.trusted, len(d.after.certs) > 0)
}

// IsUndecided reports whether a person has to decide about a key that waits beside these trusted
// ones: the server has no other, nor a certificate, or they are of the same type. A key that the
// server itself lists, logged in over a trusted key, can wait.
func IsUndecided(pending keys.Stored, trusted []keys.Stored, certified bool) bool {
	return len(trusted) == 0 && !certified ||
		keys.HasType(trusted, pending.Type) && pending.Origin.How != keys.HowListed
}

// haveCommonType reports whether a key of one list has the type of one in the other.
func haveCommonType(list []keys.Key, others []keys.Stored) bool {
	return slices.ContainsFunc(list, func(k keys.Key) bool { return keys.HasType(others, k.Type) })
}

func sortKeys(list []keys.Stored) []keys.Stored {
	return slices.SortedFunc(slices.Values(list), func(a, b keys.Stored) int {
		return cmp.Or(strings.Compare(a.Type, b.Type), slices.Compare(a.Blob, b.Blob))
	})
}

// withoutKeys returns the keys of a list that are not in the other.
func withoutKeys[K, L keys.AnyKey](list []K, others []L) []K {
	return slices.DeleteFunc(slices.Clone(list), func(k K) bool { return keys.Contains(others, k) })
}

// recallOrigin returns the key with the origin that it has among the stored ones, if it is there.
func recallOrigin(k keys.Key, stored []keys.Stored) keys.Stored {
	for _, other := range stored {
		if other.Equal(k) {
			return other
		}
	}
	return keys.Stored{Key: k}
}
