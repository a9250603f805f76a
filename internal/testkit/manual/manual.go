// Package manual reads the sources of the manual pages in docs/man, and the completions of the
// small programs in dist/completions, for tests that compare what they say with what the programs
// do.
package manual

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ltskeeper/internal/testkit"
)

// A Page is the Markdown of a manual page.
type Page struct {
	t    *testing.T
	name string
	text string
}

// Read reads a page, like "get_hosts.1".
func Read(t *testing.T, name string) *Page {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testkit.Root(), "docs/man", name+".md"))
	if err != nil {
		t.Fatal(err)
	}
	return &Page{t, name, string(text)}
}

// Section returns what stands under a heading, up to the next of its kind.
func (p *Page) Section(heading string) string {
	p.t.Helper()
	_, text, found := strings.Cut(p.text, "\n## "+heading+"\n")
	if !found {
		p.t.Fatalf("%s has no section %s", p.name, heading)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	return text
}

var term = regexp.MustCompile(`(?m)^\*\*([^*]+(?:\*\*, \*\*[^*]+)*)\*\*(.*)\n: ((?:.+\n)+)`)

// Terms returns the words that a section defines, and what is said of each.
func (p *Page) Terms(heading string) map[string]string {
	p.t.Helper()
	terms := map[string]string{}
	for _, m := range term.FindAllStringSubmatch(p.Section(heading)+"\n", -1) {
		for word := range strings.SplitSeq(m[1], "**, **") {
			terms[word] = m[2] + "\n" + m[3]
		}
	}
	return terms
}

// Defines fails the test unless a section defines exactly these words.
func (p *Page) Defines(heading string, words map[string]bool) {
	p.t.Helper()
	terms := p.Terms(heading)
	for word := range words {
		if _, ok := terms[word]; !ok {
			p.t.Errorf("%s does not say what %s means", p.name, word)
		}
	}
	for word := range terms {
		if !words[word] {
			p.t.Errorf("%s says what %s means, which is nothing to the program", p.name, word)
		}
	}
}

// Options fails the test unless the section OPTIONS is about the options of a program, and no
// others, and names their defaults; the program's own usage has to name them, too.
func (p *Page) Options(flags *flag.FlagSet, usage string) {
	p.t.Helper()
	terms := p.Terms("OPTIONS")
	words := map[string]bool{"-h": true, "--help": true}
	flags.VisitAll(func(f *flag.Flag) {
		words["--"+f.Name] = true
		if text, def := terms["--"+f.Name], f.DefValue; def != "" && def != "0" && def != "false" &&
			!strings.Contains(text, def) {
			p.t.Errorf("%s does not say that %s is the default of --%s", p.name, def, f.Name)
		}
		if !regexp.MustCompile(`\n  --` + f.Name + `\b`).MatchString(usage) {
			p.t.Errorf("the usage does not name --%s", f.Name)
		}
	})
	p.Defines("OPTIONS", words)
	for _, m := range regexp.MustCompile(`\n  --([a-z-]+)`).FindAllStringSubmatch(usage, -1) {
		if !words["--"+m[1]] {
			p.t.Errorf("the usage names --%s, which is no option", m[1])
		}
	}
}

// Completions fails the test unless what is completed on a program's command line, in each shell,
// is its options and these commands, and no others.
func Completions(t *testing.T, program string, flags *flag.FlagSet, commands ...string) {
	t.Helper()
	words := []string{"help"}
	flags.VisitAll(func(f *flag.Flag) { words = append(words, f.Name) })
	words = append(words, commands...)
	slices.Sort(words)
	for file, word := range map[string]string{
		program + ".bash": `['\s](?:--)?([a-z][a-z-]+)`,
		program + ".fish": `-[la] ([a-z-]+)`,
		"_" + program:     `(?:'--|[( ])([a-z-]+[a-z])(?:=-)?(?:\[|\\:)`,
	} {
		text, err := os.ReadFile(filepath.Join(testkit.Root(), "dist/completions", file))
		if err != nil {
			t.Fatal(err)
		}
		list := string(text)
		if _, quoted, ok := strings.Cut(list, "\ncomplete -W "); ok {
			list, _, _ = strings.Cut(quoted, "' ")
		}
		var found []string
		for _, m := range regexp.MustCompile(word).FindAllStringSubmatch(list, -1) {
			found = append(found, m[1])
		}
		slices.Sort(found)
		if !slices.Equal(found, words) {
			t.Errorf("%s completes %q, and there are %q", file, found, words)
		}
	}
}
