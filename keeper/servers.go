package keeper

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"ltskeeper/keys"
	"ltskeeper/keys/scan"
)

// report is what the run says about one server.
func (l look) report(t *record, listed map[string]bool) Server {
	v := l.verdict
	s := Server{
		Name:     l.server.Name,
		Declared: l.server,
		State:    l.state(),
		Decision: v.NeedsDecision,
		Listed:   listed[l.server.Name],
		Keys:     reportKeys(v.Trusted),
		Added:    reportKeys(v.Added),
		Removed:  reportKeys(v.Removed),

		Certified: len(v.Certified) > 0,
		Pending:   reportKeys(v.Pending),
	}
	for _, a := range l.sighting.Addresses {
		if a.Err != nil {
			s.Addresses = append(s.Addresses, explainSilence(a))
			s.Unreachable = true
		}
	}
	if e, in := t.quarantine.entries[s.Name]; in {
		s.Quarantined = &e.since
	}
	s.Message = l.message(s)
	return s
}

// state is the conclusion in one word.
func (l look) state() ServerState {
	switch v := l.verdict; {
	case v.ShowsRevoked:
		return Revoked
	case v.IsSuspect:
		return Changed
	case v.IsConfirmed || v.IsFirstUse || len(v.Added) > 0:
		return Trusted
	case shown(l.sighting) && len(v.Trusted)+len(v.Certified) == 0:
		return Pending
	}
	for _, a := range l.sighting.Addresses {
		var e *scan.AddressError
		if errors.As(a.Err, &e) && e.Kind == scan.KindThrottled {
			return Throttled
		}
	}
	return Unreachable
}

func shown(s keys.Sighting) bool {
	for _, a := range s.Addresses {
		if len(a.Keys) > 0 {
			return true
		}
	}
	return false
}

// message says in a sentence or two what is not as it should be, or "".
func (l look) message(s Server) string {
	var parts []string
	if l.note != "" {
		parts = append(parts, l.note)
	}
	parts = append(parts, l.verdict.Reasons...)
	switch {
	case s.Quarantined != nil && s.Listed:
		parts = append(parts, "it stays in the list, because too many others are out of it already")
	case s.Quarantined != nil:
		parts = append(parts, fmt.Sprintf("clients are kept away from it since %s", s.Quarantined.Format(time.RFC3339)))
	}
	return strings.Join(parts, "; ")
}

// why is the reason that the quarantine's record gives, on one line.
func (l look) why() string {
	return strings.Join(strings.Fields(strings.Join(l.verdict.Reasons, "; ")), " ")
}

// explainSilence returns what went wrong with an address, without the server's name and address
// before it.
func explainSilence(a keys.AddressSighting) AddressProblem {
	var e *scan.AddressError
	if errors.As(a.Err, &e) {
		return AddressProblem{Address: a.Address, Error: e.Err.Error(), Kind: e.Kind}
	}
	return AddressProblem{Address: a.Address, Error: a.Err.Error()}
}

func reportKeys(list []keys.Stored) []Key {
	var out []Key
	for _, k := range list {
		out = append(out, reportKey(k))
	}
	return out
}

func reportKey(k keys.Stored) Key {
	o := k.Origin
	return Key{
		Type: k.Type, Bits: k.Bits(), Fingerprint: k.Fingerprint(), Comment: o.Comment(),
		VouchedBy: o.VouchedBy, First: known(o.At), Gone: known(o.Gone), Weak: k.Caution(), Key: k.Key, Origin: o,
	}
}

// known is a time, or nil if it is not known.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
