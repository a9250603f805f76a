package pages

import (
	"slices"
	"strings"
	"testing"
)

func TestCompare(t *testing.T) {
	one, two := "SHA256:"+strings.Repeat("a", 43), "SHA256:"+strings.Repeat("b", 43)
	for _, same := range [][2]string{
		{"Done in 0.1 s: 3 servers", "Done in 12 s: 3 servers"},
		{"x  1  just now  2.4 MB", "x  1  2 min ago   3.1 MB"},
		{"1.1 MB, 282 files, 31 kB of it read anew", "1.1 MB, 282 files, 1.1 MB of it read anew"},
		{"263 MB, 18,717 files\n18718\n18717", "301 MB, 20,001 files\n20002\n20001"},
		{"kernel 6.1.0-56-amd64\n6.1.0-56-amd64", "kernel 6.12.3+deb13-amd64\n6.12.3+deb13-amd64"},
		{"a\n...\nz", "a\nb\nc\nz"},
		{"a\n...", "a"},
		{"built 2026-11-20 23:44", "built 2027-01-02 01:00"},
		{one + "\n" + one, two + "\n" + two},
		{"a\n...\n(exit code 3)", "a\nb\n(exit code 3)"},
		{"...\n" + one + "\nz\n" + one, two + "\n" + one + "\n" + two + "\nz\n" + two},
		{"wrote /tmp/ltskeeper-demo.abc/x", "wrote /var/tmp/ltskeeper-demo.xyz/x"},
		{"app02 app01", "app01 app02"},
		{"load  0 % free   load 3.05, cores 2", "load  40 % free   load 1.20, cores 2"},
		{"app01  -  1  up  0  0", "app01  -  1  up  63  2"},
	} {
		if why := NewComparison().FindDifference(strings.Split(same[0], "\n"),
			strings.Split(same[1], "\n")); why != "" {
			t.Errorf("%q and %q: %s", same[0], same[1], why)
		}
	}
	for _, other := range [][2]string{
		{"Done in 0.1 s: 3 servers", "Done in 0.1 s: 4 servers"},
		{"a", "a\nb"},
		{"a\nb", "a"},
		{"263 MB", "170 MB"},
		{"263 MB, 18,717 files\n262 MB, 18,716 files", "263 MB, 18,717 files\n263 MB, 18,717 files"},
		{"6.1.0-56-amd64\n6.1.0-55-amd64", "6.1.0-57-amd64\n6.1.0-57-amd64"},
		{"a\n...\nz", "a\nb"},
		{"a\n...", "a\nb\n(exit code 3)"},
		{"...\n(exit code 3)", "a\n(exit code 1)"},
		{one + "\n" + two, one + "\n" + one},
		{one + "\n" + one, one + "\n" + two},
		{one, "SHA256:"},
	} {
		if NewComparison().FindDifference(strings.Split(other[0], "\n"), strings.Split(other[1], "\n")) == "" {
			t.Errorf("%q and %q are no different", other[0], other[1])
		}
	}
	c := NewComparison()
	if why := c.FindDifference([]string{"shows " + one}, []string{"shows " + two}); why != "" {
		t.Error(why)
	}
	if got := c.toToday("accept " + one); got != "accept "+two {
		t.Errorf("typed is %q", got)
	}
	if got := c.toPage("has " + two); got != "has "+one {
		t.Errorf("shown is %q", got)
	}
	if got := c.rewrite([]string{"x", "is " + one}, []string{"# new", "is " + two, "is " + one}); !slices.Equal(got,
		[]string{"...", "is " + one, "is " + one}) {
		t.Errorf("rewritten as %q", got)
	}
	if got := c.rewrite([]string{"...", "b", "c", "..."}, []string{"a", "b", "new", "x"}); !slices.Equal(got,
		[]string{"...", "b", "new", "x"}) {
		t.Errorf("rewritten as %q", got)
	}
	if got := c.rewrite([]string{"a", "...", "c"}, []string{"new", "a", "b", "c"}); !slices.Equal(got,
		[]string{"new", "a", "...", "c"}) {
		t.Errorf("rewritten as %q", got)
	}
	if !slices.Equal(strings.Fields(maskLine("a   b ")), []string{"a", "b"}) {
		t.Error("blanks count")
	}
}
