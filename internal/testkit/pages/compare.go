package pages

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// masks are what differs from run to run, each with what stands for it in a comparison. Of sizes,
// numbers of files and kernels more is compared: see pairFigures.
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

// A Comparison of a page with what is printed today knows which of today's fingerprints, keys,
// kernels and numbers of files each of the page's stands for.
type Comparison struct {
	today   map[string]string // by the page's
	inPage  map[string]string // by today's
	isExact bool              // figures have to be today's
}

// NewComparison returns one that knows nothing yet.
func NewComparison() *Comparison {
	return &Comparison{today: map[string]string{}, inPage: map[string]string{}}
}

// toToday returns a command of the page with today's fingerprints in it.
func (c *Comparison) toToday(command string) string {
	return identity.ReplaceAllStringFunc(command, func(s string) string {
		if now, ok := c.today[s]; ok {
			return now
		}
		return s
	})
}

// toPage returns what was printed today with the page's fingerprints in it, where the page has
// them.
func (c *Comparison) toPage(line string) string {
	return identity.ReplaceAllStringFunc(line, func(s string) string {
		if shown, ok := c.inPage[s]; ok {
			return shown
		}
		return s
	})
}

// pairLines reports whether a line of the page and one that was printed are the same, but for
// figures. If so, it remembers what stands for what.
func (c *Comparison) pairLines(shown, printed string) bool {
	return maskLine(shown) == maskLine(printed) &&
		c.pairWords(identity.FindAllString(shown, -1), identity.FindAllString(printed, -1))
}

// pairWords has each of the page's words stand for one of today's, and for no other from then on.
// It reports false if that contradicts what it had before.
func (c *Comparison) pairWords(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		now, paired := c.today[a[i]]
		then, taken := c.inPage[b[i]]
		if paired && now != b[i] || taken && then != a[i] {
			return false
		}
	}
	for i := range a {
		c.today[a[i]], c.inPage[b[i]] = b[i], a[i]
	}
	return true
}

// pairFigures compares how large something is, how many files, and which kernel. These depend on
// the packages of the day, so a kernel or a number of files stands for one of today's, as a
// fingerprint does, and a size has to be of today's magnitude. Only the first size of a line
// counts: after an image's is how much was read for it, and that is also what was too fresh to
// tell.
func (c *Comparison) pairFigures(shown, printed string) bool {
	a, b := parseSize(size.FindString(shown)), parseSize(size.FindString(printed))
	if c.isExact && a != b || max(a, b) > 1.5*min(a, b) {
		return false
	}
	x, y := findVersions(shown), findVersions(printed)
	return c.pairWords(x, y) && (!c.isExact || slices.Equal(x, y))
}

func parseSize(size string) float64 {
	number, unit, _ := strings.Cut(size, " ")
	n, _ := strconv.ParseFloat(number, 64)
	return n * map[string]float64{"bytes": 1, "B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}[unit]
}

// findVersions returns the kernels that a line names, and its numbers of files, however they are
// written.
func findVersions(line string) []string {
	all := kernel.FindAllString(line, -1)
	for _, n := range files.FindAllString(line, -1) {
		all = append(all, strings.ReplaceAll(strings.TrimSuffix(n, " files"), ",", ""))
	}
	return all
}

// servers is what get_hosts prints: their order is a draw.
var servers = regexp.MustCompile(`^app\d+( app\d+)+$`)

// maskLine replaces what differs from run to run.
func maskLine(line string) string {
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

// FindDifference returns where what a page shows differs from what was printed, or "". However much
// ... stands for, how a command ended is not part of it.
func (c *Comparison) FindDifference(shown, printed []string) string {
	shown, end := cutExit(shown)
	printed, ended := cutExit(printed)
	if end != ended {
		return fmt.Sprintf("by the page it ends with %q, and it ended with %q", end, ended)
	}
	try := Comparison{maps.Clone(c.today), maps.Clone(c.inPage), c.isExact}
	if problem, _, ok := try.match(shown, printed); !ok {
		return problem
	}
	*c = try
	return ""
}

var exitLine = regexp.MustCompile(`^\(exit code \d+\)$`)

// cutExit takes off the line that tells how a command ended.
func cutExit(lines []string) (before []string, end string) {
	if n := len(lines); n > 0 && exitLine.MatchString(lines[n-1]) {
		return lines[:n-1], lines[n-1]
	}
	return lines, "(exit code 0)"
}

// rewrite returns what was printed as the page is to show it: with the page's fingerprints, and
// times where nothing else is new, with ... where the page has it, and without what looks like a
// command.
func (c *Comparison) rewrite(shown, printed []string) []string {
	shown, _ = cutExit(shown)
	if before, end := cutExit(printed); len(before) < len(printed) {
		return append(c.rewrite(shown, before), end)
	}
	var lines []string
	for len(printed) > 0 {
		if len(shown) > 0 && shown[0] == "..." {
			shown = shown[1:]
			next := len(printed)
			if len(shown) > 0 {
				next = slices.IndexFunc(printed, func(line string) bool { return c.pairLines(shown[0], line) })
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
		mine := c.toPage(line)
		if i := slices.IndexFunc(here, func(s string) bool { return c.pairLines(s, line) }); i >= 0 {
			if c.pairFigures(here[i], line) {
				mine = here[i]
			}
			shown = shown[i+1:]
		}
		c.pairLines(mine, line) // what is new stands for itself
		if prompt.MatchString(line) {
			mine = "..." // a reader would take it for a command
		}
		lines, printed = append(lines, mine), printed[1:]
	}
	return lines
}

// match compares lines. It also returns how many lines of the page were as printed before the
// problem.
func (c *Comparison) match(shown, printed []string) (problem string, good int, ok bool) {
	for i, line := range shown {
		if line == "..." {
			for skip := 0; skip <= len(printed)-i; skip++ {
				try := Comparison{maps.Clone(c.today), maps.Clone(c.inPage), c.isExact}
				why, after, ok := try.match(shown[i+1:], printed[i+skip:])
				if ok {
					*c = try
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
		if !c.pairLines(line, printed[i]) || !c.pairFigures(line, printed[i]) {
			return fmt.Sprintf("the page shows %q, printed is %q", line, printed[i]), i, false
		}
	}
	if len(printed) > len(shown) {
		return fmt.Sprintf("printed is also %q", printed[len(shown)]), len(shown), false
	}
	return "", len(shown), true
}
