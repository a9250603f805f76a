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
	"ltskeeper/internal/remedy"
	"ltskeeper/keys"
	"ltskeeper/ldm"
	"ltskeeper/ltsconf"
)

// Load reads the declaration whose ltskeeper.toml is at path, and all that belongs to it. If
// anything in it is wrong, the error is Mistakes and names all of it.
func Load(path string) (*Farm, error) { return loadChanged(path, "", nil) }

// loadChanged is Load for the declaration as it would be if a file of servers.d held text; nil:
// without that file.
func loadChanged(path, changed string, text []byte) (*Farm, error) {
	l, err := readDeclaration(path, changed, text)
	if err != nil {
		return nil, err
	}
	if len(l.mistakes) > 0 {
		return nil, l.mistakes
	}
	return l.farm, nil
}

// Salvage returns what is sound of a declaration, and what is not: for callers that only read. Of a
// file with mistakes nothing is used but what ltskeeper.toml says without one; where a setting is
// wrong, its default is used. Nothing may be derived for clients from such a farm.
func Salvage(path string) (*Farm, Mistakes, error) {
	l, err := readDeclaration(path, "", nil)
	if err != nil {
		return nil, nil, err
	}
	f := l.farm
	isWrong := map[string]bool{} // files
	for _, m := range l.mistakes {
		isWrong[m.File] = true
	}
	f.Servers = slices.DeleteFunc(f.Servers, func(s Server) bool { return isWrong[f.ServerPath(s.Name)] })
	seen := map[string]bool{}
	f.Chroots = slices.DeleteFunc(f.Chroots, func(c Chroot) bool {
		isBad := c.Path == "" || chrootNameProblem(c.Name) != "" || seen[c.Name]
		seen[c.Name] = true
		return isBad
	})
	f.Aliases = slices.DeleteFunc(f.Aliases, func(a Alias) bool { return a.Name == "" })
	f.Authorities = slices.DeleteFunc(f.Authorities, func(a keys.Authority) bool { return len(a.Key.Blob) == 0 })
	if isWrong[f.KnownHostsLocalPath()] {
		f.KnownHostsLocal = nil
	}
	return f, l.mistakes, nil
}

// A loader reads a declaration.
type loader struct {
	farm     *Farm
	changed  string // a file of servers.d that is not read, or ""
	text     []byte // what is taken in its place, or nil
	mistakes Mistakes

	owners  map[string]owner // of names and addresses, by their canonical form
	ports   []portAt         // of the servers
	aliases []place          // of names, in ltskeeper.toml
}

// readDeclaration reads all of a declaration, whatever is wrong with it.
func readDeclaration(path, changed string, text []byte) (*loader, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("load declaration: %w", err)
	}
	l := &loader{farm: newFarm(path), changed: changed, text: text, owners: map[string]owner{}}
	l.readSettings()
	l.readServers()
	l.checkPorts()
	l.checkAliases()
	l.readLTSConf(l.farm.ltsConfPath(), nil)
	l.readKnownHostsLocal()
	slices.SortStableFunc(l.mistakes, func(a, b Mistake) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return l, nil
}

// newFarm returns the farm of an empty ltskeeper.toml.
func newFarm(path string) *Farm {
	return &Farm{
		Path:     path,
		Dir:      filepath.Dir(path),
		State:    "/var/lib/ltskeeper",
		Collect:  Collect{Timeout: 5 * time.Second, Parallel: 64, FirstUse: true, RetireAfter: 14 * 24 * time.Hour},
		Image:    Image{Directory: "/srv/ltsp/images", Compression: "zstd", Keep: 3, KeepFor: 14 * 24 * time.Hour},
		TFTP:     "/srv/tftp/ltsp",
		Balance:  Balance{Policy: ldm.Two},
		ltsConfs: map[string]*ltsconf.File{},
	}
}

// readFile reads a file of the declaration, of up to limit bytes. It returns nil if the file does
// not exist and adds missing, unless that is nil.
func (l *loader) readFile(path string, limit int64, missing *Mistake) *source {
	text, err := regular.Read(path, limit)
	switch {
	case err == nil:
		return &source{path: path, text: text, mistakes: &l.mistakes}
	case !errors.Is(err, fs.ErrNotExist):
		l.addUnreadable(path, err)
	case missing != nil:
		l.mistakes = append(l.mistakes, *missing)
	}
	return nil
}

// addUnreadable adds the mistake that a file cannot be read.
func (l *loader) addUnreadable(path string, err error) {
	if p, is := errors.AsType[*fs.PathError](err); is {
		err = p.Err
	}
	var advice remedy.Advice = "make it readable: it is needed to be sure of the rest"
	switch {
	case errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0:
		advice = "put sudo in front of the command"
	case regular.IsOdd(err):
		advice = "move it away, and put the file in its place"
	}
	l.mistakes = append(l.mistakes, Mistake{File: path, Msg: "it cannot be read: " + err.Error(),
		Remedies: []remedy.Remedy{advice}})
}

// readLTSConf reads a source of lts.conf. What would cost clients their settings, or run as code on
// them, is a mistake. What they read differently from what was meant is not; ltsconf.Check finds
// it.
func (l *loader) readLTSConf(path string, missing *Mistake) {
	if l.farm.ltsConfs[path] != nil {
		return
	}
	s := l.readFile(path, regular.MaxText, missing)
	if s == nil {
		return
	}
	isSound := true
	for _, p := range ltsconf.Check(path, s.text, nil) {
		if p.Severity == ltsconf.Error {
			isSound = false
			l.mistakes = append(l.mistakes, Mistake{File: path, Line: p.Line, Column: p.Column, Msg: p.Msg})
		}
	}
	if file, err := ltsconf.Parse(path, s.text); isSound && err == nil { // Check reports what Parse does
		l.farm.ltsConfs[path] = file
	}
}

func (l *loader) readKnownHostsLocal() {
	s := l.readFile(l.farm.KnownHostsLocalPath(), regular.MaxText, nil)
	if s == nil {
		return
	}
	l.farm.KnownHostsLocal = s.text
	for _, fault := range keys.CheckKnownHosts(s.text) {
		l.mistakes = append(l.mistakes, Mistake{File: s.path, Line: fault.Line, Msg: fault.Msg,
			Remedies: []remedy.Remedy{remedy.Advice("mend the line, or make it a comment with #")}})
	}
}
