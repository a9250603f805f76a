package adopt

import (
	"fmt"
	"slices"
	"strings"

	"ltskeeper/internal/excludes"
	"ltskeeper/internal/host"
	"ltskeeper/internal/regular"
	"ltskeeper/internal/remedy"
)

// unclearRemedies are what to do about settings of ltsp.conf that a shell has to work out.
var unclearRemedies = map[string]remedy.Remedy{
	"BASE_DIR":            remedy.Steps{setLikewise("chroot", "path"), setLikewise("image", "directory")},
	"TFTP_DIR":            setLikewise("tftp", "directory"),
	"SSH_SERVER":          remedy.Advice("compare it with the servers that are declared"),
	"ADD_IMAGE_EXCLUDES":  setLikewise("chroot", "exclude"),
	"OMIT_IMAGE_EXCLUDES": setLikewise("chroot", "exclude"),
}

func setLikewise(section, key string) remedy.Setting {
	return remedy.Setting{Section: section, Key: key, Change: "likewise"}
}

// noteUnclear notes settings that a declaration depends on and only a shell can tell.
func (found *Found) noteUnclear(conf host.LTSPConf) {
	for _, s := range conf.Settings {
		if what := unclearRemedies[s.Key]; what != nil && !s.Plain {
			found.addNote(fmt.Sprintf("Line %d of %s has a shell work out %s, and ltskeeper runs none",
				s.Line, conf.Path, s.Key), what)
		}
	}
}

// findExcludes compares what LTSP leaves out of images with what is left out anyway.
func (found *Found) findExcludes(m *host.Machine, conf host.LTSPConf) {
	usual := excludes.Defaults()
	var more, fewer []string
	if theirs, ok := readPatterns(m.Path("etc/ltsp/image.excludes")); ok {
		more = theirs
		found.ExcludesFrom = append(found.ExcludesFrom, "/etc/ltsp/image.excludes")
		replaced, _ := readPatterns(m.Path("usr/share/ltsp/server/image/image.excludes"))
		fewer = slices.DeleteFunc(replaced, func(p string) bool { return slices.Contains(more, p) })
	}
	list := func(key string) []string {
		value := conf.ServerValue(key)
		if value == "" {
			return nil
		}
		found.ExcludesFrom = append(found.ExcludesFrom, key+" in /etc/ltsp/ltsp.conf")
		if text, err := regular.Read(m.Path(value), regular.MaxText); err == nil {
			value = string(text)
		}
		return parsePatterns(value)
	}
	more = append(more, list("ADD_IMAGE_EXCLUDES")...)
	fewer = append(fewer, list("OMIT_IMAGE_EXCLUDES")...)
	if theirs, ok := readPatterns(m.Path("etc/ltsp/ltsp-update-image.excludes")); ok { // of LTSP 5
		more = append(more, theirs...)
		found.ExcludesFrom = append(found.ExcludesFrom, "/etc/ltsp/ltsp-update-image.excludes")
	}
	found.Exclude = slices.DeleteFunc(more, func(p string) bool {
		return slices.Contains(usual, p) || slices.Contains(fewer, p)
	})
	found.Include = slices.DeleteFunc(fewer, func(p string) bool { return !slices.Contains(usual, p) })
}

// readPatterns reads a list of excludes. isGiven is false if the file does not exist; one that
// cannot be read is empty.
func readPatterns(path string) (list []string, isGiven bool) {
	text, _ := regular.Read(path, regular.MaxText)
	return parsePatterns(string(text)), isThere(path)
}

// parsePatterns returns the lines of a list of excludes that can be taken over.
func parsePatterns(text string) (list []string) {
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
