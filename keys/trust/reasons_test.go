package trust

import (
	"slices"
	"strings"
	"testing"

	"ltskeeper/internal/testkit/keytest"
)

func TestReasons(t *testing.T) {
	t.Parallel()
	e1, e2 := keytest.Key("e1").Fingerprint(), keytest.Key("e2").Fingerprint()
	for _, test := range []struct {
		name    string
		trusted string
		pending string
		seen    []string
		want    string
	}{
		{"changed", "e1", "", []string{"e2"},
			"app01 shows another ssh-ed25519 key than the trusted one"},
		{"withheld", "e1", "", []string{"r1"},
			"app01 shows none of its trusted keys: ssh-ed25519 " + e1},
		{"conflict", "", "", []string{"e1", "e2"},
			"app01 shows different keys at different addresses: 10.0.0.1 ssh-ed25519 " + e1 +
				"; 10.0.0.2 ssh-ed25519 " + e2 + "\n" +
				"app01 has no trusted key: its addresses show different keys"},
		{"undecided", "e1", "e2", []string{"!"},
			"app01 has shown another ssh-ed25519 key, and nobody has decided about it"},
		{"new type", "e1", "", []string{"e1 r1"}, ""},
		{"waiting", "", "r1", []string{"!"},
			"app01 has no trusted key: nobody has decided about those it showed"},
	} {
		r := record{trusted: keytest.Stored(test.trusted, ""), pending: keytest.Stored(test.pending, "")}
		v := judged(Policy{Name: "app01", FirstUse: true}, r, keytest.Sight(test.seen...), keytest.Noon)
		want := strings.Split(test.want, "\n")
		if test.want == "" {
			want = nil
		}
		got := v.Reasons
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s:\n got %q\nwant %q", test.name, got, want)
		}
	}
}
