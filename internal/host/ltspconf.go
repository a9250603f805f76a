package host

import (
	"regexp"
	"strings"
)

// LTSPConf holds what /etc/ltsp/ltsp.conf of LTSP since 2019 sets. LTSP makes a shell script of it,
// with a function for each section (ltsp.conf(5), ini2sh). Values are read as a shell would read
// them, and nothing is run.
type LTSPConf struct {
	Path     string        // where it is, or would be
	Settings []LTSPSetting // in its order
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
	return LTSPConf{file.Path, parseLTSPConf(string(file.Data))}, err
}

func parseLTSPConf(text string) (settings []LTSPSetting) {
	section := ""
	for number := 1; text != ""; number++ {
		line, after, _ := strings.Cut(text, "\n")
		m := ltspAssignment.FindStringSubmatchIndex(line)
		switch {
		case ltspSection.MatchString(line):
			section = ltspNoSection.ReplaceAllString(strings.ToLower(line), "")
		case m != nil:
			s := LTSPSetting{Section: section, Key: line[m[2]:m[3]], Line: number}
			word, rest, plain, open := shellWord(text[m[4]:])
			number += strings.Count(text[:len(text)-len(rest)], "\n") // a value of several lines
			rest, after, _ = strings.Cut(rest, "\n")
			rest = strings.TrimSpace(rest)
			s.Value, s.Plain = word, plain && !open && (rest == "" || rest[0] == '#' || rest[0] == ';')
			settings = append(settings, s)
		}
		text = after
	}
	return settings
}

// shellWord reads the word that a text begins with, as a shell does. plain is false if there is
// something in it that a shell works out, open true if a quote in it does not end.
func shellWord(text string) (word, rest string, plain, open bool) {
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
			return b.String(), text[i:], plain, false
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
	return b.String(), "", plain, quote != 0
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
