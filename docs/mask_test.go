package docs

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// masks are what differs from run to run, each with what stands for it in a comparison. Of sizes,
// numbers of files and kernels more is compared: see figures.
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
	{size, "<size>"},
	{files, "<files>"},
	{kernel, "<kernel>"},
	{regexp.MustCompile(`^(load|pressure|memory|sessions|rating)[ :].*`), "$1 <busy>"}, // ldminfod, and its --explain
	{regexp.MustCompile(`\bup +\d+ +\d+( of \d+)?$`), "up <busy>"},
	{regexp.MustCompile(`^SSH_SERVER='app\d+'$`), "SSH_SERVER=<drawn>"},
	{regexp.MustCompile(`[ \t]+`), " "}, // columns are as wide as what stands in them
	{regexp.MustCompile(` $`), ""},
}

// identity is a fingerprint or a key.
var identity = regexp.MustCompile(`SHA256:[A-Za-z0-9+/]{43}|\bAAAA[A-Za-z0-9+/]{40,}=*`)

var (
	size   = regexp.MustCompile(`\b\d+(\.\d+)? (bytes|B|kB|MB|GB)\b`)
	files  = regexp.MustCompile(`\b[0-9,]+ files\b|\b\d{5}\b`)
	kernel = regexp.MustCompile(`\b\d+\.\d+\.\d+([-+][a-z0-9]+)+\b`)
)

// A pairing says which of today's fingerprints, keys, kernels and numbers of files each of a page's
// stands for.
type pairing struct {
	today  map[string]string // by the page's
	inPage map[string]string // by today's
	exact  bool              // figures have to be today's
}

func newPairing() *pairing { return &pairing{today: map[string]string{}, inPage: map[string]string{}} }

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

// same compares one line of the page with one that was printed, but for figures, and remembers what
// stands for what.
func (p *pairing) same(shown, printed string) bool {
	return masked(shown) == masked(printed) &&
		p.pair(identity.FindAllString(shown, -1), identity.FindAllString(printed, -1))
}

// pair has each of the page's words stand for one of today's, and for no other from then on.
func (p *pairing) pair(a, b []string) bool {
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

// figures compares how large something is, how many files, and which kernel. These depend on the
// packages of the day, so a kernel or a number of files stands for one of today's, as a fingerprint
// does, and a size has to be of today's magnitude. Only the first size of a line counts: behind an
// image's stands how much was read for it, and that is also what was too fresh to tell.
func (p *pairing) figures(shown, printed string) bool {
	a, b := inBytes(size.FindString(shown)), inBytes(size.FindString(printed))
	if p.exact && a != b || max(a, b) > 1.5*min(a, b) {
		return false
	}
	x, y := versions(shown), versions(printed)
	return p.pair(x, y) && (!p.exact || slices.Equal(x, y))
}

func inBytes(size string) float64 {
	number, unit, _ := strings.Cut(size, " ")
	n, _ := strconv.ParseFloat(number, 64)
	return n * map[string]float64{"bytes": 1, "B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}[unit]
}

// versions is the kernels that a line names, and its numbers of files, however they are written.
func versions(line string) []string {
	all := kernel.FindAllString(line, -1)
	for _, n := range files.FindAllString(line, -1) {
		all = append(all, strings.ReplaceAll(strings.TrimSuffix(n, " files"), ",", ""))
	}
	return all
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
// However much ... stands for, how a command ended is none of it.
func (p *pairing) differ(shown, printed []string) string {
	shown, end := cutExit(shown)
	printed, ended := cutExit(printed)
	if end != ended {
		return fmt.Sprintf("by the page it ends with %q, and it ended with %q", end, ended)
	}
	try := pairing{clone(p.today), clone(p.inPage), p.exact}
	if problem, _, ok := try.match(shown, printed); !ok {
		return problem
	}
	*p = try
	return ""
}

var exitLine = regexp.MustCompile(`^\(exit code \d+\)$`)

// cutExit takes the line off that tells how a command ended.
func cutExit(lines []string) (before []string, end string) {
	if n := len(lines); n > 0 && exitLine.MatchString(lines[n-1]) {
		return lines[:n-1], lines[n-1]
	}
	return lines, "(exit code 0)"
}

// rewritten is what was printed as the page is to show it: with the page's fingerprints, and times
// where nothing else is new, with ... where the page has it, and without what looks like a command.
func (p *pairing) rewritten(shown, printed []string) []string {
	shown, _ = cutExit(shown)
	if before, end := cutExit(printed); len(before) < len(printed) {
		return append(p.rewritten(shown, before), end)
	}
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
		mine := p.shown(line)
		if i := slices.IndexFunc(here, func(s string) bool { return p.same(s, line) }); i >= 0 {
			if p.figures(here[i], line) {
				mine = here[i]
			}
			shown = shown[i+1:]
		}
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
				try := pairing{clone(p.today), clone(p.inPage), p.exact}
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
		if !p.same(line, printed[i]) || !p.figures(line, printed[i]) {
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
		if why := newPairing().differ(strings.Split(same[0], "\n"), strings.Split(same[1], "\n")); why != "" {
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
	if got := p.rewritten([]string{"x", "is " + one}, []string{"# new", "is " + two, "is " + one}); !slices.Equal(got,
		[]string{"...", "is " + one, "is " + one}) {
		t.Errorf("rewritten as %q", got)
	}
	if got := p.rewritten([]string{"...", "b", "c", "..."}, []string{"a", "b", "new", "x"}); !slices.Equal(got,
		[]string{"...", "b", "new", "x"}) {
		t.Errorf("rewritten as %q", got)
	}
	if got := p.rewritten([]string{"a", "...", "c"}, []string{"new", "a", "b", "c"}); !slices.Equal(got,
		[]string{"new", "a", "...", "c"}) {
		t.Errorf("rewritten as %q", got)
	}
	if !slices.Equal(strings.Fields(masked("a   b ")), []string{"a", "b"}) {
		t.Error("blanks count")
	}
}
