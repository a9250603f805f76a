package trust

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"ltskeeper/internal/testkit/keytest"
	"ltskeeper/keys"
)

// summary is a verdict in short names: what is trusted, what became so, what waits, and what is
// wrong.
func summary(v Verdict) string {
	words := []string{describeState(v), "[" + keytest.Names(v.Trusted) + "]"}
	for _, list := range []struct {
		name string
		keys []keys.Key
	}{
		{"added", keys.PlainKeys(v.Added)}, {"removed", keys.PlainKeys(v.Removed)}, {"pending",
			keys.PlainKeys(v.Pending)}, {"changed",
			keys.PlainKeys(v.decision.changed)},
		{"new", keys.PlainKeys(v.decision.others)}, {"rejected", keys.PlainKeys(v.decision.rejected)}, {"revoked",
			v.decision.revoked}, {"weak", v.decision.weak},
	} {
		if len(list.keys) > 0 {
			words = append(words, list.name+"["+keytest.Names(list.keys)+"]")
		}
	}
	for _, flag := range []struct {
		name string
		set  bool
	}{
		{"conflict", v.decision.conflict != ""}, {"withheld", v.decision.withheld}, {"suspect",
			v.IsSuspect}, {"decision", v.NeedsDecision},
	} {
		if flag.set && flag.name != describeState(v) {
			words = append(words, flag.name)
		}
	}
	return strings.Join(words, " ")
}

// describeState is what a verdict means in one word.
func describeState(v Verdict) string {
	switch d := v.decision; {
	case v.Err != nil:
		return "unreadable"
	case v.IsSuspect:
		return "suspect"
	case v.IsFirstUse:
		return "first-use"
	case v.IsConfirmed:
		return "trusted"
	case len(v.Trusted)+len(v.Certified) > 0:
		return "silent"
	case len(v.Pending)+len(d.rejected)+len(d.weak) > 0:
		return "pending"
	}
	return "none"
}

func judged(p Policy, r record, seen keys.Sighting, now time.Time) Verdict {
	return judgeSighting(p, r, seen, now).summarize()
}

