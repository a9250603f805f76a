package keeper

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path/filepath"
	"slices"

	"ltskeeper/chroot"
	"ltskeeper/farm"
	"ltskeeper/internal/durable"
	"ltskeeper/internal/host"
	"ltskeeper/internal/remedy"
)

// A HostsChange is a file from which clients know a server's address.
type HostsChange struct {
	Path    string `json:"path"`
	IsLTSP  bool   `json:"-"` // it is LTSP's own, from which it makes the hosts file of its clients
	Changed bool   `json:"changed"`
}

// hostsPath is where the clients of LTSP 5 have their hosts file, in their root.
const hostsPath = "etc/hosts"

// TakesHostsFromLTSP reports whether LTSP since 2019 makes the hosts file of a chroot's clients
// when they boot, of what is in ltsp.conf. A chroot of LTSP 5 boots by itself, whatever there is on
// this machine.
func (k *Keeper) TakesHostsFromLTSP(root *chroot.Root) bool {
	_, err := root.Read("usr/share/ltsp/ltsp_config")
	return err != nil && k.farm.LTSP.KnownHosts != ""
}

// AddToHosts has the clients of chroots, or of all if none is named, know what a server is called
// in their lists by an address, from files on this machine. If any of the files has another address
// for it, none is changed.
func (k *Keeper) AddToHosts(m *host.Machine, server string, address netip.Addr,
	chroots []string) (changes []HostsChange, err error) {
	err = k.RunLocked(func() error {
		s, err := k.farm.FindServer(server)
		if err != nil {
			return err
		}
		name := k.farm.ListEntry(s)
		if _, err := netip.ParseAddr(name); err == nil {
			return fmt.Errorf("clients are given the address of %s, %s, and not its name", s.Name, name)
		}
		declared, err := k.chooseChroots(chroots)
		if err != nil {
			return err
		}
		var edits []*hostsEdit
		for _, c := range declared {
			root, err := k.OpenChroot(c)
			if err != nil {
				return err
			}
			defer root.Close()
			e, err := k.planHosts(m, c, root)
			if err == nil && !slices.ContainsFunc(edits, func(o *hostsEdit) bool { return o.path == e.path }) {
				edits = append(edits, e)
				err = e.add(name, address)
			}
			if err != nil {
				return remedy.AttachTo(fmt.Errorf("add %s to the hosts of %s: %w", name, c.Name, err),
					remedy.Advice("change it by hand"))
			}
		}
		for _, e := range edits {
			isChanged, err := e.write()
			if err != nil {
				return err
			}
			changes = append(changes, HostsChange{e.path, e.ltsp != nil, isChanged})
		}
		return nil
	})
	return changes, err
}

// A hostsEdit is how a file is changed from which clients know addresses.
type hostsEdit struct {
	path string
	old  []byte         // nil if there is no file
	text []byte         // that it gets
	root *chroot.Root   // it is etc/hosts in this one, unless
	ltsp *host.LTSPConf // it is this one
}

// planHosts reads the file from which the clients of a chroot know addresses.
func (k *Keeper) planHosts(m *host.Machine, c farm.Chroot, root *chroot.Root) (*hostsEdit, error) {
	if k.TakesHostsFromLTSP(root) {
		conf, err := m.ReadLTSPConf()
		return &hostsEdit{path: conf.Path, old: conf.Text, ltsp: &conf}, err
	}
	if !c.Write {
		return nil, errors.New("its declaration says that nothing is written into it")
	}
	data, err := root.Read(hostsPath)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return &hostsEdit{path: filepath.Join(c.Path, hostsPath), old: data, root: root}, err
}

// add has the file say that a name stands for an address.
func (e *hostsEdit) add(name string, address netip.Addr) (err error) {
	if e.ltsp != nil {
		e.text, err = e.ltsp.AddHost(name, address)
	} else {
		e.text, err = host.AddHost(host.File{Path: e.path, Data: e.old}, name, address)
	}
	return err
}

// write writes the file, unless it says so already. One that is not there yet is made.
func (e *hostsEdit) write() (isChanged bool, err error) {
	switch {
	case bytes.Equal(e.old, e.text):
		return false, nil
	case e.ltsp != nil || e.root.IsSystem():
		if err = durable.RewriteFile(e.path, e.text); errors.Is(err, fs.ErrNotExist) {
			err = durable.CreateFile(e.path, e.text, 0o600)
		}
	default:
		if err = e.root.Rewrite(hostsPath, e.text); errors.Is(err, fs.ErrNotExist) {
			_, err = e.root.Put(hostsPath, e.text, 0o644)
		}
	}
	return true, err
}
