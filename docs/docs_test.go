// Package docs is what an admin reads, and the test that keeps it true: every command in README.md
// and in the pages of this folder is run, on machines of its own, and what the page shows is
// compared with what is printed today.
//
// Package internal/testkit/pages does that, and says how a page is written. A block of the manual
// pages in man that is of kind sh has commands, and each of them is typed in one of these pages. So
// is every command and option of ltskeeper that a sentence names.
//
// `go test ./docs -update` writes what is printed today into the pages, and sizes to the last
// digit.
package docs

import (
	"cmp"
	"errors"
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ltskeeper/farm"
	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/pages"
	"ltskeeper/internal/testkit/programs"
)

var update = flag.Bool("update", false, "write what commands print today into the pages")

func TestMain(m *testing.M) { os.Exit(programs.Main(m)) }

// readPages reads README.md and every page of this folder, but for the man pages, which have a test
// of their own.
func readPages(t *testing.T) (all []*pages.Page) {
	t.Helper()
	paths := []string{"../README.md"}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path == "man":
			return fs.SkipDir
		case strings.HasSuffix(path, ".md"):
			paths = append(paths, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		p, err := pages.Parse(path, testkit.ReadFile(t, path))
		if err != nil {
			t.Error(err)
			continue
		}
		all = append(all, p)
	}
	return all
}

// call is ltskeeper in what is typed.
var call = regexp.MustCompile(`\bltskeeper ([^|;&]*)`)

// Every page can be followed: no block has a command that no test runs.
func TestPagesAreWhole(t *testing.T) {
	commands := listCommands(t)
	all := readPages(t)
	typed := map[string]bool{} // such as "keys list", "keys list --json"
	for _, p := range all {
		for _, s := range p.Steps {
			for _, m := range call.FindAllStringSubmatch(s.Command, -1) {
				command, options := splitCall(commands, m[1])
				typed[command] = true
				for _, o := range options {
					typed[command+" "+o] = true
				}
			}
		}
	}
	for _, p := range all {
		for _, c := range p.Inline {
			if !isKnown(commands, c.Text) {
				t.Errorf("%s:%d: there is no command %q", p.Path, c.Line, c.Text)
			}
			command, options := splitCall(commands, strings.TrimPrefix(c.Text, "ltskeeper"))
			for _, o := range append(options, "") {
				if what := strings.TrimSpace(command + " " + o); command != "" && !typed[what] {
					t.Errorf("%s:%d: no page types ltskeeper %s", p.Path, c.Line, what)
				}
			}
		}
		if p.Starts == "" && len(p.Steps) > 0 {
			t.Errorf("%s:%d: the page has commands, and does not say where it starts", p.Path, p.Steps[0].Line)
		}
		for _, l := range p.Links {
			target := filepath.Join(filepath.Dir(p.Path), l.Text)
			if _, err := os.Stat(target); errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s:%d: there is no %s", p.Path, l.Line, l.Text)
			}
		}
	}
}

// Every declaration in the pages is one that ltskeeper takes.
func TestDeclarations(t *testing.T) {
	for _, p := range readPages(t) {
		for _, d := range p.Declarations {
			dir := t.TempDir()
			files := map[string]string{"ltskeeper.toml": "", cmp.Or(d.Name, "ltskeeper.toml"): d.Text}
			for file, text := range files {
				testkit.WriteFile(t, filepath.Join(dir, file), text, 0o644)
			}
			if _, err := farm.Load(filepath.Join(dir, "ltskeeper.toml")); err != nil {
				t.Errorf("%s:%d: %v", p.Path, d.Line, err)
			}
		}
	}
}

// Every call of make names targets that there are.
func TestMake(t *testing.T) {
	makefile := testkit.ReadFile(t, "../Makefile")
	for _, p := range readPages(t) {
		for _, c := range p.Makes {
			words := strings.Fields(strings.TrimPrefix(c.Text, "sudo "))
			args := append([]string{"--dry-run", "--directory", ".."}, words[1:]...)
			if out, err := exec.Command("make", args...).CombinedOutput(); err != nil {
				t.Errorf("%s:%d: %s: %v\n%s", p.Path, c.Line, c.Text, err, out)
			}
			for _, w := range words[1:] {
				name, _, variable := strings.Cut(w, "=")
				if variable && !regexp.MustCompile(`\b`+name+`\b`).MatchString(makefile) {
					t.Errorf("%s:%d: nothing in the Makefile reads %s", p.Path, c.Line, name)
				}
			}
		}
	}
}

