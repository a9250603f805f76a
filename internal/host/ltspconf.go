package host

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// LTSPConf holds what /etc/ltsp/ltsp.conf of LTSP since 2019 sets. LTSP makes a shell script of it,
// with a function for each section (ltsp.conf(5), ini2sh). Values are read as a shell would read
// them, and nothing is run.
type LTSPConf struct {
	Path     string        // where it is, or would be
	Settings []LTSPSetting // in its order

	Text    []byte         // of the file
	headers map[string]int // the line on which each section begins, of several the last
}

// An LTSPSetting is one assignment.
type LTSPSetting struct {
	Section string // in lower case; "" above the first
	Key     string
	Value   string
	Plain   bool // false: a shell has to work the value out
	Line    int
}

var (
	ltspSection    = regexp.MustCompile(`^ *\[[^\]]*\]`)
	ltspNoSection  = regexp.MustCompile(`#.*|[^-*./:?@_|0-9a-z]`)
	ltspAssignment = regexp.MustCompile(`^\s*([A-Za-z_][A-Za-z0-9_]*) *= *(.*)$`)
)

// ReadLTSPConf reads /etc/ltsp/ltsp.conf. It may be readable by root only. One that does not exist
// sets nothing.
func (m *Machine) ReadLTSPConf() (LTSPConf, error) {
	file, err := m.Read("etc/ltsp/ltsp.conf")
	return parseLTSPConf(file), err
}

func parseLTSPConf(f File) LTSPConf {
	c := LTSPConf{Path: f.Path, Text: f.Data, headers: map[string]int{}}
	text, section := string(c.Text), ""
	for number := 1; text != ""; number++ {
		line, after, _ := strings.Cut(text, "\n")
		m := ltspAssignment.FindStringSubmatchIndex(line)
		switch {
		case ltspSection.MatchString(line):
			section = ltspNoSection.ReplaceAllString(strings.ToLower(line), "")
			c.headers[section] = number
		case m != nil:
			s := LTSPSetting{Section: section, Key: line[m[2]:m[3]], Line: number}
			word, rest, plain := shellWord(text[m[4]:])
			number += strings.Count(text[:len(text)-len(rest)], "\n") // a value of several lines
			rest, after, _ = strings.Cut(rest, "\n")
			rest = strings.TrimSpace(rest)
			s.Value, s.Plain = word, plain && (rest == "" || rest[0] == '#' || rest[0] == ';')
			c.Settings = append(c.Settings, s)
		}
		text = after
	}
	return c
}

// shellWord reads the word that a text begins with, as a shell does. plain is false if there is
// something in it that a shell works out, or a quote that does not end.
func shellWord(text string) (word, rest string, plain bool) {
	var b strings.Builder
	quote := byte(0)
	plain = true
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case quote == 0 && strings.IndexByte(" \t\n;&|#", c) >= 0 && (c != '#' || i == 0):
			return b.String(), text[i:], plain
		case c == '\\' && quote != '\'' && i+1 < len(text) &&
			(quote == 0 || strings.IndexByte("$`\"\\\n", text[i+1]) >= 0):
			if i++; text[i] != '\n' {
				b.WriteByte(text[i])
			}
		default:
			plain = plain && (quote == '\'' || c != '$' && c != '`')
			b.WriteByte(c)
		}
	}
	return b.String(), "", plain && quote == 0
}

// Evaluate returns what is set in sections, and in those that they include, in the order in which
// LTSP evaluates it: the last one of a key holds.
func (c LTSPConf) Evaluate(sections ...string) (settings []LTSPSetting) {
	seen := map[string]bool{}
	var enter func(section string)
	enter = func(section string) {
		if seen[section] {
			return
		}
		seen[section] = true
		for _, s := range c.Settings {
			switch {
			case s.Section != section:
			case strings.EqualFold(s.Key, "INCLUDE"):
				enter(strings.ToLower(s.Value))
			default:
				settings = append(settings, s)
			}
		}
	}
	for _, section := range sections {
		enter(section)
	}
	return settings
}

