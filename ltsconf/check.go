package ltsconf

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// Severity says what a Problem does to clients.
type Severity int

const (
	Warning Severity = iota // clients read the file as it stands, which may not be what was meant
	Error                   // clients lose settings, hang, or run text of the file as code
)

func (s Severity) String() string {
	if s == Error {
		return "error"
	}
	return "warning"
}

// MarshalText returns what String does.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// A Problem is something that Check found at a place.
type Problem struct {
	File     string   `json:"file"`
	Line     int      `json:"line"`   // from 1
	Column   int      `json:"column"` // from 1, in bytes
	Severity Severity `json:"severity"`
	Msg      string   `json:"message"` // what is wrong, and what would be right
}

func (p Problem) String() string {
	return fmt.Sprintf("%s:%d:%d: %s: %s", p.File, p.Line, p.Column, p.Severity, p.Msg)
}

// Check returns every problem of a file and of those that it includes, in the order in which
// getltscfg reads them. A file with a Problem of severity Error must not be given to clients.
// readFile opens included files by the path in the file, which is one on the client. If it is nil,
// they are not read.
func Check(name string, src []byte, readFile func(path string) ([]byte, error)) []Problem {
	var includes *includer
	if readFile != nil {
		includes = newIncluder(name, readFile)
	}
	f, faults := parseText(name, bytes.Clone(src), includes)
	c := checker{file: f, found: faults, faulty: map[int]bool{}, first: map[string]*section{}}
	for _, fault := range faults {
		c.faulty[fault.offset] = true
	}
	if includes != nil {
		c.found = slices.Concat(faults, includes.missing, includes.others)
	}
	c.findStrays()
	c.findCarriageReturns()
	for i := range f.sections {
		c.findInSection(&f.sections[i])
	}
	c.findInLikes()
	c.findCoveredGlobs()
	return c.listProblems()
}

type checker struct {
	file   *File
	found  []fault
	faulty map[int]bool        // by offset: what the parser reported
	first  map[string]*section // the section that counts, by its name in upper case
}

func (c *checker) add(severity Severity, offset int, format string, args ...any) {
	c.found = append(c.found, fault{severity: severity, offset: offset, msg: fmt.Sprintf(format, args...)})
}

func (c *checker) listProblems() []Problem {
	sortFaults(c.found)
	problems := make([]Problem, len(c.found))
	for i, fault := range c.found {
		file, line, column := c.file.position(fault.offset)
		problems[i] = Problem{file, line, column, fault.severity, fault.msg}
	}
	return problems
}

func (c *checker) findStrays() {
	for _, t := range c.file.strays {
		if t.text == "#" {
			c.add(Error, t.start, "a comment without a line end, which makes one of all that clients evaluate; "+
				"put a newline at the end of the file")
			continue
		}
		c.add(Error, t.start, "a stray %s, which gets into what clients evaluate, and breaks all of it; "+
			"write KEY = \"value\"", t.text)
	}
}

func (c *checker) findCarriageReturns() {
	i := bytes.IndexByte(c.file.text, '\r')
	if i < 0 || slices.ContainsFunc(c.found, func(f fault) bool { return f.notUnix }) {
		return
	}
	c.add(Warning, i, "a carriage return, at which getltscfg stops if it stands on an empty line, "+
		"or behind ] or a closing quote; save the file with Unix line ends")
}

func (c *checker) findInSection(s *section) {
	name := upperName(s.name.text)
	if first := c.first[name]; first != nil {
		file, line, _ := c.file.position(first.start)
		c.add(Warning, s.start, "a second section [%s], which getltscfg ignores; the first is at %s:%d", s.name.text,
			file, line)
	} else {
		c.first[name] = s
	}
	_, _, column := c.file.position(s.start)
	if before := c.file.text[s.start-column+1 : s.start]; !isBlank(before) {
		c.add(Error, s.start, "section [%s] begins in the middle of a line; "+
			"a value that holds a [ goes in double quotes, a section on a line of its own", s.name.text)
	}
	seen := map[string]int{}
	for _, set := range s.settings {
		key := upperName(set.key.text)
		c.findInKey(set)
		if key == "LIKE" {
			continue
		}
		if line, ok := seen[key]; ok {
			c.add(Warning, set.key.start, "%s again in [%s], which overrides line %d", set.key.text, s.name.text, line)
		}
		_, seen[key], _ = c.file.position(set.key.start)
		c.findInValue(set)
	}
}

