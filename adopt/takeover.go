package adopt

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"ltskeeper/derive"
	"ltskeeper/farm"
	"ltskeeper/image"
	"ltskeeper/internal/durable"
	"ltskeeper/internal/host"
	"ltskeeper/internal/regular"
	"ltskeeper/internal/remedy"
	"ltskeeper/keeper"
	"ltskeeper/keys"
)

// A Taken is one file that was taken over.
type Taken struct {
	From     string          `json:"from"`
	To       string          `json:"to"`
	Lines    int             `json:"lines"`          // that were not there before
	Kept     string          `json:"kept,omitempty"` // an exact copy, where the file may be replaced later
	Note     string          `json:"note,omitempty"`
	Remedies []remedy.Remedy `json:"-"` // of what the note says
}

// TakeOver takes over what clients trust and use today, so that nothing of it is lost when
// ltskeeper writes their files: the lines of every known_hosts in a chroot or in etc/ltsp of the
// machine, and the machine's own public host keys under the name `server`, go to known_hosts.local;
// the lts.conf that clients use, the one under TFTP before the root's, becomes the admin's own, if
// that does not exist yet.
//
// An exact copy of each file that a later update may replace is kept in the folder `adopted` beside
// the declaration; that copy is what allows the update to replace it.
func TakeOver(k *keeper.Keeper, m *host.Machine) ([]Taken, error) {
	t := transfer{keeper: k}
	err := k.RunLocked(func() error {
		t.farm, t.local = k.Farm(), bytes.Clone(k.Farm().KnownHostsLocal)
		for _, c := range t.farm.Chroots {
			if err := t.takeChroot(c); err != nil {
				return fmt.Errorf("chroot %s: %w", c.Name, err)
			}
		}
		if err := t.takeMachine(m); err != nil {
			return fmt.Errorf("this machine's known_hosts: %w", err)
		}
		if bytes.Equal(t.local, t.farm.KnownHostsLocal) {
			return nil
		}
		path := t.farm.KnownHostsLocalPath()
		return durable.WriteFile(path, t.local, durable.ReadPerm(path, 0o644))
	})
	return t.taken, err
}

// A transfer takes files over into a declaration.
type transfer struct {
	keeper *keeper.Keeper
	farm   *farm.Farm
	local  []byte // what known_hosts.local is to hold
	taken  []Taken
}

// takeChroot takes over the files of one chroot and of its TFTP folder.
func (t *transfer) takeChroot(c farm.Chroot) error {
	root, err := t.keeper.OpenChroot(c)
	if err != nil {
		return err
	}
	defer root.Close()
	// take calls do, unless the file that was read does not exist or is ltskeeper's own.
	take := func(data []byte, err error, do func() error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist), err == nil && derive.IsOurs(data):
			return nil
		case err != nil:
			return err
		}
		return do()
	}
	data, err := root.Read(derive.KnownHostsPath)
	if err := take(data, err, func() error {
		return t.takeKnownHosts(filepath.Join(root.Path(), derive.KnownHostsPath), c.Name, data)
	}); err != nil {
		return err
	}
	store := &image.Store{Name: c.Name, TFTP: t.farm.TFTP}
	served := store.ServedConf()
	fetchable, isFetched, err := store.ReadServedConf()
	if err == nil && !isFetched {
		t.taken = append(t.taken, Taken{From: served,
			Note:     "left out: not everybody may read it, so no client can fetch it",
			Remedies: []remedy.Remedy{remedy.Advice("move it away")}})
	} else if err := take(fetchable, err, func() error {
		return t.takeLTSConf(served, c, "tftp-"+c.Name, fetchable)
	}); err != nil {
		return err
	}
	conf, err := root.Read(derive.LTSConfPath)
	return take(conf, err, func() error {
		return t.takeLTSConf(filepath.Join(root.Path(), derive.LTSConfPath), c, c.Name, conf)
	})
}

