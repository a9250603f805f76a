package farm

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"ltskeeper/internal/remedy"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// A kind is what a TOML value is; dates and times are other kinds. This file alone knows the
// parser.
type kind = unstable.Kind

const (
	stringKind  = unstable.String
	integerKind = unstable.Integer
	floatKind   = unstable.Float
	boolKind    = unstable.Bool
	arrayKind   = unstable.Array
	tableKind   = unstable.InlineTable // or one of its own
)

// A source is a file of the declaration.
type source struct {
	path     string
	text     []byte
	mistakes *Mistakes // of all files
}

// A value is a TOML value that knows its position.
type value struct {
	offset     int
	kind       kind
	text       string   // of a string, or the literal as it is written
	items      []*value // of an array or a table
	name       string   // its key in a table
	nameOffset int
}

// parse reads the text as TOML and returns its root table. A syntax error is the only mistake that
// it adds, and the only one that can be told of such a file.
func (s *source) parse() (root place, isOK bool) {
	root = place{source: s, offset: -1, value: &value{kind: tableKind}}
	var valid map[string]any
	if err := toml.Unmarshal(s.text, &valid); err != nil {
		s.addSyntaxMistake(err)
		return root, false
	}
	here := root.value
	var p unstable.Parser
	p.Reset(s.text)
	for p.NextExpression() {
		switch e := p.Expression(); e.Kind {
		case unstable.Table:
			here = root.value.descend(readKeyParts(e))
		case unstable.ArrayTable:
			here = root.value.appendTable(readKeyParts(e))
		case unstable.KeyValue:
			here.set(e)
		}
	}
	return root, true
}

// addSyntaxMistake adds why go-toml does not take the text.
func (s *source) addSyntaxMistake(err error) {
	m := Mistake{File: s.path, Msg: "it is not TOML: " + strings.TrimPrefix(err.Error(), "toml: "), Syntax: true}
	if d, is := errors.AsType[*toml.DecodeError](err); is {
		m.Line, m.Column = d.Position()
		m.Key = strings.Join(d.Key(), ".")
		m.Remedies = []remedy.Remedy{remedy.Advice("put strings in double quotes, and write every key once")}
	}
	*s.mistakes = append(*s.mistakes, m)
}

// readKeyParts returns the parts of a dotted key, each as an empty table.
func readKeyParts(e *unstable.Node) (parts []*value) {
	for it := e.Key(); it.Next(); {
		n := it.Node()
		at := int(n.Raw.Offset)
		parts = append(parts, &value{name: string(n.Data), nameOffset: at, offset: at, kind: tableKind})
	}
	return parts
}

// find returns the value of a key in a table, or nil.
func (v *value) find(name string) *value {
	i := slices.IndexFunc(v.items, func(item *value) bool { return item.name == name })
	if i < 0 {
		return nil
	}
	return v.items[i]
}

// findOrAdd returns the value in a table that has the name of item. If there is none, it adds item.
func (v *value) findOrAdd(item *value) *value {
	if found := v.find(item.name); found != nil {
		return found
	}
	v.items = append(v.items, item)
	return item
}

// descend returns the table under a dotted key and makes what is missing of it. Of an array of
// tables it takes the last, as TOML does.
func (v *value) descend(parts []*value) *value {
	for _, part := range parts {
		v = v.findOrAdd(part)
		if v.kind == arrayKind {
			v = v.items[len(v.items)-1]
		}
	}
	return v
}

// appendTable adds a table to the array of tables under a dotted key.
func (v *value) appendTable(parts []*value) *value {
	last := parts[len(parts)-1]
	last.kind = arrayKind
	array := v.descend(parts[:len(parts)-1]).findOrAdd(last)
	table := &value{offset: last.offset, kind: tableKind}
	array.items = append(array.items, table)
	return table
}

// set adds a key with its value.
func (v *value) set(e *unstable.Node) {
	parts := readKeyParts(e)
	last := parts[len(parts)-1]
	last.fill(e.Value(), last.offset)
	v = v.descend(parts[:len(parts)-1])
	v.items = append(v.items, last)
}

// fill copies a value out of the parser. One that the parser keeps no position of gets that of its
// key.
func (v *value) fill(n *unstable.Node, key int) {
	v.offset, v.kind, v.text = key, n.Kind, string(n.Data)
	if n.Raw.Length > 0 {
		v.offset = int(n.Raw.Offset)
	}
	for it := n.Children(); it.Next(); {
		if n.Kind == unstable.InlineTable {
			v.set(it.Node())
			continue
		}
		item := &value{}
		item.fill(it.Node(), key)
		v.items = append(v.items, item)
	}
}

// describe says what kind of value it is.
func (v *value) describe() string {
	switch v.kind {
	case stringKind:
		return fmt.Sprintf("%q is a string", v.text)
	case integerKind, floatKind:
		return v.text + " is a number"
	case boolKind:
		return v.text + " is true or false"
	case arrayKind:
		return "it is a list"
	case tableKind:
		return "it is a table"
	default:
		return v.text + " is a date or time"
	}
}
