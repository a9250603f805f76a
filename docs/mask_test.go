package docs

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// masks are what differs from run to run, each with what stands for it in a comparison.
var masks = []struct {
	is *regexp.Regexp
	as string
}{
	{regexp.MustCompile(`/\S+/ltskeeper-demo\.\w+`), "<demo>"},
	{regexp.MustCompile(`\b20\d\d-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?( ?Z| UTC)?`), "<time>"},
	{regexp.MustCompile(`\b20\d\d-\d\d-\d\d\b`), "<time>"},
	{regexp.MustCompile(`\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun) <time>( UTC)?`), "<time>"},
	{regexp.MustCompile(`\b(just now|\d+ (s|min|h|hours?|days?) ago)\b`), "<ago>"},
	{regexp.MustCompile(`\b\d+(\.\d+)? (s|ms|min)\b`), "<duration>"},
	{regexp.MustCompile(`\b\d+(\.\d+)? (bytes|B|kB|MB|GB)\b`), "<size>"},
	{regexp.MustCompile(`\b[0-9,]+ files\b|\b\d{5}\b`), "<files>"},
	{regexp.MustCompile(`\b\d+\.\d+\.\d+-\d+(-[a-z0-9]+)*\b`), "<kernel>"},
	{regexp.MustCompile(`^(load|pressure|memory|sessions|rating) .*`), "$1 <busy>"}, // ldminfod --explain
	{regexp.MustCompile(`\bup +\d+ +\d+$`), "up <busy>"},
	{regexp.MustCompile(`[ \t]+`), " "}, // columns are as wide as what stands in them
	{regexp.MustCompile(` $`), ""},
}

// identity is a fingerprint or a key.
var identity = regexp.MustCompile(`SHA256:[A-Za-z0-9+/]{43}|\bAAAA[A-Za-z0-9+/]{40,}=*`)

// A pairing says which of today's fingerprints and keys each of a page's stands for.
type pairing struct {
	today  map[string]string // by the page's
	inPage map[string]string // by today's
}

func newPairing() *pairing { return &pairing{map[string]string{}, map[string]string{}} }

// typed is a command of the page with today's fingerprints in it.
func (p *pairing) typed(command string) string {
	return identity.ReplaceAllStringFunc(command, func(s string) string {
		if now, ok := p.today[s]; ok {
			return now
		}
		return s
	})
}

// shown is what was printed today with the page's fingerprints in it, where the page has them.
func (p *pairing) shown(line string) string {
	return identity.ReplaceAllStringFunc(line, func(s string) string {
		if shown, ok := p.inPage[s]; ok {
			return shown
		}
		return s
	})
}

// same compares one line of the page with one that was printed, and remembers what stands for what.
func (p *pairing) same(shown, printed string) bool {
	if masked(shown) != masked(printed) {
		return false
	}
	a, b := identity.FindAllString(shown, -1), identity.FindAllString(printed, -1)
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		now, paired := p.today[a[i]]
		then, taken := p.inPage[b[i]]
		if paired && now != b[i] || taken && then != a[i] {
			return false
		}
	}
	for i := range a {
		p.today[a[i]], p.inPage[b[i]] = b[i], a[i]
	}
	return true
}

// servers is what get_hosts prints: their order is a draw.
var servers = regexp.MustCompile(`^app\d+( app\d+)+$`)

func masked(line string) string {
	if servers.MatchString(line) {
		names := strings.Fields(line)
		slices.Sort(names)
		return strings.Join(names, " ")
	}
	line = identity.ReplaceAllString(line, "<key>")
	for _, m := range masks {
		line = m.is.ReplaceAllString(line, m.as)
	}
	return line
}

// differ compares what a page shows with what was printed, and says where they part; "" is nowhere.
func (p *pairing) differ(shown, printed []string) string {
	try := pairing{clone(p.today), clone(p.inPage)}
	if problem, _, ok := try.match(shown, printed); !ok {
		return problem
	}
	*p = try
	return ""
}

// rewritten is what was printed as the page is to show it: with the page's fingerprints, where the line was there before,
// with ... where the page has it, and without what looks like a command.
func (p *pairing) rewritten(shown, printed []string) []string {
	var lines []string
	for len(printed) > 0 {
		if len(shown) > 0 && shown[0] == "..." {
			shown = shown[1:]
			next := len(printed)
			if len(shown) > 0 {
				next = slices.IndexFunc(printed, func(line string) bool { return p.same(shown[0], line) })
			}
			if next >= 0 {
				lines, printed = append(lines, "..."), printed[next:]
				continue
			}
		}
		here := shown
		if dots := slices.Index(shown, "..."); dots >= 0 {
			here = shown[:dots]
		}
		line := printed[0]
		if i := slices.IndexFunc(here, func(s string) bool { return p.same(s, line) }); i >= 0 {
			shown = shown[i+1:]
		}
		mine := p.shown(line)
		p.same(mine, line) // what is new stands for itself
		if prompt.MatchString(line) {
			mine = "..." // a reader would take it for a command
		}
		lines, printed = append(lines, mine), printed[1:]
	}
	return lines
}

