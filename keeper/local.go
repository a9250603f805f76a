package keeper

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"ltskeeper/derive"
	"ltskeeper/farm"
	"ltskeeper/internal/spelling"
	"ltskeeper/keys"
)

// adopted are the keys that known_hosts.local has for a server, under its own names.
func adopted(local []keys.Line, s farm.Server) []keys.Key {
	var all []keys.Key
	for _, l := range local {
		if l.Names(s.Names(), s.Port) {
			all = append(all, l.Key)
		}
	}
	return all
}

// strays are the lines of known_hosts.local with which clients take a key for a server though it is
// none of its trusted ones, by server: what was adopted once goes on being good for a key that the
// server has no more.
func (t *record) strays() map[string][]keys.Line {
	local, _ := keys.ReadLines(t.Farm.KnownHostsLocal)
	owners := map[string][]farm.Server{} // of keys, by blob
	for _, s := range t.Farm.Servers {
		for _, k := range t.Trusted[s.Name] {
			owners[string(k.Blob)] = append(owners[string(k.Blob)], s)
		}
	}
	vouchesFor := func(l keys.Line, servers []farm.Server) (farm.Server, bool) {
		for _, s := range servers {
			if l.Names(s.Names(), s.Port) {
				return s, true
			}
		}
		return farm.Server{}, false
	}
	strays, revoked := map[string][]keys.Line{}, keys.Plain(t.Revoked)
	for _, l := range local {
		if _, own := vouchesFor(l, owners[string(l.Key.Blob)]); own || l.Marker != "" {
			continue
		}
		s, stray := vouchesFor(l, t.Farm.Servers)
		if stray && !slices.ContainsFunc(revoked, l.Key.Equal) {
			strays[s.Name] = append(strays[s.Name], l)
		}
	}
	return strays
}

// maxStrays is how many lines of known_hosts.local are told of one by one.
const maxStrays = 5

// tellOfStrays is a sentence for each of them, but not for more than a screen has room for.
func tellOfStrays(f *farm.Farm, strays map[string][]keys.Line) []string {
	path := f.KnownHostsLocalPath()
	var told []string
	more := 0
	for _, s := range f.Servers {
		for _, l := range strays[s.Name] {
			if len(told) == maxStrays {
				more++
				continue
			}
			told = append(told,
				fmt.Sprintf("%s:%d: clients take %s %s for %s, and it is none of the trusted keys of that server: remove the line, unless it has that key",
					path, l.Number, l.Key.Type, l.Key.Fingerprint(), s.Name))
		}
	}
	if more > 0 {
		told = append(told, fmt.Sprintf("%s: %d more lines are like that", path, more))
	}
	return told
}

// dropped tells of servers that the admin's own lts.conf names in a list that is set here, and that
// are not declared: their clients do not get them any more.
func (t *record) dropped(c farm.Chroot) []string {
	source := t.Farm.LTSConfSource(c)
	var told []string
	for _, list := range t.Farm.Lists() {
		value, _ := source.Get(list.Section, "LDM_SERVER")
		if names := t.Farm.ListUndeclared(strings.Fields(value)); len(names) > 0 && len(t.ListServers(list)) > 0 {
			remedy := "declare them (ltskeeper server add), or take them out of that line"
			if slices.ContainsFunc(names, farm.IsPrimary) {
				remedy = "`server` is this machine, declare it by a name or address that clients know"
			}
			told = append(told,
				fmt.Sprintf("%s: LDM_SERVER of [%s] names %s, which clients do not get any more because only declared servers are listed: %s",
					c.LTSConf, list.Section, strings.Join(names, " "), remedy))
		}
	}
	return told
}

// warnOfLosses warns of what is not as it was before a file changed in this run, so that it is told
// once.
func (r *run) warnOfLosses(t *record, chroots []farm.Chroot) {
	changed := func(chroot, name string) bool {
		return slices.ContainsFunc(r.report.Files, func(f File) bool {
			return f.Changed && (chroot == "" || f.Chroot == chroot) && strings.HasSuffix(f.Path, "/"+name)
		})
	}
	var told []string
	if changed("", derive.KnownHostsPath) || changed("", filepath.Base(t.Farm.LTSP.KnownHosts)) {
		told = tellOfStrays(t.Farm, t.strays())
	}
	for _, c := range chroots {
		if changed(c.Name, derive.LTSConfPath) {
			told = append(told, t.dropped(c)...)
		}
	}
	for i, sentence := range told {
		if !slices.Contains(told[:i], sentence) { // of chroots with one lts.conf
			r.warn("%s", sentence)
		}
	}
}

// emptyLists says of each list without a server why it has none. Clients then get the default list,
// or what the admin's own lts.conf says.
func (t *record) emptyLists() []string {
	var empty []string
	for _, list := range t.Farm.Lists() {
		switch {
		case len(t.ListServers(list)) > 0:
		case len(list.Servers) > 0:
			empty = append(empty,
				fmt.Sprintf("LDM_SERVER of [%s] is not set: no server of its list has a trusted key", list.Section))
		case list.Group != "":
			empty = append(empty,
				fmt.Sprintf("LDM_SERVER of [%s] is not set: no server is in the group %q%s", list.Section, list.Group,
					t.nearestGroup(list.Group)))
		}
	}
	return empty
}

// nearestGroup asks for the group that was probably meant.
func (t *record) nearestGroup(group string) string {
	var known []string
	for _, s := range t.Farm.Servers {
		known = append(known, s.Groups...)
	}
	if near := spelling.FindNearest(group, known); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}
