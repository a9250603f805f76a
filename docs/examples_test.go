package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every example of the manual pages, and of --help, is a command that some page types. The examples
// of commands are in ltskeeper(8) as --help has them, which a test of cmd/ltskeeper sees to.
func TestExamples(t *testing.T) {
	typed, all := map[string]bool{}, ""
	for _, p := range pages(t) {
		for _, s := range p.steps {
			typed[oneLine(s.command)] = true
			all += s.command + "\n"
		}
	}
	files, err := filepath.Glob("man/*.md")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	sources := map[string]string{"ltskeeper --help": helpExamples(t)}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range manualBlock.FindAllStringSubmatch(string(text), -1) {
			if block[1] == "sh" {
				sources[file] += block[2]
			} else if strings.HasPrefix(block[2], "#!") {
				if !strings.Contains(all, block[2]) {
					t.Errorf("%s: no page types this script:\n%s", file, block[2])
				}
			} else if command := looksTyped.FindString(block[2]); command != "" {
				t.Errorf("%s: %q stands in a block that is not for commands", file, command)
			}
		}
	}
	examples := 0
	for source, text := range sources {
		for _, example := range commands(text) {
			examples++
			if !typed[example] {
				t.Errorf("%s: no page types %s", source, example)
			}
		}
	}
	if examples < 80 {
		t.Errorf("only %d examples were found", examples)
	}
}

// manualBlock is a block of code in a manual page. One of kind sh has commands.
var manualBlock = regexp.MustCompile("(?ms)^```(.*?)\n(.*?)^```$")

// helpExamples is what ltskeeper --help shows to be typed.
func helpExamples(t *testing.T) string {
	t.Helper()
	overview, _, _ := strings.Cut(help(t), "\nCommands:\n")
	var text strings.Builder
	for line := range strings.Lines(overview) {
		if strings.HasPrefix(line, "  ltskeeper ") {
			text.WriteString(line)
		}
	}
	return text.String()
}

// commands reads what a shell would: a command may go on on the next line, and a remark behind it
// is none of it.
func commands(text string) []string {
	text = regexp.MustCompile(`(?: \\|( \|))\n +`).ReplaceAllString(text, "$1 ")
	var list []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		line, _, _ = strings.Cut(line, "   ")
		if line != "" && !strings.HasPrefix(line, "#") {
			list = append(list, oneLine(line))
		}
	}
	return list
}

// oneLine is a command however it was broken into lines.
func oneLine(command string) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(command, `\`+"\n", " ")), " ")
}
