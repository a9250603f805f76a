package farm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"ltskeeper/internal/excludes"
	"ltskeeper/internal/regular"
)

// LTSPConf is what /etc/ltsp/ltsp.conf of LTSP since 2019 sets. LTSP makes a shell script of it, a
// function of each section (ltsp.conf(5), ini2sh). This reads what is written out, as a shell
// would, and runs nothing.
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

// ReadLTSPConf reads the one below root, which is "/" or a tree like it. Not everybody may.
func ReadLTSPConf(root string) (LTSPConf, error) {
	c := LTSPConf{Path: filepath.Join(root, "etc/ltsp/ltsp.conf")}
	text, err := regular.Read(c.Path, regular.MaxText)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return c, err
	}
	c.Settings = parseLTSPConf(string(text))
	return c, nil
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

// Of is what is set in sections, and in those that they include, in the order in which LTSP
// evaluates it: the last one of a key holds.
func (c LTSPConf) Of(sections ...string) (settings []LTSPSetting) {
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

// ClientSections are those that LTSP evaluates on every client, in order.
var ClientSections = []string{"", "clients", "common"}

// server is what the server's own sections set a key to, "" if nothing or what only a shell can
// tell.
func (c LTSPConf) server(key string) (value string) {
	for _, s := range c.Of("", "common", "server") {
		if s.Key == key {
			value = ""
			if s.Plain {
				value = s.Value
			}
		}
	}
	return value
}

// unclear are sentences about what init needs to know and only a shell can tell.
func (c LTSPConf) unclear() (notes []string) {
	compare := map[string]string{
		"BASE_DIR": "path under [[chroot]] and directory under [image]", "TFTP_DIR": "directory under [tftp]",
		"SSH_SERVER":         "the servers",
		"ADD_IMAGE_EXCLUDES": "exclude under [[chroot]]", "OMIT_IMAGE_EXCLUDES": "exclude under [[chroot]]",
	}
	for _, s := range c.Settings {
		if with := compare[s.Key]; with != "" && !s.Plain {
			notes = append(notes,
				fmt.Sprintf("Line %d of %s has a shell work out %s, and ltskeeper runs none: compare it with %s in the declaration.", s.Line, c.Path, s.Key, with))
		}
	}
	return notes
}

// excludes are the patterns of what LTSP leaves out of images here, compared with what is left out
// anyway: those that are more, and those of the usual that LTSP was told to let in.
func (c LTSPConf) excludes(root string) (more, fewer []string, from []string) {
	usual := excludes.Defaults()
	theirs, _ := regular.Read(filepath.Join(root, "usr/share/ltsp/server/image/image.excludes"), regular.MaxText)
	if path := filepath.Join(root, "etc/ltsp/image.excludes"); exists(path) {
		own, _ := regular.Read(path, regular.MaxText)
		more = patterns(string(own))
		for _, p := range patterns(string(theirs)) {
			if !slices.Contains(more, p) {
				fewer = append(fewer, p)
			}
		}
		from = append(from, "/etc/ltsp/image.excludes")
	}
	list := func(key string) []string {
		value := c.server(key)
		if value == "" {
			return nil
		}
		from = append(from, key+" in /etc/ltsp/ltsp.conf")
		if text, err := regular.Read(filepath.Join(root, value), regular.MaxText); err == nil {
			value = string(text)
		}
		return patterns(value)
	}
	more = append(more, list("ADD_IMAGE_EXCLUDES")...)
	fewer = append(fewer, list("OMIT_IMAGE_EXCLUDES")...)
	if path := filepath.Join(root, "etc/ltsp/ltsp-update-image.excludes"); exists(path) { // of LTSP 5
		text, _ := regular.Read(path, regular.MaxText)
		more = append(more, patterns(string(text))...)
		from = append(from, "/etc/ltsp/ltsp-update-image.excludes")
	}
	more = slices.DeleteFunc(more, func(p string) bool {
		return slices.Contains(usual, p) || slices.Contains(fewer, p)
	})
	fewer = slices.DeleteFunc(fewer, func(p string) bool { return !slices.Contains(usual, p) })
	return more, fewer, from
}

// patterns are the lines of a list of excludes that can be taken over.
func patterns(text string) []string {
	var list []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || slices.Contains(list, line) {
			continue
		}
		if _, err := excludes.Parse([]string{line}); err == nil {
			list = append(list, line)
		}
	}
	return list
}

// tftpRoots are the folders that TFTP servers are told to serve, LTSP's own setting first.
func (c LTSPConf) tftpRoots(root string) []string {
	var roots []string
	if dir := c.server("TFTP_DIR"); dir != "" {
		roots = append(roots, dir)
	}
	configs, _ := filepath.Glob(filepath.Join(root, "etc/dnsmasq.d/*.conf"))
	for _, path := range append(configs, filepath.Join(root, "etc/dnsmasq.conf"),
		filepath.Join(root, "etc/default/tftpd-hpa")) {
		text, _ := regular.Read(path, regular.MaxText)
		for line := range strings.Lines(string(text)) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			switch strings.TrimSpace(key) {
			case "tftp-root", "TFTP_DIRECTORY":
				// dnsmasq: an interface may follow
				value, _, _ = strings.Cut(strings.Trim(strings.TrimSpace(value), `"'`), ",")
				roots = append(roots, strings.TrimSpace(value))
			}
		}
	}
	for i := range roots {
		roots[i] = filepath.Join(root, roots[i])
	}
	return roots
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