func TestJudge(t *testing.T) {
	t.Parallel()
	const past = "it had a key before"
	for _, test := range []struct {
		name                       string
		trusted, pending, rejected string // in the store
		revoked, pins, adopted     string
		past                       string
		refuse                     bool // first-use = "refuse"
		seen                       []string
		want                       string
	}{
		// First use.
		{name: "first use", seen: []string{"e1 r1"}, want: "first-use [e1 r1] added[e1 r1]"},
		{name: "first use at several addresses", seen: []string{"e1 r1", "r1 e1"},
			want: "first-use [e1 r1] added[e1 r1]"},
		{name: "first use with one address silent", seen: []string{"e1 r1", "!"},
			want: "first-use [e1 r1] added[e1 r1]"},
		{name: "first use with one address half seen", seen: []string{"e1 r1", "e1 +r !"},
			want: "first-use [e1 r1] added[e1 r1]"},
		{name: "first use refused", refuse: true, seen: []string{"e1"},
			want: "pending [] pending[e1] new[e1] decision"},
		{name: "no second first use", past: past, seen: []string{"e1"},
			want: "pending [] pending[e1] new[e1] decision"},
		{name: "no first use while keys wait", pending: "e1", past: past, seen: []string{"e1"},
			want: "pending [] pending[e1] new[e1] decision"},
		{name: "no first use of different keys", seen: []string{"e1", "e2"},
			want: "pending [] pending[e1 e2] new[e1 e2] conflict decision"},
		{name: "no first use of different types", seen: []string{"e1 r1", "e1"},
			want: "pending [] pending[e1 r1] new[e1 r1] conflict decision"},
		{name: "no first use of different types, the other way round", seen: []string{"e1", "e1 r1"},
			want: "pending [] pending[e1 r1] new[e1 r1] conflict decision"},
		{name: "no first use of other types", seen: []string{"e1", "r1"},
			want: "pending [] pending[e1 r1] new[e1 r1] conflict decision"},
		{name: "no first use if a half seen address has more", seen: []string{"e1", "e1 r1 !"},
			want: "pending [] pending[e1 r1] new[e1 r1] conflict decision"},
		{name: "no first use beside an address that has none of it", seen: []string{"e1", "+r !"},
			want: "pending [] pending[e1] new[e1] conflict decision"},
		{name: "no first use beside a revoked key", revoked: "r1", seen: []string{"e1 r1"},
			want: "suspect [] pending[e1] new[e1] revoked[r1] decision"},
		{name: "a weak key is not trusted at first use", seen: []string{"e1 w1"},
			want: "first-use [e1] added[e1] weak[w1]"},
		{name: "nothing but a weak key", seen: []string{"w1"}, want: "pending [] weak[w1] decision"},
		{name: "nobody answers", seen: []string{"!"}, want: "none []"},
		{name: "only types that nobody can ask for", seen: []string{"+x !"}, want: "none []"},

		// A server with trusted keys.
		{name: "all is well", trusted: "e1 r1", seen: []string{"e1 r1"}, want: "trusted [e1 r1]"},
		{name: "silent", trusted: "e1", seen: []string{"!"}, want: "silent [e1]"},
		{name: "fewer types than before", trusted: "e1 r1", seen: []string{"e1"}, want: "trusted [e1 r1]"},
		{name: "changed", trusted: "e1", seen: []string{"e2"}, want: "suspect [e1] pending[e2] changed[e2] decision"},
		{name: "one of two changed", trusted: "e1 r1", seen: []string{"e1 r2"},
			want: "suspect [e1 r1] pending[r2] changed[r2] decision"},
		{name: "changed at one address", trusted: "e1", seen: []string{"e1", "e2"},
			want: "suspect [e1] pending[e2] changed[e2] conflict decision"},
		{name: "a new type", trusted: "e1", seen: []string{"e1 r1"}, want: "trusted [e1] pending[r1] new[r1]"},
		{name: "a new type at one address", trusted: "e1", seen: []string{"e1 r1", "e1"},
			want: "trusted [e1] pending[r1] new[r1] conflict decision"},
		{name: "a new type with one address silent", trusted: "e1", seen: []string{"e1 r1", "!"},
			want: "trusted [e1] pending[r1] new[r1]"},
		{name: "another type instead", trusted: "e1", seen: []string{"r1"},
			want: "suspect [e1] pending[r1] new[r1] withheld decision"},
		{name: "another type instead, at one address", trusted: "e1", seen: []string{"e1", "r1"},
			want: "suspect [e1] pending[r1] new[r1] conflict withheld decision"},
		{name: "another type, the trusted one not reached", trusted: "r1", seen: []string{"e1 +r !"},
			want: "silent [r1] pending[e1] new[e1]"},
		{name: "another type, the trusted one only with SHA-1", trusted: "r1", seen: []string{"e1 +r"},
			want: "suspect [r1] pending[e1] new[e1] withheld decision"},
		{name: "only types that nobody can ask for instead", trusted: "e1", seen: []string{"+x !"},
			want: "suspect [e1] withheld decision"},
		{name: "a trusted type that nobody can ask for", trusted: "x1", seen: []string{"+x !"}, want: "silent [x1]"},
		{name: "a trusted type that nobody can ask for beside another", trusted: "x1", seen: []string{"+x e1"},
			want: "silent [x1] pending[e1] new[e1]"},
		{name: "a weak key of a new type", trusted: "e1", seen: []string{"e1 w1"}, want: "trusted [e1] weak[w1]"},
		{name: "a weak key instead of the trusted one", trusted: "r1", seen: []string{"w1"},
			want: "suspect [r1] weak[w1] decision"},

		// What waits.
		{name: "the alarm lasts while the server is silent", trusted: "e1", pending: "e2", seen: []string{"!"},
			want: "silent [e1] pending[e2] decision"},
		{name: "the alarm goes with the trusted key", trusted: "e1", pending: "e2", seen: []string{"e1"},
			want: "trusted [e1]"},
		{name: "the latest key waits", trusted: "e1", pending: "e2", seen: []string{"e3"},
			want: "suspect [e1] pending[e3] changed[e3] decision"},
		{name: "a type that is gone waits no more", trusted: "e1", pending: "r1", seen: []string{"e1"},
			want: "trusted [e1]"},
		{name: "a type that was not reached still waits", trusted: "e1", pending: "r1", seen: []string{"e1 +r !"},
			want: "trusted [e1] pending[r1]"},
		{name: "a rejected key that is shown instead", trusted: "e1", rejected: "e2", seen: []string{"e2"},
			want: "suspect [e1] rejected[e2]"},
		{name: "a rejected key of another type instead", trusted: "e1", rejected: "r1", seen: []string{"r1"},
			want: "suspect [e1] rejected[r1] withheld"},
		{name: "a rejected key beside the trusted one", trusted: "e1", rejected: "r1", seen: []string{"e1 r1"},
			want: "trusted [e1] rejected[r1]"},
		{name: "another key than the rejected one", trusted: "e1", rejected: "e2", seen: []string{"e3"},
			want: "suspect [e1] pending[e3] changed[e3] decision"},
		{name: "a rejected key without a trusted one", rejected: "e1", past: past, seen: []string{"e1"},
			want: "pending [] rejected[e1]"},

		// Pins.
		{name: "pinned", pins: "e1", seen: []string{"e1"}, want: "trusted [e1] added[e1]"},
		{name: "pinned beside others", pins: "e1", seen: []string{"e1 r1"},
			want: "trusted [e1] added[e1] pending[r1] new[r1]"},
		{name: "no first use with pins", pins: "e1", seen: []string{"e2 r1"},
			want: "pending [] pending[e2 r1] new[e2 r1] decision"},
		{name: "a pin brings a new key", pins: "e2", trusted: "e1", seen: []string{"e2"},
			want: "trusted [e2] added[e2] removed[e1]"},
		{name: "a pin takes trust away", pins: "e2", trusted: "e1 r1", seen: []string{"e1 r1"},
			want: "pending [] removed[e1 r1] pending[e1 r1] new[e1 r1] decision"},
		{name: "a pin keeps one", pins: "e1", trusted: "e1 r1", seen: []string{"!"}, want: "silent [e1] removed[r1]"},
		{name: "a pin wins over a rejection", pins: "e1", rejected: "e1", past: past, seen: []string{"e1"},
			want: "trusted [e1] added[e1]"},
		{name: "two pinned machines behind one name", pins: "e1 e2", seen: []string{"e1", "e2"},
			want: "trusted [e1 e2] added[e1 e2]"},
		{name: "two pinned machines that agree on one more", pins: "e1 e2", seen: []string{"e1 r1", "e2 r1"},
			want: "trusted [e1 e2] added[e1 e2] pending[r1] new[r1]"},
		{name: "pinned, and another key of the type", pins: "e1", seen: []string{"e1", "e2"},
			want: "suspect [e1] added[e1] pending[e2] changed[e2] conflict decision"},
		{name: "a pinned key that is revoked", pins: "e1", revoked: "e1", seen: []string{"e1"},
			want: "suspect [] revoked[e1] decision"},
		{name: "a pinned key that is weak", pins: "w1", seen: []string{"w1"}, want: "pending [] weak[w1] decision"},

		// A server that never had a key, and that known_hosts.local has keys for.
		{name: "adopted", adopted: "r1", seen: []string{"e1 r1"}, want: "trusted [r1] added[r1] pending[e1] new[e1]"},
		{name: "adopted, though first use is refused", adopted: "e1", refuse: true, seen: []string{"e1"},
			want: "trusted [e1] added[e1]"},
		{name: "adopted and silent", adopted: "e1 r1", seen: []string{"!"}, want: "silent [e1 r1] added[e1 r1]"},
		{name: "adopted, and another key is shown", adopted: "e1", seen: []string{"e2"},
			want: "suspect [e1] added[e1] pending[e2] changed[e2] decision"},
		{name: "adopted, and only another type is shown", adopted: "r1", seen: []string{"e1"},
			want: "suspect [r1] added[r1] pending[e1] new[e1] withheld decision"},
		{name: "several of one type, of which it has one", adopted: "e1 e2 r1", seen: []string{"e2"},
			want: "trusted [e2 r1] added[e2 r1]"},
		{name: "several of one type, and it has none of them", adopted: "e1 e2", seen: []string{"e3"},
			want: "suspect [e1 e2] added[e1 e2] pending[e3] changed[e3] decision"},
		{name: "adopted twice", adopted: "e1 e1", seen: []string{"e1"}, want: "trusted [e1] added[e1]"},
		{name: "neither revoked nor weak ones are adopted", adopted: "e1 w1", revoked: "e1", seen: []string{"r1"},
			want: "first-use [r1] added[r1]"},
		{name: "nothing is adopted beside pins", adopted: "e1", pins: "e2", seen: []string{"e1"},
			want: "pending [] pending[e1] new[e1] decision"},
		{name: "nothing is adopted a second time", adopted: "e1", past: past, seen: []string{"e1"},
			want: "pending [] pending[e1] new[e1] decision"},
		{name: "nothing is adopted beside trusted keys", adopted: "e1", trusted: "r1", seen: []string{"e1 r1"},
			want: "trusted [r1] pending[e1] new[e1]"},

		// Revocation.
		{name: "revoked and trusted", revoked: "e1", trusted: "e1 r1", seen: []string{"r1"},
			want: "trusted [r1] removed[e1]"},
		{name: "revoked and still shown", revoked: "e1", trusted: "e1 r1", seen: []string{"e1 r1"},
			want: "suspect [r1] removed[e1] revoked[e1] decision"},
		{name: "revoked and waiting", revoked: "e2", trusted: "e1", pending: "e2", seen: []string{"!"},
			want: "silent [e1]"},
		{name: "the last key is revoked", revoked: "e1", trusted: "e1", past: past, seen: []string{"e2"},
			want: "pending [] removed[e1] pending[e2] new[e2] decision"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := Policy{Name: "app01", FirstUse: !test.refuse, Adopted: keytest.Keys(test.adopted)}
			for _, k := range keytest.Keys(test.pins) {
				p.Pins = append(p.Pins, k.Fingerprint())
			}
			r := record{trusted: keytest.Stored(test.trusted, ""), pending: keytest.Stored(test.pending, ""),
				rejected: keytest.Stored(test.rejected, ""), past: test.past}
			r.revoked = keytest.Stored(test.revoked, "")
			v := judged(p, r, keytest.Sight(test.seen...), keytest.Noon)
			if got := summary(v); got != test.want {
				t.Errorf("\n got %s\nwant %s", got, test.want)
			}
			for _, k := range v.decision.after.rejected {
				if keys.Contains(v.Trusted, k) || keys.Contains(v.Pending, k) {
					t.Errorf("%s is rejected and not rejected", keytest.Names([]keys.Stored{k}))
				}
			}
			attention := v.IsSuspect || v.NeedsDecision || len(v.Trusted) == 0 && len(v.decision.rejected) > 0
			if said := v.Reasons; attention != (len(said) > 0) {
				t.Errorf("needs attention: %v, but the reasons are %q", attention, said)
			}
		})
	}
}

