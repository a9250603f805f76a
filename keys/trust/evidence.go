package trust

import (
	"slices"

	"ltskeeper/keys"
)

// evidence is what a server showed and said, before anything is decided about it.
type evidence struct {
	addresses []keys.AddressSighting

	// Each key that was shown is in one of these, once.
	shown   []keys.Key
	revoked []keys.Key
	weak    []keys.Key // keys.Key.Weakness says why

	listed []keys.Key // with a login: those the server says it has, but for revoked and weak ones
}

// sortEvidence sets the keys aside that are never trusted.
func sortEvidence(seen keys.Sighting, r record) evidence {
	e := evidence{addresses: seen.Addresses}
	for _, a := range e.addresses {
		for _, k := range a.Keys {
			switch {
			case keys.Contains(e.shown, k), keys.Contains(e.revoked, k), keys.Contains(e.weak, k):
			case r.isRevoked(k):
				e.revoked = append(e.revoked, k)
			case k.Weakness() != nil:
				e.weak = append(e.weak, k)
			default:
				e.shown = append(e.shown, k)
			}
		}
		if a.Testimony != nil {
			e.listed = append(e.listed, a.Testimony.Listed...)
		}
	}
	e.listed = slices.DeleteFunc(e.listed, func(k keys.Key) bool { return r.isRevoked(k) || k.Weakness() != nil })
	return e
}

// lacksAll reports whether an address answered that has no key of the types of these, nor one that
// a certificate vouches for.
func (e evidence) lacksAll(list []keys.Stored, vouched []keys.Key) bool {
	return slices.ContainsFunc(e.addresses, func(a keys.AddressSighting) bool {
		types := a.Types()
		return len(types) > 0 &&
			!slices.ContainsFunc(types, func(t string) bool { return keys.HasType(list, t) }) &&
			!slices.ContainsFunc(a.Keys, func(k keys.Key) bool { return keys.Contains(vouched, k) })
	})
}

// disagree reports whether two addresses show different keys of one type that are not both trusted,
// or different types although nothing was left out.
func (e evidence) disagree(trusted []keys.Stored) bool {
	byType := make(map[string]keys.Key)
	whole := -1 // an address that has shown all it has
	for i, a := range e.addresses {
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
		if whole >= 0 && len(a.Keys) != len(e.addresses[whole].Keys) {
			return true
		}
		whole = i
	}
	return whole >= 0 && len(byType) != len(e.addresses[whole].Keys)
}
