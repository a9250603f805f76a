package farm

import (
	"fmt"
	"math"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"

	"ltskeeper/internal/excludes"
	"ltskeeper/internal/names"
	"ltskeeper/internal/regular"
	"ltskeeper/internal/remedy"
	"ltskeeper/keys"
	"ltskeeper/ldm"
	"ltskeeper/ltsconf"
)

// readSettings reads ltskeeper.toml.
func (l *loader) readSettings() {
	s := l.readFile(l.farm.Path, regular.MaxText, &Mistake{File: l.farm.Path, Msg: "there is no such file",
		Remedies: []remedy.Remedy{remedy.Command{"init"},
			remedy.If{Condition: "it is elsewhere", Then: remedy.Option("config")}}})
	if s == nil {
		return
	}
	root, isOK := s.parse()
	if !isOK {
		return
	}
	f := l.farm
	root.readTable(readers{
		"state":    func(p place) { p.readPath((*string)(&f.State)) },
		"collect":  l.readCollect,
		"image":    l.readImage,
		"tftp":     func(p place) { p.readTable(readers{"directory": newPathReader(&f.TFTP)}) },
		"chroot":   func(p place) { p.readTables(l.readChroot) },
		"lts-conf": l.readLTSConfSettings,
		"balance":  l.readBalance,
		"client":   l.readClients,
		"ca":       func(p place) { p.readTables(l.readAuthority) },
		"alias":    func(p place) { p.readTables(l.readAlias) },
		"ltsp":     l.readLTSP,
		"metrics":  l.readMetrics,
		"known-hosts": func(p place) {
			p.readTable(readers{"hash": func(p place) { p.readBool(&f.HashKnownHosts) }})
		},
	})
}

func newPathReader(to *string) func(place) { return func(p place) { p.readPath(to) } }

func (l *loader) readCollect(p place) {
	to := &l.farm.Collect
	p.readTable(readers{
		"timeout": func(p place) {
			if d := to.Timeout; p.readDuration(&d) && d == 0 {
				p.addMistake("no server answers in no time", `write a time above zero, like "5s"`)
			} else {
				to.Timeout = d
			}
		},
		"parallel":     func(p place) { p.readInt(&to.Parallel, 1, math.MaxInt32) },
		"first-use":    func(p place) { p.readChoice(&to.FirstUse, "accept", "refuse") },
		"login":        l.readLogin,
		"retire-after": func(p place) { p.readDuration(&to.RetireAfter) },
	})
}