// match also says how many lines of the page were as printed before the problem.
func (p *pairing) match(shown, printed []string) (problem string, good int, ok bool) {
	for i, line := range shown {
		if line == "..." {
			for skip := 0; skip <= len(printed)-i; skip++ {
				try := pairing{clone(p.today), clone(p.inPage)}
				why, after, ok := try.match(shown[i+1:], printed[i+skip:])
				if ok {
					*p = try
					return "", len(shown), true
				}
				if problem == "" || i+after > good {
					problem, good = why, i+after
				}
			}
			return problem, good, false
		}
		if i >= len(printed) {
			return fmt.Sprintf("the page shows %q, and nothing more is printed", line), i, false
		}
		if !p.same(line, printed[i]) {
			return fmt.Sprintf("the page shows %q, printed is %q", line, printed[i]), i, false
		}
	}
	if len(printed) > len(shown) {
		return fmt.Sprintf("printed is also %q", printed[len(shown)]), len(shown), false
	}
	return "", len(shown), true
}

func clone(m map[string]string) map[string]string {
	c := map[string]string{}
	for k, v := range m {
		c[k] = v
	}
	return c
}

func TestCompare(t *testing.T) {
	one, two := "SHA256:"+strings.Repeat("a", 43), "SHA256:"+strings.Repeat("b", 43)
	for _, same := range [][2]string{
		{"Done in 0.1 s: 3 servers", "Done in 12 s: 3 servers"},
		{"x  1  just now  2.4 MB", "x  1  2 min ago   170 kB"},
		{"a\n...\nz", "a\nb\nc\nz"},
		{"a\n...", "a"},
		{"built 2026-11-20 23:44", "built 2027-01-02 01:00"},
		{one + "\n" + one, two + "\n" + two},
		{"...\n" + one + "\nz\n" + one, two + "\n" + one + "\n" + two + "\nz\n" + two},
		{"wrote /tmp/ltskeeper-demo.abc/x", "wrote /var/tmp/ltskeeper-demo.xyz/x"},
		{"app02 app01", "app01 app02"},
		{"load  0 % free   load 3.05, cores 2", "load  40 % free   load 1.20, cores 2"},
		{"app01  -  1  up  0  0", "app01  -  1  up  63  2"},
	} {
		if why := newPairing().differ(strings.Split(same[0], "\n"), strings.Split(same[1], "\n")); why != "" {
			t.Errorf("%q and %q: %s", same[0], same[1], why)
		}
	}
	for _, other := range [][2]string{
		{"Done in 0.1 s: 3 servers", "Done in 0.1 s: 4 servers"},
		{"a", "a\nb"},
		{"a\nb", "a"},
		{"a\n...\nz", "a\nb"},
		{one + "\n" + two, one + "\n" + one},
		{one + "\n" + one, one + "\n" + two},
		{one, "SHA256:"},
	} {
		if newPairing().differ(strings.Split(other[0], "\n"), strings.Split(other[1], "\n")) == "" {
			t.Errorf("%q and %q are no different", other[0], other[1])
		}
	}
	p := newPairing()
	if why := p.differ([]string{"shows " + one}, []string{"shows " + two}); why != "" {
		t.Error(why)
	}
	if got := p.typed("accept " + one); got != "accept "+two {
		t.Errorf("typed is %q", got)
	}
	if got := p.shown("has " + two); got != "has "+one {
		t.Errorf("shown is %q", got)
	}
	if got := p.rewritten([]string{"x", "is " + one}, []string{"# new", "is " + two, "is " + one}); !slices.Equal(got, []string{"...", "is " + one, "is " + one}) {
		t.Errorf("rewritten as %q", got)
	}
	if got := p.rewritten([]string{"...", "b", "c", "..."}, []string{"a", "b", "new", "x"}); !slices.Equal(got, []string{"...", "b", "new", "x"}) {
		t.Errorf("rewritten as %q", got)
	}
	if got := p.rewritten([]string{"a", "...", "c"}, []string{"new", "a", "b", "c"}); !slices.Equal(got, []string{"new", "a", "...", "c"}) {
		t.Errorf("rewritten as %q", got)
	}
	if !slices.Equal(strings.Fields(masked("a   b ")), []string{"a", "b"}) {
		t.Error("blanks count")
	}
}
