// Package ltsconf reads, edits and judges lts.conf, the configuration file of LTSP 5 clients.
//
// What counts is getltscfg, the program that runs on the clients: this package accepts what it
// accepts, and reads it the same way. Parse keeps every byte. Set and Delete change one setting in
// place and nothing else. Lookup returns what a client sees, and from which line. Check lists what
// getltscfg, or the shell that evaluates its output as root, would reject, drop or misunderstand.
//
//	f, err := ltsconf.Parse("lts.conf", src)
//	err = f.Set("default", "LDM_SERVER", "app01 app02")
//	os.WriteFile("lts.conf", f.Bytes(), 0o644)
//
// It opens no file, and knows no setting's meaning except LIKE, include, NONE, and the one space
// between the names in LDM_SERVER. The file of LTSP since 2019, ltsp.conf, has another format.
package ltsconf

import (
	"bytes"
	"slices"
)

// A File is a parsed lts.conf. Its methods are not safe for use at the same time as Set or Delete.
type File struct {
	text     []byte
	parts    []part
	lines    []int // where each line but the first begins
	sections []section
	includes []token
	strays   []token
}

// A part is a run of text that comes from one file.
type part struct {
	name  string
	start int
}

// A section has at least one setting, unless the file is faulty.
type section struct {
	start    int // of its [
	end      int // after its ]
	name     token
	settings []assignment
}

// An assignment is a line KEY = value.
type assignment struct{ key, value token }

// Parse reads an lts.conf that getltscfg reads to its end. The name is used in errors only. The
// error is a SyntaxErrors: the places where getltscfg would stop, if the ones before were
// corrected. A NUL byte, and include without a file, are errors here, too; getltscfg continues with
// garbage.
//
// What getltscfg reads, but not as its author meant it, is not an error here: Check finds that.
func Parse(name string, src []byte) (*File, error) {
	f, faults := parseText(name, bytes.Clone(src), nil)
	if len(faults) > 0 {
		return nil, f.explainFaults(faults)
	}
	return f, nil
}

// Clone returns a copy, to be edited.
func (f *File) Clone() *File {
	g := *f // Set and Delete replace what it holds, and change nothing in it
	return &g
}

// Bytes returns the file's text: what was parsed, with the changes of Set and Delete.
func (f *File) Bytes() []byte { return bytes.Clone(f.text) }

// Get returns a section's value of a key as the file has it, also if that is NONE. As in getltscfg,
// neither name's case matters, and the first section of that name counts, and the last of equal
// keys in it. Files named in include lines are not read: see Expand.
func (f *File) Get(section, key string) (value string, ok bool) {
	s := f.findSection(section)
	if s == nil {
		return "", false
	}
	i := s.find(key)
	if i < 0 {
		return "", false
	}
	return s.settings[i].value.text, true
}

// Values returns what the key has in any section, in the order of the file.
func (f *File) Values(key string) []string {
	var values []string
	for i := range f.sections {
		for _, s := range f.sections[i].settings {
			if isSameName(s.key.text, key) {
				values = append(values, s.value.text)
			}
		}
	}
	return values
}

// findSection returns the section of that name that counts, or nil.
func (f *File) findSection(name string) *section {
	for i := range f.sections {
		if isSameName(f.sections[i].name.text, name) {
			return &f.sections[i]
		}
	}
	return nil
}

// find returns the index of the setting that counts for a key, or -1.
func (s *section) find(key string) int {
	for i := len(s.settings) - 1; i >= 0; i-- {
		if isSameName(s.settings[i].key.text, key) {
			return i
		}
	}
	return -1
}

// position returns which file a byte of the text comes from, and where it is there.
func (f *File) position(offset int) (file string, line, column int) {
	in := f.parts[0]
	for _, p := range f.parts {
		if p.start <= offset {
			in = p
		}
	}
	before, _ := slices.BinarySearch(f.lines, offset+1)
	first, _ := slices.BinarySearch(f.lines, in.start+1)
	line = 1 + before - first
	if line > 1 {
		in.start = f.lines[before-1]
	}
	return in.name, line, 1 + offset - in.start
}

// isSameName reports whether strcasecmp finds two names equal in the C locale: bytes, and ASCII
// letters regardless of case.
func isSameName(a, b string) bool { return upperName(a) == upperName(b) }

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

func lowerByte(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func upperName(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			b[i] = c + 'A' - 'a'
		}
	}
	return string(b)
}
