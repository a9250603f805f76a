package doctor

import (
	"cmp"
	"errors"
	"net/netip"
	"path/filepath"
	"strings"

	"ltskeeper/chroot"
	"ltskeeper/farm"
	"ltskeeper/internal/host"
	"ltskeeper/internal/remedy"
)

// clients are what this machine and the clients resolve names with. The name servers that clients
// ask are those that ltsp.conf or dnsmasq here names to them, otherwise taken to be this machine's:
// DHCP mostly gives them the same.
type clients struct {
	hosts       host.HostsFile    // of this machine
	ltspConf    host.LTSPConf     // likewise
	nameServers *host.NameServers // nil if none is configured
	resolvers   []*resolver       // of every chroot that is declared
}

// A resolver is what the clients of a chroot resolve names with.
type resolver struct {
	chroot     string
	root       string
	ltsp       string // ltsp.conf, if LTSP since 2019 makes their hosts file of it when they boot
	hosts      host.HostsFile
	isUnclear  bool     // there is more in it, which only a shell can tell
	isWritable bool     // ltskeeper may change that file
	sources    []string // of etc/nsswitch.conf
}

// A clientLookup is what becomes of a server's name where the clients of a chroot resolve it.
type clientLookup struct {
	*resolver
	addresses []netip.Addr
	source    string // "DNS", or the hosts file
	isKnown   bool   // false if that cannot be told from here
}

// readClients reads what this machine and the clients of every chroot have.
func (f *facts) readClients() {
	hosts, err := f.machine.Read("etc/hosts")
	if err != nil {
		f.couldNotSee("%v", err)
	}
	f.hosts = host.ParseHosts(hosts)
	if f.ltspConf, err = f.machine.ReadLTSPConf(); err != nil {
		f.couldNotSee("%v", err)
	}
	f.nameServers = f.machine.FindClientNameServers(f.ltspConf)
	for _, d := range f.farm.Chroots {
		if f.silent[d.Path] != nil {
			continue
		}
		root, err := chroot.Open(d.Path)
		if err != nil {
			continue
		}
		f.resolvers = append(f.resolvers, f.readResolver(d, root))
		root.Close()
	}
}

func (f *facts) readResolver(d farm.Chroot, root *chroot.Root) *resolver {
	r := &resolver{chroot: d.Name, root: d.Path, isWritable: d.Write}
	if f.keeper.TakesHostsFromLTSP(root) {
		r.ltsp, r.isWritable = f.ltspConf.Path, true
		var unclear []string
		r.hosts, unclear = f.ltspConf.ClientHosts()
		for _, where := range unclear {
			f.couldNotSee("which hosts %s gives to clients: a shell works that out", where)
		}
		r.isUnclear = len(unclear) > 0
	} else {
		data, _ := root.Read("etc/hosts")
		r.hosts = host.ParseHosts(host.File{Path: r.hostsPath(), Data: data})
	}
	nsswitch, _ := root.Read("etc/nsswitch.conf")
	r.sources = host.ParseNameSources(host.File{Data: nsswitch})
	return r
}

// hostsPath returns the file that the clients' hosts are in.
func (r *resolver) hostsPath() string { return cmp.Or(r.ltsp, filepath.Join(r.root, "etc/hosts")) }

// publish is what to do for clients to get what was changed in there.
func (r *resolver) publish() remedy.Remedy {
	if r.ltsp != "" {
		return remedy.Program{"ltsp", "initrd"}
	}
	return remedy.Command{"update-image"}
}

// resolveAsClients finds the addresses of what servers are called in LDM_SERVER, as clients do.
func (f *facts) resolveAsClients() {
	isSilent := false
	for _, s := range f.servers {
		if isAddress(s.entry) || len(s.Addresses) == 0 && len(s.addressesHere()) == 0 {
			continue // names-unresolved says it
		}
		for _, r := range f.resolvers {
			l, err := r.resolve(s, f.nameServers != nil)
			s.atClients = append(s.atClients, l)
			isSilent = isSilent || err != nil
		}
	}
	if isSilent {
		f.couldNotSee("whether clients can resolve names: the name servers of %s do not answer", f.nameServers.File)
	}
}

// resolve finds the addresses of what a server is called in LDM_SERVER, as a client does. The error
// is that no name server answers.
func (r *resolver) resolve(s *serverFacts, hasDNS bool) (clientLookup, error) {
	l := clientLookup{resolver: r, isKnown: !r.isUnclear}
	if r.ltsp != "" && s.entry == "server" {
		l.isKnown = false // LTSP itself gives it an address
		return l, nil
	}
	for _, source := range r.sources {
		switch {
		case source == "files":
			l.source = r.hostsPath()
			for _, line := range r.hosts.Find(s.entry) {
				l.addresses = append(l.addresses, line.Address)
			}
		case hasDNS && (source == "dns" || source == "resolve"):
			if s.inDNS.err != nil && !errors.Is(s.inDNS.err, host.ErrNoName) {
				l.isKnown = false
				return l, s.inDNS.err
			}
			l.addresses, l.source = s.inDNS.addresses, "DNS"
		case strings.HasPrefix(source, "mdns") && strings.HasSuffix(strings.ToLower(s.entry), ".local"):
			l.isKnown = false
		}
		if len(l.addresses) > 0 {
			l.isKnown = true
			return l, nil
		}
	}
	return l, nil
}
