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

	"ltskeeper/internal/remedy"
	"ltskeeper/internal/spelling"
	"ltskeeper/ldm"
)

// A place is where a value is in a file. Its methods read the value into Go values: if it is not
// what they want, they add a mistake and leave what they point to.
type place struct {
	source *source
	key    string // from the root of the file
	offset int    // in the text; below 0 for the file as a whole
	value  *value
}

// readers is what a table may hold, and how each key is read.
type readers map[string]func(place)

// addMistake adds what is wrong with the value.
func (p place) addMistake(msg string, advice remedy.Advice) { p.addMistakeWith(msg, advice) }

// addMistakeWith is addMistake with remedies that are not a mere advice.
func (p place) addMistakeWith(msg string, remedies ...remedy.Remedy) {
	*p.source.mistakes = append(*p.source.mistakes, p.newMistake(msg, remedies...))
}

func (p place) newMistake(msg string, remedies ...remedy.Remedy) Mistake {
	m := Mistake{File: p.source.path, Key: p.key, Msg: msg, Remedies: remedies}
	if p.offset >= 0 {
		before := p.source.text[:p.offset]
		m.Line = bytes.Count(before, []byte("\n")) + 1
		m.Column = len(before) - bytes.LastIndexByte(before, '\n')
	}
	return m
}

// checkKind returns whether the value has that kind, and adds a mistake if it has not.
func (p place) checkKind(k kind, advice remedy.Advice) (isOK bool) {
	if p.value.kind != k {
		p.addMistake(p.value.describe(), advice)
	}
	return p.value.kind == k
}

// readTable reads a table. Keys that it may not hold are mistakes.
func (p place) readTable(known readers) {
	if !p.checkKind(tableKind, remedy.Advice("write it as a section: ["+p.key+"]")) {
		return
	}
	for at := range p.items {
		name := at.value.name
		if read, ok := known[name]; ok {
			read(at)
			continue
		}
		at.offset = at.value.nameOffset
		names := slices.Sorted(maps.Keys(known))
		advice := "use one of these: " + strings.Join(names, ", ") + "; man ltskeeper.toml explains them"
		if near := spelling.FindNearest(name, names); near != "" {
			advice = "did you mean " + near + "?"
		}
		at.addMistake("there is no such key", remedy.Advice(advice))
	}
}

// requireKeys adds which keys a table of an array lacks.
func (p place) requireKeys(names ...string) {
	for _, name := range names {
		if p.value.find(name) == nil {
			p.addMistake("there is no "+name+" in it", remedy.Advice("add it: every [["+p.key+"]] needs one"))
		}
	}
}

// readTables calls read for each table of an array of tables.
func (p place) readTables(read func(place)) {
	advice := remedy.Advice("write a section for each one: [[" + p.key + "]]")
	if !p.checkKind(arrayKind, advice) {
		return
	}
	for item := range p.items {
		if item.checkKind(tableKind, advice) {
			read(item)
		}
	}
}

// items yields what is in an array or a table.
func (p place) items(yield func(place) bool) {
	for _, v := range p.value.items {
		at := place{source: p.source, key: p.key, offset: v.offset, value: v}
		switch {
		case p.key == "":
			at.key = v.name
		case p.value.kind == tableKind:
			at.key += "." + v.name
		}
		if !yield(at) {
			return
		}
	}
}

func (p place) readText(to *string) (isOK bool) {
	if !p.checkKind(stringKind, "put it in double quotes") {
		return false
	}
	*to = p.value.text
	return true
}

// readChecked reads a string and checks it. One in which check finds a mistake is read, too.
func (p place) readChecked(to *string, check func(p place, text string)) {
	if p.readText(to) {
		check(p, *to)
	}
}

// readTexts reads a list of strings. Those in which check finds a mistake are read, too.
func (p place) readTexts(to *[]string, check func(p place, text string)) {
	p.readEachText(func(p place, text string) {
		check(p, text)
		*to = append(*to, text)
	})
}

// readEachText calls read for each string of a list.
func (p place) readEachText(read func(p place, text string)) {
	var advice remedy.Advice = `write a list of strings: ["..."]`
	if p.value.kind == stringKind {
		advice = remedy.Advice(fmt.Sprintf("write [%q]", p.value.text))
	}
	if !p.checkKind(arrayKind, advice) {
		return
	}
	for item := range p.items {
		var text string
		item.readChecked(&text, read)
	}
}

func (p place) readBool(to *bool) {
	if p.checkKind(boolKind, "write true or false, without quotes") {
		*to = p.value.text == "true"
	}
}

// readInt reads a number from least to most.
func (p place) readInt(to *int, least, most int) {
	if !p.checkKind(integerKind, "write a whole number, without quotes") {
		return
	}
	n, err := strconv.ParseInt(p.value.text, 0, 0)
	if err == nil && least <= int(n) && int(n) <= most {
		*to = int(n)
		return
	}
	advice := fmt.Sprintf("write a number from %d to %d", least, most)
	if most == math.MaxInt32 {
		advice = fmt.Sprintf("write at least %d", least)
	}
	p.addMistake(p.value.text+" is out of range", remedy.Advice(advice))
}

// readDuration reads a time span that is not negative.
func (p place) readDuration(to *time.Duration) (isOK bool) {
	const advice = `write numbers with units, like "5s", "1m30s" or "336h"`
	if !p.checkKind(stringKind, advice) {
		return false
	}
	text := p.value.text
	d, err := time.ParseDuration(text)
	if days, found := strings.CutSuffix(text, "d"); err != nil && found {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			p.addMistake("there are no days in time spans", remedy.Advice(fmt.Sprintf("write hours: \"%dh\"", 24*n)))
			return false
		}
	}
	if err != nil || d < 0 {
		p.addMistake(fmt.Sprintf("%q is no time span", text), advice)
		return false
	}
	*to = d
	return true
}

// readWord reads one of the words.
func (p place) readWord(to *string, words ...string) {
	var text string
	if !p.readText(&text) {
		return
	}
	if slices.Contains(words, text) {
		*to = text
		return
	}
	advice := "write " + strings.Join(words, " or ")
	if near := spelling.FindNearest(text, words); near != "" {
		advice = "did you mean " + near + "?"
	}
	p.addMistake(fmt.Sprintf("%q means nothing here", text), remedy.Advice(advice))
}

// readChoice reads one of two words: to becomes true for the first.
func (p place) readChoice(to *bool, yes, no string) {
	word := no
	if *to {
		word = yes
	}
	p.readWord(&word, yes, no)
	*to = word == yes
}

// readPath reads a path. A relative one counts from the folder of ltskeeper.toml.
func (p place) readPath(to *string) (isOK bool) {
	var text string
	switch {
	case !p.readText(&text):
		return false
	case text == "":
		p.addMistake("the path is empty", "name a file or folder, or leave the key out for its default")
		return false
	case strings.ContainsFunc(text, unicode.IsControl):
		p.addMistake("there is a control character in the path", "take it out")
		return false
	case !filepath.IsAbs(text):
		text = filepath.Join(filepath.Dir(p.source.path), text)
	}
	*to = filepath.Clean(text)
	return true
}

// readWeight reads how much a server takes beside others.
func (p place) readWeight(to *float64) {
	const advice = "write a number above zero, like 2 or 0.5"
	if p.value.kind != integerKind && !p.checkKind(floatKind, advice) {
		return
	}
	w, err := strconv.ParseFloat(strings.ReplaceAll(p.value.text, "_", ""), 64)
	if err != nil || !ldm.IsValidWeight(w) {
		p.addMistake(p.value.text+" is out of range", advice)
		return
	}
	*to = w
}
