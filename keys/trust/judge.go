// Package trust judges what servers show against what is trusted already, and keeps the outcome on
// disk.
//
//	Sighting -> Store.Judge -> Verdict -> Store.Apply
//
// A scan proves nothing. It makes a key trusted only on a name's first use, or where the key is
// pinned; from then on a key that is not trusted waits for a person. The package does not know
// where a server is declared, how it was scanned, or who is asked for a decision.
package trust

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"ltskeeper/keys"
)

// Policy is what is declared about a server's keys.
type Policy struct {
	Name     string   // the server's name, which is also its file's
	Names    []string // name, aliases, declared addresses
	Pins     []string // fingerprints; if there are any, only keys with these are trusted
	FirstUse bool     // a server that never had a key is trusted with what it shows

	// Adopted are the keys that the admin's own known_hosts has for the server. Clients take them
	// already, so one that never had a key is trusted with them, and with nothing that it shows
	// beside.
	Adopted []keys.Key

	// RetireAfter is how long a key stays trusted after its server stopped listing it: a server may
	// be rolled back.
	RetireAfter time.Duration

	// Authorities are those whose certificates clients take, and Listed the names that they know
	// the server by: first the one in their list.
	Authorities []keys.Authority
	Listed      []string
}

// State is a server's keys in one word.
type State string

const (
	StateNone       State = "none"       // no key is trusted and none was shown
	StateFirstUse   State = "first-use"  // its keys are trusted from now on
	StateTrusted    State = "trusted"    // it showed a trusted key and nothing against it
	StateSilent     State = "silent"     // keys are trusted, but none of them was shown this time
	StatePending    State = "pending"    // no key is trusted; those it showed wait for a person
	StateSuspect    State = "suspect"    // Verdict.Suspect
	StateUnreadable State = "unreadable" // Verdict.Err
)

// Verdict is what a sighting means for a server. Keys that are in the store have the origins that
// they have there.
type Verdict struct {
	Name  string
	State State

	Trusted []keys.Stored // to be trusted from now on; these belong into known_hosts
	Added   []keys.Stored // of Trusted: those that were not before (first use, a pin, a proof)
	Removed []keys.Stored // trusted before, and not any more (revoked, not pinned, or retired)
	Pending []keys.Stored // waiting for a person, whether shown now or earlier
	Leaving []keys.Stored // of Trusted: those that the server does not list any more, for the first time

	Confirmed []keys.Stored // trusted keys that were shown
	Changed   []keys.Stored // shown instead of a trusted key of the same type
	New       []keys.Stored // shown, of a type that no trusted key has
	Rejected  []keys.Stored // shown, though a person has rejected them
	Revoked   []keys.Key    // shown, though revoked
	Weak      []keys.Key    // shown, but refused: Key.Weakness says why

	// Certified are certificates, shown now or on record, that clients take for the server's name.
	// The keys in them are not in Trusted: OpenSSH would take a plain line after the certificate
	// has expired.
	Certified []keys.Stored
	CertNotes []string // what is to be said about its certificates, a sentence each

	Unproven []keys.Refusal // listed by the server, which failed to prove that it has them

	Conflict   bool   // addresses disagree on keys that are not trusted: none of these becomes so
	Withheld   bool   // some address has keys, but none of a trusted type
	Suspect    bool   // a changed or revoked key, or Withheld: may not be the server at all
	Decision   bool   // a person has to decide, or look
	NoFirstUse string // why the keys of a server that has none are not trusted by first use

	// Err is set if the server's key files cannot be read. Nothing is then decided or written.
	// Trusted still holds the keys if only the pending ones are unreadable.
	Err error

	seen     keys.Sighting
	policy   Policy
	at       time.Time
	before   record
	rejected []keys.Stored // all that a person rejected
	names    []string      // to be known from now on

	covered   bool       // a declared authority is for one of its names
	vouched   []keys.Key // shown with a certificate that clients take
	certAlarm bool       // somebody has to see to its certificates
}

// record is what the store holds about a server.
type record struct {
	trusted  []keys.Stored // all of NAME.pub
	waiting  []keys.Stored // NAME.pending
	rejected []keys.Stored // NAME.pending
	certs    []keys.Stored // NAME.cert
	// fingerprints of the rejected, and since when, in the log: it remembers them if NAME.pending
	// is lost
	logged map[string]time.Time
	past   string // why there is no first use; "" if nothing speaks against it
}

