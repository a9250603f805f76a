package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"ltskeeper/internal/remedy"
	"ltskeeper/keeper"

	"golang.org/x/sys/unix"
)

func checkDeclaration(f *facts, r *results) {
	if f.isMissing {
		r.findAt(Declaration, f.farm.Path, "There is no declaration here.").
			fix("have one written from what there is of LTSP on this machine", remedy.Option("config FILE"),
				remedy.Command{"init"})
		return
	}
	for _, m := range f.mistakes {
		if isForRoot(m.File) {
			r.couldNotSee("%s: permission denied; put sudo in front of the command", m.File)
			continue
		}
		finding := r.findAt(Declaration, m.File, "%s%s", describePlace(m.Line, m.Column, m.Key), toSentence(m.Msg)).
			fix("mend it there, and look again")
		if len(m.Remedies) > 0 {
			finding.fixBy(m.Remedies...)
		}
	}
}

// isForRoot reports whether this user may not read a file that root can.
func isForRoot(path string) bool {
	return os.Geteuid() != 0 && errors.Is(unix.Access(path, unix.R_OK), fs.ErrPermission)
}

// describePlace describes where in a file something is.
func describePlace(line, column int, key string) string {
	text := ""
	switch {
	case line > 0 && column > 0:
		text = fmt.Sprintf("Line %d, column %d", line, column)
	case line > 0:
		text = fmt.Sprintf("Line %d", line)
	}
	switch {
	case key != "" && text != "":
		text += ", " + key
	case key != "":
		text = key
	}
	if text != "" {
		text += ": "
	}
	return text
}

func checkRecord(f *facts, r *results) {
	if f.statusErr != nil && !errors.Is(f.statusErr, fs.ErrPermission) {
		finding := r.findAt(Machine, f.farm.State.Path(), "%s", toSentence(f.statusErr.Error())).
			fix("restore that file from a backup, or do what the message says")
		if remedies := remedy.FindIn(f.statusErr); len(remedies) > 0 {
			finding.fixBy(remedies...)
		}
	}
	for _, s := range f.servers {
		if s.record.State == keeper.Unreadable {
			r.findAt(Server, s.Name, "%s", toSentence(s.record.Message.String())).
				fix("do what the message says, and look again", remedy.Command{"keys", "list", s.Name})
		}
	}
}

// checkPermissions looks at the files that decide about trust.
func checkPermissions(f *facts, r *results) {
	paths := []string{f.farm.Dir, f.farm.Path, f.farm.ServersDir(), f.farm.KnownHostsLocalPath(), f.farm.State.Path()}
	servers, _ := filepath.Glob(filepath.Join(f.farm.ServersDir(), "*.toml"))
	paths = slices.Concat(paths, servers, f.farm.State.ListKeyPaths())
	for _, c := range f.farm.Chroots {
		paths = append(paths, c.LTSConf)
	}
	seen := map[string]bool{}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil || seen[path] {
			continue
		}
		seen[path] = true
		stat := info.Sys().(*syscall.Stat_t)
		mode := info.Mode().Perm()
		isOthers := int(stat.Uid) != 0 && int(stat.Uid) != os.Geteuid()
		var commands []remedy.Remedy
		if isOthers {
			commands = append(commands, remedy.Program{"chown", "root:", path})
		}
		if mode&0o022 != 0 {
			commands = append(commands, remedy.Program{"chmod", "go-w", path})
		}
		message := ""
		switch {
		case mode&0o002 != 0:
			message = fmt.Sprintf("Everybody may write to it (mode %04o).", mode)
		case mode&0o020 != 0 && stat.Gid != 0:
			message = fmt.Sprintf("The group with the number %d may write to it (mode %04o).", stat.Gid, mode)
		case isOthers:
			message = fmt.Sprintf("It belongs to the user with the number %d, who is not root.", stat.Uid)
		default:
			continue
		}
		r.findAt(Machine, path, "%s", message).
			fix("take the permission away, and look whether anything in there is not yours", commands...)
	}
	if login := f.farm.Collect.Login; login != nil && login.Identity != "" {
		if info, err := os.Stat(login.Identity); err == nil && info.Mode().IsRegular() &&
			info.Mode().Perm()&0o077 != 0 {
			r.findAt(Machine, login.Identity,
				"Others than its owner may read the private key that servers are logged in to with (mode %04o).",
				info.Mode().Perm()).
				because("Whoever has it can log in to the account on every server.").
				fix("take the permission away; if somebody else has been on this machine, make a new key",
					remedy.Program{"chmod", "600", login.Identity})
		}
	}
}
