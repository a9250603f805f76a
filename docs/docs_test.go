// Package docs is what an admin reads, and the test that keeps it true: every command in README.md
// and in the pages of this folder is run, on machines of its own, and what the page shows is
// compared with what is printed today.
//
// How a page is written:
//
//	```console             commands and what they print, on machines that a test boots:
//	# ltskeeper status       as root on the primary
//	app01# sshd -T           as root on another machine
//	alice@client$ ssh app01  as a user on a client, which is the published image
//	> more                   goes on with the line before, as a shell shows it
//	...                      stands for any lines
//	(exit code 3)            ends what a command prints that does not end with 0
//	Go on? (yes/no) yes      what follows the question is typed, and the command has a terminal; so it has for a password, and
//	                         for the table of ldmselect, where Enter is pressed
//
//	```make                a line is a call of make, whose targets and variables there have to be
//	```demo                what make demo prints, or a part of it
//	```toml                a whole ltskeeper.toml, or a part of one; with "toml servers.d/app01.toml" that file:
//	                       ltskeeper takes it
//	```text                anything but commands
//
// The manual pages in man have their commands in blocks of kind sh, and each of them is typed in one of these pages.
//
// A block that stands in none of these is a mistake, if it has a command in it; so is, in a sentence, a command or option of
// ltskeeper that no page types.
//
// Comments say the rest, and readers do not see them:
//
//	<!-- starts: bare -->  the page begins on machines that have nothing yet
//	<!-- farm: here -->    what stands now is the farm of all other pages
//	<!-- starts: farm -->  the page begins with that farm
//	<!-- run: ... -->      lines as in a console block, run unseen: what happens to the farm, not what the reader types
//	<!-- boot: client -->  a client fetches the image that is current now; "client from primary2": from there
//
// How long something took, and when it was, counts for nothing in the comparison: it depends on the machine. What depends on
// the packages of the day has to be about right, and the same throughout a page: a size is of today's magnitude; a kernel, or
// a number of files, stands for one of today's for as long as a page lasts, and so does a fingerprint or key, in what is printed
// as in what is typed. `go test ./docs -update` writes what is printed today into the pages, and sizes to the last digit.
//
// The machines are Debian 12. To type all of it on Debian 13, with clients of Debian 13:
//
//	export XDG_CACHE_HOME=/var/cache/debian13 LTSKEEPER_DEBIAN=trixie CI=true; scripts/need test && go test ./docs
package docs

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ltskeeper/farm"
	"ltskeeper/internal/testkit"
)

var update = flag.Bool("update", false, "write what commands print today into the pages")

// pages reads README.md and every page of this folder, but for the man pages, which have a test of their own.
func pages(t *testing.T) []*page {
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
	var pages []*page
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		p, err := parse(path, string(data))
		if err != nil {
			t.Error(err)
			continue
		}
		pages = append(pages, p)
	}
	return pages
}

// call is ltskeeper in what is typed.
var call = regexp.MustCompile(`\bltskeeper ([^|;&]*)`)

// Every page can be followed: no block has a command that no test runs.
func TestPagesAreWhole(t *testing.T) {
	commands := commandsOfLtskeeper(t)
	all := pages(t)
	typed := map[string]bool{} // such as "keys list", "keys list --json"
	for _, p := range all {
		for _, s := range p.steps {
			for _, m := range call.FindAllStringSubmatch(s.command, -1) {
				command, options := split(commands, m[1])
				typed[command] = true
				for _, o := range options {
					typed[command+" "+o] = true
				}
			}
		}
	}
	for _, p := range all {
		for _, c := range p.inline {
			if !known(commands, c.text) {
				t.Errorf("%s:%d: there is no command %q", p.path, c.line, c.text)
			}
			command, options := split(commands, strings.TrimPrefix(c.text, "ltskeeper"))
			for _, o := range append(options, "") {
				if what := strings.TrimSpace(command + " " + o); command != "" && !typed[what] {
					t.Errorf("%s:%d: no page types ltskeeper %s", p.path, c.line, what)
				}
			}
		}
		if p.starts == "" && len(p.steps) > 0 {
			t.Errorf("%s:%d: the page has commands, and does not say where it starts", p.path, p.steps[0].line)
		}
		for _, l := range p.links {
			target := filepath.Join(filepath.Dir(p.path), l.text)
			if _, err := os.Stat(target); errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s:%d: there is no %s", p.path, l.line, l.text)
			}
		}
	}
}

// Every declaration in the pages is one that ltskeeper takes.
func TestDeclarations(t *testing.T) {
	for _, p := range pages(t) {
		for _, d := range p.declarations {
			dir := t.TempDir()
			name := d.name
			if name == "" {
				name = "ltskeeper.toml"
			}
			files := map[string]string{"ltskeeper.toml": "", name: d.text}
			for file, text := range files {
				path := filepath.Join(dir, file)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := farm.Load(filepath.Join(dir, "ltskeeper.toml")); err != nil {
				t.Errorf("%s:%d: %v", p.path, d.line, err)
			}
		}
	}
}

// Every call of make names targets that there are.
func TestMake(t *testing.T) {
	for _, p := range pages(t) {
		for _, c := range p.makes {
			words := strings.Fields(strings.TrimPrefix(c.text, "sudo "))
			args := append([]string{"--dry-run", "--directory", ".."}, words[1:]...)
			if out, err := exec.Command("make", args...).CombinedOutput(); err != nil {
				t.Errorf("%s:%d: %s: %v\n%s", p.path, c.line, c.text, err, out)
			}
			makefile, err := os.ReadFile("../Makefile")
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range words[1:] {
				name, _, variable := strings.Cut(w, "=")
				if variable && !regexp.MustCompile(`\b`+name+`\b`).Match(makefile) {
					t.Errorf("%s:%d: nothing in the Makefile reads %s", p.path, c.line, name)
				}
			}
		}
	}
}

// What the pages show of make demo is what it prints. It does not need root.
func TestDemo(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", dir+"/bin/", "../cmd/ltskeeper").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.CopyFS(dir+"/demo", os.DirFS("../demo")); err != nil {
		t.Fatal(err)
	}
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
	for _, p := range pages(t) {
		for _, d := range p.demos {
			shown++
			if why := newPairing().differ(d.lines, printed); why != "" {
				t.Errorf("%s:%d: %s; all of it:\n%s", p.path, d.line, why, out)
			}
		}
	}
	if shown == 0 {
		t.Error("no page shows the demo")
	}
}

// commandsOfLtskeeper asks ltskeeper for its commands, such as "keys list".
func commandsOfLtskeeper(t *testing.T) []string {
	t.Helper()
	_, list, _ := strings.Cut(help(t), "\nCommands:\n")
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

func help(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "run", "../cmd/ltskeeper", "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// split parts what follows "ltskeeper" into the command, or "" where it is none, and its options without their values.
func split(commands []string, line string) (command string, options []string) {
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

// known says whether a line that begins with "ltskeeper" names a command, a group of commands, or none at all.
func known(commands []string, line string) bool {
	line = strings.TrimPrefix(line, "ltskeeper")
	words := strings.Fields(line)
	for len(words) > 0 && (strings.HasPrefix(words[0], "-") || strings.ToUpper(words[0]) == words[0]) {
		words = words[1:]
	}
	if len(words) == 0 {
		return true
	}
	for _, c := range commands {
		if c == words[0] || len(words) > 1 && c == words[0]+" "+words[1] || len(words) == 1 && strings.HasPrefix(c, words[0]+" ") {
			return true
		}
	}
	return false
}
