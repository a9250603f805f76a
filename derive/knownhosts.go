package derive

import (
	"slices"

	"ltskeeper/farm"
	"ltskeeper/keys"
)

// KnownHosts renders the clients' known_hosts. Servers in quarantine stay in it: with their old
// keys, a client that has one of them in an older list refuses whoever answers there.
func (r *Record) KnownHosts() []byte {
	var hosts []keys.Host
	for _, s := range r.Farm.Servers {
		if len(r.Trusted[s.Name]) > 0 {
			hosts = append(hosts, keys.Host{Names: s.Names(), Port: s.Port, Keys: r.keysOf(s)})
		}
	}
	for _, a := range r.Farm.Aliases {
		if members := r.Farm.Members(a.Groups...); len(members) > 0 {
			hosts = append(hosts, keys.Host{Names: []string{a.Name}, Port: members[0].Port, Keys: r.keysOf(members...)})
		}
	}
	return keys.RenderKnownHosts(keys.KnownHosts{
		Header: renderHeader(r.Farm.KnownHostsLocalPath()), Hosts: hosts, Revoked: keys.PlainKeys(r.Revoked),
		Local: r.Farm.KnownHostsLocal, Secret: r.Secret,
		Authorities: r.Farm.Authorities, Port: r.Farm.Lists()[0].Port,
	})
}

// keysOf returns the trusted keys of servers, each once.
func (r *Record) keysOf(servers ...farm.Server) []keys.Key {
	var all []keys.Key
	for _, s := range servers {
		for _, k := range r.Trusted[s.Name] {
			if !slices.ContainsFunc(all, k.Equal) {
				all = append(all, k.Key)
			}
		}
	}
	return all
}
