package keeper

import (
	"fmt"
	"slices"
	"strings"

	"ltskeeper/derive"
	"ltskeeper/farm"
	"ltskeeper/internal/remedy"
	"ltskeeper/internal/spelling"
	"ltskeeper/keys"
)

func (r *run) warn(warning error) { r.report.Warnings = append(r.report.Warnings, warning) }

// warnOfLosses warns of what clients lose by the files that changed in this run. Each loss is
// reported once.
func (r *run) warnOfLosses(rec *record, chroots []farm.Chroot) {
	hasChanged := func(chroot, path string) bool {
		return slices.ContainsFunc(r.report.Files, func(f File) bool {
			return f.Changed && f.Chroot == chroot && strings.HasSuffix(f.Path, "/"+path)
		})
	}
	isOtherKnownHosts := slices.ContainsFunc(chroots, func(c farm.Chroot) bool {
		return hasChanged(c.Name, derive.KnownHostsPath)
	})
	if isOtherKnownHosts || hasChanged(ltspFiles, strings.TrimPrefix(rec.Farm.LTSP.KnownHosts, "/")) {
		r.report.Warnings = append(r.report.Warnings, describeStrays(rec.Farm, rec.findStrays())...)
	}
	isDone := map[string]bool{} // by lts.conf, which chroots may share
	for _, c := range chroots {
		if hasChanged(c.Name, derive.LTSConfPath) && !isDone[c.LTSConf] {
			isDone[c.LTSConf] = true
			r.report.Warnings = append(r.report.Warnings, rec.findDropped(c)...)
		}
	}
}

// findStrays returns the lines of known_hosts.local with which clients take a key for a server
// though it is none of its trusted ones, by server: what was adopted once goes on being good for a
// key that the server has no more.
func (rec *record) findStrays() map[string][]keys.Line {
	local, _ := keys.ReadLines(rec.Farm.KnownHostsLocal)
	owners := map[string][]farm.Server{} // of keys, by blob
	for _, s := range rec.Farm.Servers {
		for _, k := range rec.Trusted[s.Name] {
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
	strays, revoked := map[string][]keys.Line{}, keys.PlainKeys(rec.Revoked)
	for _, l := range local {
		if _, own := vouchesFor(l, owners[string(l.Key.Blob)]); own || l.Marker != "" {
			continue
		}
		s, stray := vouchesFor(l, rec.Farm.Servers)
		if stray && !slices.ContainsFunc(revoked, l.Key.Equal) {
			strays[s.Name] = append(strays[s.Name], l)
		}
	}
	return strays
}

// maxStrays is how many lines of known_hosts.local are warned of one by one.
const maxStrays = 5

// describeStrays returns a warning of each stray line, but not of more than a screen has room for.
func describeStrays(f *farm.Farm, strays map[string][]keys.Line) (warnings []error) {
	path := f.KnownHostsLocalPath()
	more := 0
	for _, s := range f.Servers {
		for _, l := range strays[s.Name] {
			if len(warnings) == maxStrays {
				more++
				continue
			}
			warning := fmt.Errorf("%s:%d: clients take %s %s for %s, and it is none of the trusted keys of that server",
				path, l.Number, l.Key.Type, l.Key.Fingerprint(), s.Name)
			warnings = append(warnings,
				remedy.AttachTo(warning,
					remedy.If{Condition: "it has no such key", Then: remedy.Advice("remove the line")}))
		}
	}
	if more > 0 {
		warnings = append(warnings, fmt.Errorf("%s: %d more lines are like that", path, more))
	}
	return warnings
}

// findDropped warns of servers that the admin's own lts.conf names in a list that is set here, and
// that are not declared: their clients do not get them any more.
func (rec *record) findDropped(c farm.Chroot) (warnings []error) {
	source := rec.Farm.LTSConfSource(c)
	for _, list := range rec.Farm.Lists() {
		value, _ := source.Get(list.Section, "LDM_SERVER")
		names := rec.Farm.ListUndeclared(strings.Fields(value))
		if len(names) == 0 || len(rec.ListServers(list)) == 0 {
			continue
		}
		warning := fmt.Errorf("%s: LDM_SERVER of [%s] names %s, which clients do not get any more because only "+
			"declared servers are listed", c.LTSConf, list.Section, strings.Join(names, " "))
		if slices.ContainsFunc(names, farm.IsPrimary) {
			warning = remedy.AttachTo(warning,
				remedy.Advice("declare `server`, which is this machine, by a name or address that clients know"))
		} else {
			warning = remedy.AttachTo(warning, append(remedy.Command{"server", "add"}, names...),
				remedy.Advice("take them out of that line"))
		}
		warnings = append(warnings, warning)
	}
	return warnings
}

// findEmptyLists warns of each list without a server. Clients then get the default list, or what
// the admin's own lts.conf says.
func (rec *record) findEmptyLists() (warnings []error) {
	for _, list := range rec.Farm.Lists() {
		switch {
		case len(rec.ListServers(list)) > 0:
		case len(list.Servers) > 0:
			warnings = append(warnings,
				fmt.Errorf("LDM_SERVER of [%s] is not set: no server of its list has a trusted key", list.Section))
		case list.Group != "":
			warnings = append(warnings,
				fmt.Errorf("LDM_SERVER of [%s] is not set: no server is in the group %q%s", list.Section, list.Group,
					rec.suggestGroup(list.Group)))
		}
	}
	return warnings
}

// suggestGroup asks for the group that was probably meant.
func (rec *record) suggestGroup(group string) string {
	var known []string
	for _, s := range rec.Farm.Servers {
		known = append(known, s.Groups...)
	}
	if near := spelling.FindNearest(group, known); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}
