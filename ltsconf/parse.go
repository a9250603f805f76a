package ltsconf

import (
	"bytes"
	"fmt"
	"strings"
)

// A parser takes what getltscfg's grammar takes. Line ends mean nothing to it:
//
//	file    = { section | include }
//	section = "[" word "]" setting { setting }
//	setting = word "=" word
//
// After a fault it continues at the next line, or at the next section, to find the others.
type parser struct {
	file     *File
	scan     scanner
	tok      token // the current one
	faults   []fault
	sawBlank bool
	includes *includer
}

// parseText reads a text to its end, also if there are faults. It keeps src. Without an includer,
// it does not follow includes.
func parseText(name string, src []byte, includes *includer) (*File, []fault) {
	p := &parser{file: &File{parts: []part{{name: name}}}, includes: includes}
	p.scan.setText(src)
	p.parseFile()
	p.file.setText(p.scan.text)
	return p.file, p.faults
}

func (f *File) setText(text []byte) {
	f.text = text
	for i, c := range text {
		if c == '\n' {
			f.lines = append(f.lines, i+1)
		}
	}
}

func (p *parser) parseFile() {
	for p.next(); p.tok.kind != eof; {
		switch p.tok.kind {
		case opening:
			p.parseSection()
		case include:
			p.parseInclude()
		default:
			p.explainMisplaced()
			p.skip(opening)
		}
	}
}

func (p *parser) parseSection() {
	s := section{start: p.tok.start}
	p.next()
	if p.tok.kind != word {
		p.addFault(s.start, "a section without a name; write [name], or [\"name\"] if it holds any of = [ ] ' #")
		p.skip(opening)
		return
	}
	s.name = p.tok
	p.next()
	if p.tok.kind != closing {
		p.addFault(s.start, "no ] behind the section name %q", s.name.text)
		p.skip(opening)
		return
	}
	s.end = p.tok.end
	p.next()
	faulty := false
	for p.tok.kind != opening && p.tok.kind != include && p.tok.kind != eof {
		if set, ok := p.parseAssignment(s.settings); ok {
			s.settings = append(s.settings, set)
		} else {
			faulty = true
			p.skip(word)
		}
	}
	if len(s.settings) == 0 && !faulty {
		p.addFault(s.start, "section [%s] has no setting; give it one, or remove it", s.name.text)
	}
	p.file.sections = append(p.file.sections, s)
}

// parseAssignment takes one setting; before are those of the section so far.
func (p *parser) parseAssignment(before []assignment) (assignment, bool) {
	key := p.tok
	if key.kind != word {
		p.explainNoKey(before)
		p.next()
		return assignment{}, false
	}
	p.next()
	if p.tok.kind != equal {
		p.explainNoEqual(key, before)
		return assignment{}, false
	}
	p.next()
	if p.tok.kind != word {
		p.explainNoValue(key)
		return assignment{}, false
	}
	s := assignment{key: key, value: p.tok}
	p.next()
	return s, true
}

func (p *parser) parseInclude() {
	p.file.includes = append(p.file.includes, p.tok)
	if p.includes != nil {
		p.includes.open(p, p.tok)
	}
	p.next()
}

// next goes to the next token, and collects stray characters.
func (p *parser) next() {
	for {
		p.tok = p.scan.next()
		switch {
		case p.tok.kind == stray:
			p.file.strays = append(p.file.strays, p.tok)
			continue
		case p.tok.kind == include && p.tok.text == "":
			p.addFault(p.tok.start, "include without a file, which getltscfg takes for the word before it; "+
				"write include /path/of/file, or INCLUDE if a key is meant")
			p.tok.kind, p.tok.text = word, "include"
		case p.tok.kind == word && strings.IndexByte(p.tok.text, 0) >= 0:
			p.addFault(p.tok.start, "a NUL byte, at which getltscfg cuts the text; remove it")
		}
		return
	}
}

// skip goes to the first token of a line, if the current token is not one. If to is opening, it
// continues until that is an opening bracket.
func (p *parser) skip(to kind) {
	for p.tok.kind != eof && (!p.isFirstOnLine(p.tok.start) || to == opening && p.tok.kind != opening) {
		p.next()
	}
}

func (p *parser) isFirstOnLine(offset int) bool {
	before := bytes.TrimRight(p.scan.text[:offset], " \t")
	return len(before) == 0 || before[len(before)-1] == '\n'
}

func (p *parser) isSameLine(from, to int) bool {
	return bytes.IndexByte(p.scan.text[from:to], '\n') < 0
}

func (p *parser) addFault(offset int, format string, args ...any) {
	p.faults = append(p.faults, fault{severity: Error, offset: offset, msg: fmt.Sprintf(format, args...)})
}
