package farm

import (
	"fmt"
	"math"
	"path"
	"regexp"
	"strings"
	"unicode"

	"github.com/pelletier/go-toml/v2/unstable"

	"ltskeeper/internal/excludes"
	"ltskeeper/internal/regular"
	"ltskeeper/ldm"
	"ltskeeper/ltsconf"
)

// settings reads ltskeeper.toml.
func (l *loader) settings() {
	s, ok := l.read(l.farm.Path, regular.MaxText, Mistake{
		File:   l.farm.Path,
		Msg:    "there is no such file",
		Remedy: "ltskeeper init writes one, --config names another",
	})
	if !ok {
		return
	}
	root, ok := s.parse()
	if !ok {
		return
	}
	f := l.farm
	s.readTable("", root, readers{
		"state":    func(p place) { p.path((*string)(&f.State), f.Dir) },
		"collect":  l.collect,
		"image":    l.image,
		"tftp":     l.tftp,
		"chroot":   func(p place) { p.tables(l.chroot) },
		"lts-conf": l.ltsConfSettings,
		"balance":  l.balance,
		"client":   l.clients,
		"ca":       func(p place) { p.tables(l.authority) },
		"alias":    func(p place) { p.tables(l.alias) },
		"ltsp":     l.ltsp,
		"metrics":  l.metrics,

		"known-hosts": l.knownHostsSettings,
	})
}

func (l *loader) collect(p place) {
	to := &l.farm.Collect
	p.table(readers{
		"timeout": func(p place) {
			if d := to.Timeout; p.duration(&d) && d == 0 {
				p.mistake("no server answers in no time", `write a time above zero, like "5s"`)
			} else {
				to.Timeout = d
			}
		},
		"parallel":     func(p place) { p.int(&to.Parallel, 1, math.MaxInt32) },
		"first-use":    func(p place) { p.choice(&to.FirstUse, "accept", "refuse") },
		"login":        l.login,
		"retire-after": func(p place) { p.duration(&to.RetireAfter) },
	})
}

func (l *loader) image(p place) {
	to := &l.farm.Image
	p.table(readers{
		"directory":   func(p place) { p.path(&to.Directory, l.farm.Dir) },
		"compression": func(p place) { p.word(&to.Compression, "zstd", "gzip", "lz4") },
		"keep":        func(p place) { p.int(&to.Keep, 1, math.MaxInt32) },
		"keep-for":    func(p place) { p.duration(&to.KeepFor) },
		"allow-secrets": func(p place) {
			p.texts(func(p place, s string) { to.AllowSecrets = append(to.AllowSecrets, p.exclude(s)) })
		},
	})
}

func (l *loader) tftp(p place) {
	p.table(readers{
		"directory": func(p place) { p.path(&l.farm.TFTP.Directory, l.farm.Dir) },
	})
}

// metrics reads [metrics]. node_exporter takes no notice of a file with another ending.
func (l *loader) metrics(p place) {
	p.table(readers{
		"textfile": func(p place) {
			to := &l.farm.Metrics.Textfile
			if p.path(to, l.farm.Dir) && !strings.HasSuffix(*to, ".prom") {
				p.mistake("node_exporter reads only files that end in .prom",
					`write one like "/var/lib/prometheus/node-exporter/ltskeeper.prom"`)
			}
		},
	})
}

func (l *loader) ltsConfSettings(p place) {
	to := &l.farm.LTSConf
	p.table(readers{
		"list": func(p place) { p.choice(&to.ByAddress, "address", "name") },
		"set":  func(p place) { p.settings(&to.Set) },
	})
}

func (l *loader) balance(p place) {
	to := &l.farm.Balance
	p.table(readers{
		"policy": func(p place) {
			var words []string
			for _, policy := range ldm.Policies {
				words = append(words, string(policy))
			}
			p.word((*string)(&to.Policy), words...)
		},
		"binaries": l.binaries,
	})
}

func (l *loader) binaries(p place) { p.path(&l.farm.Balance.Binaries, l.farm.Dir) }

// clients reads each [[client]]. Where there is none, binaries of [balance] may stand in [client]
// as well.
func (l *loader) clients(p place) {
	if p.value.kind == unstable.InlineTable && p.value.table.find("match") == nil {
		p.table(readers{"binaries": l.binaries})
		return
	}
	p.tables(l.client)
}

// chroot reads a [[chroot]].
func (l *loader) chroot(p place) {
	dir := l.farm.Dir
	c := Chroot{ExcludeDefaults: true, Write: true, LTSConf: l.farm.ltsConfPath()}
	p.require("name", "path")
	p.table(readers{
		"name": func(p place) {
			if p.text(&c.Name) {
				l.checkChrootName(p, c.Name)
			}
		},
		"path": func(p place) { p.path(&c.Path, dir) },
		"exclude": func(p place) {
			p.texts(func(p place, s string) { c.Exclude = append(c.Exclude, p.exclude(s)) })
		},
		"exclude-defaults": func(p place) { p.bool(&c.ExcludeDefaults) },
		"write":            func(p place) { p.bool(&c.Write) },
		"mounts": func(p place) {
			c.NoMounts = true
			p.texts(func(p place, s string) {
				c.NoMounts = false
				c.Mounts = append(c.Mounts, p.mountPoint(s))
			})
		},
		"id-offset": func(p place) {
			offset := 0
			p.int(&offset, 0, math.MaxUint32-idRange+1)
			c.IDOffset = uint32(offset)
		},
		"lts-conf": func(p place) {
			if p.path(&c.LTSConf, dir) {
				l.ltsConf(c.LTSConf, p.wrong("there is no "+c.LTSConf, "write it, or leave the key out"))
			}
		},
	})
	for _, other := range l.farm.Chroots {
		if c.Path != "" && c.Path == other.Path && c.Write && other.Write {
			p.mistake(fmt.Sprintf("its path is that of the chroot %q, too", other.Name),
				"write = false in one of them keeps each from undoing what is written for the other")
		}
	}
	l.farm.Chroots = append(l.farm.Chroots, c)
}

