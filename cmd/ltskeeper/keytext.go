package main

import (
	"fmt"
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

// provenance is how a key came to be trusted.
func provenance(k keeper.Key) string {
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

func (p *page) keyLines(indent int, keys []keeper.Key) {
	var rows [][]any
	for _, k := range keys {
		rows = append(rows, keyRow(k))
	}
	p.table(indent, rows)
}

// comparison puts the keys of a server under each other, type by type, the trusted before what it
// showed instead, so that the eye can compare them.
func (p *page) comparison(indent int, s keeper.Server) {
	type labelled struct {
		label styled
		key   keeper.Key
	}
	var all []labelled
	for _, part := range []struct {
		label styled
		keys  []keeper.Key
	}{
		{p.styled(green, "trusted"), s.Keys},
		{p.styled(plain, "rejected"), s.Rejected},
		{p.styled(yellow, "shown"), s.Pending},
	} {
		for _, k := range part.keys {
			all = append(all, labelled{part.label, k})
		}
	}
	slices.SortStableFunc(all, func(a, b labelled) int { return strings.Compare(a.key.Type, b.key.Type) })
	var rows [][]any
	for _, l := range all {
		rows = append(rows, append(append([]any{l.label}, keyRow(l.key)...), l.key.Comment))
	}
	p.table(indent, rows)
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
