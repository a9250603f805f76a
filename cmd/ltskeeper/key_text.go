package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"ltskeeper/keeper"
	"ltskeeper/keys"
)

// joinTypes names the types of keys, each once: "ED25519 RSA".
func joinTypes(list []keeper.Key) string {
	types := mapEach(list, func(k keeper.Key) string { return keys.ShortType(k.Type) })
	return strings.Join(slices.Compact(types), " ")
}

// describeProvenance says how a key came to be trusted.
func describeProvenance(k keeper.Key) string {
	if k.Origin.Comment() == "" {
		return ""
	}
	return "(" + k.Origin.Comment() + ")"
}

// keyRow returns the cells of a table that show a key as ssh-keygen -l does.
func keyRow(k keeper.Key) []any {
	bits := ""
	if k.Bits() > 0 {
		bits = fmt.Sprint(k.Bits())
	}
	return []any{bits, k.Fingerprint(), "(" + keys.ShortType(k.Type) + ")"}
}

// keyList writes a title and keys below it. It writes nothing if there are no keys.
func (p *page) keyList(title string, list []keeper.Key) {
	if len(list) > 0 {
		p.printf("%s\n", title)
		p.table(2, mapEach(list, keyRow))
	}
}

// A keyGroup is keys of a server that are in one state.
type keyGroup struct {
	label styled
	keys  []keeper.Key
}

// comparison writes the keys of a server type by type, the trusted ones before what it showed
// instead, so that they can be compared.
func (p *page) comparison(indent int, s keeper.Server) {
	byType := map[string]rows{}
	for _, group := range []keyGroup{
		{p.paint(green, "trusted"), s.Keys},
		{p.paint(plain, "rejected"), s.Rejected},
		{p.paint(yellow, "shown"), s.Pending},
	} {
		for _, k := range group.keys {
			row := append(append([]any{group.label}, keyRow(k)...), k.Origin.Comment())
			byType[k.Type] = append(byType[k.Type], row)
		}
	}
	var all rows
	for _, name := range slices.Sorted(maps.Keys(byType)) {
		all = append(all, byType[name]...)
	}
	p.table(indent, all)
}

// consoleCommand returns the command that shows the fingerprints of these keys on the server's own
// console.
func consoleCommand(list []keeper.Key) string {
	first := list[0].Type
	name := keys.ShortType(first)
	if name == first || slices.ContainsFunc(list, func(k keeper.Key) bool { return k.Type != first }) {
		return "for k in /etc/ssh/ssh_host_*_key.pub; do ssh-keygen -lf $k; done"
	}
	return "ssh-keygen -lf /etc/ssh/ssh_host_" + strings.ToLower(name) + "_key.pub"
}