func TestPendingKeysAreFew(t *testing.T) {
	t.Parallel()
	var addresses []string
	for i := range 40 {
		addresses = append(addresses, fmt.Sprintf("e%d", i))
	}
	v := judged(Policy{Name: "app01", FirstUse: true}, record{}, keytest.Sight(addresses...), keytest.Noon)
	if len(v.Pending) != maxPending {
		t.Errorf("%d keys are pending", len(v.Pending))
	}
}

// The comments say when and how: they are set once and then kept.
func TestComments(t *testing.T) {
	t.Parallel()
	p := Policy{Name: "app01", FirstUse: true}
	first := judged(p, record{}, keytest.Sight("e1"), keytest.Noon)
	if got := first.Trusted[0].Origin.Comment(); got != "first-use 2026-11-20T12:00:00Z" {
		t.Errorf("first use: %q", got)
	}
	second := judged(p, record{trusted: first.Trusted}, keytest.Sight("e1 r1"), keytest.Noon.AddDate(0, 0, 1))
	if got := second.decision.confirmed[0].Origin.Comment(); got != "first-use 2026-11-20T12:00:00Z" {
		t.Errorf("confirmed: %q", got)
	}
	if got := second.Pending[0].Origin.Comment(); got != "shown 2026-11-21T12:00:00Z" {
		t.Errorf("pending: %q", got)
	}
	third := judged(p, record{trusted: first.Trusted, pending: second.Pending}, keytest.Sight("e1 r1"),
		keytest.Noon.AddDate(0, 0, 2))
	if got := third.Pending[0].Origin.Comment(); got != "shown 2026-11-21T12:00:00Z" {
		t.Errorf("still pending: %q", got)
	}
	if trusted, pending := writes(second); trusted || !pending {
		t.Error("a key that waits changes the wrong file")
	}
	if trusted, pending := writes(third); trusted || pending {
		t.Error("files are rewritten although trust does not change")
	}
}

