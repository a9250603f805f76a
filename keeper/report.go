package keeper

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"ltskeeper/farm"
	"ltskeeper/image"
	"ltskeeper/keys"
	"ltskeeper/keys/scan"
)

// A Report says what a run found and did. Its JSON form is stable.
type Report struct {
	Started  time.Time     `json:"started"`
	Duration time.Duration `json:"duration_ns"`
	DryRun   bool          `json:"dry_run,omitempty"`
	Steps    []Step        `json:"steps,omitempty"`
	Servers  []Server      `json:"servers"`
	Files    []File        `json:"files,omitempty"`
	Images   []Image       `json:"images,omitempty"`
	Warnings []error       `json:"-"` // to be printed even when quiet
}

// A Step is one part of the work and the time it took. Its name is one of a few:
//
//	scan     asking the servers for their keys, and judging these
//	record   writing down what that decided
//	ltsp     LTSP's own known_hosts, and ltsp initrd
//	open     of a chroot: waiting until its package manager is locked out
//	write    of a chroot: deriving the files for its clients, and putting them into it
//	build    of a chroot: making the image, and comparing it with the current one
//	publish  of a chroot: switching clients to the new generation
//	prune    of a chroot: deleting old ones
type Step struct {
	Name     string        `json:"name"`
	Chroot   string        `json:"chroot,omitempty"`
	Duration time.Duration `json:"duration_ns"`
}

// A ServerState is what a run concluded about one server.
type ServerState string

const (
	Trusted     ServerState = "trusted"     // shows a key that is trusted
	Pending     ServerState = "pending"     // has no trusted key; what it shows waits for a person
	Changed     ServerState = "changed"     // shows another key than the trusted one
	Revoked     ServerState = "revoked"     // shows a revoked key
	Unreachable ServerState = "unreachable" // no address answered
	Throttled   ServerState = "throttled"   // the server drops us for connecting too often
	Unscanned   ServerState = "unscanned"   // nothing is known of it: no key is trusted or pending
	Unreadable  ServerState = "unreadable"  // its key files cannot be read
)

// Sentences are what is to be said about something. In JSON they are one text.
type Sentences []string

func (s Sentences) String() string { return strings.Join(s, "; ") }

// MarshalText returns the sentences as one text.
func (s Sentences) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// A Server is what a run found out about one application server.
type Server struct {
	Name        string           `json:"name"`
	State       ServerState      `json:"state"`
	Message     Sentences        `json:"message,omitempty"` // what is not as it should be
	Decision    bool             `json:"decision"`          // a person has to accept or reject a key
	Unreachable bool             `json:"unreachable"`       // the server, or one of its addresses, did not answer
	Listed      bool             `json:"listed"`            // is in the default LDM_SERVER
	Quarantined *time.Time       `json:"quarantined,omitempty"`
	Keys        []Key            `json:"keys,omitempty"`      // trusted
	Certified   bool             `json:"certified,omitempty"` // by a certificate that clients take
	Expires     *time.Time       `json:"expires,omitempty"`   // on record: when the first of its certificates ends
	Added       []Key            `json:"added,omitempty"`     // became trusted in this run
	Removed     []Key            `json:"removed,omitempty"`   // trusted until this run
	Pending     []Key            `json:"pending,omitempty"`   // wait for a person
	Rejected    []Key            `json:"rejected,omitempty"`  // shown, and rejected by a person
	Revoked     []Key            `json:"revoked,omitempty"`   // on record: revoked while it had them
	Addresses   []AddressProblem `json:"addresses,omitempty"` // addresses with a problem
	// when a trusted key, or one with a certificate on record, was last seen
	Seen *time.Time `json:"seen,omitempty"`
	// of known_hosts.local: with these, clients take a key for it that is not trusted
	Strays   []keys.Line `json:"-"`
	Declared farm.Server `json:"-"`
}

// A Key is a host key in a report.
type Key struct {
	keys.Stored
	Seen   time.Time // when its server last showed it; zero if that is not known
	Reason string    // why it cannot be imported
}

