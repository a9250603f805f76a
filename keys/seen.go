package keys

import "time"

// Seen remembers when each key was last seen. It is a cache: one that is lost
// or garbled is an empty one.
type Seen struct{}

// OpenSeen reads the cache.
func OpenSeen(path string) *Seen { panic("not yet") }

// Record notes the trusted and pending keys that were shown, and forgets
// those of the server's that the store does not hold any more.
func (s *Seen) Record(v Verdict, now time.Time) { panic("not yet") }

// Forget drops all keys of a server.
func (s *Seen) Forget(name string) { panic("not yet") }

// Last returns when the server last showed the key, to the hour; zero if
// never.
func (s *Seen) Last(name string, k Key) time.Time { panic("not yet") }

// Save writes the cache if there is news in it: another key, or one whose
// time on disk is more than an hour behind.
func (s *Seen) Save() error { panic("not yet") }
