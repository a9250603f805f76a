package farm

import (
	"fmt"
	"path/filepath"
	"slices"
)

// An Alias is a name that several servers answer to, such as that of a floating address, or
// `server`, by which LTSP's clients know where to log in.
type Alias struct {
	Name   string
	Groups []string // of the servers; none: all servers
}

// Members returns the servers that an alias is for.
func (f *Farm) Members(a Alias) []Server {
	var members []Server
	for _, s := range f.Servers {
		in := func(group string) bool { return slices.Contains(s.Groups, group) }
		if len(a.Groups) == 0 || slices.ContainsFunc(a.Groups, in) {
			members = append(members, s)
		}
	}
	return members
}

// alias reads an [[alias]].
func (l *loader) alias(p place) {
	var a Alias
	p.require("name")
	p.table(readers{
		"name": func(p place) {
			if !p.text(&a.Name) {
				return
			}
			if problem := addressProblem(a.Name); problem != "" || a.Name[0] == '.' {
				p.mistake(fmt.Sprintf("%q cannot name a server", a.Name), "write a host name or an address")
				return
			}
			l.aliases = append(l.aliases, aliasAt{p, a.Name})
		},
		"groups": func(p place) {
			p.texts(func(p place, text string) {
				p.checkWord(text, "group")
				a.Groups = append(a.Groups, text)
			})
		},
	})
	l.farm.Aliases = append(l.farm.Aliases, a)
}

// An aliasAt is the name of an alias, and where it stands.
type aliasAt struct {
	place
	name string
}

// checkAliases makes sure that an alias is no server's own name: keys of several would be trusted
// for it.
func (l *loader) checkAliases() {
	seen := map[string]bool{}
	for _, a := range l.aliases {
		o, taken := l.names[canonical(a.name)]
		switch c := canonical(a.name); {
		case taken:
			a.mistake(fmt.Sprintf("%q is %s in %s already", a.name, o.role, serversDir+"/"+filepath.Base(o.file)),
				"choose another name")
		case seen[c]:
			a.mistake(fmt.Sprintf("there is an alias %q already", a.name), "make one [[alias]] of the two")
		default:
			seen[c] = true
		}
	}
}

// LTSP says what is done for LTSP's own log-in, since 2019.
type LTSP struct {
	KnownHosts string // the file that clients' pamltsp and SSHFS read, "" for none
	Initrd     bool   // run `ltsp initrd` after it changed
}

func (l *loader) ltsp(p place) {
	to := &l.farm.LTSP
	p.table(readers{
		"known-hosts": func(p place) { p.path(&to.KnownHosts, l.farm.Dir) },
		"initrd":      func(p place) { p.bool(&to.Initrd) },
	})
	if to.Initrd && to.KnownHosts == "" && p.value.table != nil {
		p.mistake("initrd is of no use without known-hosts", `write known-hosts = "/etc/ltsp/ssh_known_hosts"`)
	}
}

func (l *loader) knownHostsSettings(p place) {
	p.table(readers{
		"hash": func(p place) { p.bool(&l.farm.HashKnownHosts) },
	})
}
