package ltsconf

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// Set gives a key of a section a value, and leaves every other byte as it was. It changes the
// setting that counts (see Get); without one, it adds a line after the section's last setting, in
// that one's style; without the section, it adds that at the end. Where a bare value comes to need
// quotes, and its line holds other double quotes, in a comment for one, it gets a line of its own,
// because a quoted value runs to the last double quote on its line; a carriage return beside it
// goes, which would be a word of its own. A last line without an end gets one before another is
// added.
//
// The error says what is wrong with the section, key or value (see CheckSection, CheckKey and
// CheckValue), or what is in the way in the file, which is then as it was.
func (f *File) Set(section, key, value string) error {
	text, err := f.set(section, key, value)
	if err == nil {
		err = f.become(text, func(f *File) bool {
			v, ok := f.Get(section, key)
			return ok && v == value
		})
	}
	if err != nil {
		return fmt.Errorf("set %s in [%s] of %s: %w", key, section, f.parts[0].name, err)
	}
	return nil
}

// Delete removes a key's settings from a section, with the comments on their lines, until Get finds
// none. A section that would be left without a setting goes, too, since getltscfg stops at one. If
// another section of that name stood behind it, that one counts then. Deleting what is not there is
// no error.
func (f *File) Delete(section, key string) error {
	for {
		s := f.section(section)
		if s == nil || s.find(key) < 0 {
			return nil
		}
		n := len(s.settings)
		err := f.become(f.without(s, s.find(key)), func(g *File) bool {
			now := g.section(section)
			return n == 1 && len(g.sections) == len(f.sections)-1 || n > 1 && now != nil && len(now.settings) == n-1
		})
		if err != nil {
			return fmt.Errorf("delete %s in [%s] of %s: %w", key, section, f.parts[0].name, err)
		}
	}
}

// CheckKey says why Set would refuse a key: one must be a shell's variable name.
func CheckKey(key string) error {
	for i := range len(key) {
		if c := lower(key[i]); c != '_' && (c < 'a' || c > 'z') && (i == 0 || c < '0' || c > '9') {
			return fmt.Errorf("check key %q: only letters, digits and _ make a key, and no digit comes first", key)
		}
	}
	switch key {
	case "":
		return errors.New("check key: it is empty")
	case "include":
		return errors.New("check key include: getltscfg takes it for an include line; write it in upper case")
	}
	return nil
}

// CheckValue says why Set would refuse a value: clients hand it to a shell in double quotes, so it
// may hold no double quote, dollar sign, backquote, backslash or control character.
func CheckValue(value string) error {
	if i := strings.IndexAny(value, "\"$`\\"); i >= 0 {
		return fmt.Errorf("check value %q: it holds a %c, which is code to the shell of a client", value, value[i])
	}
	if i := strings.IndexFunc(value, isControl); i >= 0 {
		return fmt.Errorf("check value %q: it holds a control character", value)
	}
	return nil
}

