package farm

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"ltskeeper/internal/remedy"
	"ltskeeper/internal/spelling"
	"ltskeeper/ltsconf"
)

// BuiltinLTSConf stands in where the admin has no lts.conf. A section without a setting is not
// valid, so it has one that is true of every client.
const BuiltinLTSConf = "[default]\nLTSP_CONFIG = True\n"

// An UnknownError says that something of that name is not declared.
type UnknownError struct {
	Kind    string // "server" or "chroot"
	Name    string
	Nearest string   // what may have been meant, or ""
	Known   []string // what is declared
}

// maxKnown is how many names fit into a sentence.
const maxKnown = 10

func (e *UnknownError) Error() string {
	text := fmt.Sprintf("there is no %s %q", e.Kind, e.Name)
	switch n := len(e.Known); {
	case e.Nearest != "":
		return text + fmt.Sprintf("; did you mean %s?", e.Nearest)
	case n == 0:
		return text + ", nor any other"
	case n == 1:
		return text + "; there is " + e.Known[0]
	case n <= maxKnown:
		return text + "; there are " + strings.Join(e.Known, ", ")
	}
	return text + fmt.Sprintf("; there are %d others", len(e.Known))
}

// NewUnknownError returns an UnknownError with what may have been meant.
func NewUnknownError(kind, name string, known []string) *UnknownError {
	return &UnknownError{kind, name, spelling.FindNearest(name, known), known}
}

// FindServer returns the server with that name, without regard to case. If there is none, the error
// wraps an *UnknownError.
func (f *Farm) FindServer(name string) (Server, error) {
	for _, s := range f.Servers {
		if strings.EqualFold(s.Name, name) {
			return s, nil
		}
	}
	var err error = NewUnknownError("server", name, f.ServerNames())
	if len(f.Servers) == 0 && nameProblem(name) == "" {
		err = remedy.AttachTo(err, remedy.If{Condition: "it is a new one", Then: remedy.Command{"server", "add", name}})
	}
	return Server{}, err
}

// FindChroot returns the chroot with that name, or an *UnknownError.
func (f *Farm) FindChroot(name string) (Chroot, error) {
	for _, c := range f.Chroots {
		if c.Name == name {
			return c, nil
		}
	}
	return Chroot{}, NewUnknownError("chroot", name, f.ChrootNames())
}

// ServerNames returns the names of all servers, sorted.
func (f *Farm) ServerNames() (names []string) {
	for _, s := range f.Servers {
		names = append(names, s.Name)
	}
	return names
}

// ChrootNames returns the names of all chroots, as declared.
func (f *Farm) ChrootNames() (names []string) {
	for _, c := range f.Chroots {
		names = append(names, c.Name)
	}
	return names
}

// Names returns all names of a server that clients may use: never those that an address resolves
// to.
func (s Server) Names() []string { return slices.Concat([]string{s.Name}, s.Aliases, s.Addresses) }

// ListUndeclared returns those of the names that no server and no alias has, each once. What a
// shell would work out is not a name.
func (f *Farm) ListUndeclared(names []string) (undeclared []string) {
	known := map[string]bool{}
	for _, s := range f.Servers {
		for _, name := range s.Names() {
			known[strings.ToLower(name)] = true
		}
	}
	for _, a := range f.Aliases {
		known[strings.ToLower(a.Name)] = true
	}
	for _, name := range names {
		if c := strings.ToLower(name); !known[c] && !strings.ContainsAny(name, "\"$`\\") {
			known[c] = true
			undeclared = append(undeclared, name)
		}
	}
	return undeclared
}

// Members returns the servers that an alias is for.
func (f *Farm) Members(a Alias) (members []Server) {
	isOf := func(group string) bool { return slices.Contains(a.Groups, group) }
	for _, s := range f.Servers {
		if len(a.Groups) == 0 || slices.ContainsFunc(s.Groups, isOf) {
			members = append(members, s)
		}
	}
	return members
}

// A List is the servers between which some clients choose.
type List struct {
	Section string // of lts.conf: "default", or the client's Match
	Group   string // empty for the default list
	Port    int    // the SSH port of every server in it; 22 if there is none
	Servers []Server
}

// Lists returns the list of all servers, and one for each client that has a group, in the order of
// their declaration.
func (f *Farm) Lists() []List {
	port := 22
	if len(f.Servers) > 0 {
		port = f.Servers[0].Port
	}
	lists := []List{{Section: "default", Port: port, Servers: f.Servers}}
	for _, c := range f.Clients {
		if c.Group == "" {
			continue
		}
		list := List{Section: c.Match, Group: c.Group, Port: port}
		for _, s := range f.Servers {
			if slices.Contains(s.Groups, c.Group) {
				list.Servers = append(list.Servers, s)
			}
		}
		lists = append(lists, list)
	}
	return lists
}

// ListEntry returns what stands for s in LDM_SERVER: its name, or its first address where clients
// are given addresses.
func (f *Farm) ListEntry(s Server) string {
	if !f.LTSConf.ByAddress || len(s.Addresses) == 0 {
		return s.Name // which may be an address itself
	}
	return s.Addresses[0]
}

// LTSConfSource returns what lts.conf of the chroot is derived from: the admin's own file, or a
// small one without any settings to speak of. Each call returns a file of its own, to be edited.
func (f *Farm) LTSConfSource(c Chroot) *ltsconf.File {
	if file := f.ltsConfs[c.LTSConf]; file != nil {
		return file.Clone()
	}
	file, err := ltsconf.Parse(c.LTSConf, []byte(BuiltinLTSConf))
	if err != nil {
		panic(err) // it is always the same
	}
	return file
}

// KnownHostsLocalPath returns where known_hosts.local is, or would be.
func (f *Farm) KnownHostsLocalPath() string { return filepath.Join(f.Dir, knownHostsLocal) }

// ServersDir is the folder of the files that declare servers.
func (f *Farm) ServersDir() string { return filepath.Join(f.Dir, serversDir) }

// ServerPath returns the file that declares the server, or would.
func (f *Farm) ServerPath(name string) string { return filepath.Join(f.ServersDir(), name+".toml") }

// AdoptedFolder returns the folder with exact copies of what was taken over from clients.
func (f *Farm) AdoptedFolder() string { return filepath.Join(f.Dir, adoptedDir) }

// ltsConfPath returns where the lts.conf of chroots that name none is.
func (f *Farm) ltsConfPath() string { return filepath.Join(f.Dir, ltsConfName) }
