package keys

import "time"

// Policy is what is declared about a server's keys.
type Policy struct {
	Name     string   // the server's name, which is also its file's
	Names    []string // name, aliases, declared addresses
	Pins     []string // fingerprints; if there are any, only keys with these are trusted
	FirstUse bool     // a server that never had a key is trusted with what it shows
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

// Verdict is what a sighting means for a server. All keys carry the comments
// they have in the store.
type Verdict struct {
	Name  string
	State State

	Trusted []Key // to be trusted from now on; these belong into known_hosts
	Added   []Key // of Trusted: those that were not before (first use, a pin)
	Removed []Key // trusted before, and not any more (revoked, or not pinned)
	Pending []Key // waiting for a person, whether shown now or earlier

	Confirmed []Key // trusted keys that were shown
	Changed   []Key // shown instead of a trusted key of the same type
	New       []Key // shown, of a type that no trusted key has
	Rejected  []Key // shown, though a person has rejected them
	Revoked   []Key // shown, though revoked
	Weak      []Key // shown, but refused: Key.Weakness says why

	Conflict bool // addresses show different keys: none of them becomes trusted
	Suspect  bool // shows a changed key, no trusted type or a revoked key: may not be the server at all
	Decision bool // a person has to decide, or look

	// Err is set if the server's key files cannot be read. Nothing is then
	// decided or written. Trusted still holds the keys if only the pending
	// ones are unreadable.
	Err error
}

// Judge decides what a sighting means for a server. It reads the store and
// changes nothing; calls may run at the same time.
func (s *Store) Judge(p Policy, seen Sighting, now time.Time) Verdict {
	panic("not yet")
}

// Reasons says what in the verdict needs attention, a sentence each, naming
// the server and the keys. It is empty for a server in order. Addresses that
// did not answer are not in it: they stand in the sighting.
func (v Verdict) Reasons() []string {
	panic("not yet")
}
