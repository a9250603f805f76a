package doctor

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"ltskeeper/internal/remedy"
)

// exampleAddress is a server's address in TOML, for people to put their own in its place.
const exampleAddress = `["10.0.0.11"]`

// describeHostsLine describes which line of this machine's hosts file a name is from, as a
// half-sentence in brackets, "" if it is not from there.
func (f *facts) describeHostsLine(name string, isMeant func(netip.Addr) bool) string {
	for _, line := range f.hosts.Find(name) {
		if isMeant(line.Address) {
			return fmt.Sprintf(" (%s)", line.Where)
		}
	}
	return ""
}

func isAny(netip.Addr) bool { return true }

func checkNamesLoopback(f *facts, s *serverFacts, r *results) {
	for _, name := range s.namesToResolve() {
		here := slices.DeleteFunc(slices.Clone(s.lookups[name].addresses), func(a netip.Addr) bool {
			return !s.isLocal(a)
		})
		if len(here) == 0 || isAddress(name) {
			continue
		}
		finding := r.find("%s resolves to %s here, which is this machine itself%s.", name, joinAddresses(here),
			f.describeHostsLine(name, s.isLocal))
		label, _, _ := strings.Cut(f.machine.Name, ".")
		declareIt := f.serverSetting(s.Name, "addresses", exampleAddress)
		if strings.EqualFold(s.Name, f.machine.Name) || strings.EqualFold(s.Name, label) {
			finding.fixBy(remedy.Steps{remedy.Advice("find the address at which clients reach this machine, which is " +
				s.Name + " itself"), declareIt})
		} else {
			finding.fix(fmt.Sprintf("give %s its own address in /etc/hosts", s.Name), declareIt)
		}
	}
	for _, c := range f.resolvers {
		for _, line := range c.hosts.Find(s.entry) {
			if s.isLocal(line.Address) {
				r.find("On clients of %s, %s is %s, the client itself (%s).", c.chroot, s.entry, line.Address,
					line.Where).
					fix(fmt.Sprintf("give %s its own address there, or take the name out of that line; "+
						"then have clients get it", s.entry), c.publish())
			}
		}
	}
}

func checkNamesUnresolved(f *facts, s *serverFacts, r *results) {
	for _, name := range s.namesToResolve() {
		l := s.lookups[name]
		if isAddress(name) || len(l.addresses) > 0 {
			continue
		}
		why, advice := "", "put it into DNS or /etc/hosts"
		var dns *net.DNSError
		if l.err != nil && !(errors.As(l.err, &dns) && dns.IsNotFound) {
			why, advice = ": no name server answers",
				"see which ones /etc/resolv.conf names, and whether they are up; put it into DNS or /etc/hosts"
		}
		if strings.HasSuffix(strings.ToLower(strings.TrimSuffix(name, ".")), ".local") {
			why += ". Names in .local are found by mDNS, which ltskeeper and clients do not use"
		}
		r.find("%s does not resolve here%s.", name, why).
			fix(advice, remedy.Steps{f.serverSetting(s.Name, "addresses", exampleAddress),
				remedy.Advice("see whether it resolves")}, remedy.Program{"getent", "ahosts", name})
	}
}

func checkNamesDiffer(f *facts, s *serverFacts, r *results) {
	declared, source := s.declaredAddresses(), "declared"
	names := append([]string{s.Name}, s.Aliases...)
	if len(declared) == 0 {
		declared, source, names = s.addressesHere(), "where "+s.Name+" is", s.Aliases
	}
	if len(declared) == 0 {
		return
	}
	for _, name := range names {
		others := slices.DeleteFunc(slices.Clone(s.lookups[name].addresses), func(a netip.Addr) bool {
			return slices.Contains(declared, a) || s.isLocal(a)
		})
		if len(others) == 0 || isAddress(name) {
			continue
		}
		finding := r.find("%s resolves to %s%s, and %s is %s.", name, joinAddresses(others),
			f.describeHostsLine(name, isAny), source, joinAddresses(declared)).
			fix(fmt.Sprintf("put right whichever is wrong: the name's entry in DNS or /etc/hosts, or %s",
				f.farm.ServerPath(s.Name)))
		if len(others) < len(s.lookups[name].addresses) {
			finding.as(Advice) // it may well be the same machine
		}
	}
}

