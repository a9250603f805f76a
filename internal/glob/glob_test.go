package glob

import (
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"a*", "a", true}, {"a*b", "aXbXb", true},
		{"a*b", "aXbXc", false}, {"a**b", "ab", true}, {"*a*", "bab", true}, {"ab", "a", false},
		{"*a*a*a*a*a*a*b", strings.Repeat("a", 2000), false},
	} {
		got := Match(test.pattern, test.s, func(pattern string, p int, c byte) (int, bool) {
			return p + 1, pattern[p] == c
		})
		if got != test.want {
			t.Errorf("%q %q: %v", test.pattern, test.s, got)
		}
	}
}

// A class holds the characters that POSIX's C locale has in it (XBD, section 7.3.1).
func TestClasses(t *testing.T) {
	t.Parallel()
	const (
		upper, lower, digit = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz", "0123456789"
		punct               = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
	)
	for class, members := range map[string]string{
		"upper": upper, "lower": lower, "alpha": upper + lower, "digit": digit, "alnum": upper + lower + digit,
		"punct": punct, "graph": upper + lower + digit + punct, "print": " " + upper + lower + digit + punct,
		"space": " \t\n\v\f\r", "blank": " \t", "xdigit": digit + "abcdefABCDEF",
	} {
		for c := range 256 {
			if got := classes[class](byte(c)); got != strings.Contains(members, string(rune(c))) || got && c > 127 {
				t.Errorf("%s: %q: %v", class, rune(c), got)
			}
		}
	}
	for c := range 256 {
		if got := classes["cntrl"](byte(c)); got != (c < ' ' || c == 0x7f) {
			t.Errorf("cntrl: %q: %v", rune(c), got)
		}
	}
}
