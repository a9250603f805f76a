package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"ltskeeper/keeper"
)

// keyType is a key's type as ssh-keygen -l names it.
func keyType(k keeper.Key) string {
	switch t := k.Type; {
	case t == "ssh-ed25519":
		return "ED25519"
	case t == "ssh-rsa":
		return "RSA"
	case strings.HasPrefix(t, "ecdsa-sha2-"):
		return "ECDSA"
	default:
		return t
	}
}

func keyTypes(keys []keeper.Key) string {
	var types []string
	for _, k := range keys {
		types = append(types, keyType(k))
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
	return []any{bits, k.Fingerprint, "(" + keyType(k) + ")"}
}

// keyList is a title and keys below it, if there are any.
func (p *page) keyList(title string, keys []keeper.Key) {
	var t rows
	for _, k := range keys {
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
func consoleCommand(keys []keeper.Key) string {
	files := map[string]string{"ED25519": "ed25519", "RSA": "rsa", "ECDSA": "ecdsa"}
	file, known := files[keyType(keys[0])]
	one := !slices.ContainsFunc(keys, func(k keeper.Key) bool { return k.Type != keys[0].Type })
	if one && known {
		return "ssh-keygen -lf /etc/ssh/ssh_host_" + file + "_key.pub"
	}
	return "for k in /etc/ssh/ssh_host_*_key.pub; do ssh-keygen -lf $k; done"
}
