package keeper

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"path/filepath"

	"ltskeeper/farm"
)

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
func (t *record) renderFiles(c farm.Chroot) ([]derived, error) {
	ltsConf, err := t.LTSConf(c)
	if err != nil {
		return nil, err
	}
	return []derived{{path: knownHostsPath, data: t.KnownHosts()}, {path: ltsConfPath, data: ltsConf}}, nil
}
