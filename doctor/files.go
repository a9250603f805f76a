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
	"ltskeeper/keeper"
	"ltskeeper/ltsconf"
)

// ownPlace is where lines of an admin's own belong, for a file that clients get.
func (f *facts) ownPlace(name string, r *root) string {
	if r != nil && strings.HasSuffix(name, "lts.conf") {
		return r.LTSConf
	}
	return f.farm.KnownHostsLocalPath()
}

func fileEdited(f *facts) (found []Finding) {
	add := func(kind Kind, subject, file string, s keeper.FileStatus, r *root) {
		if s.State != keeper.Edited {
			return
		}
		what := fmt.Sprintf("%s that ltskeeper would write is not in it", count(s.Lacks, "line"))
		if len(s.Own) > 0 {
			what = fmt.Sprintf("%s in it is not ltskeeper's, the first: %s", count(len(s.Own), "line"), cut(s.Own[0]))
		}
		found = append(found, Finding{
			Kind: kind, Subject: subject, Message: fmt.Sprintf("%s was edited by hand, or by another program: %s", file,
				sentence(what)),
			Fix: fmt.Sprintf("Put what is to stay into %s, see what is going to change, and have it written anew:",
				f.ownPlace(s.Name, r)),
			Commands: []string{"ltskeeper update-image --dry-run", "ltskeeper update-image"},
		})
	}
	for _, r := range f.chroots {
		for _, s := range r.files {
			add(Chroot, r.Name, "Its /"+s.Name, s, r)
		}
	}
	if f.ltsp != nil {
		add(Machine, f.ltsp.Path, "It", *f.ltsp, nil)
	}
	return found
}

// count is a number of things as the beginning of a sentence that goes on with "is": "1 line", "one
// of 3 lines".
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("one of %d %ss", n, thing)
}

// cut shortens a line for a sentence.
func cut(line string) string {
	const most = 60
	if len(line) > most {
		return line[:most] + "..."
	}
	return line
}

func fileForeign(f *facts) (found []Finding) {
	add := func(kind Kind, subject, path string) {
		found = append(found, Finding{
			Kind: kind, Subject: subject, Message: fmt.Sprintf("%s was not written by ltskeeper.", path),
			Fix:      "Take over what it says, or move it away:",
			Commands: []string{"ltskeeper init --adopt"},
		})
	}
	for _, r := range f.chroots {
		for _, s := range r.files {
			if s.State == keeper.Foreign && !s.Program && !(s.Path == f.served(r) && r.image.Current != keeper.NoGeneration) {
				add(Chroot, r.Name, s.Path)
			}
		}
	}
	if f.ltsp != nil && f.ltsp.State == keeper.Foreign {
		add(Machine, f.ltsp.Path, f.ltsp.Path)
	}
	return found
}

func getHostsForeign(f *facts) (found []Finding) {
	for _, r := range f.chroots {
		for _, s := range r.files {
			if s.State == keeper.Foreign && s.Program {
				found = append(found, Finding{
					Kind: Chroot, Subject: r.Name, Message: fmt.Sprintf("%s is not ltskeeper's, and stays.", s.Path),
					Fix:      "If nobody put it there on purpose, move it away, and the next update-image installs its own:",
					Commands: []string{shell("mv %s %s", s.Path, s.Path+".old"), "ltskeeper update-image"},
				})
			}
		}
	}
	return found
}

func filesBehind(f *facts) (found []Finding) {
	for _, r := range f.chroots {
		if r.image.Held != nil || r.image.Current == keeper.NoGeneration {
			continue
		}
		var behind []string
		for _, s := range r.files {
			if s.State == keeper.Behind || s.State == keeper.Missing || s.ImageBehind && s.State == keeper.Rendered {
				behind = append(behind, "/"+s.Name)
			}
		}
		if len(behind) > 0 {
			found = append(found, Finding{
				Kind: Chroot, Subject: r.Name,
				Message: fmt.Sprintf("Its clients have an older %s than the declaration and the keys on record make.",
					list(behind)),
				Fix: "Make them a new image:", Commands: []string{"ltskeeper update-image"},
			})
		}
	}
	if f.ltsp != nil && (f.ltsp.State == keeper.Behind || f.ltsp.State == keeper.Missing) {
		found = append(found, Finding{
			Kind: Machine, Subject: f.ltsp.Path, Message: "It is not what the declaration and the keys on record make.",
			Fix: "Have it written:", Commands: []string{"ltskeeper update-image"},
		})
	}
	return found
}

