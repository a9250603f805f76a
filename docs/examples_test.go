package docs

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/pages"
)

// Every example of the manual pages, and of --help, is a command that some page types. The examples
// of commands are in ltskeeper(8) as --help has them, which a test of cmd/ltskeeper sees to.
func TestExamples(t *testing.T) {
	typed, all := map[string]bool{}, ""
	for _, p := range readPages(t) {
		for _, s := range p.Steps {
			typed[joinLines(s.Command)] = true
			all += s.Command + "\n"
		}
	}
	files, err := filepath.Glob("man/*.md")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	sources := map[string]string{"ltskeeper --help": listHelpExamples(t)}
	for _, file := range files {
		for _, block := range manualBlock.FindAllStringSubmatch(testkit.ReadFile(t, file), -1) {
			if block[1] == "sh" {
				sources[file] += block[2]
			} else if strings.HasPrefix(block[2], "#!") {
				if !strings.Contains(all, block[2]) {
					t.Errorf("%s: no page types this script:\n%s", file, block[2])
				}
			} else if command := pages.FindCommand(block[2]); command != "" {
				t.Errorf("%s: %q stands in a block that is not for commands", file, command)
			}
		}
	}
	examples := 0
	for source, text := range sources {
		for _, example := range splitCommands(text) {
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

// listHelpExamples returns what ltskeeper --help shows to be typed.
func listHelpExamples(t *testing.T) string {
	t.Helper()
	overview, _, _ := strings.Cut(printHelp(t), "\nCommands:\n")
	var text strings.Builder
	for line := range strings.Lines(overview) {
		if strings.HasPrefix(line, "  ltskeeper ") {
			text.WriteString(line)
		}
	}
	return text.String()
}

// splitCommands reads what a shell would: a command may go on on the next line, and a remark after
// it is not part of it.
func splitCommands(text string) []string {
	text = regexp.MustCompile(`(?: \\|( \|))\n +`).ReplaceAllString(text, "$1 ")
	var list []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		line, _, _ = strings.Cut(line, "   ")
		if line != "" && !strings.HasPrefix(line, "#") {
			list = append(list, joinLines(line))
		}
	}
	return list
}

// joinLines returns a command as one line, however it was broken.
func joinLines(command string) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(command, `\`+"\n", " ")), " ")
}
