package doctor

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"ltskeeper/chroot"
	"ltskeeper/internal/host"
)

// A client is what the clients of a chroot resolve names with. The name servers they ask are those
// that ltsp.conf or dnsmasq here names to them, else taken to be this machine's: DHCP mostly gives
// them the same.
type client struct {
	chroot  string
	root    string
	ltsp    string // ltsp.conf, if LTSP since 2019 writes their hosts file when they boot, of what stands in there
	hosts   host.HostsFile
	unended bool     // its last line has no end
	unclear bool     // there is more in it, which only a shell can tell
	sources []string // of etc/nsswitch.conf
}

// hostsPath is the file in which their hosts stand.
func (c client) hostsPath() string { return cmp.Or(c.ltsp, filepath.Join(c.root, "etc/hosts")) }

// apply is the command with which clients get what stands there.
func (c client) apply() string {
	if c.ltsp != "" {
		return "ltsp initrd"
	}
	return "ltskeeper update-image"
}

// openClients reads what the clients of every chroot have.
func (f *facts) openClients() {
	for _, d := range f.farm.Chroots {
		if f.silent[d.Path] != nil {
			continue
		}
		root, err := chroot.Open(d.Path)
		if err != nil {
			continue
		}
		c := client{chroot: d.Name, root: d.Path}
		if _, err := root.Read(ltsp5); err != nil && f.farm.LTSP.KnownHosts != "" {
			c.ltsp = f.ltspConf.Path
			c.hosts, c.unclear = f.ltspHosts()
		} else {
			data, _ := root.Read("etc/hosts")
			c.hosts = host.ParseHosts(host.File{Path: c.hostsPath(), Data: data})
			c.unended = len(data) > 0 && data[len(data)-1] != '\n'
		}
		nsswitch, _ := root.Read("etc/nsswitch.conf")
		c.sources = host.ParseNameSources(host.File{Data: nsswitch})
		root.Close()
		f.clients = append(f.clients, c)
	}
}

// ltsp5 is a file of LTSP 5 in a client root. That one boots by itself, whatever there is on this
// machine.
const ltsp5 = "usr/share/ltsp/ltsp_config"

// ltspHosts is the hosts file that LTSP since 2019 gives its clients, in the place of the image's.
func (f *facts) ltspHosts() (h host.HostsFile, unclear bool) {
	h, lines := f.ltspConf.ClientHosts()
	for _, where := range lines {
		f.couldNotSee("which hosts %s gives to clients: a shell works that out", where)
	}
	return h, len(lines) > 0
}

// hostsCommands are what to type for their hosts file to hold a name.
func (c client) hostsCommands(address netip.Addr, name string) []string {
	line := address.String() + " " + name
	if c.ltsp == "" {
		if c.unended {
			return []string{shell(`printf '\n%%s\n' %s >>%s`, line, c.hostsPath())}
		}
		return []string{shell("echo %s >>%s", line, c.hostsPath())}
	}
	const section = `^ *\[ *clients *\]` // of two, LTSP would take the second alone
	setting := fmt.Sprintf("HOSTS_%s=%q", noShellName.ReplaceAllString(name, "_"), line)
	return []string{
		shell(`grep -qis %s %s || printf '\n[clients]\n' >>%s`, section, c.ltsp, c.ltsp),
		shell("sed -i %s %s", "/"+section+"/Ia "+setting, c.ltsp),
	}
}

var noShellName = regexp.MustCompile(`[^A-Za-z0-9_]`)

// resolve finds the addresses of what stands for a server in LDM_SERVER, as a client does. known is
// false if that cannot be told from here.
func (c client) resolve(f *facts, s *server) (addresses []netip.Addr, from string, known bool) {
	if c.ltsp != "" && s.entry == "server" {
		return nil, "", false // LTSP itself gives it an address
	}
	known = !c.unclear
	for _, source := range c.sources {
		switch {
		case source == "files":
			for _, line := range c.hosts.Find(s.entry) {
				addresses = append(addresses, line.Address)
			}
			from = c.hostsPath()
		case source == "dns" || source == "resolve":
			if f.names == nil {
				continue
			}
			if s.dns.err != nil && !errors.Is(s.dns.err, host.ErrNoName) {
				f.couldNotSee("whether clients can resolve names: the name servers of %s do not answer", f.names.File)
				return nil, "", false
			}
			addresses, from = s.dns.addresses, "DNS"
		case strings.HasPrefix(source, "mdns") && strings.HasSuffix(strings.ToLower(s.entry), ".local"):
			known = false
		}
		if len(addresses) > 0 {
			return addresses, from, true
		}
	}
	return nil, "", known
}

func namesClient(f *facts) (found []Finding) {
	for _, s := range f.servers {
		if isAddress(s.entry) || len(s.Addresses) == 0 && len(s.lookups[s.Name].addresses) == 0 {
			continue // names-unresolved says it
		}
		var without []client
		for _, c := range f.clients {
			if addresses, _, known := c.resolve(f, s); known && len(addresses) == 0 {
				without = append(without, c)
			}
		}
		if len(without) == 0 {
			continue
		}
		var chroots, commands, apply []string
		here := slices.DeleteFunc(s.here(), s.local)
		for _, c := range without {
			chroots = append(chroots, c.chroot)
			if len(here) == 0 {
				continue
			}
			commands = append(commands, c.hostsCommands(here[0], s.entry)...)
			apply = append(apply, c.apply())
		}
		dns := "nor does DNS"
		if f.names == nil {
			dns = "and this machine has no name server to ask"
		}
		knows := ""
		if from := f.fromHosts(s.entry, anyAddress); from != "" {
			knows = " This machine knows it from its own file" + from + "."
		}
		ways := fmt.Sprintf("Put the name into DNS; or give clients addresses, with list = \"address\" under [lts-conf] in %s", f.farm.Path)
		if len(commands) > 0 { // else names-loopback says what comes first
			ways += "; or have it stand in their /etc/hosts:"
			commands = once(append(commands, apply...))
		}
		found = append(found, Finding{
			Kind: Server, Subject: s.Name, Fix: sentence(ways), Commands: commands,
			Message: fmt.Sprintf("Clients of %s cannot resolve %s: their /etc/hosts does not hold it, %s.%s",
				list(chroots), s.entry, dns, knows),
		})
	}
	return found
}

func namesClientDiffer(f *facts) (found []Finding) {
	for _, s := range f.servers {
		here := s.here()
		if isAddress(s.entry) || len(here) == 0 || slices.ContainsFunc(here, s.local) {
			continue
		}
		told := map[string]bool{}
		for _, c := range f.clients {
			addresses, from, _ := c.resolve(f, s)
			others := slices.DeleteFunc(slices.Clone(addresses), func(a netip.Addr) bool {
				return slices.Contains(here, a) || s.local(a)
			})
			if len(others) == 0 || told[from] {
				continue
			}
			told[from] = true
			found = append(found, Finding{
				Kind: Server, Subject: s.Name,
				Message: fmt.Sprintf("Clients of %s find %s at %s (%s), and keys are collected at %s.", c.chroot,
					s.entry, join(others), from, join(here)),
				Fix: fmt.Sprintf("Put right whichever is wrong: %s, or the addresses in %s.", from,
					f.farm.ServerPath(s.Name)),
			})
		}
	}
	return found
}

func isNotFound(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) && dns.IsNotFound
}
