package keeper

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"ltskeeper/farm"
	"ltskeeper/keys"
	keytrust "ltskeeper/keys/trust"
)

// mark begins the first line of every text file that ltskeeper writes. A file without it belongs to
// somebody else.
const mark = "# Written by ltskeeper"

func header(edit string) string {
	return fmt.Sprintf("%s: changes here are lost. Edit %s instead, then run: ltskeeper update-image\n", mark, edit)
}

func ours(data []byte) bool { return bytes.HasPrefix(data, []byte(mark)) }

// trust is all that is known of the farm's keys without asking anybody: what is derived for the
// clients comes from it and the declaration alone.
type trust struct {
	farm       *farm.Farm
	store      *keytrust.Store
	keys       map[string][]keys.Stored // trusted, by server
	certified  map[string]bool          // trusted by a certificate, by server
	quarantine *quarantine
	secret     []byte // for hashed names; empty if they are not hashed
}

// loadTrust reads the record of keys and quarantine.
func loadTrust(f *farm.Farm, store *keytrust.Store) (*trust, error) {
	q, err := loadQuarantine(f.State)
	if err != nil {
		return nil, err
	}
	t := &trust{farm: f, store: store, keys: map[string][]keys.Stored{}, certified: map[string]bool{}, quarantine: q}
	if f.HashKnownHosts {
		if t.secret, err = loadSecret(f.State.KnownHostsSecret()); err != nil {
			return nil, err
		}
	}
	for _, s := range f.Servers {
		trusted, err := store.Trusted(s.Name, s.Pins)
		if err != nil {
			return nil, err
		}
		t.keys[s.Name] = trusted
		if t.certified[s.Name], _, err = store.Certified(policyOf(f, s), time.Now()); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (t *trust) trusted(name string) bool { return len(t.keys[name]) > 0 || t.certified[name] }

// listed returns the servers of a list that clients get.
func (t *trust) listed(l farm.List) []farm.Server { return t.quarantine.listed(l.Servers, t.trusted) }

// inDefaultList says for each server whether clients find it in the default LDM_SERVER.
func (t *trust) inDefaultList() map[string]bool {
	in := map[string]bool{}
	for _, s := range t.listed(t.farm.Lists()[0]) {
		in[s.Name] = true
	}
	return in
}

// knownHosts renders the clients' known_hosts. Servers in quarantine stay in it: with their old
// keys, a client that has one of them in an older list refuses whoever answers there.
func (t *trust) knownHosts() []byte {
	var hosts []keys.Host
	for _, s := range t.farm.Servers {
		if len(t.keys[s.Name]) > 0 {
			hosts = append(hosts, keys.Host{Names: names(s), Port: s.Port, Keys: keys.Plain(t.keys[s.Name])})
		}
	}
	for _, a := range t.farm.Aliases {
		if members := t.farm.Members(a); len(members) > 0 {
			hosts = append(hosts, keys.Host{Names: []string{a.Name}, Port: members[0].Port, Keys: t.keysOf(members)})
		}
	}
	return keys.RenderKnownHosts(keys.KnownHosts{
		Secret: t.secret,
		Header: header(t.farm.KnownHostsLocalPath()), Hosts: hosts, Revoked: keys.Plain(t.store.Revoked()),
		Local:       t.farm.KnownHostsLocal,
		Authorities: t.farm.Authorities, Port: t.farm.Lists()[0].Port,
	})
}

// keysOf are the trusted keys of servers, each once.
func (t *trust) keysOf(servers []farm.Server) []keys.Key {
	var all []keys.Key
	for _, s := range servers {
		for _, k := range t.keys[s.Name] {
			if !slices.ContainsFunc(all, k.Equal) {
				all = append(all, k.Key)
			}
		}
	}
	return all
}

// names are all names of a server that clients may use: never those that an address resolves to.
func names(s farm.Server) []string {
	return append(append([]string{s.Name}, s.Aliases...), s.Addresses...)
}

// ltsConf renders the clients' lts.conf for a chroot: the admin's own, with the server lists set in
// it.
func (t *trust) ltsConf(c farm.Chroot) ([]byte, error) {
	conf := t.farm.LTSConfSource(c)
	var err error
	set := func(section, key, value string) {
		if err == nil {
			err = conf.Set(section, key, value)
		}
	}
	for _, s := range t.farm.LTSConf.Set {
		set("default", s.Key, s.Value)
	}
	for _, client := range t.farm.Clients {
		for _, s := range client.Set {
			set(client.Match, s.Key, s.Value)
		}
	}
	var all []farm.Server
	for _, list := range t.farm.Lists() {
		listed := t.listed(list)
		all = append(all, listed...)
		if len(listed) == 0 {
			continue // what the admin's own file says, or the default list, is better than no server
		}
		var entries []string
		for _, s := range listed {
			entries = append(entries, t.farm.ListEntry(s))
		}
		set(list.Section, "LDM_SERVER", strings.Join(entries, " "))
		if list.Port != 22 {
			set(list.Section, "SSH_OVERRIDE_PORT", strconv.Itoa(list.Port))
		} else if err == nil {
			err = conf.Delete(list.Section, "SSH_OVERRIDE_PORT")
		}
	}
	for _, s := range t.farm.BalanceSettings(all) {
		set("default", s.Key, s.Value)
	}
	if err != nil {
		return nil, fmt.Errorf("set the server lists in %s: %w", c.LTSConf, err)
	}
	return append([]byte(header(c.LTSConf)), conf.Bytes()...), nil
}

// emptyLists says of each list without a server why it has none. Clients then get the default list,
// or what the admin's own lts.conf says.
func (t *trust) emptyLists() []string {
	var empty []string
	for _, list := range t.farm.Lists() {
		switch {
		case len(t.listed(list)) > 0:
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
func (t *trust) nearestGroup(group string) string {
	var known []string
	for _, s := range t.farm.Servers {
		known = append(known, s.Groups...)
	}
	if near := farm.Nearest(group, known); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}

// The files that clients get, by their path in the client root.
var (
	knownHostsPath = filepath.Join("etc", "ssh", "ssh_known_hosts")
	ltsConfPath    = filepath.Join("etc", "lts.conf")
)

// A derived file is one that ltskeeper writes for the clients of a chroot.
type derived struct {
	path    string // in the root
	data    []byte
	program bool
}

func (d derived) mode() fs.FileMode {
	if d.program {
		return 0o755
	}
	return 0o644
}

// shown is a content of the file as people see it.
func (d derived) shown(data []byte) string {
	if d.program && data != nil {
		return fmt.Sprintf("a program of %d bytes, SHA-256 %x\n", len(data), sha256.Sum256(data))
	}
	return string(data)
}

// contentOf is the content of one of the files.
func contentOf(path string, files []derived) []byte {
	for _, f := range files {
		if f.path == path {
			return f.data
		}
	}
	return nil
}

// renderFiles renders all files for a chroot.
func (t *trust) renderFiles(c farm.Chroot) ([]derived, error) {
	ltsConf, err := t.ltsConf(c)
	if err != nil {
		return nil, err
	}
	return []derived{{path: knownHostsPath, data: t.knownHosts()}, {path: ltsConfPath, data: ltsConf}}, nil
}
