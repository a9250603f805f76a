package ltsconf

import "bytes"

// What the parser reports about a token that does not fit: what the author of the line may have
// meant, and how to write that.

// explainMisplaced reports anything but a section where only a section may be.
func (p *parser) explainMisplaced() {
	switch {
	case bytes.HasPrefix(p.scan.text[p.tok.start:], []byte("\uFEFF")):
		p.addFault(p.tok.start, "a byte order mark; save the file as UTF-8 without one")
	case p.addBlankFault(p.tok):
	case p.addOpenCommentFault(p.tok):
	case len(p.file.includes) > 0:
		p.addFault(p.tok.start, "a setting behind an include line is in no section; begin one, as with [default]")
	default:
		p.addFault(p.tok.start, "text before the first section; begin one, as with [default]")
	}
}

// explainNoKey reports a token other than a word where a setting should begin.
func (p *parser) explainNoKey(before []assignment) {
	if len(before) > 0 {
		last := before[len(before)-1]
		if !p.isSameLine(last.key.end, last.value.start) {
			p.addFault(last.key.start, "%s has no value, so getltscfg takes %q on the next line for it; "+
				"write %[1]s = \"\" if it is to be empty", last.key.text, last.value.text)
			return
		}
		if p.isSameLine(last.value.end, p.tok.start) {
			p.addFault(p.tok.start, "the value of %s holds a %s; put it in double quotes", last.key.text, p.tok.text)
			return
		}
	}
	p.addFault(p.tok.start, "a line begins with %s; write KEY = value", p.tok.text)
}

// explainNoEqual reports a key without an equals sign after it.
func (p *parser) explainNoEqual(key token, before []assignment) {
	if p.addBlankFault(key) || p.addOpenCommentFault(key) {
		return
	}
	if len(before) > 0 {
		last := before[len(before)-1]
		if p.isSameLine(last.value.end, key.start) {
			p.addFault(key.start, "text behind the value of %s; "+
				"put all of the value into one pair of double quotes", last.key.text)
			return
		}
	}
	p.addFault(key.start, "%q has no value; write KEY = value, or # in front of a comment", key.text)
}

// explainNoValue reports an equals sign without a word after it.
func (p *parser) explainNoValue(key token) {
	if p.tok.kind == eof || p.tok.kind == include || !p.isSameLine(key.end, p.tok.start) {
		p.addFault(key.start, "%s has no value; write %[1]s = \"\" if it is to be empty", key.text)
		return
	}
	p.addFault(p.tok.start, "the value of %s begins with %s; put it in double quotes", key.text, p.tok.text)
}

// addBlankFault adds a fault, once per file, if a word is only white space that getltscfg does not
// skip. It reports whether it is.
func (p *parser) addBlankFault(t token) bool {
	if t.kind != word || t.quoted || t.text != "" {
		return false
	}
	if !p.sawBlank {
		p.sawBlank = true
		p.addFault(t.start, "a carriage return, vertical tab or form feed that getltscfg takes for a word; "+
			"save the file with Unix line ends")
		p.faults[len(p.faults)-1].notUnix = true
	}
	return true
}

// addOpenCommentFault adds a fault if a word is the text of a comment that the end of the file cuts
// off. It reports whether it is.
func (p *parser) addOpenCommentFault(t token) bool {
	n := len(p.file.strays)
	if n == 0 || p.file.strays[n-1].text != "#" {
		return false
	}
	p.addFault(p.file.strays[n-1].start, "a comment without a line end; put a newline at the end of the file")
	return true
}
