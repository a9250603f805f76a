package update

import (
	"ltskeeper/farm"
	"ltskeeper/keys"
)

// adopted are the keys that known_hosts.local has for a server, under its own names.
func adopted(local []keys.Line, s farm.Server) []keys.Key {
	var all []keys.Key
	for _, l := range local {
		if l.Names(names(s), s.Port) {
			l.Key.Comment = ""
			all = append(all, l.Key)
		}
	}
	return all
}
