package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ltskeeper/internal/testkit/manual"

	"github.com/urfave/cli/v2"
)

var rewrite = flag.Bool("update", false, "write the generated parts of the manual page anew")

const manualSource = "../../docs/man/ltskeeper.8.md"

// The manual page explains the commands and options that there are, in the words of --help.
func TestManual(t *testing.T) {
	app := testApp()
	page, err := os.ReadFile(manualSource)
	if err != nil {
		t.Fatal(err)
	}
	want := page
	for name, text := range map[string]string{"options": manualOptions(app.Flags), "commands": manualCommands(app)} {
		begin, end := []byte("<!-- "+name+": go test ./cmd/ltskeeper -run TestManual -update writes them -->\n"),
			[]byte("<!-- end of "+name+" -->\n")
		before, rest, ok := bytes.Cut(want, begin)
		_, after, ok2 := bytes.Cut(rest, end)
		if !ok || !ok2 {
			t.Fatalf("%s has no place for %s", manualSource, name)
		}
		want = bytes.Join([][]byte{before, begin, []byte("\n" + text), end, after}, nil)
	}
	switch {
	case bytes.Equal(page, want):
	case *rewrite:
		if err := os.WriteFile(manualSource, want, 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s is not what the commands' definitions say; "+
			"go test ./cmd/ltskeeper -run TestManual -update writes it anew", manualSource)
	}
	for code := exitDone; code <= exitLocked; code++ {
		if !bytes.Contains(page, fmt.Appendf(nil, "\n**%d**\n: ", code)) {
			t.Errorf("%s does not say what exit code %d means", manualSource, code)
		}
	}
}

// The manual page names the variables that are read, and the units that are installed, and no
// others.
func TestManualSurroundings(t *testing.T) {
	t.Parallel()
	page := manual.Read(t, "ltskeeper.8")

	variables := map[string]bool{}
	for _, f := range testApp().Flags {
		if d, ok := f.(cli.DocGenerationFlag); ok {
			for _, name := range d.GetEnvVars() {
				variables[name] = true
			}
		}
	}
	read := regexp.MustCompile(`os\.(?:Getenv|LookupEnv)\("(.*?)"\)`)
	for _, room := range []string{"cmd/ltskeeper", "keeper", "doctor", "farm", "image", "keys", "chroot", "squashfs",
		"secrets", "ltsconf", "ldm"} {
		files, err := filepath.Glob("../../" + room + "/*.go")
		if err != nil || len(files) == 0 {
			t.Fatal(room, err)
		}
		for _, file := range files {
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range read.FindAllSubmatch(source, -1) {
				if !strings.HasSuffix(file, "_test.go") {
					variables[string(m[1])] = true
				}
			}
		}
	}
	delete(variables, "HOME") // for the completion of paths only
	page.Defines("ENVIRONMENT", variables)

	units := map[string]bool{}
	for _, kind := range []string{"service.in", "timer", "socket"} {
		files, _ := filepath.Glob("../../dist/ltskeeper-*." + kind)
		for _, file := range files {
			units[strings.TrimSuffix(filepath.Base(file), ".in")] = true
		}
	}
	page.Defines("UNITS", units)
}

// manualCommands is a section for each command that does something, in Markdown.
func manualCommands(app *cli.App) string {
	var b strings.Builder
	for _, c := range runnableCommands(app) {
		fmt.Fprintf(&b, "### %s\n\n%s.\n\n", escape(usageLine(c)), escape(capital(c.Usage)))
		b.WriteString(manualText(c.Description))
		b.WriteString(manualOptions(c.Flags))
	}
	return b.String()
}

// manualText turns a description into Markdown: paragraphs, and what is indented as it is.
func manualText(text string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(strings.Trim(text, "\n"), "\n\n") {
		switch {
		case part == "":
		case strings.HasPrefix(part, "  "):
			fmt.Fprintf(&b, "```sh\n%s\n```\n\n", narrow(part))
		default:
			fmt.Fprintf(&b, "%s\n\n", escape(part))
		}
	}
	return b.String()
}

// room is how many columns a page of 80 has for an example.
const room = 68

// narrow breaks examples that a page has no room for: what is said about one goes on a line above
// it, and the rest of a command on a line below.
func narrow(examples string) string {
	var lines []string
	for line := range strings.Lines(examples) {
		line = strings.TrimPrefix(strings.TrimSuffix(line, "\n"), "  ")
		if len(line) <= room {
			lines = append(lines, line)
			continue
		}
		command, remark, found := strings.Cut(line, "   ")
		if found {
			lines = append(lines, "# "+strings.TrimSpace(remark))
		}
		for len(command) > room {
			at, goesOn := seam(command)
			if at <= len("    ") {
				break // one long word
			}
			lines = append(lines, command[:at]+goesOn)
			command = "    " + command[at+1:]
		}
		lines = append(lines, command)
	}
	return strings.Join(lines, "\n")
}

// seam is the blank at which a command can be broken, and what has to stand there for a shell to
// read on.
func seam(command string) (at int, goesOn string) {
	if at = strings.LastIndex(command[:room], " | "); at > 0 {
		return at + len(" |"), ""
	}
	for i, c := range command[:room-len(` \`)] {
		if c == ' ' && strings.Count(command[:i], "'")%2 == 0 {
			at = i
		}
	}
	return at, ` \`
}

func manualOptions(flags []cli.Flag) string {
	var b strings.Builder
	for _, f := range flags {
		names, value, text := flagParts(f)
		fmt.Fprintf(&b, "**%s**", strings.ReplaceAll(names, ", ", "**, **"))
		if value != "" {
			fmt.Fprintf(&b, " *%s*", value)
		}
		text = escape(capital(text))
		fmt.Fprintf(&b, "\n: %s.\n\n", strings.ReplaceAll(text, "\\`", "*"))
	}
	return b.String()
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// escape makes Markdown of plain text.
func escape(text string) string {
	var b strings.Builder
	for _, c := range text {
		if strings.ContainsRune("\\`*_[]<>|", c) {
			b.WriteByte('\\')
		}
		b.WriteRune(c)
	}
	return b.String()
}
