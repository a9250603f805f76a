package trust

import (
	"time"

	"ltskeeper/keys"
)

// testimony is what a server said over connections that trusted keys authenticated.
type testimony struct {
	listed   []keys.Key // that it has, some of them several times
	complete bool       // each address listed its keys: the server has no other

	proven   []keys.Stored  // listed, proven, and to be trusted from now on
	pending  []keys.Stored  // listed, and neither trusted nor decided about
	unproven []keys.Refusal // of pending: those that it failed to prove
	revoked  []keys.Key     // listed, though revoked
}

// hearTestimony takes in what the server said. What a key vouches for that is not trusted any more
// does not count.
func (in input) hearTestimony(trusted []keys.Stored) testimony {
	t := testimony{complete: len(in.addresses) > 0}
	var given []*keys.Testimony
	for _, a := range in.addresses {
		if a.Testimony == nil || !keys.Contains(trusted, a.Testimony.By) {
			t.complete = false
			continue
		}
		t.complete = t.complete && len(a.Testimony.Listed) > 0
		t.listed = append(t.listed, a.Testimony.Listed...)
		given = append(given, a.Testimony)
	}
	for _, g := range given {
		for _, k := range g.Listed {
			switch {
			case in.record.isRevoked(k):
				if !keys.Contains(t.revoked, k) {
					t.revoked = append(t.revoked, k)
				}
			case keys.Contains(trusted, k), keys.Contains(t.proven, k), keys.Contains(t.pending, k),
				keys.Contains(in.record.rejected, k), k.Weakness() != nil:
			case keys.Contains(g.Proven, k) && in.policy.isPinned(k):
				proven := k.Stamp(keys.HowProven, in.now)
				proven.Origin.VouchedBy = g.By.Fingerprint()
				t.proven = append(t.proven, proven)
			default:
				listed := recallOrigin(k, in.record.pending)
				if listed.Origin.How != keys.HowListed {
					listed = k.Stamp(keys.HowListed, in.now)
				}
				t.pending = append(t.pending, listed)
			}
		}
		for _, refusal := range g.Unproven {
			if keys.Contains(t.pending, refusal.Key) {
				t.unproven = append(t.unproven, refusal)
			}
		}
	}
	return t
}

// retireUnlisted notes which trusted keys the server does not list any more, and takes those away
// that it has not listed for long. The keys it logged somebody in with are there, whatever it
// lists; those of a server with pins are a person's matter.
func (in input) retireUnlisted(trusted []keys.Stored,
	said testimony) (kept, leaving, retired []keys.Stored) {
	for _, k := range trusted {
		gone := k.Origin.Gone
		switch {
		case keys.Contains(in.shown, k), keys.Contains(said.listed, k):
			k.Origin = k.Origin.WithGone(time.Time{})
		case !said.complete || len(in.policy.Pins) > 0:
		case gone.IsZero():
			k.Origin = k.Origin.WithGone(in.now)
			leaving = append(leaving, k)
		case in.now.Sub(gone) >= in.policy.RetireAfter:
			retired = append(retired, k)
			continue
		}
		kept = append(kept, k)
	}
	return kept, leaving, retired
}
