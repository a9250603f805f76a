package keys

import (
	"slices"
	"strings"
	"time"
)

// Stored is a key in a store, and what it went through. In a file the origin is the comment of the
// key's line.
type Stored struct {
	Key
	Origin Origin
}

// PlainKeys returns the keys of a list without their origins.
func PlainKeys(list []Stored) []Key {
	var plain []Key
	for _, k := range list {
		plain = append(plain, k.Key)
	}
	return plain
}

// How is what happened to a key.
type How string

const (
	HowFirstUse  How = "first-use" // trusted when its server showed keys for the first time
	HowAdopted   How = "adopted"   // trusted because the administrator's own known_hosts had it
	HowPinned    How = "pinned"    // trusted because the declaration names it
	HowProven    How = "proven"    // trusted over a connection that Origin.VouchedBy authenticated
	HowAccepted  How = "accepted"  // trusted by a person
	HowImported  How = "imported"  // brought from elsewhere by a person
	HowCertified How = "certified" // a certificate that clients take
	HowShown     How = "shown"     // and not trusted
	HowListed    How = "listed"    // over a connection that a trusted key authenticated, but not proven
	HowRejected  How = "rejected"  // by a person
	HowRevoked   How = "revoked"   // by a person
)

// Origin is what happened to a stored key last, and since when its server does not have it any
// more. In a file it is text, and a person may have written it:
//
//	proven by SHA256:8Xk... 2026-11-20T12:00:00Z gone 2027-02-01T03:17:00Z
type Origin struct {
	How       How       // "" if the comment does not say
	VouchedBy string    // the fingerprint of the key that proved it, with HowProven
	Note      string    // what somebody else wrote there
	At        time.Time // when it happened; zero if it is not known
	Gone      time.Time // zero as long as its server has it

	// written is the comment that the origin was read from, if the fields do not give the same one.
	written string
}

const (
	provenBy = "proven by "
	goneMark = " gone "
)

// Stamp returns the key with what happens to it now as its origin.
func (k Key) Stamp(how How, now time.Time) Stored {
	return Stored{Key: k, Origin: Origin{How: how, At: now.UTC().Truncate(time.Second)}}
}

// ParseOrigin reads the comment of a stored key. Every text is one: what is not in this package's
// words becomes the note.
func ParseOrigin(comment string) Origin {
	var o Origin
	rest, gone := cutGone(comment)
	o.Gone = gone
	if i := strings.LastIndexByte(rest, ' '); i >= 0 {
		if at, err := time.Parse(time.RFC3339, rest[i+1:]); err == nil {
			rest, o.At = rest[:i], at
		}
	}
	word, note, _ := strings.Cut(rest, " ")
	by, proven := strings.CutPrefix(rest, provenBy)
	switch how := How(word); {
	case proven && by != "":
		o.How, o.VouchedBy = HowProven, by
	// the others alone, without a time, are another's words
	case how == HowRejected, slices.Contains(hows, how) && word != comment:
		o.How, o.Note = how, note
	default:
		o.Note = rest
	}
	if o.render() != comment {
		o.written = comment
	}
	return o
}

// hows are the words that a comment can begin with, with more of it to follow but a fingerprint.
var hows = []How{HowFirstUse, HowAdopted, HowPinned, HowAccepted, HowImported, HowCertified, HowShown, HowListed,
	HowRejected, HowRevoked}

// cutGone cuts the note that a server does not have a key any more off its comment.
func cutGone(comment string) (rest string, gone time.Time) {
	i := strings.LastIndex(comment, goneMark)
	if i < 0 {
		return comment, gone
	}
	gone, err := time.Parse(time.RFC3339, comment[i+len(goneMark):])
	if err != nil {
		return comment, time.Time{}
	}
	return comment[:i], gone
}

// Comment is the origin as it is in a file. It is the comment that the origin was read from, byte
// for byte.
func (o Origin) Comment() string {
	if o.written != "" {
		return o.written
	}
	return o.render()
}

func (o Origin) render() string {
	comment := o.What()
	if !o.At.IsZero() && comment != "" {
		comment += " "
	}
	if !o.At.IsZero() {
		comment += formatTime(o.At)
	}
	if !o.Gone.IsZero() {
		comment += goneMark + formatTime(o.Gone)
	}
	return comment
}

func formatTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// What is the origin in words, without its times: "first-use", "proven by SHA256:...", or what
// somebody else wrote.
func (o Origin) What() string {
	switch {
	case o.How == HowProven:
		return provenBy + o.VouchedBy
	case o.How == "":
		return o.Note
	case o.Note == "":
		return string(o.How)
	}
	return string(o.How) + " " + o.Note
}

// WithGone returns the origin with a note since when the server does not have the key; the zero
// time takes the note away.
func (o Origin) WithGone(since time.Time) Origin {
	if !since.IsZero() {
		since = since.UTC().Truncate(time.Second)
	}
	o.Gone = since
	if o.written != "" {
		o.written, _ = cutGone(o.written)
		if !since.IsZero() {
			o.written += goneMark + formatTime(since)
		}
	}
	return o
}
