package keeper

import (
	"errors"
	"time"

	"ltskeeper/keys"
	"ltskeeper/keys/scan"
)

// describe returns what the run says about one server.
func (j judgement) describe(rec *record, listed map[string]bool) Server {
	v := j.verdict
	s := Server{
		Name:     j.server.Name,
		Declared: j.server,
		State:    j.state(),
		Decision: v.NeedsDecision,
		Listed:   listed[j.server.Name],
		Keys:     newKeys(v.Trusted),
		Added:    newKeys(v.Added),
		Removed:  newKeys(v.Removed),

		Certified: len(v.Certified) > 0,
		Pending:   newKeys(v.Pending),
	}
	for _, a := range j.sighting.Addresses {
		if a.Err != nil {
			s.Addresses = append(s.Addresses, describeSilence(a))
			s.Unreachable = true
		}
	}
	if j.note != "" {
		s.Message = append(s.Message, j.note)
	}
	s.Message = append(s.Message, v.Reasons...)
	if e, is := rec.quarantine.Find(s.Name); is {
		s.Quarantined = &e.Since
		sentence := "clients are kept away from it since " + e.Since.Format(time.RFC3339)
		if s.Listed {
			sentence = "it stays in the list, because too many others are out of it already"
		}
		s.Message = append(s.Message, sentence)
	}
	return s
}

// state is the conclusion in one word.
func (j judgement) state() ServerState {
	switch v := j.verdict; {
	case v.ShowsRevoked:
		return Revoked
	case v.IsSuspect:
		return Changed
	case v.IsConfirmed || v.IsFirstUse || len(v.Added) > 0:
		return Trusted
	case hasKeys(j.sighting) && len(v.Trusted)+len(v.Certified) == 0:
		return Pending
	}
	for _, a := range j.sighting.Addresses {
		var e *scan.AddressError
		if errors.As(a.Err, &e) && e.Kind == scan.KindThrottled {
			return Throttled
		}
	}
	return Unreachable
}

// hasKeys reports whether an address showed a key.
func hasKeys(s keys.Sighting) bool {
	for _, a := range s.Addresses {
		if len(a.Keys) > 0 {
			return true
		}
	}
	return false
}

// describeSilence returns what went wrong with an address, without the server's name and address
// before it.
func describeSilence(a keys.AddressSighting) AddressProblem {
	var e *scan.AddressError
	if errors.As(a.Err, &e) {
		return AddressProblem{Address: a.Address, Error: e.Err.Error(), Kind: e.Kind}
	}
	return AddressProblem{Address: a.Address, Error: a.Err.Error()}
}

// optionalTime returns a time, or nil if it is not known.
func optionalTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