// served is the lts.conf that the clients of a chroot fetch.
func (f *facts) served(r *root) string {
	return filepath.Join(f.farm.TFTP.Directory, r.Name, "lts.conf")
}

func ltsConfHidden(f *facts) (found []Finding) {
	told := map[string]bool{}
	for _, r := range f.chroots {
		if path := f.hides(r); path != "" {
			found = append(found, Finding{
				Kind: Chroot, Subject: r.Name,
				Message: fmt.Sprintf("%s is a file of somebody else's, and hides the lts.conf of the image.", path),
				Fix: "See what is in it that clients are to keep, put that into " + r.LTSConf +
					", and move the file away:",
				Commands: []string{shell("cat %s", path), shell("mv %s %s", path, path+".old"),
					"ltskeeper image repair"},
			})
		}
	}
	if len(f.farm.Chroots) == 0 {
		return found
	}
	tftp := f.farm.TFTP.Directory
	own := func(path string) bool {
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
			if err != nil || told[path] || own(path) || info.Size() == 0 {
				continue
			}
			told[path] = true
			found = append(found, Finding{
				Kind: Machine, Subject: path, Severity: Advice,
				Message: "Another lts.conf stands under TFTP, where no declared chroot has its own.",
				Why:     "Clients that boot the kernel beside it read this one.",
				Fix:     "If clients still boot from there, declare their chroot as [[chroot]]; if not, move the folder away.",
			})
		}
	}
	return found
}

// hides is the path of the lts.conf that hides the one in the image of a chroot, or "".
func (f *facts) hides(r *root) string {
	if r.image.Current == keeper.NoGeneration {
		return "" // whatever stands there is taken over, or file-foreign says it
	}
	path := f.served(r)
	info, err := os.Lstat(path)
	if err != nil {
		return ""
	}
	target, _ := os.Readlink(path)
	if info.Mode().IsRegular() || info.Mode()&fs.ModeSymlink != 0 && target != filepath.Join("current", "lts.conf") {
		return path
	}
	return ""
}

func tftpRoot(f *facts) (found []Finding) {
	if len(f.farm.Chroots) == 0 {
		return nil
	}
	served, unread := f.machine.ReadTFTPFolders()
	for _, err := range unread {
		f.couldNotSee("%v", err)
	}
	if len(served) == 0 {
		return nil
	}
	want := real(f.farm.TFTP.Directory)
	var folders, files []string
	for _, s := range served {
		folder := real(s.Path)
		if want == folder || folder == "/" || strings.HasPrefix(want, folder+"/") {
			return nil
		}
		folders, files = append(folders, s.Path), append(files, s.File)
	}
	slices.Sort(files)
	return []Finding{{
		Kind: Machine, Subject: f.farm.TFTP.Directory,
		Message: fmt.Sprintf("The TFTP server serves %s (%s), and this folder is not in it.", list(folders),
			list(slices.Compact(files))),
		Fix: fmt.Sprintf("Let the two agree: directory under [tftp] in %s, or the TFTP server's own setting.",
			f.farm.Path),
	}}
}

// real follows symbolic links as far as there is something.
func real(path string) string {
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

func ltsConfWrong(f *facts) (found []Finding) {
	told := map[string]bool{}
	check := func(kind Kind, subject, path string, least ltsconf.Severity) {
		if told[path] {
			return
		}
		told[path] = true
		data, err := regular.Read(path, regular.MaxText)
		if regular.IsOdd(err) {
			return // the declaration is told so, or lts-conf-hidden says it
		}
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				f.couldNotSee("%v", err)
			}
			return
		}
		finding := Finding{Kind: kind, Subject: subject, Severity: Advice, Fix: "See all of it, and mend it:",
			Commands: []string{shell("ltskeeper lts-conf check %s", path)}}
		n, shown := 0, ltsconf.Warning // shown is the severity of the problem in the message
		for _, p := range ltsconf.Check(path, data, nil) {
			if p.Severity < least {
				continue
			}
			if p.Severity == ltsconf.Error {
				finding.Severity = Problem
			}
			if n++; n == 1 || p.Severity > shown {
				finding.Message, shown = sentence(p.String()), p.Severity
			}
		}
		if n > 1 {
			finding.Message += fmt.Sprintf(" It is not the only one: there are %d.", n)
		}
		if n > 0 {
			found = append(found, finding)
		}
	}
	for _, r := range f.chroots {
		check(Chroot, r.Name, r.LTSConf, ltsconf.Warning)
		check(Chroot, r.Name, f.served(r), ltsconf.Error)
	}
	return found
}
