package doctor

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"ltskeeper/adopt"
	"ltskeeper/chroot"
	"ltskeeper/farm"
	"ltskeeper/internal/host"
	"ltskeeper/internal/mounts"
	"ltskeeper/keeper"
	"ltskeeper/keys"
	"ltskeeper/keys/scan"
	"ltskeeper/keys/trust"
	"ltskeeper/ldm"

	"golang.org/x/sync/errgroup"
)

const (
	patience     = 3 * time.Second  // for one answer
	allPatience  = 2 * patience     // for the names of all servers
	treePatience = 20 * time.Second // for a look at a whole tree
	atOnce       = 256              // questions
)

// facts are what checks go by.
type facts struct {
	machine *host.Machine
	now     time.Time

	farm     *farm.Farm    // what is sound of the declaration
	mistakes farm.Mistakes // what is not
	missing  bool          // there is no declaration
	only     []string      // the subjects that are wanted; none: all

	store    *trust.Store // nil without a status
	revoked  []keys.Key
	all      []*server // declared
	servers  []*server // of these, looked at
	chroots  []*root   // likewise
	status   *keeper.Status
	statusAt error // why there is none

	ltsp     *keeper.FileStatus // LTSP's known_hosts, nil if none is declared
	rendered []byte             // known_hosts as it would be written, nil if it cannot be

	ltspConf host.LTSPConf // of this machine

	hosts   host.HostsFile    // /etc/hosts
	timer   string            // what systemd says of ltskeeper-update.timer, like "enabled", and of the last
	result  string            // ltskeeper-update.service, like "success"; "" if it does not know them
	names   *host.NameServers // nil if none is configured
	clients []client          // of every chroot that is declared
	silent  map[string]error  // by the path of a chroot, that it does not answer

	unseen []string
}

// A server is one that is declared, and what was found out about it.
type server struct {
	farm.Server
	record   keeper.Server     // empty without a status
	certs    []keys.Stored     // on record
	lookups  map[string]lookup // its name, aliases and addresses, as this machine resolves them
	entry    string            // what stands for it in LDM_SERVER
	dns      lookup            // entry, as name servers know it; nothing for an address
	sighting keys.Sighting     // one key of each address
	reply    ldm.Reply
}

// A lookup is what became of a name.
type lookup struct {
	addresses []netip.Addr
	err       error
}

// A root is a chroot that is looked at.
type root struct {
	farm.Chroot
	opened *chroot.Root // nil if it is no client root, or cannot be read
	openAt error
	image  keeper.ImageStatus
	files  []keeper.FileStatus
	fileAt error  // why some of them are not there
	apart  string // a file under TFTP that is not the current generation's, or ""
	bytes  int64  // of its files, where no image tells how large the next will be
	stale  bool
	treeAt error
}

// gather finds out what takes time.
func gather(ctx context.Context, path string, names []string, m *host.Machine) (*facts, error) {
	f := &facts{machine: m, now: m.Now()}
	var err error
	if f.farm, f.mistakes, err = farm.Salvage(path); err != nil {
		return nil, err
	}
	if _, err := os.Stat(f.farm.Path); errors.Is(err, fs.ErrNotExist) {
		f.missing = true
		f.discover()
	}
	if err := f.findSilent(); err != nil {
		return nil, err
	}
	servers, chroots, err := chosen(f.farm, names)
	if err != nil {
		if len(f.mistakes) > 0 {
			return f, nil // what it names may well be what is wrong
		}
		return nil, err
	}
	wanted := map[string]bool{}
	for _, s := range servers {
		wanted[s.Name] = true
		f.only = append(f.only, s.Name)
	}
	for _, c := range chroots {
		f.only = append(f.only, c.Name)
	}
	f.look()
	for i, d := range f.farm.Servers {
		s := &server{Server: d, entry: f.farm.ListEntry(d), lookups: map[string]lookup{}}
		if f.status != nil {
			s.record = f.status.Servers[i]
		}
		f.all = append(f.all, s)
		if wanted[s.Name] {
			f.servers = append(f.servers, s)
		}
	}
	f.certificates()
	f.lookAtLTSP()
	f.hosts = host.ParseHosts(f.read("etc/hosts"))
	if f.ltspConf, err = m.ReadLTSPConf(); err != nil {
		f.couldNotSee("%v", err)
	}
	f.names = m.FindClientNameServers(f.ltspConf)
	f.openClients()
	work := sync.WaitGroup{}
	work.Go(func() { f.resolve(ctx); f.scan(ctx) })
	work.Go(func() { f.ask(ctx) })
	work.Go(func() { f.askNames(ctx) })
	work.Go(func() { f.askSystemd(ctx) })
	for _, c := range chroots {
		r := &root{Chroot: c, image: keeper.ImageStatus{Current: keeper.NoGeneration}}
		f.chroots = append(f.chroots, r)
		work.Go(func() { f.enter(ctx, r) })
	}
	work.Wait()
	for _, r := range f.chroots {
		f.blind(r)
	}
	return f, ctx.Err()
}

