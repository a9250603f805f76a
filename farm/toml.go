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

// A kind is what a TOML value is. This file alone knows the parser.
type kind int

const (
	dateKind kind = iota // or a time
	stringKind
	integerKind
	floatKind
	boolKind
	arrayKind
	tableKind
)

var kinds = map[unstable.Kind]kind{
	unstable.String: stringKind, unstable.Integer: integerKind, unstable.Float: floatKind, unstable.Bool: boolKind,
	unstable.Array: arrayKind, unstable.InlineTable: tableKind,
}

// A source is a file of the declaration.
type source struct {
	path     string
	text     []byte
	mistakes *Mistakes // of all files
}

// A table is a TOML table that knows the position of everything in it.
type table struct{ fields []field }

// A field is a key of a table with its value.
type field struct {
	name   string
	offset int // of the name
	value  value
}

// A value is a TOML value.
type value struct {
	offset int
	kind   kind
	text   string  // of a string, or the literal as it is written
	items  []value // of an array
	table  *table  // of a table
}

// parse reads the text as TOML and returns its root table. A syntax error is the only mistake that
// it adds, and the only one that can be told of such a file.
func (s *source) parse() (root place, isOK bool) {
	root = place{source: s, offset: -1, value: newTable(0)}
	var valid map[string]any
	if err := toml.Unmarshal(s.text, &valid); err != nil {
		s.addSyntaxMistake(err)
		return root, false
	}
	here := root.value.table
	var p unstable.Parser
	p.Reset(s.text)
	for p.NextExpression() {
		switch e := p.Expression(); e.Kind {
		case unstable.Table:
			here = root.value.table.descend(readKeyParts(e))
		case unstable.ArrayTable:
			here = root.value.table.appendTable(readKeyParts(e))
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

// readKeyParts returns the parts of a dotted key.
func readKeyParts(e *unstable.Node) []field {
	var parts []field
	for it := e.Key(); it.Next(); {
		n := it.Node()
		parts = append(parts, field{name: string(n.Data), offset: int(n.Raw.Offset)})
	}
	return parts
}

// find returns the field with that name, or nil.
func (t *table) find(name string) *field {
	i := slices.IndexFunc(t.fields, func(f field) bool { return f.name == name })
	if i < 0 {
		return nil
	}
	return &t.fields[i]
}

// findOrAdd returns the field with that name, which it adds if there is none.
func (t *table) findOrAdd(f field) *field {
	if found := t.find(f.name); found != nil {
		return found
	}
	t.fields = append(t.fields, f)
	return &t.fields[len(t.fields)-1]
}

// descend returns the table under a dotted key and makes what is missing of it. Of an array of
// tables it takes the last, as TOML does.
func (t *table) descend(parts []field) *table {
	for _, part := range parts {
		part.value = newTable(part.offset)
		v := t.findOrAdd(part).value
		if n := len(v.items); n > 0 {
			v = v.items[n-1]
		}
		t = v.table
	}
	return t
}

// appendTable adds a table to the array of tables under a dotted key.
func (t *table) appendTable(parts []field) *table {
	last := parts[len(parts)-1]
	last.value = value{offset: last.offset, kind: arrayKind}
	f := t.descend(parts[:len(parts)-1]).findOrAdd(last)
	v := newTable(last.offset)
	f.value.items = append(f.value.items, v)
	return v.table
}

// set adds a key with its value.
func (t *table) set(e *unstable.Node) {
	parts := readKeyParts(e)
	last := parts[len(parts)-1]
	last.value = newValue(e.Value(), last.offset)
	t = t.descend(parts[:len(parts)-1])
	t.fields = append(t.fields, last)
}

func newTable(offset int) value {
	return value{offset: offset, kind: tableKind, table: &table{}}
}

// newValue copies a value out of the parser. One that the parser keeps no position of gets that of
// its key.
func newValue(n *unstable.Node, key int) value {
	v := value{offset: key, kind: kinds[n.Kind], text: string(n.Data)}
	if n.Raw.Length > 0 {
		v.offset = int(n.Raw.Offset)
	}
	switch n.Kind {
	case unstable.Array:
		for it := n.Children(); it.Next(); {
			v.items = append(v.items, newValue(it.Node(), key))
		}
	case unstable.InlineTable:
		v.table = &table{}
		for it := n.Children(); it.Next(); {
			v.table.set(it.Node())
		}
	}
	return v
}

// describe says what kind of value it is.
func (v value) describe() string {
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