// judge decides what a sighting means for a server. The rules, strongest first:
//
//   - A revoked key and a weak one are never trusted.
//   - With pins, exactly the pinned keys are trusted.
//   - A server that never had a key is trusted with those that the admin's own
//     known_hosts has for it.
//   - One for which there are none, and shows the same at all addresses that
//     answer, is trusted with what it shows, if first use is allowed.
//   - A key that the server proves to have, over a connection that a trusted key
//     authenticated, is trusted beside the others, unless a person rejected it.
//   - Nothing else makes a key trusted; what is shown waits for a person.
//
// A trusted key ceases to be one, beside those, only if the server has said for long that it does
// not have it any more.
func judge(p Policy, r record, revoked func(keys.Key) bool, seen keys.Sighting, now time.Time) Verdict {
	v := Verdict{Name: p.Name, seen: seen, policy: p, at: now, before: r}
	shown := v.sift(revoked)
	r.rejected = slices.Concat(r.rejected, r.recall(slices.Concat(shown, v.listed(revoked))))
	v.keepTrusted(p, r, revoked)
	v.trustPinned(p, shown, now)
	v.adopt(p, r, revoked, shown, now)
	listed := v.hear(p, r, revoked, now)
	v.retire(p, now)
	v.certify(p, r, revoked, now)

	var fresh []keys.Stored
	for _, k := range shown {
		if !keys.Contains(v.Trusted, k) && !keys.Contains(r.rejected, k) && !keys.Contains(v.vouched, k) {
			fresh = append(fresh, remember(k, r.waiting, keys.StampOrigin(keys.HowShown, now)))
		}
	}
	v.Conflict = len(fresh) > 0 && (disagree(seen.Addresses, v.Trusted) || v.someLack(slices.Concat(v.Trusted, fresh)))

	first := false
	if len(v.Trusted) == 0 && len(fresh) > 0 {
		v.NoFirstUse = noFirstUse(p, r, &v)
		first = v.NoFirstUse == ""
	}
	if first {
		for _, k := range fresh {
			v.trust(k.Key, keys.StampOrigin(keys.HowFirstUse, now))
		}
		fresh = nil
	}
	v.classify(shown, fresh, r.rejected)
	for _, k := range listed {
		if !keys.Contains(fresh, k) {
			v.New = append(v.New, k)
			fresh = append(fresh, k)
		}
	}
	for _, t := range v.testimonies() {
		for _, k := range t.Listed {
			if keys.Contains(v.Trusted, k) && !keys.Contains(v.Confirmed, k) {
				v.Confirmed = append(v.Confirmed, remember(k, v.Trusted, keys.Origin{}))
			}
		}
	}

	v.Pending = append(fresh, v.stillWaiting(r.waiting, fresh, revoked)...)
	v.Pending = v.Pending[:min(len(v.Pending), maxPending)]
	for _, k := range r.rejected {
		if !keys.Contains(v.Trusted, k) {
			v.rejected = append(v.rejected, k)
		}
	}
	sortKeys(v.Trusted)
	sortKeys(v.Pending)

	v.Withheld = len(v.Trusted)+len(v.Certified) > 0 && v.someLack(v.Trusted)
	v.Suspect = v.suspect()
	v.Decision = v.decision()
	v.State = v.state(first)

	if len(v.Trusted)+len(v.Removed)+len(v.Pending)+len(v.rejected)+len(v.Revoked)+len(v.Certified) > 0 {
		v.names = append([]string{p.Name}, p.Names...)
	}
	return v
}

// maxPending is more than a server has keys. Only one whose addresses disagree comes near it.
const maxPending = 16

// sift collects the keys that were shown, each once, and sets those aside that are never trusted.
func (v *Verdict) sift(revoked func(keys.Key) bool) (shown []keys.Key) {
	for _, a := range v.seen.Addresses {
		for _, k := range a.Keys {
			switch {
			case keys.Contains(shown, k), keys.Contains(v.Revoked, k), keys.Contains(v.Weak, k):
			case revoked(k):
				v.Revoked = append(v.Revoked, k)
			case k.Weakness() != nil:
				v.Weak = append(v.Weak, k)
			default:
				shown = append(shown, k)
			}
		}
	}
	return shown
}

// listed returns the keys that the server listed, without those that are never trusted.
func (v *Verdict) listed(revoked func(keys.Key) bool) (listed []keys.Key) {
	for _, a := range v.seen.Addresses {
		if a.Testimony != nil {
			listed = append(listed, a.Testimony.Listed...)
		}
	}
	return slices.DeleteFunc(listed, func(k keys.Key) bool { return revoked(k) || k.Weakness() != nil })
}