// userName matches what useradd accepts and what cannot be taken for an option.
var userName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9._-]{0,31}\$?$`)

func (l *loader) readLogin(p place) {
	login := Login{}
	p.readTable(readers{
		"user": func(p place) {
			if p.readText(&login.User) && !userName.MatchString(login.User) {
				p.addMistake(fmt.Sprintf("%q is no user's name", login.User), `write one like "ltskeeper"`)
			}
		},
		"identity": func(p place) {
			if p.value.text != "agent" { // the one that is not a path
				p.readPath(&login.Identity)
			}
		},
	})
	if p.value.kind != tableKind {
		return
	}
	for _, name := range []string{"user", "identity"} {
		if p.value.find(name) == nil {
			p.addMistake("there is no "+name+" in it",
				`write { user = "ltskeeper", identity = "/etc/ltskeeper/id_ed25519" }`)
		}
	}
	l.farm.Collect.Login = &login
}

func (l *loader) readImage(p place) {
	to := &l.farm.Image
	p.readTable(readers{
		"directory":     newPathReader(&to.Directory),
		"compression":   func(p place) { p.readWord(&to.Compression, "zstd", "gzip", "lz4") },
		"keep":          func(p place) { p.readInt(&to.Keep, 1, math.MaxInt32) },
		"keep-for":      func(p place) { p.readDuration(&to.KeepFor) },
		"allow-secrets": func(p place) { p.readTexts(&to.AllowSecrets, place.checkExclude) },
	})
}

// readMetrics reads [metrics]. node_exporter takes no notice of a file with another ending.
func (l *loader) readMetrics(p place) {
	to := &l.farm.MetricsFile
	p.readTable(readers{
		"textfile": func(p place) {
			if p.readPath(to) && !strings.HasSuffix(*to, ".prom") {
				p.addMistake("node_exporter reads only files that end in .prom",
					`write one like "/var/lib/prometheus/node-exporter/ltskeeper.prom"`)
			}
		},
	})
}

func (l *loader) readLTSConfSettings(p place) {
	to := &l.farm.LTSConf
	p.readTable(readers{
		"list": func(p place) { p.readChoice(&to.ByAddress, "address", "name") },
		"set":  func(p place) { p.readSettings(&to.Set) },
	})
}

func (l *loader) readBalance(p place) {
	to := &l.farm.Balance
	p.readTable(readers{
		"policy": func(p place) {
			var words []string
			for _, policy := range ldm.Policies {
				words = append(words, string(policy))
			}
			p.readWord((*string)(&to.Policy), words...)
		},
		"binaries": newPathReader(&to.Binaries),
	})
}

func (l *loader) readLTSP(p place) {
	to := &l.farm.LTSP
	p.readTable(readers{
		"known-hosts": newPathReader(&to.KnownHosts),
		"initrd":      func(p place) { p.readBool(&to.Initrd) },
	})
	if to.Initrd && to.KnownHosts == "" && p.value.kind == tableKind {
		p.addMistake("initrd is of no use without known-hosts", `write known-hosts = "/etc/ltsp/ssh_known_hosts"`)
	}
}

// readAuthority reads a [[ca]].
func (l *loader) readAuthority(p place) {
	var a keys.Authority
	p.requireKeys("hosts", "key")
	p.readTable(readers{
		"hosts": func(p place) {
			p.readEachText(func(p place, text string) {
				if !keys.IsPattern(strings.TrimPrefix(text, "!")) {
					p.addMistake(fmt.Sprintf("%q is no pattern of host names", text),
						`write one like "*.example.org"; ! in front excludes`)
					return
				}
				a.Hosts = append(a.Hosts, text)
			})
		},
		"key": func(p place) {
			var line string
			if !p.readText(&line) {
				return
			}
			var err error
			if a.Key, a.Comment, err = keys.ParseKeyLine(line); err == nil {
				err = a.Key.Weakness()
			}
			if err != nil {
				p.addMistake(err.Error(), "write the CA's public key, as it stands in its .pub file")
			}
		},
	})
	l.farm.Authorities = append(l.farm.Authorities, a)
}

func (l *loader) readAlias(p place) {
	var a Alias
	p.requireKeys("name")
	p.readTable(readers{
		"name": func(p place) {
			if !p.readText(&a.Name) {
				return
			}
			if problem := addressProblem(a.Name); problem != "" {
				p.addMistake(fmt.Sprintf("%q cannot name a server", a.Name), "write a host name or an address")
				return
			}
			l.aliases = append(l.aliases, p)
		},
		"groups": func(p place) { p.readTexts(&a.Groups, place.checkGroup) },
	})
	l.farm.Aliases = append(l.farm.Aliases, a)
}

// checkAliases checks that an alias is not a server's own name: the keys of several servers would
// be trusted for it.
func (l *loader) checkAliases() {
	seen := map[string]bool{}
	for _, p := range l.aliases {
		name := p.value.text
		c := names.Canonical(name)
		o, isTaken := l.owners[c]
		switch {
		case isTaken:
			p.addMistake(fmt.Sprintf("%q is %s in %s already", name, o.role, nameFile(o.file)), "choose another name")
		case seen[c]:
			p.addMistake(fmt.Sprintf("there is an alias %q already", name), "make one section of the two")
		default:
			seen[c] = true
		}
	}
}

func (l *loader) readChroot(p place) {
	c := Chroot{ExcludeDefaults: true, Write: true, LTSConf: l.farm.ltsConfPath()}
	p.requireKeys("name", "path")
	p.readTable(readers{
		"name":             func(p place) { p.readChecked(&c.Name, l.checkChrootName) },
		"path":             newPathReader(&c.Path),
		"exclude":          func(p place) { p.readTexts(&c.Exclude, place.checkExclude) },
		"exclude-defaults": func(p place) { p.readBool(&c.ExcludeDefaults) },
		"write":            func(p place) { p.readBool(&c.Write) },
		"mounts": func(p place) {
			c.NoMounts = true
			p.readEachText(func(p place, s string) {
				c.NoMounts = false
				c.Mounts = append(c.Mounts, p.checkMountPoint(s))
			})
		},
		"id-offset": func(p place) {
			const idRange = 1 << 16 // the ids that a user namespace has
			offset := 0
			p.readInt(&offset, 0, math.MaxUint32-idRange+1)
			c.IDOffset = uint32(offset)
		},
		"lts-conf": func(p place) {
			if p.readPath(&c.LTSConf) {
				missing := p.newMistake("there is no "+c.LTSConf, remedy.Advice("write it, or leave the key out"))
				l.readLTSConf(c.LTSConf, &missing)
			}
		},
	})
	for _, other := range l.farm.Chroots {
		if c.Path != "" && c.Path == other.Path && c.Write && other.Write {
			p.addMistake(fmt.Sprintf("its path is that of the chroot %q, too, and each would undo what is written for the "+
				"other", other.Name), "put write = false into one of them")
		}
	}
	l.farm.Chroots = append(l.farm.Chroots, c)
}

// checkExclude checks a pattern of what stays out of images.
func (p place) checkExclude(pattern string) {
	if _, err := excludes.Parse([]string{pattern}); err != nil {
		p.addMistake(err.Error(), "write one that mksquashfs -wildcards takes, from the client's root")
	}
}

// checkMountPoint checks where in a client root something is mounted, and returns that relative to
// the root.
func (p place) checkMountPoint(text string) string {
	switch {
	case !path.IsAbs(text) || path.Clean(text) != text || text == "/":
		p.addMistake(fmt.Sprintf("%q is not a path inside the client root", text),
			`write it as clients have it, like "/data/apps"`)
	case strings.ContainsFunc(text, unicode.IsControl):
		p.addMistake("there is a control character in the path", "take it out")
	}
	return strings.TrimPrefix(text, "/")
}

func (l *loader) checkChrootName(p place, name string) {
	if problem := chrootNameProblem(name); problem != "" {
		p.addMistake(fmt.Sprintf("%q cannot name an image: %s", name, problem), "write one like x86_64")
		return
	}
	for _, other := range l.farm.Chroots {
		if strings.EqualFold(name, other.Name) {
			p.addMistake(fmt.Sprintf("there is a chroot %q already", other.Name), "give every chroot a name of its own")
		}
	}
}

// readClients reads each [[client]]. Without one, [client] may hold the binaries of [balance].
func (l *loader) readClients(p place) {
	if p.value.kind == tableKind && p.value.find("match") == nil {
		p.readTable(readers{"binaries": newPathReader(&l.farm.Balance.Binaries)})
		return
	}
	p.readTables(l.readClient)
}

// sectionName matches what may be between the brackets of a section of lts.conf: MACs, IP
// addresses, host names, and globs of them.
var sectionName = regexp.MustCompile(`^[A-Za-z0-9._:*?-]+$`)

func (l *loader) readClient(p place) {
	var c Client
	p.requireKeys("match")
	p.readTable(readers{
		"match": func(p place) { p.readChecked(&c.Match, l.checkMatch) },
		"group": func(p place) { p.readChecked(&c.Group, place.checkGroup) },
		"set":   func(p place) { p.readSettings(&c.Set) },
	})
	l.farm.Clients = append(l.farm.Clients, c)
}

func (l *loader) checkMatch(p place, match string) {
	if !sectionName.MatchString(match) {
		p.addMistake(fmt.Sprintf("%q matches no client", match),
			`write a MAC, an IP address, a host name, or a glob of one, like "00:11:22:*"`)
	}
	if strings.EqualFold(match, "default") {
		p.addMistakeWith("[default] is the section of all clients",
			remedy.Setting{Section: "lts-conf", Key: "set", Add: "its settings"})
	}
	for _, other := range l.farm.Clients {
		if strings.EqualFold(match, other.Match) {
			p.addMistake(fmt.Sprintf("%q is matched above already", match), "make one section of the two")
		}
	}
}

// readSettings reads settings of lts.conf, which clients hand to a shell as root.
func (p place) readSettings(to *[]Setting) {
	if !p.checkKind(tableKind, `write it as { KEY = "value" }`) {
		return
	}
	for value := range p.items {
		key := value
		key.offset = value.value.nameOffset
		s := Setting{Key: value.value.name}
		if !value.readText(&s.Value) {
			continue
		}
		key.checkSettingKey(s.Key, *to)
		if err := ltsconf.CheckValue(s.Value); err != nil {
			value.addMistake(err.Error(), "take it out")
		}
		*to = append(*to, s)
	}
}

func (p place) checkSettingKey(key string, before []Setting) {
	if err := ltsconf.CheckKey(key); err != nil {
		p.addMistake(err.Error(), "write a key like LDM_DIRECTX")
	}
	const isDerived = "ltskeeper derives it from servers.d"
	switch strings.ToUpper(key) {
	case "LDM_SERVER", "SSH_OVERRIDE_PORT":
		p.addMistake(isDerived, "take it out; the group of a client's section chooses its servers")
	case "LDM_SERVER_WEIGHTS", "LDM_SERVER_GROUPS":
		p.addMistake(isDerived, "take it out; weight and groups in a server's file say it")
	}
	for _, s := range before {
		if strings.EqualFold(key, s.Key) {
			p.addMistake("it is set as "+s.Key+" already", "take one out: clients do not tell them apart")
		}
	}
}

func (p place) checkGroup(name string) {
	if problem := names.FindWordFault(name); problem != "" {
		p.addMistake(fmt.Sprintf("%q cannot name a group: %s", name, problem), "choose another")
	}
}

// nameFile returns the name of a file of servers.d for a sentence.
func nameFile(file string) string { return "servers.d/" + filepath.Base(file) }
