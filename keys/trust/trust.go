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
	"slices"
	"time"

	"ltskeeper/keys"
)

// Policy is what is declared about a server's keys.
type Policy struct {
	Name     string   // the server's name, which is also its file's
	Names    []string // name, aliases, declared addresses
	Pins     []string // fingerprints; if there are any, only keys with these are trusted
	FirstUse bool     // a server that never had a key is trusted with what it shows

	// Adopted are the keys that the administrator's own known_hosts has for the server. Clients
	// take them already, so a server that never had a key is trusted with them and with no other.
	Adopted []keys.Key

	// RetireAfter is how long a key stays trusted after its server stopped listing it: a server may
	// be rolled back.
	RetireAfter time.Duration

	// Authorities are those whose certificates clients take, and ClientNames the names that they
	// know the server by: first the one in their list.
	Authorities []keys.Authority
	ClientNames []string
}

// isPinned reports whether the pins, if there are any, allow the key.
func (p Policy) isPinned(k keys.Key) bool {
	return len(p.Pins) == 0 || slices.Contains(p.Pins, k.Fingerprint())
}

// allNames are the names and addresses that the server takes a first use from.
func (p Policy) allNames() []string { return append([]string{p.Name}, p.Names...) }

// Verdict is what a sighting means for a server. Keys that are in the store have the origins that
// they have there.
type Verdict struct {
	Server string

	Trusted   []keys.Stored // to be trusted from now on; these belong into known_hosts
	Added     []keys.Stored // of Trusted: those that were not before (first use, a pin, a proof)
	Removed   []keys.Stored // trusted before, and not any more (revoked, not pinned, or retired)
	Pending   []keys.Stored // waiting for a person, whether shown now or earlier
	Certified []keys.Stored // certificates, shown now or on record, that clients take for the name

	IsFirstUse    bool // the keys in Added are trusted by first use
	IsConfirmed   bool // the server showed a trusted key or a good certificate, and nothing against it
	IsSuspect     bool // it may not be the server at all: it showed another key than the trusted one
	ShowsRevoked  bool // it showed a revoked key
	NeedsDecision bool // a person has to decide, or look

	// Reasons say what needs attention, one sentence each, naming the server. It is empty for a
	// server in order. Addresses that did not answer are not in it.
	Reasons []string

	// Err is set if the server's key files cannot be read. Nothing is then decided or written.
	// Trusted still holds the keys if only the pending ones are unreadable.
	Err error

	decision decision
}

// summarize returns what callers need to know of a decision.
func (d decision) summarize() Verdict {
	return Verdict{
		Server:  d.server,
		Trusted: d.after.trusted, Added: d.added, Removed: d.removed, Pending: d.after.pending,
		Certified:  d.after.certs,
		IsFirstUse: d.isFirstUse, IsConfirmed: d.isConfirmed(), IsSuspect: d.isSuspect(),
		ShowsRevoked: len(d.revoked) > 0, NeedsDecision: d.needsDecision(),
		Reasons:  d.reasons(),
		decision: d,
	}
}
