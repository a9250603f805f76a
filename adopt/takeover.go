package adopt

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ltskeeper/chroot"
	"ltskeeper/derive"
	"ltskeeper/farm"
	"ltskeeper/image"
	"ltskeeper/internal/durable"
	"ltskeeper/internal/regular"
	"ltskeeper/keeper"
	"ltskeeper/keys"
)

// A Taken is one file that was taken over.
type Taken struct {
	From  string `json:"from"`
	To    string `json:"to"`
	Lines int    `json:"lines"`          // that were not there before
	Kept  string `json:"kept,omitempty"` // an exact copy, where the file may be replaced later
	Note  string `json:"note,omitempty"`
}

// TakeOver takes over what clients trust and use today, so that nothing of it is lost when
// ltskeeper writes their files: the lines of every known_hosts that stands in a chroot or in
// etc/ltsp of the machine whose root folder is machine, and that machine's own public host keys
// under the name `server`, go to known_hosts.local; the lts.conf that clients use, the one under
// TFTP before the root's, becomes the admin's own, if there is none yet. An exact copy of each file
// that a later update may replace is kept in the folder `adopted` beside the declaration; that copy
// is what allows the update to replace it.
func TakeOver(k *keeper.Keeper, machine string) (taken []Taken, err error) {
	err = k.RunLocked(func() error {
		f := k.Farm()
		t := transfer{farm: f, folder: f.AdoptedFolder(), local: bytes.Clone(f.KnownHostsLocal)}
		defer func() { taken = t.done }()
		for _, c := range f.Chroots {
			if err := t.chroot(c); err != nil {
				return fmt.Errorf("adopt files of chroot %s: %w", c.Name, err)
			}
		}
		if err := t.machine(machine); err != nil {
			return fmt.Errorf("adopt this machine's known_hosts: %w", err)
		}
		if bytes.Equal(t.local, f.KnownHostsLocal) {
			return nil
		}
		path := f.KnownHostsLocalPath()
		return durable.Write(path, t.local, durable.Perm(path, 0o644))
	})
	return taken, err
}

// SeparateConfs gives a file of its own beside the declaration in dir, NAME.lts.conf, to each
// chroot whose clients do not use the lts.conf that the first one with any has: another, or none. A
// file that is there stays. It comes before TakeOver, which takes the first for all that have none
// of their own.
func SeparateConfs(dir string, found *Found) error {
	confs := make([][]byte, len(found.Chroots))
	var first []byte
	for i, c := range found.Chroots {
		data, err := confToday(dir, found.TFTP, c)
		if err != nil {
			return err
		}
		if confs[i] = data; first == nil {
			first = data
		}
	}
	for i, data := range confs {
		if bytes.Equal(data, first) || derive.IsOurs(data) || derive.IsOurs(first) {
			continue
		}
		if data == nil {
			data = []byte(farm.BuiltinLTSConf) // which is so without it
		}
		own := found.Chroots[i].Name + ".lts.conf"
		path := filepath.Join(dir, own)
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
			if err := durable.Write(path, data, 0o644); err != nil {
				return err
			}
		}
		found.Chroots[i].LTSConf = own
	}
	return nil
}