// look reads what is on record, unless nobody knows where that is.
func (f *facts) look() {
	for _, m := range f.mistakes {
		if m.File == f.farm.Path && (m.Key == "state" || m.Syntax) {
			f.couldNotSee("what is on record of keys and images, for %s cannot be read", f.farm.Path)
			return
		}
	}
	if f.status, f.statusAt = keeper.New(f.farm).ReadStatus(); f.statusAt != nil &&
		errors.Is(f.statusAt, fs.ErrPermission) {
		f.couldNotSee("the record of keys: %v", f.statusAt)
	}
}

// discover puts in what is there of LTSP, where nothing is declared.
func (f *facts) discover() {
	found := adopt.Discover(f.machine)
	for _, c := range found.Chroots {
		f.farm.Chroots = append(f.farm.Chroots,
			farm.Chroot{Name: c.Name, Path: c.Path, ExcludeDefaults: true, Write: true})
	}
	if found.Images != "" {
		f.farm.Image.Directory = found.Images
	}
	if found.TFTP != "" {
		f.farm.TFTP.Directory = found.TFTP
	}
}

// certificates reads the host certificates on record, and the revoked keys.
func (f *facts) certificates() {
	if f.status == nil {
		return
	}
	store, err := trust.OpenReadOnly(f.farm.State.KeysPath())
	if err != nil {
		return // the status has told
	}
	f.store, f.revoked = store, keys.PlainKeys(store.Revoked())
	for _, s := range f.servers {
		s.certs, _ = store.Certificates(s.Name)
	}
}

// lookAtLTSP sees to what clients of LTSP since 2019 get.
func (f *facts) lookAtLTSP() {
	if f.farm.LTSP.KnownHosts == "" || len(f.mistakes) > 0 || f.statusAt != nil {
		return
	}
	var err, err2 error
	f.ltsp, err = keeper.New(f.farm).ReadLTSPStatus()
	f.rendered, err2 = keeper.New(f.farm).KnownHosts()
	if err = errors.Join(err, err2); err != nil {
		f.couldNotSee("LTSP's known_hosts: %v", err)
	}
}

// findSilent keeps away from the roots of chroots that do not answer. Without one of the farm's own
// folders there is nothing to look at.
func (f *facts) findSilent() error {
	own := []string{f.farm.State.Path(), f.farm.Image.Directory, f.farm.TFTP.Directory}
	if f.farm.LTSP.KnownHosts != "" {
		own = append(own, filepath.Dir(f.farm.LTSP.KnownHosts))
	}
	if err := mounts.CheckAnswer(patience, own...); err != nil {
		return err
	}
	answers := make([]error, len(f.farm.Chroots))
	var all sync.WaitGroup
	for i, c := range f.farm.Chroots {
		all.Go(func() { answers[i] = keeper.New(f.farm).CheckRootAnswers(c, patience) })
	}
	all.Wait()
	f.silent = map[string]error{}
	for i, err := range answers {
		if errors.Is(err, mounts.ErrSilent) {
			f.silent[f.farm.Chroots[i].Path] = err
		}
	}
	return nil
}

// resolve looks up every name of every server, as this machine does.
func (f *facts) resolve(ctx context.Context) {
	if len(f.servers) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, allPatience)
	defer cancel()
	var g errgroup.Group
	g.SetLimit(atOnce)
	var mu sync.Mutex
	keep := func(s *server, name string, l lookup) {
		mu.Lock()
		defer mu.Unlock()
		s.lookups[name] = l
	}
	for _, s := range f.all {
		for _, name := range append(append([]string{s.Name}, s.Aliases...), s.Addresses...) {
			if address, err := netip.ParseAddr(name); err == nil {
				keep(s, name, lookup{addresses: []netip.Addr{address.Unmap()}})
				continue
			}
			g.Go(func() error {
				keep(s, name, f.lookup(ctx, name))
				return nil
			})
		}
	}
	g.Wait()
}

func (f *facts) lookup(ctx context.Context, name string) lookup {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	addresses, err := f.machine.ResolveName(ctx, name)
	for i := range addresses {
		addresses[i] = addresses[i].Unmap()
	}
	return lookup{addresses, err}
}

// read returns a file of the machine, which is empty if there is none. What may not be read is
// noted.
func (f *facts) read(name string) host.File {
	file, err := f.machine.Read(name)
	if err != nil {
		f.couldNotSee("%v", err)
	}
	return file
}

// readAll returns those of the machine that match the patterns and can be read.
func (f *facts) readAll(patterns ...string) []host.File {
	files, unread := f.machine.ReadAll(patterns...)
	for _, err := range unread {
		f.couldNotSee("%v", err)
	}
	return files
}

