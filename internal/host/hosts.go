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
		h.add(fmt.Sprintf("line %d of %s", number, f.Path), line)
	}
	return h
}

// add adds a line, which is from somewhere. What is not a line of a hosts file adds nothing.
func (h HostsFile) add(where, line string) {
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

// A HostsConflictError says that a name cannot be added to a file, because it is there already.
type HostsConflictError struct {
	Name    string
	Address netip.Addr // that it stands for
	Where   string     // "line 3 of /etc/hosts"
}

func (e *HostsConflictError) Error() string {
	return fmt.Sprintf("%s is %s in %s", e.Name, e.Address, e.Where)
}

// needs reports whether a name is to be added to stand for an address. The error is a
// *HostsConflictError if it stands for another one of the same kind.
func (h HostsFile) needs(name string, address netip.Addr) (bool, error) {
	lines := h.Find(name)
	if slices.ContainsFunc(lines, func(l HostsLine) bool { return l.Address == address }) {
		return false, nil
	}
	for _, l := range lines {
		if l.Address.Is4() == address.Is4() {
			return false, &HostsConflictError{name, l.Address, l.Where}
		}
	}
	return true, nil
}

// AddHost adds a line to a hosts file by which a name stands for an address. Every other byte
// stays, and all of them if the name does so already. If it stands for another address of the same
// kind, the error is a *HostsConflictError.
func AddHost(f File, name string, address netip.Addr) ([]byte, error) {
	isNeeded, err := ParseHosts(f).needs(name, address)
	if !isNeeded || err != nil {
		return f.Data, err
	}
	return appendLine(f.Data, address.String()+" "+name), nil
}

// appendLine appends a line to a text, whose last line may have no end.
func appendLine(text []byte, line string) []byte {
	text = slices.Clone(text)
	if len(text) > 0 && text[len(text)-1] != '\n' {
		text = append(text, '\n')
	}
	return append(text, line+"\n"...)
}
