package doctor

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"ltskeeper/chroot"
)

// A client is what the clients of a chroot resolve names with. The name servers they ask are those that dnsmasq here names to
// them, else taken to be this machine's: DHCP mostly gives them the same.
type client struct {
	chroot  string
	root    string
	hosts   hostsFile
	sources []string // of etc/nsswitch.conf
}

func (c client) path(name string) string { return filepath.Join(c.root, name) }

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
		data, _ := root.Read("etc/hosts")
		c.hosts = readHosts(data)
		nsswitch, _ := root.Read("etc/nsswitch.conf")
		c.sources = hostSources(nsswitch)
		root.Close()
		f.clients = append(f.clients, c)
	}
}

// hostSources returns where names are looked up (nsswitch.conf(5)), without what to do if one has no answer.
func hostSources(nsswitch []byte) []string {
	for _, line := range lines(nsswitch) {
		if rest, found := strings.CutPrefix(line, "hosts:"); found {
			return slices.DeleteFunc(strings.Fields(rest), func(w string) bool { return strings.ContainsAny(w, "[]=") })
		}
	}
	return []string{"files", "dns"}
}

// resolve finds the addresses of what stands for a server in LDM_SERVER, as a client does. known is false if that cannot be
// told from here.
func (c client) resolve(f *facts, s *server) (addresses []netip.Addr, from string, known bool) {
	known = true
	for _, source := range c.sources {
		switch {
		case source == "files":
			for _, line := range c.hosts.lines(s.entry) {
				addresses = append(addresses, line.address)
			}
			from = c.path("etc/hosts")
		case source == "dns" || source == "resolve":
			if f.names == nil {
				continue
			}
			if s.dns.err != nil && !errors.Is(s.dns.err, errNoName) {
				f.couldNotSee("whether clients can resolve names: the name servers of %s do not answer", f.names.file)
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
		var chroots, commands []string
		here := slices.DeleteFunc(s.here(), s.local)
		for _, c := range without {
			chroots = append(chroots, c.chroot)
			if len(here) == 0 {
				continue
			}
			line := "echo %s >>%s"
			if c.hosts.unended {
				line = `printf '\n%%s\n' %s >>%s`
			}
			commands = append(commands, shell(line, here[0].String()+" "+s.entry, c.path("etc/hosts")))
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
			ways += "; or put it into their /etc/hosts:"
			commands = append(commands, "ltskeeper update-image")
		}
		found = append(found, Finding{
			Kind: Server, Subject: s.Name, Fix: sentence(ways), Commands: commands,
			Message: fmt.Sprintf("Clients of %s cannot resolve %s: their /etc/hosts does not hold it, %s.%s", list(chroots), s.entry, dns, knows),
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
			others := slices.DeleteFunc(slices.Clone(addresses), func(a netip.Addr) bool { return slices.Contains(here, a) || s.local(a) })
			if len(others) == 0 || told[from] {
				continue
			}
			told[from] = true
			found = append(found, Finding{
				Kind: Server, Subject: s.Name,
				Message: fmt.Sprintf("Clients of %s find %s at %s (%s), and keys are collected at %s.", c.chroot, s.entry, join(others), from, join(here)),
				Fix:     fmt.Sprintf("Put right whichever is wrong: %s, or the addresses in %s.", from, f.farm.ServerPath(s.Name)),
			})
		}
	}
	return found
}

func isNotFound(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) && dns.IsNotFound
}