func (c *checker) findInKey(s assignment) {
	if err := CheckKey(s.key.text); err != nil && s.key.text != "include" {
		c.add(Error, s.key.start, "%q is no name of a shell variable, which breaks all that clients evaluate; "+
			"a key has only letters, digits and _, and no digit first", s.key.text)
	}
	between := c.file.text[s.key.end:s.value.start]
	if bytes.IndexByte(between, '\n') >= 0 && !c.faulty[s.key.start] {
		c.add(Warning, s.key.start,
			"the value of %s, %q, stands on another line; write %[1]s = \"\" if it is to be empty", s.key.text,
			s.value.text)
	}
}

func (c *checker) findInValue(s assignment) {
	key, value := upperName(s.key.text), s.value.text
	add := func(severity Severity, format string) { c.add(severity, s.value.start, format, key) }
	switch {
	case strings.Contains(value, `"`):
		add(Error, "the value of %s runs to the last double quote on the line, with all between, "+
			"and what follows the first is code to the shell of a client; let there be two")
	case isExpanded(value):
		add(Error, "the value of %s holds a backquote, a dollar sign or a backslash "+
			"that is code to the shell of a client; remove it")
	case strings.ContainsAny(value, "$\\"):
		add(Warning, "the value of %s holds a dollar sign or a backslash, "+
			"which the shell of a client leaves alone only where it stands now")
	}
	if i := strings.IndexFunc(value, isControl); i >= 0 {
		add(Warning, "the value of %s holds a control character; a tab becomes a space on clients")
	}
	words := strings.Split(value, " ")
	switch hasEmpty := len(words) > 1 && slices.Contains(words, ""); {
	case hasEmpty && key == "LDM_SERVER":
		add(Warning, "%s holds a space too many, which makes a server without a name; "+
			"separate the names by single spaces")
	case hasEmpty && strings.Contains(value, "  "):
		add(Warning, "the value of %s holds spaces in a row, of which the shell of a client leaves one")
	}
	isPattern := func(word string) bool { return strings.ContainsAny(word, "*?[") }
	if len(words) > 2 && slices.ContainsFunc(words[1:len(words)-1], isPattern) {
		add(Warning, "the value of %s holds a pattern between spaces, "+
			"which the shell of a client replaces by names of files that match")
	}
}

// isExpanded reports whether a shell expands something in a value between double quotes, or the
// value eats the closing one.
func isExpanded(value string) bool {
	for i := 0; i < len(value); i++ {
		next := byte('"')
		if i+1 < len(value) {
			next = value[i+1]
		}
		switch value[i] {
		case '`':
			return true
		case '\\':
			if strings.IndexByte("\"$`\\", next) >= 0 {
				return true
			}
		case '$':
			if strings.IndexByte("_({@*#?!$-", next) >= 0 || '0' <= next && next <= '9' || isLetter(next) {
				return true
			}
		}
	}
	return false
}

func (c *checker) findInLikes() {
	liked := map[*section]bool{}
	for _, s := range c.first {
		for _, like := range s.likes() {
			liked[c.first[upperName(like.text)]] = true
		}
	}
	const onPath, done = 1, 2
	state := map[*section]int{}
	var visit func(s *section)
	visit = func(s *section) {
		state[s] = onPath
		for _, like := range s.likes() {
			switch to := c.first[upperName(like.text)]; {
			case to == nil:
				c.add(Warning, like.start, "LIKE names [%s], which is not there", like.text)
			case state[to] == onPath:
				c.add(Error, like.start,
					"LIKE leads back to [%s] in a circle, in which getltscfg hangs, and the client with it", like.text)
			case state[to] == 0:
				visit(to)
			}
		}
		state[s] = done
	}
	for i := range c.file.sections {
		s := &c.file.sections[i]
		if c.first[upperName(s.name.text)] != s || state[s] != 0 {
			continue
		}
		visit(s)
		if isSameName(s.name.text, "default") && !liked[s] {
			for _, like := range s.likes() {
				c.add(Warning, like.start, "getltscfg does not follow LIKE in [default]")
			}
		}
	}
}

// findCoveredGlobs finds patterns whose every match an earlier pattern takes.
func (c *checker) findCoveredGlobs() {
	var earlier []*section
	for i := range c.file.sections {
		s := &c.file.sections[i]
		if !strings.ContainsAny(s.name.text, "*?[\\") || c.first[upperName(s.name.text)] != s {
			continue
		}
		for _, e := range earlier {
			if coversPattern(e.name.text, s.name.text) {
				file, line, _ := c.file.position(e.start)
				c.add(Warning, s.start, "[%s] never counts, since [%s] at %s:%d matches first; put it above that",
					s.name.text, e.name.text, file, line)
				break
			}
		}
		earlier = append(earlier, s)
	}
}