// recall returns those of the keys that a person rejected, says the log, though NAME.pending lacks
// that.
func (r record) recall(all []keys.Key) (recalled []keys.Stored) {
	for _, k := range all {
		at, is := r.logged[k.Fingerprint()]
		if is && !keys.Contains(r.rejected, k) && !keys.Contains(recalled, k) {
			recalled = append(recalled, keys.Stored{Key: k, Origin: keys.StampOrigin(keys.HowRejected, at)})
		}
	}
	return recalled
}

// keepTrusted carries over what the store trusts, as far as it still may.
func (v *Verdict) keepTrusted(p Policy, r record, revoked func(keys.Key) bool) {
	for _, k := range r.trusted {
		if revoked(k.Key) || !pinned(p.Pins, k.Key) {
			v.Removed = append(v.Removed, k)
		} else {
			v.Trusted = append(v.Trusted, k)
		}
	}
}

func (v *Verdict) trustPinned(p Policy, shown []keys.Key, now time.Time) {
	for _, k := range shown {
		if len(p.Pins) > 0 && pinned(p.Pins, k) && !keys.Contains(v.Trusted, k) {
			v.trust(k, keys.StampOrigin(keys.HowPinned, now))
		}
	}
}

// adopt trusts a server that never had a key with those of the policy. Of several of one type,
// those count that it shows, if it shows one of them.
func (v *Verdict) adopt(p Policy, r record, revoked func(keys.Key) bool, shown []keys.Key, now time.Time) {
	if len(p.Pins) > 0 || len(v.Trusted) > 0 || r.past != "" {
		return
	}
	for _, k := range p.Adopted {
		superseded := !keys.Contains(shown, k) && slices.ContainsFunc(p.Adopted, func(other keys.Key) bool {
			return other.Type == k.Type && keys.Contains(shown, other)
		})
		if !superseded && !revoked(k) && k.Weakness() == nil && !keys.Contains(v.Trusted, k) {
			v.trust(k, keys.StampOrigin(keys.HowAdopted, now))
		}
	}
}

func (v *Verdict) trust(k keys.Key, origin keys.Origin) {
	v.Trusted = append(v.Trusted, keys.Stored{Key: k, Origin: origin})
	v.Added = append(v.Added, keys.Stored{Key: k, Origin: origin})
}

// classify sorts what was shown by what it means beside the trusted keys.
func (v *Verdict) classify(shown []keys.Key, fresh, rejected []keys.Stored) {
	for _, k := range shown {
		switch {
		case keys.Contains(v.Trusted, k):
			v.Confirmed = append(v.Confirmed, remember(k, v.Trusted, keys.Origin{}))
		case keys.Contains(v.vouched, k):
		case keys.Contains(rejected, k):
			v.Rejected = append(v.Rejected, remember(k, rejected, keys.Origin{}))
		case keys.HasType(v.Trusted, k.Type):
			v.Changed = append(v.Changed, remember(k, fresh, keys.Origin{}))
		default:
			v.New = append(v.New, remember(k, fresh, keys.Origin{}))
		}
	}
}

// noFirstUse says why a server without trusted keys is not trusted with what it shows.
func noFirstUse(p Policy, r record, v *Verdict) string {
	switch {
	case len(p.Pins) > 0:
		return "it has pins, and shows no key that is pinned"
	case r.past != "":
		return r.past
	case len(v.Revoked) > 0:
		return "it shows a revoked key"
	case v.Conflict:
		return "its addresses show different keys"
	case v.covered:
		return "a CA covers it, and it shows no certificate that clients take"
	case !p.FirstUse:
		return "first use is refused"
	}
	return ""
}

// stillWaiting returns the keys that have waited and that the sighting does not settle. A server's
// pending keys are the latest it showed.
func (v *Verdict) stillWaiting(waiting, fresh []keys.Stored, revoked func(keys.Key) bool) (still []keys.Stored) {
	answered := false
	var offered, shown []string
	for _, a := range v.seen.Addresses {
		types := a.Types()
		answered = answered || len(types) > 0
		offered = append(offered, types...)
		for _, k := range a.Keys {
			shown = append(shown, k.Type)
		}
	}
	for _, k := range waiting {
		switch {
		case keys.Contains(v.Trusted, k), keys.Contains(fresh, k), revoked(k.Key), v.told():
		case slices.Contains(shown, k.Type): // by the trusted key, or by a later one
		case answered && !slices.Contains(offered, k.Type):
		default:
			still = append(still, k)
		}
	}
	return still
}

