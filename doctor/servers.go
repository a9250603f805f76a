package doctor

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"ltskeeper/farm"
	"ltskeeper/keeper"
	"ltskeeper/keys"
	"ltskeeper/keys/scan"
	"ltskeeper/ldm"

	"golang.org/x/sync/errgroup"
)

// serverFacts are a declared server, and what was found out about it.
type serverFacts struct {
	farm.Server
	record       keeper.Server     // what is on record of it; empty without a status
	entry        string            // what it is called in LDM_SERVER
	lookups      map[string]lookup // its name, aliases and addresses, as this machine resolves them
	inDNS        lookup            // entry, as name servers know it; nothing for an address
	atClients    []clientLookup    // entry, as the clients of each chroot resolve it
	sighting     keys.Sighting     // one key of each address
	certificates []certificate
	reply        ldm.Reply
}

// A lookup is what became of a name.
type lookup struct {
	addresses []netip.Addr
	err       error
}

// resolveNames looks up every name of every server, as this machine does.
func (f *facts) resolveNames(ctx context.Context) {
	if len(f.servers) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, allPatience)
	defer cancel()
	var g errgroup.Group
	g.SetLimit(maxParallel)
	var mu sync.Mutex
	keep := func(s *serverFacts, name string, l lookup) {
		mu.Lock()
		defer mu.Unlock()
		s.lookups[name] = l
	}
	for _, s := range f.all {
		for _, name := range slices.Concat([]string{s.Name}, s.Aliases, s.Addresses) {
			if address, err := netip.ParseAddr(name); err == nil {
				keep(s, name, lookup{addresses: []netip.Addr{address.Unmap()}})
				continue
			}
			g.Go(func() error {
				keep(s, name, f.resolveName(ctx, name))
				return nil
			})
		}
	}
	g.Wait()
}

func (f *facts) resolveName(ctx context.Context, name string) lookup {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	addresses, err := f.machine.ResolveName(ctx, name)
	for i := range addresses {
		addresses[i] = addresses[i].Unmap()
	}
	return lookup{addresses, err}
}

// scanServers asks each address for one key.
func (f *facts) scanServers(ctx context.Context) {
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
		Timeout: min(f.farm.Collect.Timeout, patience), Parallel: max(f.farm.Collect.Parallel,
			maxParallel), Brief: true,
		Resolve: func(_ context.Context, name string) ([]netip.Addr, error) {
			return slices.Clone(known[name].addresses), known[name].err
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

// askLDMInfo asks ldminfod on every server.
func (f *facts) askLDMInfo(ctx context.Context) {
	var servers []ldm.Server
	for _, s := range f.servers {
		servers = append(servers, ldm.Server{Name: s.Name, Addresses: s.Addresses})
	}
	asker := ldm.Asker{Timeout: patience, NoSSH: true}
	for i, reply := range asker.Ask(ctx, servers) {
		f.servers[i].reply = reply
	}
}

// askNameServers asks the name servers of clients for what servers are called in LDM_SERVER.
func (f *facts) askNameServers(ctx context.Context) {
	if f.nameServers == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, allPatience)
	defer cancel()
	var g errgroup.Group
	g.SetLimit(maxParallel)
	for _, s := range f.servers {
		if isAddress(s.entry) {
			continue
		}
		g.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			s.inDNS.addresses, s.inDNS.err = f.nameServers.LookUp(ctx, s.entry)
			return nil
		})
	}
	g.Wait()
}

// countAnswers counts the addresses of a server that showed a key.
func (s *serverFacts) countAnswers() (n int) {
	for _, a := range s.sighting.Addresses {
		if len(a.Keys) > 0 {
			n++
		}
	}
	return n
}

// shownKeys returns the keys that the server showed just now.
func (s *serverFacts) shownKeys() (shown []keys.Key) {
	for _, a := range s.sighting.Addresses {
		shown = append(shown, a.Keys...)
	}
	return shown
}

// shownCertificates returns the certificates that the server showed just now.
func (s *serverFacts) shownCertificates() (shown []keys.Stored) {
	for _, a := range s.sighting.Addresses {
		for _, c := range a.Certificates {
			shown = append(shown, keys.Stored{Key: c})
		}
	}
	return shown
}

// trustedKeys returns the server's trusted keys on record.
func (s *serverFacts) trustedKeys() (trusted []keys.Key) {
	for _, k := range s.record.Keys {
		trusted = append(trusted, k.Key)
	}
	return trusted
}

// listedNames returns the names by which clients know the server.
func (s *serverFacts) listedNames() []string { return append([]string{s.entry}, s.Aliases...) }

// declaredAddresses returns the IP addresses in the server's declaration.
func (s *serverFacts) declaredAddresses() (list []netip.Addr) {
	for _, a := range s.Addresses {
		if address, err := netip.ParseAddr(a); err == nil {
			list = append(list, address.Unmap())
		}
	}
	return list
}

// addressesHere returns the addresses at which this machine reaches the server.
func (s *serverFacts) addressesHere() (list []netip.Addr) {
	names := s.Addresses
	if len(names) == 0 {
		names = []string{s.Name}
	}
	for _, name := range names {
		list = append(list, s.lookups[name].addresses...)
	}
	return list
}

// namesToResolve returns the names by which this machine reaches the server.
func (s *serverFacts) namesToResolve() []string {
	if len(s.Addresses) == 0 {
		return []string{s.Name}
	}
	return slices.DeleteFunc(slices.Clone(s.Addresses), isAddress)
}

// isLocal reports whether an address means the machine that uses it, although the server's
// declaration has no such address.
func (s *serverFacts) isLocal(a netip.Addr) bool {
	return a.IsLoopback() && !slices.ContainsFunc(s.declaredAddresses(), netip.Addr.IsLoopback)
}

func isAddress(name string) bool {
	_, err := netip.ParseAddr(name)
	return err == nil
}

func joinAddresses(addresses []netip.Addr) string {
	var words []string
	for _, a := range addresses {
		words = append(words, a.String())
	}
	return strings.Join(words, " and ")
}
