package farm

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"ltskeeper/internal/spelling"

	"github.com/pelletier/go-toml/v2/unstable"
)

// A place is a value where it stands. Its methods read it into Go values: if it is not what they
// want, they note a mistake and leave what they point to.
type place struct {
	source *source
	key    string // from the root of the file
	offset int    // in the text; below 0 for the file as a whole
	value  value
}

// readers is what a table may hold, and how each key is read.
type readers map[string]func(place)

// mistake notes what is wrong with the value.
func (p place) mistake(msg, remedy string) {
	*p.source.mistakes = append(*p.source.mistakes, p.wrong(msg, remedy))
}

// wrong returns a mistake about the value.
func (p place) wrong(msg, remedy string) Mistake {
	m := Mistake{File: p.source.path, Key: p.key, Msg: msg, Remedy: remedy}
	if p.offset >= 0 {
		before := p.source.text[:p.offset]
		m.Line = bytes.Count(before, []byte("\n")) + 1
		m.Column = len(before) - bytes.LastIndexByte(before, '\n')
	}
	return m
}

// is tells whether the value has that kind.
func (p place) is(kind unstable.Kind, remedy string) bool {
	if p.value.kind == kind {
		return true
	}
	p.mistake(p.value.describe(), remedy)
	return false
}

// readTable reads a table. Keys that it may not hold are mistakes.
func (s *source) readTable(key string, t *table, known readers) {
	for _, f := range t.fields {
		p := place{source: s, key: f.name, offset: f.value.offset, value: f.value}
		if key != "" {
			p.key = key + "." + f.name
		}
		if read, ok := known[f.name]; ok {
			read(p)
			continue
		}
		p.offset = f.offset
		names := slices.Sorted(maps.Keys(known))
		if near := spelling.FindNearest(f.name, names); near != "" {
			p.mistake("there is no such key", "did you mean "+near+"?")
		} else {
			p.mistake("there is no such key",
				"the keys here are "+strings.Join(names, ", ")+"; man ltskeeper.toml explains them")
		}
	}
}

// table reads a table.
func (p place) table(known readers) {
	if p.is(unstable.InlineTable, "write it as a section: ["+p.key+"]") {
		p.source.readTable(p.key, p.value.table, known)
	}
}

// require notes which keys a table lacks.
func (p place) require(names ...string) {
	for _, name := range names {
		if p.value.table.find(name) == nil {
			p.mistake("there is no "+name+" in it", "every [["+p.key+"]] needs one")
		}
	}
}

// tables calls read for each table of an array of tables.
func (p place) tables(read func(place)) {
	remedy := "write a section for each one: [[" + p.key + "]]"
	if !p.is(unstable.Array, remedy) {
		return
	}
	for item := range p.items {
		if item.is(unstable.InlineTable, remedy) {
			read(item)
		}
	}
}

// items yields the elements of an array.
func (p place) items(yield func(place) bool) {
	for _, v := range p.value.items {
		if !yield(place{source: p.source, key: p.key, offset: v.offset, value: v}) {
			return
		}
	}
}

// text reads a string.
func (p place) text(to *string) bool {
	if !p.is(unstable.String, "put it in double quotes") {
		return false
	}
	*to = p.value.text
	return true
}

// texts calls read for each string of a list.
func (p place) texts(read func(p place, text string)) {
	remedy := `write a list of strings: ["..."]`
	if p.value.kind == unstable.String {
		remedy = fmt.Sprintf("write [%q]", p.value.text)
	}
	if !p.is(unstable.Array, remedy) {
		return
	}
	for item := range p.items {
		var text string
		if item.text(&text) {
			read(item, text)
		}
	}
}

// bool reads true or false.
func (p place) bool(to *bool) {
	if p.is(unstable.Bool, "write true or false, without quotes") {
		*to = p.value.text == "true"
	}
}

// int reads a number from least to most.
func (p place) int(to *int, least, most int) {
	if !p.is(unstable.Integer, "write a whole number, without quotes") {
		return
	}
	n, err := strconv.ParseInt(p.value.text, 0, 0)
	switch {
	case err == nil && least <= int(n) && int(n) <= most:
		*to = int(n)
	case most == math.MaxInt32:
		p.mistake(p.value.text+" is out of range", fmt.Sprintf("it is at least %d", least))
	default:
		p.mistake(p.value.text+" is out of range", fmt.Sprintf("it is a number from %d to %d", least, most))
	}
}

// duration reads a time span that is not negative.
func (p place) duration(to *time.Duration) bool {
	const remedy = `write numbers with units, like "5s", "1m30s" or "336h"`
	var text string
	if p.value.kind != unstable.String {
		p.mistake(p.value.describe(), remedy)
		return false
	}
	text = p.value.text
	d, err := time.ParseDuration(text)
	if days, found := strings.CutSuffix(text, "d"); err != nil && found {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			p.mistake("there are no days in time spans", fmt.Sprintf("write hours: \"%dh\"", 24*n))
			return false
		}
	}
	if err != nil || d < 0 {
		p.mistake(fmt.Sprintf("%q is no time span", text), remedy)
		return false
	}
	*to = d
	return true
}

// word reads one of the words.
func (p place) word(to *string, words ...string) {
	var text string
	if !p.text(&text) {
		return
	}
	if slices.Contains(words, text) {
		*to = text
		return
	}
	remedy := "write " + strings.Join(words, " or ")
	if near := spelling.FindNearest(text, words); near != "" {
		remedy = "did you mean " + near + "?"
	}
	p.mistake(fmt.Sprintf("%q means nothing here", text), remedy)
}

// choice reads one of two words: to becomes true for the first.
func (p place) choice(to *bool, yes, no string) {
	word := no
	if *to {
		word = yes
	}
	p.word(&word, yes, no)
	*to = word == yes
}

// path reads a path. A relative one counts from the folder dir.
func (p place) path(to *string, dir string) bool {
	var text string
	switch {
	case !p.text(&text):
		return false
	case text == "":
		p.mistake("the path is empty", "name a file or folder, or leave the key out for its default")
		return false
	case strings.ContainsFunc(text, unicode.IsControl):
		p.mistake("there is a control character in the path", "take it out")
		return false
	case !filepath.IsAbs(text):
		text = filepath.Join(dir, text)
	}
	*to = filepath.Clean(text)
	return true
}