func checkNamesClient(f *facts, s *serverFacts, r *results) {
	var without []clientLookup
	for _, l := range s.atClients {
		if l.isKnown && len(l.addresses) == 0 {
			without = append(without, l)
		}
	}
	if len(without) == 0 {
		return
	}
	var chroots, writable []string
	var publish []remedy.Remedy
	for _, l := range without {
		chroots = append(chroots, l.chroot)
		if !l.isWritable {
			continue
		}
		writable = append(writable, l.chroot)
		if p := l.publish(); !slices.ContainsFunc(publish, func(o remedy.Remedy) bool {
			return reflect.DeepEqual(o, p)
		}) {
			publish = append(publish, p)
		}
	}
	dns := "nor does DNS"
	if f.nameServers == nil {
		dns = "and this machine has no name server to ask"
	}
	known := ""
	if from := f.describeHostsLine(s.entry, isAny); from != "" {
		known = " This machine knows it from its own file" + from + "."
	}
	finding := r.find("Clients of %s cannot resolve %s: their /etc/hosts does not hold it, %s.%s", joinWords(chroots),
		s.entry, dns, known)
	remedies := []remedy.Remedy{f.setting("lts-conf", "list", `"address"`)}
	here := slices.DeleteFunc(s.addressesHere(), s.isLocal)
	if len(here) > 0 && len(writable) > 0 { // otherwise names-loopback comes first
		add := append(remedy.Command{"server", "add-to-hosts", s.Name, here[0].String()}, writable...)
		remedies = append(remedies, remedy.Advice("have it in their /etc/hosts"), add)
		remedies = append(remedies, publish...)
	}
	finding.fix("put the name into DNS", remedies...)
}

func checkNamesClientDiffer(f *facts, s *serverFacts, r *results) {
	here := s.addressesHere()
	if len(here) == 0 || slices.ContainsFunc(here, s.isLocal) {
		return
	}
	told := map[string]bool{}
	for _, l := range s.atClients {
		others := slices.DeleteFunc(slices.Clone(l.addresses), func(a netip.Addr) bool {
			return slices.Contains(here, a) || s.isLocal(a)
		})
		if len(others) == 0 || told[l.source] {
			continue
		}
		told[l.source] = true
		r.find("Clients of %s find %s at %s (%s), and keys are collected at %s.", l.chroot, s.entry,
			joinAddresses(others), l.source, joinAddresses(here)).
			fix(fmt.Sprintf("put right whichever is wrong: %s, or the addresses in %s", l.source,
				f.farm.ServerPath(s.Name)))
	}
}

func checkNamesSameAddress(f *facts, r *results) {
	at := map[netip.Addr][]*serverFacts{}
	var order []netip.Addr
	for _, s := range f.all {
		here := s.addressesHere()
		slices.SortFunc(here, netip.Addr.Compare)
		for _, a := range slices.Compact(here) {
			if s.isLocal(a) {
				continue
			}
			if len(at[a]) == 0 {
				order = append(order, a)
			}
			at[a] = append(at[a], s)
		}
	}
	told := map[string]bool{}
	for _, a := range order {
		names := namesOf(at[a])
		if len(names) < 2 || told[joinWords(names)] {
			continue
		}
		told[joinWords(names)] = true
		subject := f.chooseSubject(names)
		r.findAt(Server, subject, "%s have the same address, %s.", joinWords(names), a).
			fixBy(remedy.If{Condition: "it is one server",
				Then: remedy.Steps{remedy.Advice("keep one of the two files"),
					f.serverSetting(names[0], "aliases", fmt.Sprintf("[%q]", names[1]))}},
				remedy.If{Condition: "it is two", Then: remedy.Advice("give each its own address")})
	}
}

// namesOf returns the names of servers.
func namesOf(servers []*serverFacts) []string {
	var names []string
	for _, s := range servers {
		names = append(names, s.Name)
	}
	return names
}

// chooseSubject returns the first of several servers that was asked for.
func (f *facts) chooseSubject(names []string) string {
	for _, s := range f.servers {
		if slices.Contains(names, s.Name) {
			return s.Name
		}
	}
	return names[0]
}

func checkAliasUnresolved(f *facts, s *serverFacts, r *results) {
	for _, name := range s.Aliases {
		if !isAddress(name) && len(s.lookups[name].addresses) == 0 {
			r.find("The alias %s does not resolve here.", name).
				fix(fmt.Sprintf("if nobody uses it any more, take it out of %s", f.farm.ServerPath(s.Name)))
		}
	}
}
