package host

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"ltskeeper/internal/regular"

	"golang.org/x/sys/unix"
)

// A Machine is the one that this program runs on. Tests make one of a folder.
type Machine struct {
	Root    string // the folder of its files: "/"
	Name    string // its host name
	DNSPort string // of the name servers; "" is DNS's own

	Now         func() time.Time
	ResolveName func(ctx context.Context, name string) ([]netip.Addr, error) // as programs on it do

	// IsClockKept reports whether its kernel says that a time server keeps the clock right.
	IsClockKept func() (bool, error)
	// Statfs returns what the file system at path has and has left.
	Statfs func(path string) (unix.Statfs_t, error)
	// Systemctl returns what the command prints; nil without systemd.
	Systemctl func(ctx context.Context, args ...string) (string, error)
}

// This returns the machine that this program runs on.
func This() *Machine {
	name, _ := os.Hostname()
	m := &Machine{
		Root: "/", Name: name, Now: time.Now,
		ResolveName: func(ctx context.Context, name string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", name)
		},
		IsClockKept: func() (bool, error) {
			var t unix.Timex
			state, err := unix.Adjtimex(&t)
			const timeError = 5 // adjtimex(2)
			return state != timeError, err
		},
		Statfs: func(path string) (st unix.Statfs_t, err error) { return st, unix.Statfs(path, &st) },
	}
	if _, err := os.Stat("/run/systemd/system"); err == nil {
		m.Systemctl = func(ctx context.Context, args ...string) (string, error) {
			out, err := exec.CommandContext(ctx, "systemctl", args...).Output()
			return strings.TrimSpace(string(out)), err
		}
	}
	return m
}

// Path returns the path of one of the machine's files: "etc/hosts".
func (m *Machine) Path(name string) string { return filepath.Join(m.Root, name) }

// A File is a text file of the machine.
type File struct {
	Path string
	Data []byte
}

// Read reads one of the machine's files. One that does not exist is empty.
func (m *Machine) Read(name string) (File, error) {
	f := File{Path: m.Path(name)}
	var err error
	if f.Data, err = regular.Read(f.Path, regular.MaxText); errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return f, err
}

// ReadAll reads the machine's regular files that match the patterns, each once, in the order of the
// patterns. Those that cannot be read are returned as errors.
func (m *Machine) ReadAll(patterns ...string) (files []File, unread []error) {
	seen := map[string]bool{}
	for _, pattern := range patterns {
		paths, _ := filepath.Glob(m.Path(pattern))
		for _, path := range paths {
			if seen[path] {
				continue
			}
			seen[path] = true
			data, err := regular.Read(path, regular.MaxRecord)
			switch {
			case err == nil:
				files = append(files, File{path, data})
			case !errors.Is(err, fs.ErrNotExist) && !regular.IsOdd(err):
				unread = append(unread, err)
			}
		}
	}
	return files, unread
}

// Lines returns the lines of a text with their numbers, without comments that begin with # and
// without blank lines.
func (f File) Lines() iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		number := 0
		for line := range strings.Lines(string(f.Data)) {
			number++
			line, _, _ = strings.Cut(line, "#")
			if line = strings.TrimSpace(line); line != "" && !yield(number, line) {
				return
			}
		}
	}
}

// JobFiles are patterns of the files from which cron runs something.
var JobFiles = []string{"etc/crontab", "etc/cron.d/*", "etc/cron.hourly/*", "etc/cron.daily/*",
	"etc/cron.weekly/*", "etc/cron.monthly/*", crontabs + "/*"}

// crontabs holds the crontabs of users, which only root may list.
const crontabs = "var/spool/cron/crontabs"

// CheckListsCrontabs returns why the crontabs of users cannot be listed. That there are none is not
// an error.
func (m *Machine) CheckListsCrontabs() error {
	if _, err := os.ReadDir(m.Path(crontabs)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// UnitState returns how systemd has a unit start by itself, like "enabled"; "" or "not-found" if it
// does not know the unit.
func (m *Machine) UnitState(ctx context.Context, unit string) string {
	return m.askSystemd(ctx, "is-enabled", unit)
}

// UnitResult returns what came of a unit's last run, like "success"; "" if it had none.
func (m *Machine) UnitResult(ctx context.Context, unit string) string {
	return m.askSystemd(ctx, "show", "--property=Result", "--value", unit)
}

func (m *Machine) askSystemd(ctx context.Context, args ...string) string {
	if m.Systemctl == nil {
		return ""
	}
	answer, _ := m.Systemctl(ctx, args...) // it fails for a unit that is not enabled, too
	return answer
}

// IsListening reports whether something on the machine listens on a port of "tcp" or "udp", going
// by its kernel's tables (proc(5), /proc/net/tcp). isKnown is false if there are none.
func (m *Machine) IsListening(network string, port int) (is, isKnown bool) {
	const listening, bound = "0A", "07"
	want := map[string]string{"tcp": listening, "udp": bound}[network]
	for _, table := range []string{network, network + "6"} {
		file := File{Path: m.Path("proc/net/" + table)}
		var err error
		if file.Data, err = regular.Read(file.Path, regular.MaxText); err != nil {
			continue
		}
		isKnown = true
		for _, line := range file.Lines() {
			words := strings.Fields(line)
			if len(words) < 4 {
				continue
			}
			_, hex, _ := strings.Cut(words[1], ":")
			if n, err := strconv.ParseUint(hex, 16, 16); err == nil && int(n) == port && words[3] == want {
				return true, true
			}
		}
	}
	return false, isKnown
}