// scan asks each address for one key.
func (f *facts) scan(ctx context.Context) {
	known := map[string]lookup{}
	var targets []scan.Target
	for _, s := range f.servers {
		for name, l := range s.lookups {
			known[name] = l
		}
		targets = append(targets, scan.Target{
			Name: s.Name, Addresses: s.Addresses, Port: s.Port, Certificates: len(f.farm.Authorities) > 0,
		})
	}
	scanner := scan.Scanner{
		Timeout: min(f.farm.Collect.Timeout, patience), Parallel: max(f.farm.Collect.Parallel, atOnce), Brief: true,
		Resolve: func(_ context.Context, name string) ([]netip.Addr, error) {
			return append([]netip.Addr(nil), known[name].addresses...), known[name].err
		},
	}
	sightings, err := scanner.Scan(ctx, targets, nil)
	if err != nil {
		return
	}
	for i, s := range f.servers {
		s.sighting = sightings[i]
	}
}

// ask asks ldminfod on every server.
func (f *facts) ask(ctx context.Context) {
	var servers []ldm.Server
	for _, s := range f.servers {
		servers = append(servers, ldm.Server{Name: s.Name, Addresses: s.Addresses})
	}
	asker := ldm.Asker{Timeout: patience, NoSSH: true}
	for i, reply := range asker.Ask(ctx, servers) {
		f.servers[i].reply = reply
	}
}

// askNames asks name servers for what stands in LDM_SERVER.
func (f *facts) askNames(ctx context.Context) {
	if f.names == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, allPatience)
	defer cancel()
	var g errgroup.Group
	g.SetLimit(atOnce)
	for _, s := range f.servers {
		if isAddress(s.entry) {
			continue
		}
		g.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			s.dns.addresses, s.dns.err = f.names.LookUp(ctx, s.entry)
			return nil
		})
	}
	g.Wait()
}

// askSystemd asks for the units that run update-image by themselves.
func (f *facts) askSystemd(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	f.timer, f.result = f.machine.UnitState(ctx, timer), f.machine.UnitResult(ctx, service)
}

// enter looks into a chroot.
func (f *facts) enter(ctx context.Context, r *root) {
	if r.openAt = f.silent[r.Path]; r.openAt == nil {
		r.opened, r.openAt = chroot.Open(r.Path)
	}
	if f.status != nil {
		for _, i := range f.status.Images {
			if i.Chroot == r.Name {
				r.image = i
			}
		}
	}
	if r.openAt != nil || len(f.mistakes) > 0 || f.statusAt != nil {
		return
	}
	r.files, r.fileAt = keeper.New(f.farm).ReadFileStatus(r.Chroot)
	f.lookApart(r)
	if r.image.Held != nil {
		return // it is known to differ
	}
	if r.opened.IsSystem() {
		r.stale = r.upgraded() // a machine at work writes all the time
		return
	}
	ctx, cancel := context.WithTimeout(ctx, treePatience)
	defer cancel()
	if r.image.Current == keeper.NoGeneration {
		mounted, _ := keeper.New(f.farm).ListMounts(r.Chroot, r.opened) // update-image says what is wrong with them
		r.bytes = treeSize(ctx, r.Path, mounted)
		return
	}
	if r.stale, r.treeAt = keeper.New(f.farm).IsStale(ctx, r.Chroot); errors.Is(r.treeAt, context.DeadlineExceeded) {
		r.treeAt = errors.New("whether " + r.Path +
			" has changed since its image was built: its disk is too slow for a look")
	}
}

// blind notes what could not be seen of a chroot.
func (f *facts) blind(r *root) {
	switch {
	case errors.Is(r.openAt, fs.ErrPermission):
		f.couldNotSee("chroot %s: %v", r.Name, r.openAt)
	case len(f.mistakes) > 0:
		f.couldNotSee("chroot %s: whether its files are as declared, for the declaration is not sound", r.Name)
	}
	for _, err := range []error{r.fileAt, r.treeAt} {
		if err != nil {
			f.couldNotSee("chroot %s: %v", r.Name, err)
		}
	}
}

// answered counts the addresses of a server that showed a key.
func (s *server) answered() (n int) {
	for _, a := range s.sighting.Addresses {
		if len(a.Keys) > 0 {
			n++
		}
	}
	return n
}

// trusted are the server's keys on record.
func (s *server) trusted() []keys.Key {
	var list []keys.Key
	for _, k := range s.record.Keys {
		list = append(list, k.Key)
	}
	return list
}

// declared lists the IP addresses in a server's declaration.
func (s *server) declared() []netip.Addr {
	var list []netip.Addr
	for _, a := range s.Addresses {
		if address, err := netip.ParseAddr(a); err == nil {
			list = append(list, address.Unmap())
		}
	}
	return list
}

// here are the addresses at which this machine reaches a server.
func (s *server) here() []netip.Addr {
	names := s.Addresses
	if len(names) == 0 {
		names = []string{s.Name}
	}
	var list []netip.Addr
	for _, name := range names {
		list = append(list, s.lookups[name].addresses...)
	}
	return list
}

func join(addresses []netip.Addr) string {
	var words []string
	for _, a := range addresses {
		words = append(words, a.String())
	}
	return strings.Join(words, " and ")
}
