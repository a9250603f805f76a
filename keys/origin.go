package keys

import (
	"strings"
	"time"
)

// Origin is what the comment of a stored key says: how it came to be trusted
// and when, which key vouched for it, and since when its server does not have
// it any more.
//
//	proven by SHA256:8Xk... 2026-11-20T12:00:00Z gone 2027-02-01T03:17:00Z
type Origin struct {
	How       string    // "first-use", "adopted", "accepted", "proven by SHA256:..."; or what somebody wrote there
	At        time.Time // zero if it is not known
	VouchedBy string    // the fingerprint of the key that vouched for it, or ""
	Gone      time.Time // zero as long as its server has it
}

const (
	provenBy = "proven by "
	goneMark = " gone "
)

// Origin reads the key's comment.
func (k Key) Origin() Origin {
	var o Origin
	rest := k.Comment
	if i := strings.LastIndex(rest, goneMark); i >= 0 {
		if at, err := time.Parse(time.RFC3339, rest[i+len(goneMark):]); err == nil {
			rest, o.Gone = rest[:i], at
		}
	}
	if i := strings.LastIndexByte(rest, ' '); i >= 0 {
		if at, err := time.Parse(time.RFC3339, rest[i+1:]); err == nil {
			rest, o.At = rest[:i], at
		}
	}
	o.How = rest
	if by, ok := strings.CutPrefix(rest, provenBy); ok {
		o.VouchedBy = by
	}
	return o
}

// setGone returns the key with a note since when its server does not have it;
// the zero time takes the note away.
func (k Key) setGone(since time.Time) Key {
	if o := k.Origin(); !o.Gone.IsZero() {
		k.Comment = k.Comment[:strings.LastIndex(k.Comment, goneMark)]
	}
	if !since.IsZero() {
		k.Comment = stamp(k.Comment+goneMark[:len(goneMark)-1], since)
	}
	return k
}