// takeMachine takes over what LTSP keeps on the primary, and the primary's own keys.
func (t *transfer) takeMachine(m *host.Machine) error {
	lists, err := filepath.Glob(m.Path("etc/ltsp/ssh_known_hosts*"))
	if err != nil {
		return err
	}
	if path := t.farm.LTSP.KnownHosts; path != "" && !slices.Contains(lists, path) {
		lists = append(lists, path)
	}
	for _, path := range lists {
		data, err := regular.Read(path, regular.MaxText)
		switch {
		case errors.Is(err, fs.ErrNotExist), derive.IsOurs(data):
		case err != nil:
			return err
		case path == t.farm.LTSP.KnownHosts:
			if err := t.takeKnownHosts(path, "ltsp", data); err != nil {
				return err
			}
		default:
			if lines, note := t.addLines(path, data); lines > 0 || note != "" {
				t.taken = append(t.taken, Taken{From: path, To: t.farm.KnownHostsLocalPath(), Lines: lines, Note: note})
			}
		}
	}
	own, err := filepath.Glob(m.Path("etc/ssh/ssh_host_*_key.pub"))
	if err != nil {
		return err
	}
	for _, path := range own {
		data, err := regular.Read(path, regular.MaxText)
		if err != nil {
			return err
		}
		key, err := keys.ParseKey(string(data))
		if err == nil {
			err = key.Weakness()
		}
		if err != nil {
			t.taken = append(t.taken, Taken{From: path, Note: "left out: " + err.Error()})
		} else if n, _ := t.addLines(path, []byte("server "+key.FormatLine()+"\n")); n > 0 {
			t.taken = append(t.taken, Taken{From: path, To: t.farm.KnownHostsLocalPath(), Lines: n,
				Note: "as the keys of `server`, which is this machine"})
		}
	}
	return nil
}

// takeKnownHosts takes over a known_hosts file that an update will replace.
func (t *transfer) takeKnownHosts(path, name string, data []byte) error {
	kept, err := t.keep(name+"-ssh_known_hosts", data)
	if err != nil {
		return err
	}
	lines, note := t.addLines(path, data)
	t.taken = append(t.taken, Taken{From: path, To: t.farm.KnownHostsLocalPath(), Lines: lines, Kept: kept, Note: note})
	return nil
}

// addLines adds to known_hosts.local what is not in it yet, after a comment that says where it is
// from. Lines that OpenSSH would not read are left out, and named in the note.
func (t *transfer) addLines(path string, data []byte) (added int, note string) {
	have := map[string]bool{}
	for line := range strings.Lines(string(t.local)) {
		have[strings.TrimSpace(line)] = true
	}
	bad := map[int]bool{}
	for _, e := range keys.CheckKnownHosts(data) {
		bad[e.Line] = true
	}
	var fresh, left []string
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		line = strings.TrimSpace(line)
		switch {
		case bad[number]:
			left = append(left, fmt.Sprint(number))
		case line == "" || line[0] == '#' || have[line]:
		default:
			have[line] = true
			fresh = append(fresh, line)
		}
	}
	if len(left) > 0 {
		note = "lines that OpenSSH does not read were left out: " + strings.Join(left, ", ")
	}
	if len(fresh) == 0 {
		return 0, note
	}
	if len(t.local) > 0 && t.local[len(t.local)-1] != '\n' {
		t.local = append(t.local, '\n')
	}
	t.local = fmt.Appendf(t.local, "# from %s\n%s\n", path, strings.Join(fresh, "\n"))
	return len(fresh), note
}

// takeLTSConf takes over an lts.conf that clients use. The first one found becomes the admin's own.
func (t *transfer) takeLTSConf(path string, c farm.Chroot, name string, data []byte) error {
	kept, err := t.keep(name+"-lts.conf", data)
	if err != nil {
		return err
	}
	taken := Taken{From: path, To: c.LTSConf, Kept: kept}
	switch have, err := regular.Read(c.LTSConf, regular.MaxText); {
	case errors.Is(err, fs.ErrNotExist):
		if err := durable.WriteFile(c.LTSConf, data, 0o644); err != nil {
			return err
		}
		taken.Lines = bytes.Count(data, []byte("\n"))
	case err != nil:
		return err
	case !bytes.Equal(have, data):
		taken.Note = "not used: " + c.LTSConf + " was there already"
		taken.Remedies = []remedy.Remedy{remedy.Advice("compare the two")}
	}
	t.taken = append(t.taken, taken)
	return nil
}

// keep stores an exact copy in the folder for them, and returns its path. Root alone may read it:
// there may be more in it than everybody should see.
func (t *transfer) keep(name string, data []byte) (string, error) {
	return keepCopy(filepath.Join(t.farm.AdoptedFolder(), name), data, 0o600)
}
