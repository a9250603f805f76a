package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"ltskeeper/keeper"
	"ltskeeper/keys"
)

// joinTypes is the types of keys, each once.
func joinTypes(list []keeper.Key) string {
	var types []string
	for _, k := range list {
		types = append(types, keys.ShortType(k.Type))
	}
	return strings.Join(slices.Compact(types), " ")
}

// describeProvenance is how a key came to be trusted.
func describeProvenance(k keeper.Key) string {
	if k.Comment == "" {
		return ""
	}
	return "(" + k.Comment + ")"
}

// keyRow is a key as ssh-keygen -l prints it, but with its columns under each other.
func keyRow(k keeper.Key) []any {
	bits := ""
	if k.Bits > 0 {
		bits = fmt.Sprint(k.Bits)
	}
	return []any{bits, k.Fingerprint, "(" + keys.ShortType(k.Type) + ")"}
}

// keyList is a title and keys below it, if there are any.
func (p *page) keyList(title string, list []keeper.Key) {
	var t rows
	for _, k := range list {
		t.add(keyRow(k)...)
	}
	if len(t) > 0 {
		p.printf("%s\n", title)
		p.table(2, t)
	}
}

// A keyGroup is keys of a server that are in one state.
type keyGroup struct {
	label styled
	keys  []keeper.Key
}

// comparison puts the keys of a server under each other, type by type, the trusted before what it
// showed instead, so that the eye can compare them.
func (p *page) comparison(indent int, s keeper.Server) {
	byType := map[string]rows{}
	for _, group := range []keyGroup{
		{p.paint(green, "trusted"), s.Keys},
		{p.paint(plain, "rejected"), s.Rejected},
		{p.paint(yellow, "shown"), s.Pending},
	} {
		for _, k := range group.keys {
			row := append(append([]any{group.label}, keyRow(k)...), k.Comment)
			byType[k.Type] = append(byType[k.Type], row)
		}
	}
	var all rows
	for _, name := range slices.Sorted(maps.Keys(byType)) {
		all = append(all, byType[name]...)
	}
	p.table(indent, all)
}

// consoleCommand prints a server's fingerprints, typed on the server's own console.
func consoleCommand(list []keeper.Key) string {
	first := list[0].Type
	name := keys.ShortType(first)
	if name == first || slices.ContainsFunc(list, func(k keeper.Key) bool { return k.Type != first }) {
		return "for k in /etc/ssh/ssh_host_*_key.pub; do ssh-keygen -lf $k; done"
	}
	return "ssh-keygen -lf /etc/ssh/ssh_host_" + strings.ToLower(name) + "_key.pub"
}