// ClientSections are the sections that LTSP evaluates on every client, in order.
var ClientSections = []string{"", "clients", "common"}

// ServerValue returns what the server's own sections set a key to, "" if they do not set it or only
// a shell can tell.
func (c LTSPConf) ServerValue(key string) (value string) {
	for _, s := range c.Evaluate("", "common", "server") {
		if s.Key == key {
			value = ""
			if s.Plain {
				value = s.Value
			}
		}
	}
	return value
}

// ClientHosts returns the hosts file that LTSP gives its clients, in the place of the image's. That
// holds this machine as server, too. unclear says which lines more of it is from, which only a
// shell can tell.
func (c LTSPConf) ClientHosts() (h HostsFile, unclear []string) {
	h = ParseHosts(File{})
	for _, s := range c.Evaluate(ClientSections...) {
		where := fmt.Sprintf("line %d of %s", s.Line, c.Path)
		switch {
		case !strings.HasPrefix(s.Key, "HOSTS_"):
		case !s.Plain:
			unclear = append(unclear, where)
		default:
			for line := range strings.Lines(s.Value) {
				h.add(where, line)
			}
		}
	}
	return h, unclear
}

// ErrUnclear is returned when only a shell, or a person, can tell what an ltsp.conf means.
var ErrUnclear = errors.New("only a shell can tell what it says of hosts")

// notShellName is what may not be in the name of a shell's variable.
var notShellName = regexp.MustCompile(`[^A-Za-z0-9_]`)

// AddHost adds a setting to the section of clients, by which a name stands for an address in the
// hosts file that LTSP gives them. It returns the text of the file. Every other byte stays, and all
// of them if the name does so already. If it stands for another address of the same kind, the error
// is a *HostsConflictError; if that cannot be told, ErrUnclear.
func (c LTSPConf) AddHost(name string, address netip.Addr) ([]byte, error) {
	hosts, unclear := c.ClientHosts()
	if len(unclear) > 0 {
		return nil, fmt.Errorf("%s: %w", unclear[0], ErrUnclear)
	}
	text := c.Text
	if isNeeded, err := hosts.needs(name, address); !isNeeded || err != nil {
		return text, err
	}
	key := "HOSTS_" + notShellName.ReplaceAllString(name, "_")
	for slices.ContainsFunc(c.Settings, func(s LTSPSetting) bool { return s.Key == key }) {
		key += "_" // of one key, LTSP would take the last setting alone
	}
	const section = "clients" // of two such sections, LTSP takes the last alone
	setting := fmt.Sprintf("%s=%q", key, address.String()+" "+name)
	if header, exists := c.headers[section]; exists {
		lines := slices.Collect(strings.Lines(string(c.Text)))
		before := appendLine([]byte(strings.Join(lines[:header], "")), setting)
		text = append(before, strings.Join(lines[header:], "")...)
	} else {
		if len(text) > 0 {
			text = appendLine(text, "")
		}
		text = appendLine(appendLine(text, "["+section+"]"), setting)
	}
	now := parseLTSPConf(File{c.Path, text})
	if added, _ := now.ClientHosts(); len(added.Find(name)) == 0 || len(now.Settings) != len(c.Settings)+1 {
		return nil, fmt.Errorf("%s: %w", c.Path, ErrUnclear)
	}
	return text, nil
}

// clientNameServers returns the name servers that LTSP gives its clients, and the domains in which
// they search for names. With DNS=1 it is the machine they boot from.
func (c LTSPConf) clientNameServers() (servers, search []string) {
	value := map[string]string{}
	for _, s := range c.Evaluate(ClientSections...) {
		if s.Plain {
			value[s.Key] = s.Value
		}
	}
	if value["DNS"] == "1" {
		value["DNS_SERVER"] = "127.0.0.1"
	}
	return strings.Fields(value["DNS_SERVER"]), strings.Fields(value["SEARCH_DOMAIN"])
}