// CheckSection says why Set would refuse to add a section of that name: it is empty, or holds a double quote or a
// control character.
func CheckSection(name string) error {
	switch {
	case name == "":
		return errors.New("check section: its name is empty")
	case strings.Contains(name, `"`):
		return fmt.Errorf("check section %q: the name holds a double quote", name)
	case strings.IndexFunc(name, isControl) >= 0:
		return fmt.Errorf("check section %q: the name holds a control character", name)
	}
	return nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

func (f *File) set(section, key, value string) ([]byte, error) {
	if err := errors.Join(CheckKey(key), CheckValue(value)); err != nil {
		return nil, err
	}
	s := f.section(section)
	if s == nil {
		if err := CheckSection(section); err != nil {
			return nil, err
		}
		return f.addSection(section, key, value), nil
	}
	if i := s.find(key); i >= 0 {
		return f.changeValue(s.settings[i].value, value), nil
	}
	return f.addSetting(s, key, value), nil
}

// changeValue keeps quotes where there are some.
func (f *File) changeValue(old token, value string) []byte {
	switch {
	case old.text == value:
		return f.text
	case old.quoted:
		return splice(f.text, old.start, old.end, quote(value))
	case !needsQuotes(value):
		return splice(f.text, old.start, old.end, value)
	}
	// Of the white space that belonged to the bare word, a carriage return would be a word of its own now.
	start, end := old.start, old.end
	if !isBlank(f.text[old.from:start]) {
		start = old.from
	}
	if !isBlank(f.text[end:old.stop]) {
		end = old.stop
	}
	value = quote(value)
	if bytes.IndexByte(f.text[f.lineStart(start):start], '"') >= 0 {
		value = "\n" + value
	}
	if bytes.IndexByte(f.text[end:f.lineEnd(end)], '"') >= 0 {
		value += "\n"
	}
	return splice(f.text, start, end, value)
}

// addSetting adds a line after the section's last setting.
func (f *File) addSetting(s *section, key, value string) []byte {
	last := s.settings[len(s.settings)-1]
	line := f.lineLike(last, key, value)
	at := f.lineEnd(last.value.stop)
	switch {
	case f.sectionIn(last.value.stop, at):
		return splice(f.text, last.value.stop, last.value.stop, "\n"+line+"\n")
	case at == len(f.text):
		return splice(f.text, at, at, "\n"+line+"\n")
	}
	return splice(f.text, at+1, at+1, line+"\n")
}

// sectionIn reports whether a section begins between two offsets.
func (f *File) sectionIn(from, to int) bool {
	for _, s := range f.sections {
		if from <= s.start && s.start < to {
			return true
		}
	}
	return false
}

// addSection adds a section at the end, after an empty line.
func (f *File) addSection(section, key, value string) []byte {
	var b bytes.Buffer
	b.Write(f.text)
	if len(f.text) > 0 && !bytes.HasSuffix(f.text, []byte("\n")) {
		b.WriteByte('\n')
	}
	if len(f.text) > 0 && !bytes.HasSuffix(f.text, []byte("\n\n")) {
		b.WriteByte('\n')
	}
	if strings.ContainsAny(section, special) || strings.Trim(section, " ") != section {
		section = quote(section)
	}
	line := key + " = " + plain(value)
	if n := len(f.sections); n > 0 {
		settings := f.sections[n-1].settings
		line = f.lineLike(settings[len(settings)-1], key, value)
	}
	fmt.Fprintf(&b, "[%s]\n%s\n", section, line)
	return b.Bytes()
}

// lineLike makes a line with the indentation of another, its blanks around the equals sign, and that in its column.
func (f *File) lineLike(s setting, key, value string) string {
	indent := f.text[f.lineStart(s.key.start):s.key.start]
	if !isBlank(indent) {
		indent = nil
	}
	left, right, _ := bytes.Cut(f.text[s.key.end:s.value.start], []byte("="))
	if !isBlank(left) || !isBlank(right) {
		left, right = []byte(" "), []byte(" ")
	}
	if len(left) > 1 && !bytes.Contains(left, []byte("\t")) {
		column := s.key.end - s.key.start + len(left)
		left = bytes.Repeat([]byte(" "), max(1, column-len(key)))
	}
	return fmt.Sprintf("%s%s%s=%s%s", indent, key, left, right, plain(value))
}

// without returns the text without a setting, or without the section if that is all it has.
func (f *File) without(s *section, i int) []byte {
	start, stop := s.settings[i].key.start, s.settings[i].value.stop
	if len(s.settings) > 1 {
		return cut(f.text, start, stop)
	}
	if bytes.IndexByte(f.text[s.end:start], '\n') < 0 {
		return cut(f.text, s.start, stop)
	}
	return cut(cut(f.text, start, stop), s.start, s.end)
}

// cut removes a piece of text: whole lines, with the comment behind, or what else it must leave a line end for.
func cut(text []byte, start, stop int) []byte {
	from := bytes.LastIndexByte(text[:start], '\n') + 1
	to := len(text)
	if n := bytes.IndexByte(text[stop:], '\n'); n >= 0 {
		to = stop + n + 1
	}
	before := bytes.TrimLeft(text[from:start], space+"'")
	behind := bytes.TrimLeft(text[stop:to], space+"'")
	switch {
	case len(behind) > 0 && behind[0] != '#':
		return splice(text, start, stop, "\n")
	case len(before) > 0:
		return splice(text, start, stop, "")
	}
	return splice(text, from, to, "")
}

// become takes over a changed text if getltscfg takes it, too, and it is as it should be.
func (f *File) become(text []byte, asItShould func(*File) bool) error {
	g, faults := parse(f.parts[0].name, text, nil)
	switch {
	case len(faults) > 0:
		return g.syntaxErrors(faults)
	case !asItShould(g):
		return errors.New("something in the file is in the way, such as a stray quote: see what a check of it says")
	case g.unread() < len(g.text) && f.unread() == len(f.text):
		return fmt.Errorf("the file would grow beyond %d bytes, and getltscfg reads no more of one with an include line", chunk)
	}
	*f = *g
	return nil
}

func splice(text []byte, from, to int, s string) []byte {
	return append(append(bytes.Clone(text[:from]), s...), text[to:]...)
}

func (f *File) lineStart(offset int) int { return bytes.LastIndexByte(f.text[:offset], '\n') + 1 }

func (f *File) lineEnd(offset int) int {
	if n := bytes.IndexByte(f.text[offset:], '\n'); n >= 0 {
		return offset + n
	}
	return len(f.text)
}

func isBlank(text []byte) bool { return len(bytes.Trim(text, " \t")) == 0 }

func quote(s string) string { return `"` + s + `"` }

// plain returns a value as it is written into a line of its own.
func plain(value string) string {
	if needsQuotes(value) {
		return quote(value)
	}
	return value
}

// needsQuotes reports whether a value is to stand in quotes. A bare one may hold blanks, but need not; include is one
// that would be a line of that kind if it stands at the beginning of a line.
func needsQuotes(value string) bool {
	return value == "" || value == "include" || strings.ContainsAny(value, special+space)
}
