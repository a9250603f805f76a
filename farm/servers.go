package farm

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ltskeeper/internal/names"
	"ltskeeper/internal/regular"
	"ltskeeper/internal/remedy"
	"ltskeeper/keys"
)

// A portAt is the SSH port of a server, and its place.
type portAt struct {
	place
	port int
}

// An owner is what has a name or an address.
type owner struct {
	file string
	role string // "a name", "an alias" or "an address"
}

// readServers reads servers.d.
func (l *loader) readServers() {
	sources := l.readServerFiles()
	slices.SortFunc(sources, func(a, b *source) int {
		return cmp.Compare(parseServerName(a.path), parseServerName(b.path))
	})
	for _, s := range sources {
		l.checkServerName(s)
	}
	for _, s := range sources {
		l.readServer(s)
	}
}

// readServerFiles reads the files of servers.d that declare a server. It ignores what editors and
// package managers leave there: hidden files, and files with another ending.
func (l *loader) readServerFiles() (sources []*source) {
	dir := l.farm.ServersDir()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.addUnreadable(dir, err)
	}
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		if path == l.changed || strings.HasPrefix(entry.Name(), ".") || !strings.HasSuffix(entry.Name(), ".toml") {
			continue
		}
		var missing *Mistake // from one that somebody has just removed
		if entry.Type()&fs.ModeSymlink != 0 {
			missing = &Mistake{File: path, Msg: "it is a symbolic link that leads nowhere",
				Remedies: []remedy.Remedy{remedy.Advice("put the file in its place, or remove it")}}
		}
		if s := l.readFile(path, regular.MaxRecord, missing); s != nil {
			sources = append(sources, s)
		}
	}
	if l.text != nil {
		sources = append(sources, &source{path: l.changed, text: l.text, mistakes: &l.mistakes})
	}
	return sources
}

// parseServerName returns the name of the server that a file declares.
func parseServerName(path string) string { return strings.TrimSuffix(filepath.Base(path), ".toml") }

func (l *loader) checkServerName(s *source) {
	name := parseServerName(s.path)
	p := place{source: s, offset: -1}
	if problem := nameProblem(name); problem != "" {
		p.addMistake(fmt.Sprintf("%q cannot name a server: %s", name, problem), "rename the file")
		return
	}
	l.claimName(p, name, "a name")
}

func (l *loader) readServer(s *source) {
	root, isOK := s.parse()
	if !isOK {
		return
	}
	server := Server{Name: parseServerName(s.path), Port: 22, Weight: 1}
	port, addresses := root, root // where each is set, or would be
	root.readTable(readers{
		"addresses": func(p place) {
			addresses = p
			p.readEachText(func(p place, text string) {
				if problem := addressProblem(text); problem != "" {
					p.addMistake(fmt.Sprintf("%q is no address: %s", text, problem),
						`write an IP address, like "10.0.0.11" or "fd00::11"`)
					return
				}
				l.claimName(p, text, "an address")
				server.Addresses = append(server.Addresses, text)
			})
		},
		"port": func(p place) {
			port = p
			p.readInt(&server.Port, 1, math.MaxUint16)
		},
		"aliases": func(p place) {
			p.readEachText(func(p place, text string) {
				if problem := nameProblem(text); problem != "" {
					p.addMistake(fmt.Sprintf("%q cannot name a server: %s", text, problem), "write a host name")
					return
				}
				l.claimName(p, text, "an alias")
				server.Aliases = append(server.Aliases, text)
			})
		},
		"groups": func(p place) { p.readTexts(&server.Groups, place.checkGroup) },
		"weight": func(p place) { p.readWeight(&server.Weight) },
		"pins":   func(p place) { p.readTexts(&server.Pins, place.checkPin) },
	})
	if _, err := netip.ParseAddr(l.farm.ListEntry(server)); l.farm.LTSConf.ByAddress && err != nil {
		addresses.addMistakeWith("there is no IP address to put into LDM_SERVER",
			remedy.Advice("begin addresses with one"),
			remedy.Setting{Section: "lts-conf", Key: "list", Value: `"name"`})
	}
	l.ports = append(l.ports, portAt{port, server.Port})
	l.farm.Servers = append(l.farm.Servers, server)
}

// claimName records which server has a name or an address. Each may belong to one server only,
// because keys are trusted for all names of a server.
func (l *loader) claimName(p place, name, role string) {
	c := names.Canonical(name)
	o, isTaken := l.owners[c]
	if !isTaken {
		l.owners[c] = owner{file: p.source.path, role: role}
		return
	}
	where := nameFile(o.file)
	if o.file == p.source.path {
		where = "the same file"
	}
	p.addMistake(fmt.Sprintf("%q is %s in %s already", name, o.role, where), "leave it to one of the two")
}

// checkPin checks that a pin is a fingerprint as ssh-keygen prints it.
func (p place) checkPin(pin string) {
	if !keys.IsFingerprint(pin) {
		p.addMistake(fmt.Sprintf("%q is no fingerprint", pin),
			"write one as ssh-keygen -lf prints it: SHA256: and 43 characters")
	}
}

// checkPorts checks that all servers have the same port: clients know one port per list, and the
// default list holds every server. The mistake is in the files of the minority.
func (l *loader) checkPorts() {
	count := map[int]int{}
	var common portAt // the port of most servers
	for _, p := range l.ports {
		count[p.port]++
	}
	for _, p := range l.ports {
		if count[p.port] > count[common.port] {
			common = p
		}
	}
	for _, p := range l.ports {
		if p.port != common.port {
			p.key = "port"
			p.addMistake(fmt.Sprintf("clients would have to log in at port %d here and at %d in %s, and know one port for "+
				"all (SSH_OVERRIDE_PORT)", p.port, common.port, nameFile(common.source.path)),
				"give all servers the same")
		}
	}
}
