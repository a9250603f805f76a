package trust

import (
	"slices"
	"time"

	"ltskeeper/keys"
)

// hear takes in what the server said where somebody logged in: it trusts what was proven and
// returns the keys that were listed and are still to be decided about.
func (v *Verdict) hear(p Policy, r record, revoked func(keys.Key) bool, now time.Time) (waiting []keys.Stored) {
	for _, t := range v.testimonies() {
		for _, k := range t.Listed {
			switch {
			case revoked(k):
				if !keys.Contains(v.Revoked, k) {
					v.Revoked = append(v.Revoked, k)
				}
			case keys.Contains(v.Trusted, k), keys.Contains(waiting, k), keys.Contains(r.rejected, k),
				k.Weakness() != nil:
			case keys.Contains(t.Proven, k) && pinned(p.Pins, k):
				origin := keys.StampOrigin(keys.HowProven, now)
				origin.VouchedBy = t.By.Fingerprint()
				v.trust(k, origin)
			default:
				waits := remember(k, r.waiting, keys.Origin{})
				if waits.Origin.How != keys.HowListed {
					waits.Origin = keys.StampOrigin(keys.HowListed, now)
				}
				waiting = append(waiting, waits)
			}
		}
		for _, refusal := range t.Unproven {
			if keys.Contains(waiting, refusal.Key) {
				v.Unproven = append(v.Unproven, refusal)
			}
		}
	}
	// One address may have proven what another only listed.
	return slices.DeleteFunc(waiting, func(k keys.Stored) bool { return keys.Contains(v.Trusted, k) })
}

// testimonies are those that a key vouches for which is trusted still.
func (v *Verdict) testimonies() (all []*keys.Testimony) {
	for _, a := range v.seen.Addresses {
		if a.Testimony != nil && keys.Contains(v.Trusted, a.Testimony.By) {
			all = append(all, a.Testimony)
		}
	}
	return all
}

// told reports whether the server has told all there is to know: a list from each of its addresses.
func (v *Verdict) told() bool {
	for _, a := range v.seen.Addresses {
		if a.Testimony == nil || len(a.Testimony.Listed) == 0 || !keys.Contains(v.Trusted, a.Testimony.By) {
			return false
		}
	}
	return len(v.seen.Addresses) > 0
}

// retire notes which trusted keys the server does not list any more, and drops those that it has
// not listed for long. The keys it logged somebody in with are there, whatever it lists; those of a
// server with pins are a person's matter.
func (v *Verdict) retire(p Policy, now time.Time) {
	told := v.told() && len(p.Pins) == 0
	var kept []keys.Stored
	for _, k := range v.Trusted {
		gone := k.Origin.Gone
		switch {
		case v.has(k.Key):
			k.Origin = k.Origin.WithGone(time.Time{})
		case !told:
		case gone.IsZero():
			k.Origin = k.Origin.WithGone(now)
			v.Leaving = append(v.Leaving, k)
		case now.Sub(gone) >= p.RetireAfter:
			v.Removed = append(v.Removed, k)
			continue
		}
		kept = append(kept, k)
	}
	v.Trusted = kept
}

// has reports whether the server showed or listed the key.
func (v *Verdict) has(k keys.Key) bool {
	for _, a := range v.seen.Addresses {
		if keys.Contains(a.Keys, k) {
			return true
		}
	}
	for _, t := range v.testimonies() {
		if keys.Contains(t.Listed, k) {
			return true
		}
	}
	return false
}
