package main

import (
	"bytes"
	"slices"
	"strings"

	"ltskeeper/keeper"

	"github.com/rogpeppe/go-internal/diff"
)

// diffFile is what a dry run would change in a file, in the form that diff -u prints and patch
// reads.
func diffFile(f keeper.File) string {
	out := diff.Diff(f.Path, []byte(f.Old), f.Path, []byte(f.New))
	_, out, _ = bytes.Cut(out, []byte("\n")) // the "diff old new" line says nothing more
	return string(out)
}

// diffLines writes a diff with its removed and added lines coloured.
func (p *page) diffLines(text string) {
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		style := plain
		switch {
		case slices.ContainsFunc([]string{"--- ", "+++ "}, func(s string) bool { return strings.HasPrefix(line, s) }):
			style = bold
		case strings.HasPrefix(line, "-"):
			style = red
		case strings.HasPrefix(line, "+"):
			style = green
		}
		p.printf("%s\n", p.paint(style, line))
	}
}
