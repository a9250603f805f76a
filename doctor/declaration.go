package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"ltskeeper/internal/remedy"
	"ltskeeper/keeper"

	"golang.org/x/sys/unix"
)

func declaration(f *facts) (found []Finding) {
	if f.missing {
		return []Finding{{
			Kind: Declaration, Subject: f.farm.Path, Message: "There is no declaration here.",
			Fix:      "init looks for LTSP on this machine and writes one; --config names another.",
			Commands: []string{"ltskeeper init"},
		}}
	}
	for _, m := range f.mistakes {
		file := m.File
		if isForRoot(file) {
			f.couldNotSee("%s: permission denied; put sudo in front of the command", file)
			continue
		}
		m.File, m.Msg = "", m.Msg+"."
		fix := "Mend it there, and look again."
		if advice := joinAdvice(m.Remedies); advice != "" {
			fix = sentence(advice)
		}
		found = append(found,
			Finding{Kind: Declaration, Subject: file, Message: place(m.Line, m.Column, m.Key) + sentence(m.Msg),
				Fix: fix})
	}
	return found
}

// joinAdvice returns the remedies that are mere advice.
func joinAdvice(remedies []remedy.Remedy) string {
	var words []string
	for _, r := range remedies {
		if advice, is := r.(remedy.Advice); is {
			words = append(words, string(advice))
		}
	}
	return strings.Join(words, ", or ")
}

// isForRoot tells whether this user may not read a file that root can.
func isForRoot(path string) bool {
	return os.Geteuid() != 0 && errors.Is(unix.Access(path, unix.R_OK), fs.ErrPermission)
}

// place is where in a file something stands.
func place(line, column int, key string) string {
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

func record(f *facts) (found []Finding) {
	if f.statusAt != nil && !errors.Is(f.statusAt, fs.ErrPermission) {
		found = append(found, Finding{
			Kind: Machine, Subject: f.farm.State.Path(), Message: sentence(f.statusAt.Error()),
			Fix: "Restore that file from a backup, or do what the message says.",
		})
	}
	for _, s := range f.servers {
		if s.record.State == keeper.Unreadable {
			found = append(found, Finding{
				Kind: Server, Subject: s.Name, Message: sentence(s.record.Message.String()),
				Fix:      "Do what the message says, and look again.",
				Commands: []string{"ltskeeper keys list " + s.Name},
			})
		}
	}
	return found
}

// permissions looks at the files that decide about trust.
func permissions(f *facts) (found []Finding) {
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
		finding := Finding{Kind: Machine, Subject: path}
		owner := int(stat.Uid) != 0 && int(stat.Uid) != os.Geteuid()
		switch {
		case mode&0o002 != 0:
			finding.Message = fmt.Sprintf("Everybody may write to it (mode %04o).", mode)
		case mode&0o020 != 0 && stat.Gid != 0:
			finding.Message = fmt.Sprintf("The group with the number %d may write to it (mode %04o).", stat.Gid, mode)
		case owner:
			finding.Message = fmt.Sprintf("It belongs to the user with the number %d, who is not root.", stat.Uid)
		default:
			continue
		}
		finding.Fix = "Take the permission away, and look whether anything in there is not yours."
		if owner {
			finding.Commands = append(finding.Commands, shell("chown root: %s", path))
		}
		if mode&0o022 != 0 {
			finding.Commands = append(finding.Commands, shell("chmod go-w %s", path))
		}
		found = append(found, finding)
	}
	if login := f.farm.Collect.Login; login != nil && login.Identity != "" {
		if info, err := os.Stat(login.Identity); err == nil && info.Mode().IsRegular() &&
			info.Mode().Perm()&0o077 != 0 {
			found = append(found, Finding{
				Kind: Machine, Subject: login.Identity,
				Message:  fmt.Sprintf("Others than its owner may read the private key that servers are logged in to with (mode %04o).", info.Mode().Perm()),
				Why:      "Whoever has it can log in to the account on every server.",
				Fix:      "Take the permission away; if somebody else has been on this machine, make a new key.",
				Commands: []string{shell("chmod 600 %s", login.Identity)},
			})
		}
	}
	return found
}
