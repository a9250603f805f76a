package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// resolved are the names by which this machine reaches a server.
func (s *server) resolved() []string {
	if len(s.Addresses) == 0 {
		return []string{s.Name}
	}
	return slices.DeleteFunc(slices.Clone(s.Addresses), isAddress)
}

func isAddress(name string) bool {
	_, err := netip.ParseAddr(name)
	return err == nil
}

// local tells whether an address means the machine that uses it, though the server's declaration
// names none such.
func (s *server) local(a netip.Addr) bool {
	return a.IsLoopback() && !slices.ContainsFunc(s.declared(), netip.Addr.IsLoopback)
}

// fromHosts says which line of a hosts file a name is from, as a half-sentence in brackets, or "".
func (f *facts) fromHosts(name string, is func(netip.Addr) bool) string {
	for _, line := range f.hosts.Find(name) {
		if is(line.Address) {
			return fmt.Sprintf(" (%s)", line.Where)
		}
	}
	return ""
}

func anyAddress(netip.Addr) bool { return true }

func namesLoopback(f *facts) (found []Finding) {
	for _, s := range f.servers {
		for _, name := range s.resolved() {
			here := slices.DeleteFunc(slices.Clone(s.lookups[name].addresses), func(a netip.Addr) bool {
				return !s.local(a)
			})
			if len(here) == 0 || isAddress(name) {
				continue
			}
			fix := fmt.Sprintf("Give %s its own address in /etc/hosts, or declare it: addresses = [\"10.0.0.11\"] in %s.", s.Name, f.farm.ServerPath(s.Name))
			if strings.EqualFold(s.Name, f.machine.Name) || strings.EqualFold(s.Name, firstLabel(f.machine.Name)) {
				fix = fmt.Sprintf("This machine is %s itself: declare the address that clients reach it at: addresses = [\"10.0.0.11\"] in %s.", s.Name, f.farm.ServerPath(s.Name))
			}
			found = append(found, Finding{
				Kind: Server, Subject: s.Name, Fix: fix,
				Message: fmt.Sprintf("%s resolves to %s here, which is this machine itself%s.", name, join(here),
					f.fromHosts(name, s.local)),
			})
		}
		for _, c := range f.clients {
			for _, line := range c.hosts.Find(s.entry) {
				if s.local(line.Address) {
					found = append(found, Finding{
						Kind: Server, Subject: s.Name,
						Fix: fmt.Sprintf("Give %s its own address there, or take the name out of that line; then have clients get it:", s.entry),
						Message: fmt.Sprintf("On clients of %s, %s is %s, the client itself (%s).", c.chroot, s.entry,
							line.Address, line.Where),
						Commands: []string{c.apply()},
					})
				}
			}
		}
	}
	return found
}

func firstLabel(name string) string {
	label, _, _ := strings.Cut(name, ".")
	return label
}

func namesUnresolved(f *facts) (found []Finding) {
	for _, s := range f.servers {
		for _, name := range s.resolved() {
			l := s.lookups[name]
			if isAddress(name) || len(l.addresses) > 0 {
				continue
			}
			why, first := "", ""
			if err := l.err; err != nil && !isNotFound(err) {
				why, first = ": no name server answers",
					"See which ones /etc/resolv.conf names, and whether they are up. "
			}
			fix := first +
				fmt.Sprintf("Put it into DNS or /etc/hosts, or declare its address: addresses = [\"10.0.0.11\"] in %s. This says whether it resolves:", f.farm.ServerPath(s.Name))
			if strings.HasSuffix(strings.ToLower(strings.TrimSuffix(name, ".")), ".local") {
				fix = "Names in .local are found by mDNS, which ltskeeper and clients do not use. " + fix
			}
			found = append(found, Finding{
				Kind: Server, Subject: s.Name, Message: fmt.Sprintf("%s does not resolve here%s.", name, why), Fix: fix,
				Commands: []string{shell("getent ahosts %s", name)},
			})
		}
	}
	return found
}

func namesDiffer(f *facts) (found []Finding) {
	for _, s := range f.servers {
		declared, source := s.declared(), "declared"
		names := append([]string{s.Name}, s.Aliases...)
		if len(declared) == 0 {
			declared, source, names = s.here(), "where "+s.Name+" is", s.Aliases
		}
		if len(declared) == 0 {
			continue
		}
		for _, name := range names {
			others := slices.DeleteFunc(slices.Clone(s.lookups[name].addresses), func(a netip.Addr) bool {
				return slices.Contains(declared, a) || s.local(a)
			})
			if len(others) == 0 || isAddress(name) {
				continue
			}
			severity := Problem
			if len(others) < len(s.lookups[name].addresses) {
				severity = Advice // it may well be the same machine
			}
			found = append(found, Finding{
				Kind: Server, Subject: s.Name, Severity: severity,
				Message: fmt.Sprintf("%s resolves to %s%s, and %s is %s.", name, join(others),
					f.fromHosts(name, anyAddress), source, join(declared)),
				Fix: fmt.Sprintf("Put right whichever is wrong: the name's entry in DNS or /etc/hosts, or %s.",
					f.farm.ServerPath(s.Name)),
			})
		}
	}
	return found
}

func namesSameAddress(f *facts) (found []Finding) {
	at := map[netip.Addr][]*server{}
	var order []netip.Addr
	for _, s := range f.all {
		here := s.here()
		slices.SortFunc(here, netip.Addr.Compare)
		for _, a := range slices.Compact(here) {
			if s.local(a) {
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
		names := serverNames(at[a])
		if len(names) < 2 || told[list(names)] {
			continue
		}
		told[list(names)] = true
		subject := f.subject(names)
		found = append(found, Finding{
			Kind: Server, Subject: subject, Message: fmt.Sprintf("%s have the same address, %s.", list(names), a),
			Fix: fmt.Sprintf("If it is one server, keep one file and write the other name into it: aliases = [%q]. If it is two, give each its own address.", names[1]),
		})
	}
	return found
}

func serverNames(servers []*server) []string {
	var names []string
	for _, s := range servers {
		names = append(names, s.Name)
	}
	return names
}

// subject is the first of several servers that was asked for.
func (f *facts) subject(names []string) string {
	for _, s := range f.servers {
		if slices.Contains(names, s.Name) {
			return s.Name
		}
	}
	return names[0]
}

func aliasUnresolved(f *facts) (found []Finding) {
	for _, s := range f.servers {
		for _, name := range s.Aliases {
			if !isAddress(name) && len(s.lookups[name].addresses) == 0 {
				found = append(found, Finding{
					Kind: Server, Subject: s.Name, Message: fmt.Sprintf("The alias %s does not resolve here.", name),
					Fix: fmt.Sprintf("If nobody uses it any more, take it out of %s.", f.farm.ServerPath(s.Name)),
				})
			}
		}
	}
	return found
}
