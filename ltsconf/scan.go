package ltsconf

import (
	"bytes"
	"strings"
)

type kind int

const (
	eof kind = iota
	opening
	closing
	equal
	word
	include
	stray // a character that fits nowhere: getltscfg's scanner prints it and goes on
)

// A token is what getltscfg's scanner makes of a piece of text. There is none for blanks, comments
// and line ends.
type token struct {
	kind   kind
	from   int    // where it begins, with white space before a bare word
	start  int    // where its text begins, with quotes
	end    int    // after that
	stop   int    // after the white space that belongs to a bare word, too
	text   string // a word without its quotes or the blanks around it; an include's path; a stray character
	quoted bool
}

// special are the characters that end a bare word.
const special = "=\n[]\"'#"

// space is what getltscfg trims from both ends of a bare word.
const space = " \t\n\v\f\r"

// A scanner cuts a text into tokens by the rules of getltscfg, which are those of flex: the longest
// match wins, and of two that are equally long the one that comes first here.
type scanner struct {
	text     []byte
	lastLine int // where the last line begins; a comment there does not end
	pos      int
}

func (s *scanner) setText(text []byte) {
	s.text = text
	s.lastLine = bytes.LastIndexByte(text, '\n') + 1
}

func (s *scanner) next() token {
	for s.pos < len(s.text) {
		if t, ok := s.takeInclude(); ok {
			return t
		}
		switch s.text[s.pos] {
		case '\n':
			s.pos++
		case '=':
			return s.take(equal)
		case '[':
			return s.take(opening)
		case ']':
			return s.take(closing)
		case '#':
			if s.pos >= s.lastLine {
				return s.take(stray)
			}
			s.pos = findLineEnd(s.text, s.pos) + 1
		case '"':
			if t, ok := s.takeQuoted(); ok {
				return t
			}
			return s.take(stray)
		case '\'':
			return s.take(stray)
		default:
			if t, ok := s.takeBare(); ok {
				return t
			}
		}
	}
	return token{kind: eof, from: s.pos, start: s.pos, end: s.pos, stop: s.pos}
}

// take makes a token of one character.
func (s *scanner) take(k kind) token {
	t := token{kind: k, from: s.pos, start: s.pos, end: s.pos + 1, stop: s.pos + 1,
		text: string(s.text[s.pos : s.pos+1])}
	s.pos++
	return t
}

// takeQuoted takes a word that runs to the last double quote on its line.
func (s *scanner) takeQuoted() (token, bool) {
	line := s.text[s.pos:findLineEnd(s.text, s.pos)]
	last := bytes.LastIndexByte(line, '"')
	if last == 0 {
		return token{}, false
	}
	end := s.pos + last + 1
	t := token{kind: word, from: s.pos, start: s.pos, end: end, stop: end, text: string(line[1:last]), quoted: true}
	s.pos = end
	return t, true
}

// takeBare takes a word without quotes, or skips blanks. A run of other white space, such as a
// carriage return, is a word too, an empty one.
func (s *scanner) takeBare() (token, bool) {
	raw := s.text[s.pos:]
	if n := bytes.IndexAny(raw, special); n >= 0 {
		raw = raw[:n]
	}
	from := s.pos
	s.pos += len(raw)
	if isBlank(raw) {
		return token{}, false
	}
	start := from
	said := bytes.TrimLeft(raw, space)
	if len(said) > 0 {
		start += len(raw) - len(said)
	}
	said = bytes.TrimRight(said, space)
	return token{kind: word, from: from, start: start, end: start + len(said), stop: s.pos, text: string(said)}, true
}

// takeInclude takes the word include at the beginning of a line, the blank after it, and a path,
// which may be missing.
func (s *scanner) takeInclude() (token, bool) {
	if s.pos > 0 && s.text[s.pos-1] != '\n' {
		return token{}, false
	}
	line := s.text[s.pos:findLineEnd(s.text, s.pos)]
	trimmed := bytes.TrimLeft(line, " \t")
	rest, ok := bytes.CutPrefix(trimmed, []byte("include"))
	if !ok || len(rest) == 0 || (rest[0] != ' ' && rest[0] != '\t') {
		return token{}, false
	}
	t := token{kind: include, from: s.pos, start: s.pos + len(line) - len(trimmed)}
	path := bytes.TrimLeft(rest, " \t")
	s.pos += len(line) - len(path)
	switch {
	case len(path) == 0:
	case path[0] == '"':
		if q, ok := s.takeQuoted(); ok {
			t.text, t.quoted = strings.Trim(q.text, space), true
			s.pos += len(s.text[s.pos:]) - len(bytes.TrimLeft(s.text[s.pos:], " \t"))
		}
	default:
		if b, ok := s.takeBare(); ok {
			t.text = b.text
		}
	}
	t.end, t.stop = s.pos, s.pos
	return t, true
}
