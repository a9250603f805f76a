// Package man tests the manual pages: that man can show them, and that they fit a terminal. Whether
// they tell the truth is tested beside what they tell of.
package man

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"ltskeeper/internal/testkit"
)

const columns = 80

// Both readers of manual pages take each without complaint, and no line is longer than a terminal.
func TestPages(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run(t, "../../scripts/man", dir)
	pages, err := filepath.Glob("*.md")
	if err != nil || len(pages) == 0 {
		t.Fatal(pages, err)
	}
	for _, source := range pages {
		page := filepath.Join(dir, strings.TrimSuffix(source, ".md"))
		// A page without a date is the same whenever it is made.
		for line := range strings.Lines(run(t, "mandoc", "-T", "lint", "-W", "warning", page)) {
			if !strings.Contains(line, "missing date") {
				t.Error(line)
			}
		}
		// Behind a list of definitions, go-md2man takes an example for more of the last one.
		markdown, _ := os.ReadFile(source)
		roff, _ := os.ReadFile(page)
		if want, is := bytes.Count(markdown, []byte("\n```"))/2, bytes.Count(roff, []byte("\n.EX\n")); is != want {
			t.Errorf("%s: %d of %d examples look like examples", source, is, want)
		}
		text := run(t, "groff", "-ww", "-man", "-Tutf8", "-P-cbou", "-rLL=80n", page)
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(line, "\n")
			if utf8.RuneCountInString(line) > columns && !strings.Contains(line, "ssh-ed25519 AAAA") {
				t.Errorf("%s: longer than %d columns: %s", source, columns, line)
			}
			if strings.Contains(line, "\u2010") {
				t.Errorf("%s: a word is broken: %s", source, line)
			}
			if strings.Contains(line, "warning:") {
				t.Errorf("%s: %s", source, line)
			}
		}
	}
}

// run runs a program and returns what it says; mandoc exits with 1 and 2 where it has something to
// say.
func run(t *testing.T, program string, args ...string) string {
	t.Helper()
	testkit.NeedPrograms(t, program)
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil && program != "mandoc" {
		t.Fatalf("%s %v: %v\n%s", program, args, err, out)
	}
	return string(out)
}

// A page leads to others of ours only if there are any, and names what it is about as man's index
// wants it.
func TestReferences(t *testing.T) {
	t.Parallel()
	reference := regexp.MustCompile(`\*\*([a-z_.-]+)\*\*\(([1-8])\)`)
	pages, _ := filepath.Glob("*.md")
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		name, section, _ := strings.Cut(strings.TrimSuffix(page, ".md"), ".")
		if i := strings.LastIndex(section, "."); i >= 0 {
			name, section = name+"."+section[:i], section[i+1:]
		}
		if !bytes.HasPrefix(text, []byte("# "+name+" "+section+" ")) ||
			!bytes.Contains(text, []byte("\n## NAME\n\n"+name+" - ")) {
			t.Errorf("%s does not begin with its name and section", page)
		}
		for _, found := range reference.FindAllStringSubmatch(string(text), -1) {
			own := regexp.MustCompile(`^(ltskeeper|ldminfod|get_hosts|ldmselect)`).MatchString(found[1])
			if _, err := os.Stat(found[1] + "." + found[2] + ".md"); own && err != nil {
				t.Errorf("%s leads to %s(%s), which is no page", page, found[1], found[2])
			}
		}
	}
}
