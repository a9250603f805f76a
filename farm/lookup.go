package farm

import (
	"fmt"
	"slices"
	"strings"

	"ltskeeper/internal/names"
	"ltskeeper/internal/remedy"
	"ltskeeper/internal/spelling"
)

// An UnknownError says that something of that name is not declared.
type UnknownError struct {
	Kind  string // "server" or "chroot"
	Name  string
	Known []string // what is declared
}

func (e *UnknownError) Error() string {
	const maxKnown = 10 // names fit into a sentence
	text := fmt.Sprintf("there is no %s %q", e.Kind, e.Name)
	near := spelling.FindNearest(e.Name, e.Known)
	switch n := len(e.Known); {
	case near != "":
		return text + fmt.Sprintf("; did you mean %s?", near)
	case n == 0:
		return text + ", nor any other"
	case n == 1:
		return text + "; there is " + e.Known[0]
	case n <= maxKnown:
		return text + "; there are " + strings.Join(e.Known, ", ")
	}
	return text + fmt.Sprintf("; there are %d others", len(e.Known))
}

// FindServer returns the server with that name, in whatever spelling. If there is none, the error
// wraps an *UnknownError.
func (f *Farm) FindServer(name string) (Server, error) {
	for _, s := range f.Servers {
		if names.Canonical(s.Name) == names.Canonical(name) {
			return s, nil
		}
	}
	var err error = &UnknownError{"server", name, f.ServerNames()}
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
	return Chroot{}, &UnknownError{"chroot", name, f.ChrootNames()}
}

// ServerNames returns the names of all servers, sorted.
func (f *Farm) ServerNames() (list []string) {
	for _, s := range f.Servers {
		list = append(list, s.Name)
	}
	return list
}

// ChrootNames returns the names of all chroots, as declared.
func (f *Farm) ChrootNames() (list []string) {
	for _, c := range f.Chroots {
		list = append(list, c.Name)
	}
	return list
}

// Names returns all names of a server that clients may use: never those that an address resolves
// to.
func (s Server) Names() []string { return slices.Concat([]string{s.Name}, s.Aliases, s.Addresses) }

// ListUndeclared returns those of the names that no server and no alias has, each once. What a
// shell would work out is not a name.
func (f *Farm) ListUndeclared(list []string) (undeclared []string) {
	known := map[string]bool{}
	for _, s := range f.Servers {
		for _, name := range s.Names() {
			known[names.Canonical(name)] = true
		}
	}
	for _, a := range f.Aliases {
		known[names.Canonical(a.Name)] = true
	}
	for _, name := range list {
		if c := names.Canonical(name); !known[c] && !strings.ContainsAny(name, "\"$`\\") {
			known[c] = true
			undeclared = append(undeclared, name)
		}
	}
	return undeclared
}

// Members returns the servers of the groups; without any group, all servers.
func (f *Farm) Members(groups ...string) (members []Server) {
	isOf := func(group string) bool { return slices.Contains(groups, group) }
	for _, s := range f.Servers {
		if len(groups) == 0 || slices.ContainsFunc(s.Groups, isOf) {
			members = append(members, s)
		}
	}
	return members
}
