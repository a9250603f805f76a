package names

import (
	"strings"
	"testing"
)

func TestIsValid(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"app01": true, "App01.example.org": true, "app01.": true, "10.0.0.1": true, "fd00::11": true, "::1": true,
		"_app01": true, "a": true, strings.Repeat("a", MaxLength): true,
		"": false, ".": false, ".hidden": false, "..": false, "-o": false, "app 01": false, "app/01": false,
		"app01\n": false, "$(x)": false, "fe80::1%eth0": false, "[::1]": false, "äpp": false, "app\xff": false,
		strings.Repeat("a", MaxLength+1): false,
	} {
		if got := IsValid(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

// A colon is for addresses only; a dot in front is for names without files.
func TestFindFault(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, fault, wordFault string }{
		{"app01", "", ""},
		{"fd00::11", "names are letters, digits, dots, hyphens and underscores",
			"names are letters, digits, dots, hyphens and underscores"},
		{".app01", "it begins with a dot, as hidden files do", ""},
		{"-app01", "it begins with a hyphen, as options do", "it begins with a hyphen, as options do"},
		{"", "it is empty", "it is empty"},
	} {
		if got := FindFault(test.name); got != test.fault {
			t.Errorf("%q: %q", test.name, got)
		}
		if got := FindWordFault(test.name); got != test.wordFault {
			t.Errorf("%q as a word: %q", test.name, got)
		}
	}
}

func TestCanonical(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"App01": "app01", "app01.": "app01", "app01..": "app01", "App01.Example.ORG.": "app01.example.org",
		"10.0.0.1": "10.0.0.1", "10.0.0.1.": "10.0.0.1", "::ffff:10.0.0.1": "10.0.0.1", "FD00::0011": "fd00::11",
		"fd00:0:0::11": "fd00::11", "10.0.0.01": "10.0.0.01",
	} {
		if got := Canonical(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func FuzzCanonical(f *testing.F) {
	f.Add("App01.")
	f.Add("::FFFF:10.0.0.1")
	f.Fuzz(func(t *testing.T, name string) {
		c := Canonical(name)
		if again := Canonical(c); again != c {
			t.Errorf("%q became %q, then %q", name, c, again)
		}
		if IsValid(name) && !IsValid(c) {
			t.Errorf("%q became %q", name, c)
		}
	})
}