// someLack reports whether an address answered that has no key of the types of these, nor a
// certificate that clients take.
func (v *Verdict) someLack(wanted []keys.Stored) bool {
	return slices.ContainsFunc(v.seen.Addresses, func(a keys.AddressSighting) bool {
		types := a.Types()
		return len(types) > 0 && !v.certified(a) &&
			!slices.ContainsFunc(types, func(t string) bool { return keys.HasType(wanted, t) })
	})
}

func (v *Verdict) suspect() bool {
	return len(v.Revoked) > 0 || len(v.Changed) > 0 || v.Withheld ||
		shareType(keys.Plain(v.Rejected), v.Trusted) || shareType(v.Weak, v.Trusted)
}

func (v *Verdict) decision() bool {
	onlyRejected := len(v.Rejected) > 0 && len(v.New) == 0 && len(v.Weak) == 0
	return len(v.Revoked) > 0 || v.Conflict || v.Withheld && !onlyRejected ||
		len(v.Leaving) > 0 || v.certAlarm || len(v.Unproven) > 0 || v.undecided(v.Pending) ||
		v.undecided(withoutOrigin(v.Weak))
}

func (v *Verdict) undecided(pending []keys.Stored) bool {
	return Undecided(v.Trusted, pending, len(v.Certified) > 0)
}

// shareType reports whether a key of one list has the type of one in the other.
func shareType(list []keys.Key, others []keys.Stored) bool {
	return slices.ContainsFunc(list, func(k keys.Key) bool { return keys.HasType(others, k.Type) })
}

// Undecided reports whether a person has to decide about keys that wait beside these trusted ones:
// a server has no other, nor a certificate, or they are of the same type. One that the server
// itself lists, logged in over a trusted key, can wait.
func Undecided(trusted, pending []keys.Stored, certified bool) bool {
	return slices.ContainsFunc(pending, func(k keys.Stored) bool {
		return len(trusted) == 0 && !certified || keys.HasType(trusted, k.Type) && k.Origin.How != keys.HowListed
	})
}

func (v *Verdict) state(first bool) State {
	switch {
	case v.Suspect:
		return StateSuspect
	case first:
		return StateFirstUse
	case len(v.Confirmed)+len(v.vouched) > 0:
		return StateTrusted
	case len(v.Trusted)+len(v.Certified) > 0:
		return StateSilent
	case len(v.Pending)+len(v.Rejected)+len(v.Weak) > 0:
		return StatePending
	}
	return StateNone
}

// disagree reports whether two addresses show different keys of one type that are not both trusted,
// or different types although nothing was left out.
func disagree(addresses []keys.AddressSighting, trusted []keys.Stored) bool {
	byType := make(map[string]keys.Key)
	whole := -1 // an address that has shown all it has
	for i, a := range addresses {
		for _, k := range a.Keys {
			other, ok := byType[k.Type]
			if ok && !other.Equal(k) && !(keys.Contains(trusted, k) && keys.Contains(trusted, other)) {
				return true
			}
			byType[k.Type] = k
		}
		if a.Err != nil || len(a.Keys) == 0 {
			continue
		}
		if whole >= 0 && len(a.Keys) != len(addresses[whole].Keys) {
			return true
		}
		whole = i
	}
	return whole >= 0 && len(byType) != len(addresses[whole].Keys)
}

func pinned(pins []string, k keys.Key) bool {
	return len(pins) == 0 || slices.Contains(pins, k.Fingerprint())
}

func sortKeys(list []keys.Stored) {
	slices.SortFunc(list, func(a, b keys.Stored) int {
		return cmp.Or(strings.Compare(a.Type, b.Type), slices.Compare(a.Blob, b.Blob))
	})
}

// remember returns the key with the origin that it has among the stored ones.
func remember(k keys.Key, stored []keys.Stored, otherwise keys.Origin) keys.Stored {
	for _, other := range stored {
		if other.Equal(k) {
			return keys.Stored{Key: k, Origin: other.Origin}
		}
	}
	return keys.Stored{Key: k, Origin: otherwise}
}

// withoutOrigin returns keys of which no store knows anything.
func withoutOrigin(list []keys.Key) []keys.Stored {
	var all []keys.Stored
	for _, k := range list {
		all = append(all, keys.Stored{Key: k})
	}
	return all
}
