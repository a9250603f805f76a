package adopt

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ltskeeper/internal/excludes"
	"ltskeeper/internal/host"
	"ltskeeper/internal/regular"
)

// listUnclear returns sentences about what init needs to know and only a shell can tell.
func listUnclear(conf host.LTSPConf) (notes []string) {
	compare := map[string]string{
		"BASE_DIR": "path under [[chroot]] and directory under [image]", "TFTP_DIR": "directory under [tftp]",
		"SSH_SERVER":         "the servers",
		"ADD_IMAGE_EXCLUDES": "exclude under [[chroot]]", "OMIT_IMAGE_EXCLUDES": "exclude under [[chroot]]",
	}
	for _, s := range conf.Settings {
		if with := compare[s.Key]; with != "" && !s.Plain {
			notes = append(notes,
				fmt.Sprintf("Line %d of %s has a shell work out %s, and ltskeeper runs none: "+
					"compare it with %s in the declaration.", s.Line, conf.Path, s.Key, with))
		}
	}
	return notes
}

// readExcludes returns the patterns of what LTSP leaves out of images here, compared with what is
// left out anyway: those that are more, and those of the usual that LTSP was told to let in.
func readExcludes(root string, conf host.LTSPConf) (more, fewer []string, from []string) {
	usual := excludes.Defaults()
	theirs, _ := regular.Read(filepath.Join(root, "usr/share/ltsp/server/image/image.excludes"), regular.MaxText)
	if path := filepath.Join(root, "etc/ltsp/image.excludes"); exists(path) {
		own, _ := regular.Read(path, regular.MaxText)
		more = listPatterns(string(own))
		for _, p := range listPatterns(string(theirs)) {
			if !slices.Contains(more, p) {
				fewer = append(fewer, p)
			}
		}
		from = append(from, "/etc/ltsp/image.excludes")
	}
	list := func(key string) []string {
		value := conf.ServerValue(key)
		if value == "" {
			return nil
		}
		from = append(from, key+" in /etc/ltsp/ltsp.conf")
		if text, err := regular.Read(filepath.Join(root, value), regular.MaxText); err == nil {
			value = string(text)
		}
		return listPatterns(value)
	}
	more = append(more, list("ADD_IMAGE_EXCLUDES")...)
	fewer = append(fewer, list("OMIT_IMAGE_EXCLUDES")...)
	if path := filepath.Join(root, "etc/ltsp/ltsp-update-image.excludes"); exists(path) { // of LTSP 5
		text, _ := regular.Read(path, regular.MaxText)
		more = append(more, listPatterns(string(text))...)
		from = append(from, "/etc/ltsp/ltsp-update-image.excludes")
	}
	more = slices.DeleteFunc(more, func(p string) bool {
		return slices.Contains(usual, p) || slices.Contains(fewer, p)
	})
	fewer = slices.DeleteFunc(fewer, func(p string) bool { return !slices.Contains(usual, p) })
	return more, fewer, from
}

// listPatterns returns the lines of a list of excludes that can be taken over.
func listPatterns(text string) []string {
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

// listTFTPFolders returns the folders that TFTP servers are told to serve, LTSP's own setting
// first.
func listTFTPFolders(m *host.Machine, conf host.LTSPConf) []string {
	var folders []string
	if dir := conf.ServerValue("TFTP_DIR"); dir != "" {
		folders = append(folders, m.Path(dir))
	}
	served, _ := m.ReadTFTPFolders()
	for _, folder := range served {
		folders = append(folders, m.Path(folder.Path))
	}
	return folders
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
