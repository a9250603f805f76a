package keys_test

import (
	"strings"
	"testing"

	"ltskeeper/keys"
)

func TestAuthorityCovers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"a*", "a", true}, {"a*b", "aXbXb", true}, {"a*b", "aXbXc",
			false},
		{"?", "", false}, {"?", "a", true}, {"*.org", "x.org", true}, {"*.org", "org", false}, {"a**b", "ab", true},
		{"*a*a*a*a*a*a*b", strings.Repeat("a", 2000), false},
	} {
		if got := (keys.Authority{Hosts: []string{test.pattern}}).Covers(test.s); got != test.want {
			t.Errorf("%q %q: %v", test.pattern, test.s, got)
		}
	}
}