// writes tells which of a server's files a verdict changes.
func writes(v Verdict) (trusted, pending bool) {
	c := v.decision.change
	return !haveSameEntries(c.before.trusted, c.after.trusted),
		!haveSameEntries(c.before.untrusted(), c.after.untrusted())
}

// history lets a name live through random scans, as a person who never decides anything would.
type history struct {
	*rand.Rand
	record record
	names  map[string]bool
}

func (h *history) randomSighting() keys.Sighting {
	types := []string{"e", "r", "c", "x", "w"}
	var addresses []string
	for range 1 + h.IntN(3) {
		var words []string
		for _, typ := range types {
			switch h.IntN(4) {
			case 0:
				words = append(words, "+"+typ)
			case 1:
				words = append(words, fmt.Sprintf("%s%d", typ, 1+h.IntN(3)))
			}
		}
		if h.IntN(3) == 0 {
			words = append(words, "!")
		}
		addresses = append(addresses, strings.Join(words, " "))
	}
	return keytest.Sight(addresses...)
}

func (h *history) step(p Policy, seen keys.Sighting) Verdict {
	h.record.past, h.record.revoked = "", keytest.Stored("r3", "")
	for _, name := range append([]string{p.Name}, p.Names...) {
		if h.names[name] {
			h.record.past = name
		}
	}
	v := judged(p, h.record, seen, keytest.Noon)
	h.record = record{trusted: v.Trusted, pending: v.Pending, rejected: v.decision.after.rejected}
	for _, name := range v.decision.names {
		h.names[name] = true
	}
	return v
}

