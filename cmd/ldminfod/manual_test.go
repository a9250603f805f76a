package main

import (
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ltskeeper/internal/testkit/manual"
)

// The manual page names the options and commands, and no others; the rating's terms are those of
// --explain.
func TestManual(t *testing.T) {
	t.Parallel()
	page := manual.Read(t, "ldminfod.8")
	page.Options(new(options).flags(), usage)
	manual.Completions(t, "ldminfod", new(options).flags(), "drain", "undrain")

	commands := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^  ldminfod (?:\[.*\] )?([a-z]+) `).FindAllStringSubmatch(usage, -1) {
		commands[m[1]] = true
	}
	page.Defines("COMMANDS", commands)
	for c := range commands {
		m := newServer(t)
		if err := run(t.Context(), m, []string{"--state", t.TempDir(), c}, io.Discard); err != nil {
			t.Errorf("ldminfod %s: %v", c, err)
		}
	}

	units := map[string]bool{}
	files, _ := filepath.Glob("../../dist/ldminfod.s*")
	for _, file := range files {
		units[strings.TrimSuffix(filepath.Base(file), ".in")] = true
	}
	page.Defines("UNITS", units)

	m := newServer(t)
	m.capacity = 40
	terms := map[string]bool{}
	for _, term := range m.terms() {
		terms[term.name] = true
	}
	page.Defines("DESCRIPTION", terms)
}
