package adopt

import (
	"slices"
	"strings"

	"ltskeeper/farm"
	"ltskeeper/internal/remedy"
)

// InUse is what clients are sent to today and is not declared.
type InUse struct {
	Servers []string
	Port    string // their SSH port, "" if lts.conf does not set it
	Notes   []Note
}

// FindInUse finds out which servers clients are sent to today, as the admin's own lts.conf files
// have it, and LTSP's own settings. The primary, which clients know as `server`, cannot be declared
// by that name, and is noted.
func FindInUse(f *farm.Farm, found Found) InUse {
	var use InUse
	var names []string
	for _, c := range f.Chroots {
		source := f.LTSConfSource(c)
		for _, value := range source.Values("LDM_SERVER") {
			names = append(names, strings.Fields(value)...)
		}
		if value, ok := source.Get("default", "SSH_OVERRIDE_PORT"); ok {
			use.Port = value
		}
	}
	names = f.ListUndeclared(append(names, found.InUse...))
	if slices.ContainsFunc(names, farm.IsPrimary) {
		use.Notes = []Note{{"LDM_SERVER in your lts.conf names `server`, which is this machine",
			[]remedy.Remedy{remedy.If{Condition: "clients are to log in there",
				Then: remedy.Advice("declare it by a name or address that they know")}}}}
	}
	use.Servers = slices.DeleteFunc(names, func(name string) bool {
		return farm.IsPrimary(name) || name[0] == '-' // not an option
	})
	return use
}
