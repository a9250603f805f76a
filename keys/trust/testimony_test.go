package trust

import (
	"errors"
	"slices"
	"testing"
	"time"

	"ltskeeper/internal/testkit/keytest"
	"ltskeeper/keys"
)

// A revoked key in a server's list is an alarm, and a rejected one stays so although it is proven.
func TestProofDoesNotOverrideAPerson(t *testing.T) {
	t.Parallel()
	seen := keytest.Sight("e1")
	seen.Addresses[0].Testimony = &keys.Testimony{By: keytest.Key("e1"), Listed: keytest.Keys("e1 r1 c1"),
		Proven: keytest.Keys("r1 c1")}
	r := record{trusted: keytest.Stored("e1", ""), rejected: keytest.Stored("r1", ""),
		revoked: keytest.Stored("c1", "")}
	v := judged(Policy{Name: "app01"}, r, seen, keytest.Noon)
	if got, want := summary(v), "suspect [e1] revoked[c1] decision"; got != want {
		t.Errorf("%s; want %s", got, want)
	}
	// A key that is revoked vouches for nothing.
	r = record{trusted: keytest.Stored("e1 c2", ""), revoked: keytest.Stored("e1", "")}
	v = judged(Policy{Name: "app01"}, r, seen, keytest.Noon)
	if got, want := summary(v), "suspect [c2] removed[e1] revoked[e1] withheld decision"; got != want {
		t.Errorf("%s; want %s", got, want)
	}
}

// testify makes a sighting of a server that showed e1, which is trusted, and said something.
func testify(said keys.Testimony) keys.Sighting {
	s := keytest.Sight("e1")
	said.By = keytest.Key("e1")
	s.Addresses[0].Testimony = &said
	return s
}

// What is proven is trusted; what is listed without a proof waits, and that is said.
func TestOnlyWhatIsProvenIsTrusted(t *testing.T) {
	t.Parallel()
	r := record{trusted: keytest.Stored("e1", "")}
	v := judged(Policy{Name: "app01"}, r,
		testify(keys.Testimony{Listed: keytest.Keys("e1 r1"), Proven: keytest.Keys("r1")}), keytest.Noon)
	if got, want := summary(v), "trusted [e1 r1] added[r1]"; got != want {
		t.Errorf("proven: %s; want %s", got, want)
	}
	v = judged(Policy{Name: "app01"}, r, testify(keys.Testimony{Listed: keytest.Keys("e1 r1"),
		Unproven: []keys.Refusal{{Key: keytest.Key("r1"), Err: errors.New("the server refuses to")}}}), keytest.Noon)
	if got, want := summary(v), "trusted [e1] pending[r1] new[r1] decision"; got != want ||
		len(v.decision.unproven) != 1 {
		t.Errorf("not proven: %s; want %s", got, want)
	}
	want := []string{"app01 lists ssh-rsa " + keytest.Key("r1").Fingerprint() +
		" as its key and does not prove to have it: the server refuses to"}
	if said := v.Reasons; !slices.Equal(said, want) {
		t.Errorf("it says %q", said)
	}
}

// Keys of types that nobody here can verify wait, whole, and are no alarm: not even where one of
// that type is trusted, nor while the server is silent.
func TestUnknownTypesWait(t *testing.T) {
	t.Parallel()
	p := Policy{Name: "app01", RetireAfter: time.Hour}
	for _, before := range []string{"e1", "x2 e1"} {
		v := judged(p, record{trusted: keytest.Stored(before, "")},
			testify(keys.Testimony{Listed: keytest.Keys("e1 x1 w1")}),
			keytest.Noon)
		if !keytest.Same(v.Pending, keytest.Keys("x1")) || v.IsSuspect || len(v.decision.unproven) > 0 ||
			v.NeedsDecision != (len(v.decision.leaving) > 0) {
			t.Errorf("%s, %q", summary(v), v.Reasons)
		}
		later := judged(p, v.decision.change.after, keytest.Sight("!"), keytest.Noon)
		if !keytest.Same(later.Pending, keytest.Keys("x1")) || later.NeedsDecision {
			t.Errorf("silent: %s, %q", summary(later), later.Reasons)
		}
	}
}

// Somebody on the wire answers for one key type, and lets the server answer for the other: what the
// server says does not make up for his key.
func TestTestimonyDoesNotMakeUpForAnotherKey(t *testing.T) {
	t.Parallel()
	seen := keytest.Sight("e2 r1")
	seen.Addresses[0].Testimony = &keys.Testimony{By: keytest.Key("r1"), Listed: keytest.Keys("e1 r1")}
	v := judged(Policy{Name: "app01"}, record{trusted: keytest.Stored("e1 r1", "")}, seen,
		keytest.Noon)
	if got, want := summary(v), "suspect [e1 r1] pending[e2] changed[e2] decision"; got != want {
		t.Errorf("%s; want %s", got, want)
	}
	if said := v.Reasons; len(said) != 1 || said[0] != "app01 shows another ssh-ed25519 key than the trusted one" {
		t.Errorf("it says %q", said)
	}
}
