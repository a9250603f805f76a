package derive

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ltskeeper/farm"
	"ltskeeper/ldm"
)

// LTSConf renders the clients' lts.conf for a chroot: the admin's own, with the declared settings
// and the lists of servers set in it.
func (r *Record) LTSConf(c farm.Chroot) ([]byte, error) {
	conf := r.Farm.LTSConfSource(c)
	var err error
	set := func(section string, settings ...farm.Setting) {
		for _, s := range settings {
			if err == nil {
				err = conf.Set(section, s.Key, s.Value)
			}
		}
	}
	set("default", r.Farm.LTSConf.Set...)
	for _, client := range r.Farm.Clients {
		set(client.Match, client.Set...)
	}
	var all []farm.Server
	for _, list := range r.Farm.Lists() {
		listed := r.ListServers(list)
		if len(listed) == 0 {
			continue // what the admin's own file says, or the default list, is better than no server
		}
		all = append(all, listed...)
		var entries []string
		for _, s := range listed {
			entries = append(entries, r.Farm.ListEntry(s))
		}
		set(list.Section, farm.Setting{Key: "LDM_SERVER", Value: strings.Join(entries, " ")})
		if list.Port != 22 {
			set(list.Section, farm.Setting{Key: "SSH_OVERRIDE_PORT", Value: strconv.Itoa(list.Port)})
		} else if err == nil {
			err = conf.Delete(list.Section, "SSH_OVERRIDE_PORT")
		}
	}
	set("default", balanceSettings(r.Farm, all)...)
	if err != nil {
		return nil, fmt.Errorf("set the server lists in %s: %w", c.LTSConf, err)
	}
	return append([]byte(renderHeader(c.LTSConf)), conf.Bytes()...), nil
}

// ListServers returns the servers of a list that clients get: those that are trusted, without those
// in quarantine. Whoever can answer in the servers' place must not be able to steer clients that
// way: no more than a quarter of the list as declared, but at least one, may be out, and never the
// last server. Those who have been in quarantine longest are out first; beyond the bound nobody
// leaves.
func (r *Record) ListServers(l farm.List) []farm.Server {
	usable := slices.DeleteFunc(slices.Clone(l.Servers), func(s farm.Server) bool { return !r.IsTrusted(s.Name) })
	bound := min(max(1, len(l.Servers)/4), len(usable)-1)
	isOut := map[string]bool{}
	for _, name := range r.Quarantined {
		isUsable := slices.ContainsFunc(usable, func(s farm.Server) bool { return s.Name == name })
		if isUsable && len(isOut) < bound {
			isOut[name] = true
		}
	}
	return slices.DeleteFunc(usable, func(s farm.Server) bool { return isOut[s.Name] })
}

// balanceSettings returns what clients need to choose between servers, beside the list of them:
// nothing where all is as usual. A server may be named twice.
func balanceSettings(f *farm.Farm, servers []farm.Server) []farm.Setting {
	var settings []farm.Setting
	add := func(key string, words ...string) {
		if len(words) > 0 {
			settings = append(settings, farm.Setting{Key: key, Value: strings.Join(words, " ")})
		}
	}
	if f.Balance.Policy != ldm.Two {
		add("LDM_BALANCE", string(f.Balance.Policy))
	}
	var weights, groups []string
	isNamed := map[string]bool{}
	for _, s := range servers {
		if isNamed[s.Name] {
			continue
		}
		isNamed[s.Name] = true
		if s.Weight != 1 {
			weights = append(weights, f.ListEntry(s)+"="+strconv.FormatFloat(s.Weight, 'f', -1, 64))
		}
		if len(s.Groups) > 0 {
			groups = append(groups, f.ListEntry(s)+"="+strings.Join(s.Groups, ","))
		}
	}
	add("LDM_SERVER_WEIGHTS", weights...)
	add("LDM_SERVER_GROUPS", groups...)
	return settings
}
