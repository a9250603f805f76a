package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"strings"
	"unicode/utf8"
)

// The most columns that a line may have, where a tab counts as tabWidth.
const (
	maxComment = 100 // a line that is nothing but a comment
	maxCode    = 120
	tabWidth   = 4
)

// checkWidths finds lines that are too long.
func checkWidths(p *pkg) (found []finding) {
	for _, f := range p.files {
		for _, l := range splitLines(p, f) {
			if l.isTooWide() {
				found = append(found, finding{file: f.name, line: l.number, in: p.path, subject: f.name,
					message: fmt.Sprintf("%d columns, %d are allowed", l.width, l.limit())})
			}
		}
	}
	return found
}

// A sourceLine is a line of a file.
type sourceLine struct {
	text      string
	number    int
	width     int // columns
	isComment bool
	literals  [][2]int // where string literals begin and end, as offsets in text
}

// splitLines splits a file into lines.
func splitLines(p *pkg, f *file) (lines []sourceLine) {
	for i, text := range strings.Split(string(f.source), "\n") {
		lines = append(lines, sourceLine{text: text, number: i + 1, width: countColumns(text)})
	}
	for _, group := range f.Comments {
		for _, c := range group.List {
			begin, end := p.fset.Position(c.Pos()), p.fset.Position(c.End())
			for n := begin.Line; n <= end.Line; n++ {
				l := &lines[n-1]
				l.isComment = n > begin.Line || strings.TrimSpace(l.text[:begin.Column-1]) == ""
			}
		}
	}
	ast.Inspect(f.File, func(n ast.Node) bool {
		literal, is := n.(*ast.BasicLit)
		if !is || literal.Kind != token.STRING {
			return true
		}
		begin, end := p.fset.Position(literal.Pos()), p.fset.Position(literal.End())
		for n := begin.Line; n <= end.Line; n++ {
			l := &lines[n-1]
			from, to := 0, len(l.text)
			if n == begin.Line {
				from = begin.Column - 1
			}
			if n == end.Line {
				to = end.Column - 1
			}
			l.literals = append(l.literals, [2]int{from, to})
		}
		return true
	})
	return lines
}

func (l sourceLine) limit() int {
	if l.isComment {
		return maxComment
	}
	return maxCode
}

func (l sourceLine) isTooWide() bool { return l.width > l.limit() && !l.isUnbreakable() }

// isUnbreakable reports whether what is over the limit is one word of a comment without others,
// such as a URL, or part of one string literal. Closing brackets and the like may follow it.
func (l sourceLine) isUnbreakable() bool {
	if l.isComment {
		words := strings.Fields(strings.TrimLeft(strings.TrimSpace(l.text), "/*"))
		return len(words) < 2 || strings.HasPrefix(l.text, "//go:")
	}
	for _, literal := range l.literals {
		before, after := l.text[:literal[0]], l.text[literal[1]:]
		if countColumns(before) < l.limit() && strings.Trim(after, ")}],;:{+ ") == "" {
			return true
		}
	}
	return false
}

// countColumns returns how wide a text is.
func countColumns(text string) int {
	return utf8.RuneCountInString(text) + (tabWidth-1)*strings.Count(text, "\t")
}