// What the pages show of make demo is what it prints. It does not need root.
func TestDemo(t *testing.T) {
	dir := t.TempDir()
	programs.Build(t, dir+"/bin", "ltskeeper")
	testkit.Must(t, os.CopyFS(dir+"/demo", os.DirFS("../demo")))
	testkit.NeedPrograms(t, "busybox", "sshd", "ssh", "unsquashfs")
	run := exec.Command(dir + "/demo/run")
	if os.Geteuid() == 0 { // beside other demos, each with the same ports
		run = exec.Command("unshare", "--net", "sh", "-euc", `ip link set lo up; exec "$1"`, "sh", dir+"/demo/run")
	}
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("demo/run: %v\n%s", err, out)
	}
	printed := strings.Split(strings.TrimSuffix(strings.ReplaceAll(string(out), "\r", ""), "\n"), "\n")
	shown := 0
	for _, p := range readPages(t) {
		for _, d := range p.Demos {
			shown++
			if why := pages.NewComparison().FindDifference(d.Lines, printed); why != "" {
				t.Errorf("%s:%d: %s; all of it:\n%s", p.Path, d.Line, why, out)
			}
		}
	}
	if shown == 0 {
		t.Error("no page shows the demo")
	}
}

// Every command of every page does what the page shows. The tutorial sets a farm up, and each other
// page begins on machines that go on where those of the tutorial stood then.
func TestPages(t *testing.T) {
	all := slices.DeleteFunc(readPages(t), func(p *pages.Page) bool { return len(p.Steps) == 0 })
	f := pages.NewFarm(t, pages.Options{Update: *update})
	for _, p := range all {
		if p.Starts == "bare" {
			f.Tell(p)
		}
	}
	if t.Failed() || !f.HasKept() {
		t.Fatal("the other pages need the farm")
	}
	f.PullPlugs()
	// So many at the same time, however many processors: the kernel limits what systemds there may
	// be.
	farms := make(chan struct{}, 2)
	for _, p := range all {
		if p.Starts == "farm" {
			t.Run(strings.TrimSuffix(strings.TrimPrefix(p.Path, "../"), ".md"), func(t *testing.T) {
				t.Parallel()
				farms <- struct{}{}
				t.Cleanup(func() { <-farms })
				f.BootAgain(t).Tell(p)
			})
		}
	}
}

// listCommands asks ltskeeper for its commands, such as "keys list".
func listCommands(t *testing.T) []string {
	t.Helper()
	_, list, _ := strings.Cut(printHelp(t), "\nCommands:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	var commands []string
	for line := range strings.Lines(list) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), "  ")
		commands = append(commands, name)
	}
	if len(commands) < 10 {
		t.Fatalf("ltskeeper --help lists %q", commands)
	}
	return commands
}

// printHelp returns what ltskeeper --help prints.
func printHelp(t *testing.T) string {
	t.Helper()
	return testkit.Run(t, programs.Path(t, "ltskeeper"), "--help")
}

// splitCall splits what follows "ltskeeper" into the command, or "" if it is not one, and its
// options without their values.
func splitCall(commands []string, line string) (command string, options []string) {
	for _, c := range commands {
		if len(c) > len(command) && strings.HasPrefix(strings.TrimSpace(line)+" ", c+" ") {
			command = c
		}
	}
	for _, word := range strings.Fields(line) {
		if strings.HasPrefix(word, "-") {
			options = append(options, word)
		}
	}
	return command, options
}

// isKnown reports whether a line that begins with "ltskeeper" names a command, a group of commands,
// or neither.
func isKnown(commands []string, line string) bool {
	line = strings.TrimPrefix(line, "ltskeeper")
	words := strings.Fields(line)
	for len(words) > 0 && (strings.HasPrefix(words[0], "-") || strings.ToUpper(words[0]) == words[0]) {
		words = words[1:]
	}
	if len(words) == 0 {
		return true
	}
	for _, c := range commands {
		if c == words[0] || len(words) > 1 && c == words[0]+" "+words[1] ||
			len(words) == 1 && strings.HasPrefix(c, words[0]+" ") {
			return true
		}
	}
	return false
}
