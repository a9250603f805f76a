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
// After a fault it goes on at the next line, or at the next section, to find the others.
type parser struct {
	file     *File
	scan     scanner
	tok      token // the one at hand
	faults   []fault
	sawBlank bool
	includes *includer
}

// parse reads a text to its end, also if there are faults. It keeps src. Includes are not followed
// if there is no includer.
func parse(name string, src []byte, includes *includer) (*File, []fault) {
	p := &parser{file: &File{parts: []part{{name: name}}}, includes: includes}
	p.scan.setText(src)
	p.parse()
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

func (p *parser) parse() {
	for p.next(); p.tok.kind != eof; {
		switch p.tok.kind {
		case open:
			p.section()
		case include:
			p.include()
		default:
			p.misplaced()
			p.skip(open)
		}
	}
}

func (p *parser) section() {
	s := section{start: p.tok.start}
	p.next()
	if p.tok.kind != word {
		p.fault(s.start, "a section without a name; write [name], or [\"name\"] if it holds any of = [ ] ' #")
		p.skip(open)
		return
	}
	s.name = p.tok
	p.next()
	if p.tok.kind != closing {
		p.fault(s.start, fmt.Sprintf("no ] behind the section name %q", s.name.text))
		p.skip(open)
		return
	}
	s.end = p.tok.end
	p.next()
	faulty := false
	for p.tok.kind != open && p.tok.kind != include && p.tok.kind != eof {
		if set, ok := p.setting(s.settings); ok {
			s.settings = append(s.settings, set)
		} else {
			faulty = true
			p.skip(word)
		}
	}
	if len(s.settings) == 0 && !faulty {
		p.fault(s.start, fmt.Sprintf("section [%s] has no setting; give it one, or remove it", s.name.text))
	}
	p.file.sections = append(p.file.sections, s)
}

// setting takes one setting; before are those of the section so far.
func (p *parser) setting(before []setting) (setting, bool) {
	key := p.tok
	if key.kind != word {
		p.noKey(before)
		p.next()
		return setting{}, false
	}
	p.next()
	if p.tok.kind != equal {
		p.noEqual(key, before)
		return setting{}, false
	}
	p.next()
	if p.tok.kind != word {
		p.noValue(key)
		return setting{}, false
	}
	s := setting{key: key, value: p.tok}
	p.next()
	return s, true
}

func (p *parser) include() {
	p.file.includes = append(p.file.includes, p.tok)
	if p.includes != nil {
		p.includes.open(p, p.tok)
	}
	p.next()
}

// next goes to the next token, and puts stray characters aside.
func (p *parser) next() {
	for {
		p.tok = p.scan.next()
		switch {
		case p.tok.kind == stray:
			p.file.strays = append(p.file.strays, p.tok)
			continue
		case p.tok.kind == include && p.tok.text == "":
			p.fault(p.tok.start,
				"include without a file, which getltscfg takes for the word before it; write include /path/of/file, or INCLUDE if a key is meant")
			p.tok.kind, p.tok.text = word, "include"
		case p.tok.kind == word && strings.IndexByte(p.tok.text, 0) >= 0:
			p.fault(p.tok.start, "a NUL byte, at which getltscfg cuts the text; remove it")
		}
		return
	}
}

// skip goes to the first token of a line, if the token at hand is not one. If that is to be the
// open bracket, it goes on until it is.
func (p *parser) skip(to kind) {
	for p.tok.kind != eof && (!p.firstOnLine(p.tok.start) || to == open && p.tok.kind != open) {
		p.next()
	}
}

func (p *parser) firstOnLine(offset int) bool {
	before := bytes.TrimRight(p.scan.text[:offset], " \t")
	return len(before) == 0 || before[len(before)-1] == '\n'
}

func (p *parser) sameLine(from, to int) bool {
	return bytes.IndexByte(p.scan.text[from:to], '\n') < 0
}

func (p *parser) fault(offset int, msg string) {
	p.faults = append(p.faults, fault{offset: offset, msg: msg})
}
