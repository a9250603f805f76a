package ltsconf

import (
	"bytes"
	"fmt"
)

// What the parser says of a token that does not fit: what the author of the line may have meant,
// and how to write that.

// misplaced is for anything but a section where only a section can stand.
func (p *parser) misplaced() {
	switch {
	case bytes.HasPrefix(p.scan.text[p.tok.start:], []byte("\uFEFF")):
		p.fault(p.tok.start, "a byte order mark; save the file as UTF-8 without one")
	case p.blank(p.tok):
	case p.openComment(p.tok):
	case len(p.file.includes) > 0:
		p.fault(p.tok.start, "a setting behind an include line is in no section; begin one, as with [default]")
	default:
		p.fault(p.tok.start, "text before the first section; begin one, as with [default]")
	}
}

// noKey is for a token other than a word where a setting should begin.
func (p *parser) noKey(before []setting) {
	if len(before) > 0 {
		last := before[len(before)-1]
		if !p.sameLine(last.key.end, last.value.start) {
			p.fault(last.key.start,
				fmt.Sprintf("%s has no value, so getltscfg takes %q on the next line for it; write %[1]s = \"\" if it is to be empty",
					last.key.text, last.value.text))
			return
		}
		if p.sameLine(last.value.end, p.tok.start) {
			p.fault(p.tok.start,
				fmt.Sprintf("the value of %s holds a %s; put it in double quotes", last.key.text, p.tok.text))
			return
		}
	}
	p.fault(p.tok.start, fmt.Sprintf("a line begins with %s; write KEY = value", p.tok.text))
}

// noEqual is for a key that no equals sign follows.
func (p *parser) noEqual(key token, before []setting) {
	if p.blank(key) || p.openComment(key) {
		return
	}
	if len(before) > 0 {
		last := before[len(before)-1]
		if p.sameLine(last.value.end, key.start) {
			p.fault(key.start,
				fmt.Sprintf("text behind the value of %s; put all of the value into one pair of double quotes",
					last.key.text))
			return
		}
	}
	p.fault(key.start, fmt.Sprintf("%q has no value; write KEY = value, or # in front of a comment", key.text))
}

// noValue is for an equals sign that no word follows.
func (p *parser) noValue(key token) {
	if p.tok.kind == eof || p.tok.kind == include || !p.sameLine(key.end, p.tok.start) {
		p.fault(key.start, fmt.Sprintf("%s has no value; write %[1]s = \"\" if it is to be empty", key.text))
		return
	}
	p.fault(p.tok.start, fmt.Sprintf("the value of %s begins with %s; put it in double quotes", key.text, p.tok.text))
}

// blank reports whether a word is only white space that getltscfg does not skip, and says so, once
// a file.
func (p *parser) blank(t token) bool {
	if t.kind != word || t.quoted || t.text != "" {
		return false
	}
	if !p.sawBlank {
		p.sawBlank = true
		p.faults = append(p.faults, fault{
			offset:  t.start,
			msg:     "a carriage return, vertical tab or form feed that getltscfg takes for a word; save the file with Unix line ends",
			notUnix: true,
		})
	}
	return true
}

// openComment reports whether a word is the text of a comment that the end of the file cuts off,
// and says so.
func (p *parser) openComment(t token) bool {
	n := len(p.file.strays)
	if n == 0 || p.file.strays[n-1].text != "#" {
		return false
	}
	p.fault(p.file.strays[n-1].start, "a comment without a line end; put a newline at the end of the file")
	return true
}