// exclude checks a pattern and returns it.
func (p place) exclude(pattern string) string {
	if _, err := excludes.Parse([]string{pattern}); err != nil {
		p.mistake(err.Error(), "patterns are those of mksquashfs -wildcards, from the client's root")
	}
	return pattern
}

// idRange is how many ids a user namespace has.
const idRange = 1 << 16

// mountPoint checks where in a client root something is mounted, and returns that relative to the
// root.
func (p place) mountPoint(text string) string {
	switch {
	case !path.IsAbs(text) || path.Clean(text) != text || text == "/":
		p.mistake(fmt.Sprintf("%q is not a path inside the client root", text),
			`write it as clients have it, like "/data/apps"`)
	case strings.ContainsFunc(text, unicode.IsControl):
		p.mistake("there is a control character in the path", "take it out")
	}
	return strings.TrimPrefix(text, "/")
}

func (l *loader) checkChrootName(p place, name string) {
	if problem := chrootNameProblem(name); problem != "" {
		p.mistake(fmt.Sprintf("%q cannot name an image: %s", name, problem), "write one like x86_64")
		return
	}
	for _, other := range l.farm.Chroots {
		if strings.EqualFold(name, other.Name) {
			p.mistake(fmt.Sprintf("there is a chroot %q already", other.Name), "give every chroot a name of its own")
		}
	}
}

// sectionName is what may stand between the brackets of a section of lts.conf: MACs, IP addresses,
// host names, and globs of them.
var sectionName = regexp.MustCompile(`^[A-Za-z0-9._:*?-]+$`)

// client reads a [[client]].
func (l *loader) client(p place) {
	var c Client
	p.require("match")
	p.table(readers{
		"match": func(p place) {
			if p.text(&c.Match) {
				l.checkMatch(p, c.Match)
			}
		},
		"group": func(p place) {
			if p.text(&c.Group) {
				p.checkWord(c.Group, "group")
			}
		},
		"set": func(p place) { p.settings(&c.Set) },
	})
	l.farm.Clients = append(l.farm.Clients, c)
}

func (l *loader) checkMatch(p place, match string) {
	if !sectionName.MatchString(match) {
		p.mistake(fmt.Sprintf("%q matches no client", match),
			`write a MAC, an IP address, a host name, or a glob of one, like "00:11:22:*"`)
	}
	if strings.EqualFold(match, "default") {
		p.mistake("[default] is the section of all clients", "write its settings into set of [lts-conf]")
	}
	for _, other := range l.farm.Clients {
		if strings.EqualFold(match, other.Match) {
			p.mistake(fmt.Sprintf("%q is matched above already", match), "make one [[client]] of the two")
		}
	}
}

// settings reads settings of lts.conf, which clients hand to a shell as root.
func (p place) settings(to *[]Setting) {
	if !p.is(unstable.InlineTable, `write it as { KEY = "value" }`) {
		return
	}
	for _, f := range p.value.table.fields {
		key := place{source: p.source, key: p.key + "." + f.name, offset: f.offset}
		value := place{source: p.source, key: key.key, offset: f.value.offset, value: f.value}
		var s Setting
		if !value.text(&s.Value) {
			continue
		}
		s.Key = f.name
		key.checkSettingKey(s.Key, *to)
		value.checkSettingValue(s.Value)
		*to = append(*to, s)
	}
}

func (p place) checkSettingKey(key string, before []Setting) {
	if err := ltsconf.CheckKey(key); err != nil {
		p.mistake(err.Error(), "write a key like LDM_DIRECTX")
	}
	if strings.EqualFold(key, "LDM_SERVER") || strings.EqualFold(key, "SSH_OVERRIDE_PORT") {
		p.mistake("ltskeeper derives it from servers.d", "take it out; group in a [[client]] chooses its servers")
	}
	switch strings.ToUpper(key) {
	case "LDM_SERVER_WEIGHTS", "LDM_SERVER_GROUPS":
		p.mistake("ltskeeper derives it from servers.d", "take it out; weight and groups in a server's file say it")
	}
	for _, s := range before {
		if strings.EqualFold(key, s.Key) {
			p.mistake("it is set as "+s.Key+" already", "take one out: clients do not tell them apart")
		}
	}
}

func (p place) checkSettingValue(value string) {
	if err := ltsconf.CheckValue(value); err != nil {
		p.mistake(err.Error(), "take it out")
	}
}
