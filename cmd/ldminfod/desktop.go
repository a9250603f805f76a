package main

import (
	"io/fs"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A desktop is a session that a user can choose.
type desktop struct{ Name, Command string }

// desktops reads the desktop entries of X sessions, then of Wayland sessions. A Wayland session of
// a name that an X session has, too, says so.
func (m *machine) desktops() []desktop {
	var found []desktop
	names, both := map[string]bool{}, map[desktop]bool{}
	for _, dir := range []string{"usr/share/xsessions", "usr/share/wayland-sessions"} {
		entries, _ := fs.ReadDir(m.files, dir) // sorted by name
		for _, e := range entries {
			if path.Ext(e.Name()) != ".desktop" {
				continue
			}
			d, ok := m.desktop(dir + "/" + e.Name())
			if !ok || both[d] {
				continue
			}
			both[d] = true
			if names[d.Name] && path.Base(dir) == "wayland-sessions" {
				d.Name += " (Wayland)"
			}
			names[d.Name] = true
			found = append(found, d)
		}
	}
	return found
}

// desktop reads a desktop entry (Desktop Entry Specification 1.5); ok tells whether users should
// see it.
func (m *machine) desktop(name string) (d desktop, ok bool) {
	entry := map[string]string{}
	section := ""
	for line := range m.lines(name) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			section = line
		}
		if key, value, found := strings.Cut(line, "="); found && section == "[Desktop Entry]" {
			entry[strings.TrimSpace(key)] = unescape.Replace(strings.TrimSpace(value))
		}
	}
	d = desktop{strings.TrimSpace(entry["Name"]), command(entry["Exec"])}
	hidden := entry["Hidden"] == "true" || entry["NoDisplay"] == "true"
	return d, printable(d.Name) && printable(d.Command) && !hidden && m.installed(entry["TryExec"])
}

func printable(s string) bool {
	return s != "" && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// unescape reads the escapes of a desktop entry's string; what breaks lines becomes a blank.
var unescape = strings.NewReplacer(`\s`, " ", `\n`, " ", `\t`, " ", `\r`, " ", `\\`, `\`)

// command drops the field codes, like %U, which stand for files that a session is not given.
func command(exec string) string {
	var words []string
	for word := range strings.FieldsSeq(exec) {
		if len(word) == 2 && word[0] == '%' && word != "%%" {
			continue
		}
		words = append(words, strings.ReplaceAll(word, "%%", "%"))
	}
	return strings.Join(words, " ")
}

// installed tells whether TryExec names a program that is there. A desktop that names none is
// there.
func (m *machine) installed(program string) bool {
	dirs := []string{""}
	switch {
	case program == "":
		return true
	case !path.IsAbs(program):
		dirs = []string{"usr/local/bin", "usr/bin", "bin", "usr/games", "usr/local/sbin", "usr/sbin", "sbin"}
	}
	for _, dir := range dirs {
		info, err := fs.Stat(m.files, strings.TrimPrefix(path.Join(dir, program), "/"))
		if err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0 {
			return true
		}
	}
	return false
}
