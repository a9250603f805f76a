package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"ltskeeper/adopt"
	"ltskeeper/farm"
	"ltskeeper/internal/host"
	"ltskeeper/internal/mounts"
	"ltskeeper/internal/remedy"
	"ltskeeper/keeper"
)

const (
	patience     = 3 * time.Second  // for one answer
	allPatience  = 2 * patience     // for the names of all servers
	treePatience = 20 * time.Second // for a look at a whole tree
	maxParallel  = 256              // questions at a time
)

// facts are what checks go by. They are gathered before the first check runs, and no check changes
// them.
type facts struct {
	declared
	record
	clients

	machine *host.Machine
	now     time.Time
	timer   string // what systemd says of ltskeeper-update.timer, like "enabled", and of the last
	result  string // ltskeeper-update.service, like "success"; "" if it does not know them

	all     []*serverFacts // declared
	servers []*serverFacts // of these, looked at
	chroots []*root        // likewise

	unseen []string // what could not be gathered
}

// declared is the declaration.
type declared struct {
	farm      *farm.Farm       // what is sound of it
	mistakes  farm.Mistakes    // what is not
	isMissing bool             // there is none
	only      []string         // the subjects that are wanted; empty: all
	silent    map[string]error // by the path of a chroot, that it does not answer
}

// setting is a setting in the declaration, and what to write.
func (d *declared) setting(section, key, value string) remedy.Setting {
	return remedy.Setting{File: d.farm.Path, Section: section, Key: key, Value: value}
}

// serverSetting is a setting in the file of a server, and what to write.
func (d *declared) serverSetting(name, key, value string) remedy.Setting {
	return remedy.Setting{File: d.farm.ServerPath(name), Key: key, Value: value}
}

// gatherFacts finds out what takes time or asks others.
func gatherFacts(ctx context.Context, path string, names []string, m *host.Machine) (*facts, error) {
	f := &facts{machine: m, now: m.Now()}
	var err error
	if f.declared, err = loadDeclaration(path, m); err != nil {
		return nil, err
	}
	servers, chroots, err := chooseSubjects(f.farm, names)
	if err != nil {
		if len(f.mistakes) > 0 {
			return f, nil // what it names may well be what is wrong
		}
		return nil, err
	}
	isWanted := map[string]bool{}
	for _, s := range servers {
		isWanted[s.Name] = true
		f.only = append(f.only, s.Name)
	}
	for _, c := range chroots {
		f.only = append(f.only, c.Name)
	}
	f.readRecord()
	for i, d := range f.farm.Servers {
		s := &serverFacts{Server: d, entry: f.farm.ListEntry(d), lookups: map[string]lookup{}}
		if f.status != nil {
			s.record = f.status.Servers[i]
		}
		f.all = append(f.all, s)
		if isWanted[s.Name] {
			f.servers = append(f.servers, s)
		}
	}
	f.readClients()
	var work sync.WaitGroup
	work.Go(func() { f.resolveNames(ctx); f.scanServers(ctx) })
	work.Go(func() { f.askLDMInfo(ctx) })
	work.Go(func() { f.askNameServers(ctx) })
	work.Go(func() { f.askSystemd(ctx) })
	for _, c := range chroots {
		r := &root{Chroot: c}
		f.chroots = append(f.chroots, r)
		work.Go(func() { f.enterChroot(ctx, r) })
	}
	work.Wait()
	f.judgeCertificates()
	f.resolveAsClients()
	for _, r := range f.chroots {
		f.noteUnseen(r)
	}
	return f, ctx.Err()
}

// loadDeclaration loads what is sound of the declaration. Where there is none, it is what there is
// of LTSP. A chroot that does not answer is noted. One of the farm's own folders that does not is
// an error: there is nothing to look at.
func loadDeclaration(path string, m *host.Machine) (d declared, err error) {
	if d.farm, d.mistakes, err = farm.Salvage(path); err != nil {
		return d, err
	}
	if _, err := os.Stat(d.farm.Path); errors.Is(err, fs.ErrNotExist) {
		d.isMissing = true
		d.takeDiscovered(adopt.Discover(m))
	}
	own := []string{d.farm.State.Path(), d.farm.Image.Directory, d.farm.TFTP}
	if d.farm.LTSP.KnownHosts != "" {
		own = append(own, filepath.Dir(d.farm.LTSP.KnownHosts))
	}
	if err := mounts.CheckAnswer(patience, own...); err != nil {
		return d, err
	}
	d.silent = findSilentRoots(keeper.New(d.farm))
	return d, nil
}

// takeDiscovered declares what was found.
func (d *declared) takeDiscovered(found adopt.Found) {
	for _, c := range found.Chroots {
		d.farm.Chroots = append(d.farm.Chroots,
			farm.Chroot{Name: c.Name, Path: c.Path, ExcludeDefaults: true, Write: true})
	}
	if found.Images != "" {
		d.farm.Image.Directory = found.Images
	}
	if found.TFTP != "" {
		d.farm.TFTP = found.TFTP
	}
}

// chooseSubjects returns what the names on the command line mean.
func chooseSubjects(f *farm.Farm, names []string) (servers []farm.Server, chroots []farm.Chroot, err error) {
	if len(names) == 0 {
		return f.Servers, f.Chroots, nil
	}
	for _, name := range names {
		s, noServer := f.FindServer(name)
		if noServer == nil {
			servers = append(servers, s)
		}
		c, noChroot := f.FindChroot(name)
		if noChroot == nil {
			chroots = append(chroots, c)
		}
		if noServer != nil && noChroot != nil {
			return nil, nil, &farm.UnknownError{Kind: "server or chroot", Name: name,
				Known: append(f.ServerNames(), f.ChrootNames()...)}
		}
	}
	return servers, chroots, nil
}

// askSystemd asks for the units that run update-image by themselves.
func (f *facts) askSystemd(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	f.timer, f.result = f.machine.UnitState(ctx, timer), f.machine.UnitResult(ctx, service)
}

// couldNotSee notes what stays hidden.
func (f *facts) couldNotSee(format string, args ...any) {
	f.unseen = append(f.unseen, fmt.Sprintf(format, args...))
}
