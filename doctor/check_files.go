package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ltskeeper/farm"
	"ltskeeper/internal/host"
	"ltskeeper/internal/regular"
	"ltskeeper/internal/remedy"
	"ltskeeper/keeper"
	"ltskeeper/ltsconf"
)

// A clientFile is one that clients get, with what findings say of it.
type clientFile struct {
	keeper.FileStatus
	kind    Kind
	subject string
	label   string // how a sentence about it begins
	source  string // where an admin's own lines belong
}

// listClientFiles returns the files that are on this machine for clients.
func (f *facts) listClientFiles() (files []clientFile) {
	for _, c := range f.chroots {
		for _, s := range c.files {
			source := f.farm.KnownHostsLocalPath()
			if strings.HasSuffix(s.Name, "lts.conf") {
				source = c.LTSConf
			}
			files = append(files, clientFile{s, Chroot, c.Name, "Its /" + s.Name, source})
		}
	}
	if s := f.ltspKnownHosts; s != nil {
		files = append(files, clientFile{*s, Machine, s.Path, "It", f.farm.KnownHostsLocalPath()})
	}
	return files
}

func checkFileEdited(f *facts, r *results) {
	for _, c := range f.listClientFiles() {
		if c.State != keeper.Edited {
			continue
		}
		what := fmt.Sprintf("%s that ltskeeper would write is not in it", countLines(c.Lacks))
		if len(c.Own) > 0 {
			what = fmt.Sprintf("%s in it is not ltskeeper's, the first: %s", countLines(len(c.Own)),
				shortenLine(c.Own[0]))
		}
		r.findAt(c.kind, c.subject, "%s was edited by hand, or by another program: %s", c.label, toSentence(what)).
			fix(fmt.Sprintf("put what is to stay into %s, see what is going to change, and have it written anew",
				c.source),
				remedy.Command{"update-image", "--dry-run"}, remedy.Command{"update-image"})
	}
}

// countLines is a number of lines as the beginning of a sentence that goes on with "is".
func countLines(n int) string {
	if n == 1 {
		return "1 line"
	}
	return fmt.Sprintf("one of %d lines", n)
}

// shortenLine shortens a line for a sentence.
func shortenLine(line string) string {
	const most = 60
	if len(line) > most {
		return line[:most] + "..."
	}
	return line
}

func checkFileForeign(f *facts, r *results) {
	isHiding := map[string]bool{} // lts-conf-hidden says it
	for _, c := range f.chroots {
		isHiding[f.servedConf(c)] = c.image.Current != keeper.NoGeneration
	}
	for _, c := range f.listClientFiles() {
		if c.State == keeper.Foreign && !c.Program && !isHiding[c.Path] {
			r.findAt(c.kind, c.subject, "%s was not written by ltskeeper.", c.Path).
				fix("take over what it says, or move it away", remedy.Command{"init", "--adopt"})
		}
	}
}

func checkGetHostsForeign(_ *facts, c *root, r *results) {
	for _, s := range c.files {
		if s.State == keeper.Foreign && s.Program {
			r.find("%s is not ltskeeper's, and stays.", s.Path).
				fix("if nobody put it there on purpose, move it away, and have ltskeeper's own installed",
					remedy.Program{"mv", s.Path, s.Path + ".old"}, remedy.Command{"update-image"})
		}
	}
}

func checkFilesBehind(f *facts, r *results) {
	for _, c := range f.chroots {
		if c.image.Held != nil || c.image.Current == keeper.NoGeneration {
			continue
		}
		var behind []string
		for _, s := range c.files {
			if s.State == keeper.Behind || s.State == keeper.Missing || s.ImageBehind && s.State == keeper.Rendered {
				behind = append(behind, "/"+s.Name)
			}
		}
		if len(behind) > 0 {
			r.findAt(Chroot, c.Name, "Its clients have an older %s than the declaration and the keys on record make.",
				joinWords(behind)).
				fix("make them a new image", remedy.Command{"update-image"})
		}
	}
	if s := f.ltspKnownHosts; s != nil && (s.State == keeper.Behind || s.State == keeper.Missing) {
		r.findAt(Machine, s.Path, "It is not what the declaration and the keys on record make.").
			fix("have it written", remedy.Command{"update-image"})
	}
}

