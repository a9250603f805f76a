package main

import (
	"bytes"
	"strings"
	"testing"
)

// Every command says what it is for, shows how it is typed, and fits a terminal.
func TestHelp(t *testing.T) {
	t.Parallel()
	app := testApp()
	overview := explainCommand(app, rootCommand(app))
	for _, c := range allCommands(app) {
		command := c.HelpName
		text := explainCommand(app, c)
		if !bytes.HasPrefix(text, []byte(command+": "+c.Usage+"\n")) || c.Usage == "" {
			t.Errorf("%s: help begins with %.60q", command, text)
		}
		if isRunnable(c) && c.Name != "help" && !bytes.Contains(text, []byte("\n  "+command)) {
			t.Errorf("%s: help has no example", command)
		}
		if isRunnable(c) && !bytes.Contains(overview, []byte("\n  "+commandPath(c)+" ")) {
			t.Errorf("%s: not in ltskeeper --help", command)
		}
		for line := range strings.Lines(string(text)) {
			if len(line) > 120 {
				t.Errorf("%s: a line of %d columns: %s", command, len(line), line)
			}
		}
	}
}

// What help shows of commands can be typed: each names a command that there is, with options that
// it has. A test of docs types them, and those of the manual pages.
func TestExamples(t *testing.T) {
	t.Parallel()
	app := testApp()
	texts := map[string]string{"ltskeeper --help": overview}
	for _, c := range allCommands(app) {
		texts[c.HelpName+" --help"] = c.Description
	}
	tried := 0
	for where, text := range texts {
		for line := range strings.Lines(text) {
			line, indented := strings.CutPrefix(line, "  ")
			line = strings.TrimSpace(line)
			if !indented || !strings.HasPrefix(line, "ltskeeper ") {
				continue
			}
			command, _, _ := strings.Cut(line, "  ") // and what is said about it
			command, _, _ = strings.Cut(command, " | ")
			command, _, _ = strings.Cut(command, " > ")
			if _, err := permuteArgs(app, strings.Fields(command)); err != nil {
				t.Errorf("%s: %s: %v", where, command, err)
			}
			tried++
		}
	}
	if tried < 60 {
		t.Errorf("only %d examples were found", tried)
	}
}
