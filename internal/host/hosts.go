package host

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// A HostsFile is what a hosts file (hosts(5)) says. It is indexed: some have a line for each
// advertiser there is.
type HostsFile struct {
	byName map[string][]HostsLine // names in lower case
}

// A HostsLine is a line of a hosts file.
type HostsLine struct {
	Where   string // where it is: "line 3 of /etc/hosts"
	Address netip.Addr
}

// ParseHosts parses a hosts file.
func ParseHosts(f File) HostsFile {
	h := HostsFile{byName: map[string][]HostsLine{}}
	for number, line := range f.Lines() {
		h.Add(fmt.Sprintf("line %d of %s", number, f.Path), line)
	}
	return h
}

// Add adds a line, which is from somewhere. What is not a line of a hosts file adds nothing.
func (h HostsFile) Add(where, line string) {
	words := strings.Fields(line)
	if len(words) == 0 {
		return
	}
	address, err := netip.ParseAddr(words[0])
	if err != nil {
		return
	}
	for i, name := range words[1:] {
		if !slices.Contains(words[1:i+1], name) {
			name = strings.ToLower(name)
			h.byName[name] = append(h.byName[name], HostsLine{where, address.Unmap()})
		}
	}
}

// Find returns the lines that hold a name.
func (h HostsFile) Find(name string) []HostsLine {
	return h.byName[strings.ToLower(strings.TrimSuffix(name, "."))]
}

// ParseNameSources returns where names are looked up, like "files" and "dns", as an
// nsswitch.conf(5) says. What it says to do if one of them has no answer is left out.
func ParseNameSources(nsswitch File) []string {
	for _, line := range nsswitch.Lines() {
		if rest, found := strings.CutPrefix(line, "hosts:"); found {
			return slices.DeleteFunc(strings.Fields(rest), func(w string) bool { return strings.ContainsAny(w, "[]=") })
		}
	}
	return []string{"files", "dns"}
}
