package farm

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"ltskeeper/squashfs"
)

// ltspConf is what /etc/ltsp/ltsp.conf of LTSP since 2019 says, which is a shell script with sections: the values that are
// written out, of the sections that the server evaluates, and of all.
type ltspConf struct {
	path   string
	server map[string]string
	all    map[string][]string
}

var (
	ltspSection    = regexp.MustCompile(`^\s*\[([^\]]*)\]`)
	ltspAssignment = regexp.MustCompile(`^\s*([A-Za-z_][A-Za-z0-9_]*) *= *(.*)$`)
)

// readLTSPConf reads it below root. A value that a shell would have to work out is left out.
func readLTSPConf(root string) ltspConf {
	c := ltspConf{path: filepath.Join(root, "etc/ltsp/ltsp.conf"), server: map[string]string{}, all: map[string][]string{}}
	text, _ := ReadRegular(c.path)
	section := ""
	lines := strings.Split(string(text), "\n")
	for i := 0; i < len(lines); i++ {
		if m := ltspSection.FindStringSubmatch(lines[i]); m != nil {
			section = strings.ToLower(m[1])
			continue
		}
		m := ltspAssignment.FindStringSubmatch(lines[i])
		if m == nil {
			continue
		}
		key, value := m[1], m[2]
		if quote := value[:min(1, len(value))]; quote == `"` || quote == "'" {
			for i+1 < len(lines) && !strings.Contains(value[1:], quote) { // a value of several lines
				i++
				value += "\n" + lines[i]
			}
			value, _, _ = strings.Cut(value[1:], quote)
			if quote == `"` && strings.ContainsAny(value, "$`\\") {
				continue
			}
		} else if value, _, _ = strings.Cut(value, " "); strings.ContainsAny(value, "$`\\\"'#") {
			continue
		}
		c.all[key] = append(c.all[key], value)
		if section == "" || section == "common" || section == "server" {
			c.server[key] = value
		}
	}
	return c
}

// excludes are the patterns of what LTSP leaves out of images here, compared with what is left out anyway: those that are
// more, and those of the usual that LTSP was told to let in.
func (c ltspConf) excludes(root string) (more, fewer []string, from []string) {
	usual := squashfs.DefaultExcludes()
	theirs, _ := ReadRegular(filepath.Join(root, "usr/share/ltsp/server/image/image.excludes"))
	if path := filepath.Join(root, "etc/ltsp/image.excludes"); exists(path) {
		own, _ := ReadRegular(path)
		more = patterns(string(own))
		for _, p := range patterns(string(theirs)) {
			if !slices.Contains(more, p) {
				fewer = append(fewer, p)
			}
		}
		from = append(from, "/etc/ltsp/image.excludes")
	}
	list := func(key string) []string {
		value := c.server[key]
		if value == "" {
			return nil
		}
		from = append(from, key+" in /etc/ltsp/ltsp.conf")
		if text, err := ReadRegular(filepath.Join(root, value)); err == nil {
			value = string(text)
		}
		return patterns(value)
	}
	more = append(more, list("ADD_IMAGE_EXCLUDES")...)
	fewer = append(fewer, list("OMIT_IMAGE_EXCLUDES")...)
	if path := filepath.Join(root, "etc/ltsp/ltsp-update-image.excludes"); exists(path) { // of LTSP 5
		text, _ := ReadRegular(path)
		more = append(more, patterns(string(text))...)
		from = append(from, "/etc/ltsp/ltsp-update-image.excludes")
	}
	more = slices.DeleteFunc(more, func(p string) bool { return slices.Contains(usual, p) || slices.Contains(fewer, p) })
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
		if _, err := squashfs.ParseExcludes([]string{line}); err == nil {
			list = append(list, line)
		}
	}
	return list
}

// tftpRoots are the folders that TFTP servers are told to serve, LTSP's own setting first.
func (c ltspConf) tftpRoots(root string) []string {
	var roots []string
	if dir := c.server["TFTP_DIR"]; dir != "" {
		roots = append(roots, dir)
	}
	configs, _ := filepath.Glob(filepath.Join(root, "etc/dnsmasq.d/*.conf"))
	for _, path := range append(configs, filepath.Join(root, "etc/dnsmasq.conf"), filepath.Join(root, "etc/default/tftpd-hpa")) {
		text, _ := ReadRegular(path)
		for line := range strings.Lines(string(text)) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			switch strings.TrimSpace(key) {
			case "tftp-root", "TFTP_DIRECTORY":
				value, _, _ = strings.Cut(strings.Trim(strings.TrimSpace(value), `"'`), ",") // dnsmasq: an interface may follow
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
