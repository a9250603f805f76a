package keys

import "time"

// Store is a directory with the keys of all servers:
//
//	NAME.pub      trusted keys
//	NAME.pending  keys shown and not trusted, among them those a person rejected
//	revoked       keys that no server may show, whatever its name
//	names         every name, alias and address that ever had a key
//
// All but names are OpenSSH public key lines; how and when a key came to be
// trusted stands in its comment. A file is rewritten only if trust changes,
// and always beside its place: synced, then renamed. The caller keeps other
// processes away while it writes.
type Store struct{}

// Open opens the store in dir. The directory need not exist: it is made
// before the first file in it. A readonly store refuses to write.
// The files revoked and names are read here, and an error says what is wrong
// with them; those of a server are read when they are asked for.
func Open(dir string, readonly bool) (*Store, error) { panic("not yet") }

// Trusted returns the server's trusted keys, without revoked ones and, if
// there are pins, only those that are pinned; none if it has no file.
func (s *Store) Trusted(name string, pins []string) ([]Key, error) { panic("not yet") }

// Pending returns the keys that wait for a person.
func (s *Store) Pending(name string) ([]Key, error) { panic("not yet") }

// Rejected returns the keys that a person has rejected.
func (s *Store) Rejected(name string) ([]Key, error) { panic("not yet") }

// Revoked returns the keys that no server may show.
func (s *Store) Revoked() []Key { panic("not yet") }

// Apply writes what the verdicts decided, and nothing if they changed nothing.
// Names are on disk before the first key of theirs is.
func (s *Store) Apply(verdicts ...Verdict) error { panic("not yet") }

// Accept trusts pending or rejected keys, each in place of the trusted keys of
// its type. Without fingerprints it accepts all pending ones; two of one type
// are then an error, as are keys that are not pinned though others are.
func (s *Store) Accept(p Policy, fingerprints []string, now time.Time) (accepted, replaced []Key, err error) {
	panic("not yet")
}

// Reject ends the wait of pending keys without trusting them: they are not
// offered again. Without fingerprints it rejects all of them.
func (s *Store) Reject(name string, fingerprints []string, now time.Time) (rejected []Key, err error) {
	panic("not yet")
}

// Retire forgets the keys of a server that is no more. Its names remain known,
// so that it has no first use if it comes back.
func (s *Store) Retire(name string) error { panic("not yet") }
