package main

import (
	"io/fs"
	"path"
	"strings"

	"ltskeeper/ldm"
)

// desktops reads the desktop entries of X sessions, then of Wayland sessions. A Wayland session
// with the name of an X session says so.
func (s *server) desktops() []ldm.Session {
	var found []ldm.Session
	names, both := map[string]bool{}, map[ldm.Session]bool{}
	for _, dir := range []string{"usr/share/xsessions", "usr/share/wayland-sessions"} {
		entries, _ := fs.ReadDir(s.files, dir) // sorted by name
		for _, e := range entries {
			if path.Ext(e.Name()) != ".desktop" {
				continue
			}
			d, isShown := s.readDesktopEntry(dir + "/" + e.Name())
			if !isShown || both[d] {
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

// readDesktopEntry reads a desktop entry (Desktop Entry Specification 1.5), and reports whether
// users should see it.
func (s *server) readDesktopEntry(name string) (d ldm.Session, isShown bool) {
	entry := map[string]string{}
	section := ""
	for line := range s.lines(name) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			section = line
		}
		if key, value, found := strings.Cut(line, "="); found && section == "[Desktop Entry]" {
			entry[strings.TrimSpace(key)] = unescape.Replace(strings.TrimSpace(value))
		}
	}
	d = ldm.Session{Name: strings.TrimSpace(entry["Name"]), Command: stripFieldCodes(entry["Exec"])}
	isHidden := entry["Hidden"] == "true" || entry["NoDisplay"] == "true"
	isNamed := d.Name != "" && d.Command != "" && ldm.IsPrintable(d.Name+d.Command)
	return d, isNamed && !isHidden && s.isInstalled(entry["TryExec"])
}

// unescape reads the escapes of a desktop entry's string. A line break becomes a blank.
var unescape = strings.NewReplacer(`\s`, " ", `\n`, " ", `\t`, " ", `\r`, " ", `\\`, `\`)

// stripFieldCodes drops field codes, like %U, which stand for files that a session does not get.
func stripFieldCodes(exec string) string {
	var words []string
	for word := range strings.FieldsSeq(exec) {
		if len(word) == 2 && word[0] == '%' && word != "%%" {
			continue
		}
		words = append(words, strings.ReplaceAll(word, "%%", "%"))
	}
	return strings.Join(words, " ")
}

// isInstalled reports whether the program that TryExec names exists. Without a name it does.
func (s *server) isInstalled(program string) bool {
	dirs := []string{""}
	switch {
	case program == "":
		return true
	case !path.IsAbs(program):
		dirs = []string{"usr/local/bin", "usr/bin", "bin", "usr/games", "usr/local/sbin", "usr/sbin", "sbin"}
	}
	for _, dir := range dirs {
		info, err := fs.Stat(s.files, strings.TrimPrefix(path.Join(dir, program), "/"))
		if err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0 {
			return true
		}
	}
	return false
}
