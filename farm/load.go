package farm

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"ltskeeper/internal/regular"
	"ltskeeper/keys"
	"ltskeeper/ldm"
	"ltskeeper/ltsconf"
)

// The files beside ltskeeper.toml.
const (
	serversDir      = "servers.d"
	ltsConfName     = "lts.conf"
	knownHostsLocal = "known_hosts.local"
	adoptedDir      = "adopted"
)

// Load reads the declaration whose ltskeeper.toml is at path, and all that belongs to it. If
// anything in it is wrong, the error is Mistakes and names all of it.
func Load(path string) (*Farm, error) { return load(path, nil) }

// A loader reads a declaration.
type loader struct {
	farm     *Farm
	change   *change
	mistakes Mistakes

	names map[string]owner // of names and addresses, by their canonical form
	ports []portAt         // of the servers

	aliases []aliasAt // in ltskeeper.toml
}

// A change is a file of servers.d as it would be.
type change struct {
	name string // the server's
	text []byte // nil: there is no file
}

// load is Load for the declaration as it would be with the change.
func load(path string, c *change) (*Farm, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("load declaration: %w", err)
	}
	l := read(path, c)
	if len(l.mistakes) > 0 {
		return nil, l.mistakes
	}
	return l.farm, nil
}

// read reads all of a declaration, whatever is wrong with it.
func read(path string, c *change) *loader {
	l := &loader{farm: defaults(path), change: c, names: map[string]owner{}}
	l.settings()
	l.servers()
	l.checkPorts()
	l.checkAliases()
	l.ltsConf(l.farm.ltsConfPath(), Mistake{})
	l.knownHosts()
	slices.SortStableFunc(l.mistakes, func(a, b Mistake) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return l
}

// defaults is the farm of an empty ltskeeper.toml.
func defaults(path string) *Farm {
	return &Farm{
		Path:    path,
		Dir:     filepath.Dir(path),
		State:   "/var/lib/ltskeeper",
		Collect: Collect{Timeout: 5 * time.Second, Parallel: 64, FirstUse: true, RetireAfter: 14 * 24 * time.Hour},
		Image:   Image{Directory: "/srv/ltsp/images", Compression: "zstd", Keep: 3, KeepFor: 14 * 24 * time.Hour},
		TFTP:    TFTP{Directory: "/srv/tftp/ltsp"},
		Balance: Balance{Policy: ldm.Two},
		ltsConf: map[string][]byte{},
	}
}

// read reads a file of the declaration, of up to limit bytes. If there is none, ok is false, and
// missing is a mistake unless it is the zero Mistake.
func (l *loader) read(path string, limit int64, missing Mistake) (s *source, ok bool) {
	text, err := regular.Read(path, limit)
	switch {
	case err == nil:
		return &source{path: path, text: text, mistakes: &l.mistakes}, true
	case !errors.Is(err, fs.ErrNotExist):
		l.unreadable(path, err)
	case missing != Mistake{}:
		l.mistakes = append(l.mistakes, missing)
	}
	return nil, false
}

func (l *loader) unreadable(path string, err error) {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	remedy := "it is needed to be sure of the rest"
	switch {
	case errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0:
		remedy = "it is for root: put sudo in front of the command"
	case regular.IsOdd(err):
		remedy = "move it away, and put the file in its place"
	}
	l.mistakes = append(l.mistakes, Mistake{File: path, Msg: "it cannot be read: " + err.Error(), Remedy: remedy})
}

// ltsConf reads a source of lts.conf. What would cost clients their settings, or run as code on
// them, is a mistake; what they read otherwise than it was meant is not one, and `lts-conf check`
// tells of it.
func (l *loader) ltsConf(path string, missing Mistake) {
	if _, ok := l.farm.ltsConf[path]; ok {
		return
	}
	s, ok := l.read(path, regular.MaxText, missing)
	if !ok {
		return
	}
	l.farm.ltsConf[path] = s.text
	for _, p := range ltsconf.Check(path, s.text, nil) {
		if p.Severity == ltsconf.Error {
			l.mistakes = append(l.mistakes, Mistake{File: path, Line: p.Line, Column: p.Column, Msg: p.Msg})
		}
	}
}

// knownHosts reads known_hosts.local.
func (l *loader) knownHosts() {
	s, ok := l.read(l.farm.KnownHostsLocalPath(), regular.MaxText, Mistake{})
	if !ok {
		return
	}
	l.farm.KnownHostsLocal = s.text
	for _, fault := range keys.CheckKnownHosts(s.text) {
		l.mistakes = append(l.mistakes, Mistake{
			File: s.path, Line: fault.Line, Msg: fault.Msg,
			Remedy: "mend the line, or make it a comment with #",
		})
	}
}
