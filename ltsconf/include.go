package ltsconf

import (
	"fmt"
	"path"
)

// getltscfg does not nest the files that it includes: it makes the file its scanner's next source
// of text. So what it has already buffered of the including file comes first, in steps of chunk
// bytes. The rest of that file is lost, and so is an included file of which nothing has been read
// when the next include line comes.

const (
	chunk    = 8192
	maxFiles = 10 // that getltscfg opens, the first one included
)

// An includer follows include lines while a text is parsed.
type includer struct {
	readFile func(name string) ([]byte, error)
	seen     map[string]bool
	loaded   int     // how much of the text getltscfg has in its buffer
	last     token   // the include line of the last part
	missing  []fault // files, at which getltscfg crashes
	others   []fault
}

func newIncluder(name string, readFile func(name string) ([]byte, error)) *includer {
	return &includer{readFile: readFile, seen: map[string]bool{path.Clean(name): true}}
}

// Expand returns the text that getltscfg really reads of a file that includes others, for Lookup.
// Without an include line that is the file itself. readFile gets the path in the file, which is one
// on the client. The error is a SyntaxErrors: of the whole text, or of an include line whose file
// cannot be read.
func (f *File) Expand(readFile func(name string) ([]byte, error)) (*File, error) {
	includes := newIncluder(f.parts[0].name, readFile)
	expanded, faults := parseText(f.parts[0].name, f.Bytes(), includes)
	if faults = append(faults, includes.missing...); len(faults) > 0 {
		return nil, expanded.explainFaults(faults)
	}
	return expanded, nil
}

// open makes an included file the rest of the parser's text.
func (x *includer) open(p *parser, t token) {
	f, text := p.file, p.scan.text
	name := path.Clean(t.text)
	add := func(severity Severity, at token, format string, args ...any) {
		x.others = append(x.others, fault{severity: severity, offset: at.start, msg: fmt.Sprintf(format, args...)})
	}
	if x.seen[name] {
		add(Warning, t, "%s is included a second time; getltscfg ignores that", t.text)
		return
	}
	if len(x.seen) == maxFiles {
		add(Error, t, "getltscfg opens no more than %d files; it ignores %s", maxFiles, t.text)
		return
	}
	content, err := x.readFile(t.text)
	if err != nil {
		msg := fmt.Sprintf("getltscfg crashes where it cannot include a file: %v; "+
			"put it into the chroot, or take the include away", err)
		x.missing = append(x.missing, fault{severity: Error, offset: t.start, msg: msg})
		return
	}
	if t.stop == len(text) {
		add(Error, t, "an include in the file's last line, which has no end, is not read; "+
			"put a newline at the end of the file")
		return
	}
	x.seen[name] = true

	from := f.parts[len(f.parts)-1].start
	if t.stop >= x.loaded {
		x.loaded = min(len(text), findBufferEnd(from, t.stop))
	}
	switch {
	case from > 0 && from == x.loaded:
		add(Error, x.last, "getltscfg drops this include for that of %s, which comes before it reads the file", t.text)
		f.parts = f.parts[:len(f.parts)-1]
	case x.loaded < len(text):
		add(Error, t, "getltscfg reads only %d bytes of a file with this include; "+
			"put it further down, or make the file shorter", x.loaded-from)
	case text[x.loaded-1] != '\n':
		add(Error, t, "getltscfg reads the included file behind this one, and the last line here has no end; "+
			"put a newline there")
	}
	f.parts = append(f.parts, part{name: t.text, start: x.loaded})
	x.last = t
	p.scan.setText(append(text[:x.loaded:x.loaded], content...))
}

// findBufferEnd returns how far getltscfg's buffer reaches, for a file whose text begins at from,
// when its scanner has seen the byte at offset.
func findBufferEnd(from, offset int) int {
	return from + (offset-from)/chunk*chunk + chunk
}

// findUnread returns where getltscfg stops reading a file's own text, because of an include line in
// it.
func (f *File) findUnread() int {
	for _, t := range f.includes {
		if t.stop < len(f.text) {
			return min(len(f.text), findBufferEnd(0, t.stop))
		}
	}
	return len(f.text)
}