// A keyDocument is a Key in JSON.
type keyDocument struct {
	Type        string    `json:"type"`
	Bits        int       `json:"bits,omitempty"`
	Fingerprint string    `json:"fingerprint"`
	Comment     string    `json:"comment,omitempty"` // the origin, as it is in the key's file
	VouchedBy   string    `json:"vouched_by,omitempty"`
	First       time.Time `json:"first,omitzero"` // when it was seen first, or came to be trusted
	Seen        time.Time `json:"seen,omitzero"`
	Gone        time.Time `json:"gone,omitzero"` // since when its server lists it no more
	Weak        string    `json:"weak,omitempty"`
	Reason      string    `json:"reason,omitempty"`
}

// MarshalJSON renders the key with what is known of it.
func (k Key) MarshalJSON() ([]byte, error) {
	return json.Marshal(keyDocument{
		Type: k.Type, Bits: k.Bits(), Fingerprint: k.Fingerprint(), Comment: k.Origin.Comment(),
		VouchedBy: k.Origin.VouchedBy, First: k.Origin.At, Seen: k.Seen, Gone: k.Origin.Gone, Weak: k.Caution(),
		Reason: k.Reason,
	})
}

// newKeys returns keys for a report.
func newKeys(list []keys.Stored) []Key {
	var out []Key
	for _, k := range list {
		out = append(out, Key{Stored: k})
	}
	return out
}

// An AddressProblem is why one address of a server showed no keys.
type AddressProblem struct {
	Address string         `json:"address"`
	Error   string         `json:"error"`
	Kind    scan.ErrorKind `json:"-"` // "" if the scan did not say
}

// A File is a text file derived for the clients.
type File struct {
	Chroot  string `json:"chroot"`
	Path    string `json:"path"` // on this machine, or "image:/etc/..." where it goes into the image only
	Changed bool   `json:"changed"`
	Old     string `json:"-"` // what stood there before
	New     string `json:"-"`
	Inside  string `json:"-"` // its path in the image, if it goes into the image only
}

// NoGeneration is the number of the current generation in a report on a chroot without an image.
const NoGeneration = -1

// numberOf returns the number of a generation that may be nil.
func numberOf(g *image.Generation) int {
	if g == nil {
		return NoGeneration
	}
	return g.Number
}

// An Image is what became of one chroot's image.
type Image struct {
	Chroot     string `json:"chroot"`
	Path       string `json:"path"` // the link that clients' servers serve
	Changed    bool   `json:"changed"`
	Generation int    `json:"generation"`     // the current one after the run
	Size       int64  `json:"size"`           // bytes
	Files      int    `json:"files"`          // of every kind
	Read       int64  `json:"read"`           // bytes of the tree read and compressed
	Reused     int64  `json:"reused"`         // compressed bytes taken from the previous image
	Full       string `json:"full,omitempty"` // why it was built from nothing, where there was a previous image
	Kernel     string `json:"kernel,omitempty"`
	// what is fetched over TFTP was not the current generation, and is again
	Repaired bool  `json:"repaired,omitempty"`
	Pruned   []int `json:"pruned,omitempty"` // generations deleted after it

	// Held since then at this generation: nothing is built or published until a person releases it.
	Held    *time.Time `json:"held,omitempty"`
	Problem string     `json:"problem,omitempty"` // what is wrong with a held generation
}

// NeedsDecision reports whether a person has to decide about a server's keys or a held chroot.
func (r *Report) NeedsDecision() bool {
	return slices.ContainsFunc(r.Servers, func(s Server) bool { return s.Decision }) ||
		slices.ContainsFunc(r.Images, func(i Image) bool { return i.Held != nil })
}

// SomeUnreachable reports whether a server, or one of its addresses, did not answer.
func (r *Report) SomeUnreachable() bool {
	return slices.ContainsFunc(r.Servers, func(s Server) bool { return s.Unreachable })
}

// SomethingChanged reports whether the run changed what is trusted, a file or an image.
func (r *Report) SomethingChanged() bool {
	return slices.ContainsFunc(r.Servers, func(s Server) bool { return len(s.Added)+len(s.Removed) > 0 }) ||
		slices.ContainsFunc(r.Files, func(f File) bool { return f.Changed }) ||
		slices.ContainsFunc(r.Images, func(i Image) bool { return i.Changed || i.Repaired })
}
