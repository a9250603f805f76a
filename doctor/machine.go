package doctor

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"ltskeeper/internal/regular"

	"golang.org/x/sys/unix"
)

// A machine is the primary: its files and what its kernel and systemd tell. A test makes one of a
// folder.
type machine struct {
	root    string // of its files: "/"
	now     func() time.Time
	resolve func(ctx context.Context, name string) ([]netip.Addr, error) // as programs on it do
	name    string                                                       // its host name
	program string                                                       // the path of the running program
	dnsPort string                                                       // of name servers; "" is DNS's own
	adjtime func() (synchronised bool, err error)
	free    func(path string) (unix.Statfs_t, error)
	// systemctl returns what the command prints; nil without systemd.
	systemctl func(ctx context.Context, args ...string) (string, error)
}

func thisMachine() machine {
	name, _ := os.Hostname()
	program, err := os.Executable()
	if err != nil {
		program = "ltskeeper"
	}
	m := machine{
		root: "/", now: time.Now, name: name, program: program,
		resolve: func(ctx context.Context, name string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", name)
		},
		adjtime: func() (bool, error) {
			var t unix.Timex
			state, err := unix.Adjtimex(&t)
			const timeError = 5 // adjtimex(2)
			return state != timeError, err
		},
		free: func(path string) (st unix.Statfs_t, err error) { return st, unix.Statfs(path, &st) },
	}
	if _, err := os.Stat("/run/systemd/system"); err == nil {
		m.systemctl = func(ctx context.Context, args ...string) (string, error) {
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			out, err := exec.CommandContext(ctx, "systemctl", args...).Output()
			return strings.TrimSpace(string(out)), err
		}
	}
	return m
}

func (m *machine) path(name string) string { return filepath.Join(m.root, name) }

// read returns a file of the machine, nil if there is none. What may not be read is noted.
func (f *facts) read(name string) []byte {
	data, err := regular.Read(f.machine.path(name), regular.MaxText)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.couldNotSee("%v", err)
	}
	return data
}

// files returns those of the machine that match the patterns and can be read, by their path, in
// order.
func (f *facts) files(patterns ...string) (paths []string, content map[string][]byte) {
	content = map[string][]byte{}
	for _, pattern := range patterns {
		found, _ := filepath.Glob(f.machine.path(pattern))
		for _, path := range found {
			if content[path] != nil {
				continue
			}
			data, err := regular.Read(path, 1<<20)
			if errors.Is(err, fs.ErrNotExist) || regular.IsOdd(err) {
				continue
			}
			if err != nil {
				f.couldNotSee("%v", err)
				continue
			}
			paths, content[path] = append(paths, path), data
		}
	}
	return paths, content
}

// lines returns the lines of a text with their numbers, without comments that begin with # and
// without blank ones.
func lines(data []byte) func(yield func(int, string) bool) {
	return func(yield func(int, string) bool) {
		n := 0
		for s := bufio.NewScanner(bytes.NewReader(data)); s.Scan(); {
			n++
			line, _, _ := strings.Cut(s.Text(), "#")
			if line = strings.TrimSpace(line); line != "" && !yield(n, line) {
				return
			}
		}
	}
}

// A hostsLine is a line of a hosts file (hosts(5)).
type hostsLine struct {
	where   string // it is: "line 3 of /etc/hosts"
	address netip.Addr
}

// A hostsFile is read once: some have a line for each advertiser there is.
type hostsFile struct {
	byName  map[string][]hostsLine // names in lower case
	unended bool                   // its last line has no end
}

func readHosts(path string, data []byte) hostsFile {
	h := hostsFile{byName: map[string][]hostsLine{}, unended: len(data) > 0 && data[len(data)-1] != '\n'}
	for n, line := range lines(data) {
		h.add(fmt.Sprintf("line %d of %s", n, path), line)
	}
	return h
}

// add takes a line, which is from somewhere.
func (h hostsFile) add(where, line string) {
	words := strings.Fields(line)
	if len(words) == 0 {
		return
	}
	address, err := netip.ParseAddr(words[0])
	if err != nil {
		return
	}
	for i, name := range words[1:] {
		if !slices.Contains(words[1:i+1], name) {
			name = strings.ToLower(name)
			h.byName[name] = append(h.byName[name], hostsLine{where, address.Unmap()})
		}
	}
}

// lines returns those in which a name stands.
func (h hostsFile) lines(name string) []hostsLine {
	return h.byName[strings.ToLower(strings.TrimSuffix(name, "."))]
}

// listens tells whether something on the machine listens on a port ("tcp" or "udp"), going by its
// kernel's tables (proc(5), /proc/net/tcp). known is false if there are none.
func (m *machine) listens(network string, port int) (is, known bool) {
	const listening, bound = "0A", "07"
	want := map[string]string{"tcp": listening, "udp": bound}[network]
	for _, table := range []string{network, network + "6"} {
		data, err := regular.Read(m.path("proc/net/"+table), regular.MaxText)
		if err != nil {
			continue
		}
		known = true
		for _, line := range lines(data) {
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
	return false, known
}