// confToday is the lts.conf that the clients of a chroot use, nil if there is none.
func confToday(dir, tftp string, c farm.Chroot) ([]byte, error) {
	if !filepath.IsAbs(tftp) {
		tftp = filepath.Join(dir, tftp)
	}
	data, fetched, err := keeper.ReadServed(servedConf(tftp, c))
	switch {
	case err == nil && fetched && len(data) > 0:
		return data, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	root, err := chroot.Open(c.Path)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	data, err = root.Read(keeper.LTSConfPath)
	if err != nil || len(data) == 0 {
		return nil, nil
	}
	return data, nil
}

// servedConf returns where clients of a chroot fetch their lts.conf.
func servedConf(tftp string, c farm.Chroot) string {
	return (&image.Store{Name: c.Name, TFTP: tftp}).ServedConf()
}

// A transfer takes files over into a declaration.
type transfer struct {
	farm   *farm.Farm
	folder string // of the exact copies
	local  []byte // what known_hosts.local is to hold
	done   []Taken
}

// chroot takes over the files of one chroot and of its TFTP folder.
func (t *transfer) chroot(c farm.Chroot) error {
	root, err := keeper.OpenChroot(t.farm, c)
	if err != nil {
		return err
	}
	defer root.Close()
	data, err := root.Read(keeper.KnownHostsPath)
	if err == nil && !derive.IsOurs(data) {
		err = t.knownHosts(filepath.Join(root.Path(), keeper.KnownHostsPath), c.Name, data)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	served := servedConf(t.farm.TFTP.Directory, c)
	data, fetched, err := keeper.ReadServed(served)
	switch {
	case err == nil && !fetched:
		t.done = append(t.done,
			Taken{From: served, Note: "left out: not everybody may read it, so no client can fetch it; move it away"})
	case err == nil && !derive.IsOurs(data):
		err = t.ltsConf(served, c, "tftp-"+c.Name, data)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	data, err = root.Read(keeper.LTSConfPath)
	if err == nil && !derive.IsOurs(data) {
		err = t.ltsConf(filepath.Join(root.Path(), keeper.LTSConfPath), c, c.Name, data)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// machine takes over what LTSP keeps on the primary, and the primary's own keys.
func (t *transfer) machine(root string) error {
	lists, err := filepath.Glob(filepath.Join(root, "etc/ltsp/ssh_known_hosts*"))
	if err != nil {
		return err
	}
	if path := t.farm.LTSP.KnownHosts; path != "" && !slices.Contains(lists, path) {
		lists = append(lists, path)
	}
	for _, path := range lists {
		data, err := regular.Read(path, regular.MaxText)
		if errors.Is(err, fs.ErrNotExist) || derive.IsOurs(data) {
			continue
		}
		if err != nil {
			return err
		}
		if path == t.farm.LTSP.KnownHosts {
			if err := t.knownHosts(path, "ltsp", data); err != nil {
				return err
			}
			continue
		}
		if lines, note := t.addLines(path, data); lines > 0 || note != "" {
			t.done = append(t.done, Taken{From: path, To: t.farm.KnownHostsLocalPath(), Lines: lines, Note: note})
		}
	}
	own, err := filepath.Glob(filepath.Join(root, "etc/ssh/ssh_host_*_key.pub"))
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
			t.done = append(t.done, Taken{From: path, Note: "left out: " + err.Error()})
			continue
		}
		if n, _ := t.addLines(path, []byte("server "+key.Line()+"\n")); n > 0 {
			t.done = append(t.done,
				Taken{From: path, To: t.farm.KnownHostsLocalPath(), Lines: n,
					Note: "as the keys of `server`, which is this machine"})
		}
	}
	return nil
}

// knownHosts takes over a known_hosts file that an update will replace.
func (t *transfer) knownHosts(path, name string, data []byte) error {
	kept, err := t.keep(name+"-ssh_known_hosts", data)
	if err != nil {
		return err
	}
	lines, note := t.addLines(path, data)
	t.done = append(t.done, Taken{From: path, To: t.farm.KnownHostsLocalPath(), Lines: lines, Kept: kept, Note: note})
	return nil
}

// addLines adds to known_hosts.local what is not in it yet, under a comment that says where it is
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

// ltsConf takes over an lts.conf that clients use. The first one found becomes the admin's own.
func (t *transfer) ltsConf(path string, c farm.Chroot, name string, data []byte) error {
	kept, err := t.keep(name+"-lts.conf", data)
	if err != nil {
		return err
	}
	done := Taken{From: path, To: c.LTSConf, Kept: kept}
	switch have, err := regular.Read(c.LTSConf, regular.MaxText); {
	case errors.Is(err, fs.ErrNotExist):
		if err := durable.Write(c.LTSConf, data, 0o644); err != nil {
			return err
		}
		done.Lines = bytes.Count(data, []byte("\n"))
	case err != nil:
		return err
	case !bytes.Equal(have, data):
		done.Note = "not used: " + c.LTSConf + " was there already; compare the two"
	}
	t.done = append(t.done, done)
	return nil
}

// keep stores an exact copy in the adopted folder, and returns its path.
func (t *transfer) keep(name string, data []byte) (string, error) {
	if err := os.MkdirAll(t.folder, 0o755); err != nil {
		return "", err
	}
	for i := 0; ; i++ {
		path := filepath.Join(t.folder, name)
		if i > 0 {
			path += fmt.Sprintf(".%d", i)
		}
		have, err := regular.Read(path, regular.MaxText)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			// there may be less in it that is for everybody than there should
			return path, durable.Write(path, data, 0o600)
		case regular.IsOdd(err): // it stays, and the copy takes the next name
		case err != nil:
			return "", err
		case bytes.Equal(have, data):
			return path, nil
		}
	}
}
