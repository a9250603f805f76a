package ltsconf

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Set gives a key of a section a value, and leaves every other byte as it was. It changes the
// setting that counts (see Get); without one, it adds a line after the section's last setting, in
// that one's style; without the section, it adds that at the end. Where a bare value comes to need
// quotes, and its line holds other double quotes, as in a comment, it gets a line of its own,
// because a quoted value runs to the last double quote on its line. A carriage return beside it,
// which would be a word of its own, is removed. A last line without an end gets one before another
// is added.
//
// The error says what is wrong with the section, key or value (see CheckSection, CheckKey and
// CheckValue), or what in the file prevents it. The file is then as it was.
func (f *File) Set(section, key, value string) error {
	text, err := f.textWith(section, key, value)
	if err == nil {
		err = f.replaceText(text, func(f *File) bool {
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
// none. A section that would be left without a setting is removed, too, since getltscfg stops at
// one. If another section of that name follows it, that one counts then. Deleting what does not
// exist is not an error.
func (f *File) Delete(section, key string) error {
	for {
		s := f.findSection(section)
		if s == nil || s.find(key) < 0 {
			return nil
		}
		n := len(s.settings)
		err := f.replaceText(f.textWithout(s, s.find(key)), func(g *File) bool {
			now := g.findSection(section)
			return n == 1 && len(g.sections) == len(f.sections)-1 || n > 1 && now != nil && len(now.settings) == n-1
		})
		if err != nil {
			return fmt.Errorf("delete %s in [%s] of %s: %w", key, section, f.parts[0].name, err)
		}
	}
}

// CheckKey fails if Set would refuse a key: one must be a shell's variable name.
func CheckKey(key string) error {
	for i := range len(key) {
		if c := key[i]; c != '_' && !isLetter(c) && (i == 0 || c < '0' || c > '9') {
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

// CheckValue fails if Set would refuse a value: clients pass it to a shell in double quotes, so it
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

// CheckSection fails if Set would refuse to add a section of that name: it is empty, or holds a
// double quote or a control character.
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

func (f *File) textWith(section, key, value string) ([]byte, error) {
	if err := errors.Join(CheckKey(key), CheckValue(value)); err != nil {
		return nil, err
	}
	s := f.findSection(section)
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

// changeValue replaces a value, and keeps its quotes.
func (f *File) changeValue(old token, value string) []byte {
	switch {
	case old.text == value:
		return f.text
	case old.quoted:
		return spliceText(f.text, old.start, old.end, quoteWord(value))
	case !needsQuotes(value):
		return spliceText(f.text, old.start, old.end, value)
	}
	// A carriage return in the white space that belonged to the bare word would be a word now.
	start, end := old.start, old.end
	if !isBlank(f.text[old.from:start]) {
		start = old.from
	}
	if !isBlank(f.text[end:old.stop]) {
		end = old.stop
	}
	value = quoteWord(value)
	if bytes.IndexByte(f.text[findLineStart(f.text, start):start], '"') >= 0 {
		value = "\n" + value
	}
	if bytes.IndexByte(f.text[end:findLineEnd(f.text, end)], '"') >= 0 {
		value += "\n"
	}
	return spliceText(f.text, start, end, value)
}

// addSetting adds a line after the section's last setting.
func (f *File) addSetting(s *section, key, value string) []byte {
	last := s.settings[len(s.settings)-1]
	line := f.lineLike(last, key, value)
	at := findLineEnd(f.text, last.value.stop)
	switch {
	case f.hasSectionIn(last.value.stop, at):
		return spliceText(f.text, last.value.stop, last.value.stop, "\n"+line+"\n")
	case at == len(f.text):
		return spliceText(f.text, at, at, "\n"+line+"\n")
	}
	return spliceText(f.text, at+1, at+1, line+"\n")
}

// hasSectionIn reports whether a section begins between two offsets.
func (f *File) hasSectionIn(from, to int) bool {
	return slices.ContainsFunc(f.sections, func(s section) bool { return from <= s.start && s.start < to })
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
		section = quoteWord(section)
	}
	line := key + " = " + formatValue(value)
	if n := len(f.sections); n > 0 {
		settings := f.sections[n-1].settings
		line = f.lineLike(settings[len(settings)-1], key, value)
	}
	fmt.Fprintf(&b, "[%s]\n%s\n", section, line)
	return b.Bytes()
}

// lineLike makes a line like another: with its indentation, its blanks around the equals sign, and
// that in the same column.
func (f *File) lineLike(s assignment, key, value string) string {
	indent := f.text[findLineStart(f.text, s.key.start):s.key.start]
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
	return fmt.Sprintf("%s%s%s=%s%s", indent, key, left, right, formatValue(value))
}

// textWithout returns the text without a setting, or without the section if that is all it has.
func (f *File) textWithout(s *section, i int) []byte {
	start, stop := s.settings[i].key.start, s.settings[i].value.stop
	if len(s.settings) > 1 {
		return cutSetting(f.text, start, stop)
	}
	if bytes.IndexByte(f.text[s.end:start], '\n') < 0 {
		return cutSetting(f.text, s.start, stop)
	}
	return cutSetting(cutSetting(f.text, start, stop), s.start, s.end)
}

// cutSetting removes a setting from a text, with its whole line and a comment after it, if nothing
// else is there.
func cutSetting(text []byte, start, stop int) []byte {
	from, to := findLineStart(text, start), min(findLineEnd(text, stop)+1, len(text))
	before := bytes.TrimLeft(text[from:start], space+"'")
	behind := bytes.TrimLeft(text[stop:to], space+"'")
	switch {
	case len(behind) > 0 && behind[0] != '#':
		return spliceText(text, start, stop, "\n")
	case len(before) > 0:
		return spliceText(text, start, stop, "")
	}
	return spliceText(text, from, to, "")
}

// replaceText takes over a changed text if getltscfg reads all of it, and it is as it should be.
func (f *File) replaceText(text []byte, isRight func(*File) bool) error {
	g, faults := parseText(f.parts[0].name, text, nil)
	switch {
	case len(faults) > 0:
		return g.explainFaults(faults)
	case !isRight(g):
		return errors.New("something in the file is in the way, such as a stray quote: see what a check of it says")
	case g.findUnread() < len(g.text) && f.findUnread() == len(f.text):
		return fmt.Errorf("the file would grow beyond %d bytes, "+
			"and getltscfg reads no more of one with an include line", chunk)
	}
	*f = *g
	return nil
}

func spliceText(text []byte, from, to int, s string) []byte {
	return slices.Concat(text[:from], []byte(s), text[to:])
}

// findLineStart returns where the line begins that an offset of a text is on.
func findLineStart(text []byte, offset int) int { return bytes.LastIndexByte(text[:offset], '\n') + 1 }

// findLineEnd returns where that line ends, without its newline.
func findLineEnd(text []byte, offset int) int {
	if n := bytes.IndexByte(text[offset:], '\n'); n >= 0 {
		return offset + n
	}
	return len(text)
}

func isBlank(text []byte) bool { return len(bytes.Trim(text, " \t")) == 0 }

func quoteWord(s string) string { return `"` + s + `"` }

// formatValue returns a value as it is written into a new line.
func formatValue(value string) string {
	if needsQuotes(value) {
		return quoteWord(value)
	}
	return value
}

// needsQuotes reports whether a value is written in quotes. A bare one may hold blanks, but it does
// not here. A bare include at the beginning of a line would be an include line.
func needsQuotes(value string) bool {
	return value == "" || value == "include" || strings.ContainsAny(value, special+space)
}