func checkLTSConfHidden(f *facts, r *results) {
	told := map[string]bool{}
	for _, c := range f.chroots {
		if path := f.findHidingConf(c); path != "" {
			r.findAt(Chroot, c.Name, "%s is a file of somebody else's, and hides the lts.conf of the image.", path).
				fix(fmt.Sprintf("see what is in it that clients are to keep, put that into %s, and move the file away",
					c.LTSConf),
					remedy.Program{"cat", path}, remedy.Program{"mv", path, path + ".old"},
					remedy.Command{"image", "repair"})
		}
	}
	if len(f.farm.Chroots) == 0 {
		return
	}
	tftp := f.farm.TFTP
	isOwn := func(path string) bool {
		return slices.ContainsFunc(f.farm.Chroots, func(c farm.Chroot) bool {
			return strings.HasPrefix(path, filepath.Join(tftp, c.Name)+"/")
		})
	}
	patterns := []string{filepath.Join(tftp, "*"), filepath.Join(tftp, "ltsp", "*"),
		filepath.Join(filepath.Dir(tftp), "ltsp", "*")}
	for _, dir := range host.LTSPTFTPFolders {
		patterns = append(patterns, f.machine.Path(dir+"/*"))
	}
	for _, pattern := range patterns {
		paths, _ := filepath.Glob(filepath.Join(pattern, "lts.conf"))
		for _, path := range paths {
			info, err := os.Stat(path)
			if err != nil || told[path] || isOwn(path) || info.Size() == 0 {
				continue
			}
			told[path] = true
			r.findAt(Machine, path, "Another lts.conf is under TFTP, where no declared chroot has its own.").as(Advice).
				because("Clients that boot the kernel beside it read this one.").
				fixBy(remedy.If{Condition: "clients still boot from there",
					Then: remedy.Advice("declare their chroot")},
					remedy.Advice("move the folder away"))
		}
	}
}

func checkTFTPRoot(f *facts, r *results) {
	if len(f.farm.Chroots) == 0 {
		return
	}
	served, unread := f.machine.ReadTFTPFolders()
	for _, err := range unread {
		r.couldNotSee("%v", err)
	}
	if len(served) == 0 {
		return
	}
	want := resolveLinks(f.farm.TFTP)
	var folders, files []string
	for _, s := range served {
		folder := resolveLinks(s.Path)
		if want == folder || folder == "/" || strings.HasPrefix(want, folder+"/") {
			return
		}
		folders, files = append(folders, s.Path), append(files, s.File)
	}
	slices.Sort(files)
	r.findAt(Machine, f.farm.TFTP, "The TFTP server serves %s (%s), and this folder is not in it.",
		joinWords(folders), joinWords(slices.Compact(files))).
		fixBy(remedy.Setting{File: f.farm.Path, Section: "tftp", Key: "directory", Change: "to a folder in there"},
			remedy.Advice("change the TFTP server's own setting"))
}

// resolveLinks follows symbolic links as far as there is something.
func resolveLinks(path string) string {
	for rest := ""; ; {
		if place, err := filepath.EvalSymlinks(path); err == nil {
			return filepath.Join(place, rest)
		}
		if path == "/" || path == "." {
			return filepath.Join(path, rest)
		}
		path, rest = filepath.Dir(path), filepath.Join(filepath.Base(path), rest)
	}
}

func checkLTSConfWrong(f *facts, r *results) {
	told := map[string]bool{}
	for _, c := range f.chroots {
		for _, file := range []struct {
			path  string
			least ltsconf.Severity // that is told
		}{{c.LTSConf, ltsconf.Warning}, {f.servedConf(c), ltsconf.Error}} {
			if !told[file.path] {
				told[file.path] = true
				r.kind, r.subject = Chroot, c.Name
				checkLTSConf(file.path, file.least, r)
			}
		}
	}
}

func checkLTSConf(path string, least ltsconf.Severity, r *results) {
	data, err := regular.Read(path, regular.MaxText)
	if regular.IsOdd(err) || errors.Is(err, fs.ErrNotExist) {
		return // of what is odd, the declaration or lts-conf-hidden says it
	}
	if err != nil {
		r.couldNotSee("%v", err)
		return
	}
	n, worst := 0, ltsconf.Problem{}
	for _, p := range ltsconf.Check(path, data, nil) {
		if p.Severity < least {
			continue
		}
		if n++; n == 1 || p.Severity > worst.Severity {
			worst = p
		}
	}
	if n == 0 {
		return
	}
	message := toSentence(worst.String())
	if n > 1 {
		message += fmt.Sprintf(" It is not the only one: there are %d.", n)
	}
	finding := r.find("%s", message).fix("see all of it, and mend it", remedy.Command{"lts-conf", "check", path})
	if worst.Severity < ltsconf.Error {
		finding.as(Advice)
	}
}