func TestNoScanAddsKeysToAServerThatHadOne(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3000) {
		h := &history{Rand: rand.New(rand.NewPCG(seed, 1)), names: make(map[string]bool)}
		uses := 0
		var ever []keys.Key // trusted at some time
		for range 12 {
			p := Policy{Name: "app01", Names: []string{"app01.example.org", "10.0.0.1"}, FirstUse: h.IntN(4) > 0}
			switch h.IntN(12) {
			case 0: // the server is removed and comes back, perhaps under another name
				h.record = record{}
				p.Name = "new" + p.Name
			case 1: // a key file is lost
				h.record.trusted = nil
			case 2:
				h.record.pending, h.record.rejected = nil, h.record.pending
			}
			before := slices.Clone(h.record.trusted)
			known := maps.Clone(h.names)
			seen := h.randomSighting()
			v := h.step(p, seen)
			if len(v.Added) == 0 {
				for _, k := range v.Trusted {
					if !keys.Contains(before, k) {
						t.Fatalf("seed %d: %s trusted by the way", seed, k.Fingerprint())
					}
				}
				continue
			}
			uses++
			switch {
			case len(before) > 0 || len(known) > 0:
				t.Fatalf("seed %d: first use although %v are known: %+v gives %s", seed, known, seen, summary(v))
			case uses > 1:
				t.Fatalf("seed %d: first use for the second time: %s", seed, summary(v))
			case !p.FirstUse:
				t.Fatalf("seed %d: first use although it is refused", seed)
			case v.decision.conflict != "", v.IsSuspect, v.NeedsDecision &&
				len(v.decision.weak) == 0, keys.Contains(v.Trusted, keytest.Key("r3")),
				slices.ContainsFunc(v.Trusted, func(k keys.Stored) bool { return k.Weakness() != nil }):
				t.Fatalf("seed %d: %+v gives %s", seed, seen, summary(v))
			}
			ever = append(ever, keys.PlainKeys(v.Trusted)...)
		}
		for _, k := range h.record.trusted {
			if !keys.Contains(ever, k) {
				t.Fatalf("seed %d: %s is trusted, and nobody knows why", seed, k.Fingerprint())
			}
		}
	}
}

// A second look at the same thing changes nothing, whatever the first one did.
func TestJudgeSettles(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3000) {
		h := &history{Rand: rand.New(rand.NewPCG(seed, 2)), names: make(map[string]bool)}
		p := Policy{Name: "app01", FirstUse: true}
		if h.IntN(3) == 0 {
			p.Pins = []string{keytest.Key("e1").Fingerprint(), keytest.Key("r2").Fingerprint()}
		}
		var seen keys.Sighting
		for range 6 {
			seen = h.randomSighting()
			h.step(p, seen)
		}
		first := h.step(p, seen)
		second := h.step(p, seen)
		if trusted, pending := writes(second); trusted || pending || len(second.Added)+len(second.Removed) > 0 {
			t.Fatalf("seed %d: %+v gives %s, then %s", seed, seen, summary(first), summary(second))
		}
		if len(second.Pending) > maxPending {
			t.Fatalf("seed %d: %d keys are pending", seed, len(second.Pending))
		}
		for _, k := range second.Pending {
			if keys.Contains(second.Trusted, k) || keys.Contains(second.decision.after.rejected, k) {
				t.Fatalf("seed %d: %s is pending and decided", seed, k.Fingerprint())
			}
		}
	}
}
