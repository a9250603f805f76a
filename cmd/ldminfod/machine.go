package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ltskeeper/internal/regular"
	"ltskeeper/ldm"
)

// A machine is the application server that this program runs on.
type machine struct {
	files    fs.FS // everything, from the root
	capacity int   // sessions it is meant for; 0: nobody said
	mark     string
	clock    func() time.Time // nil: it does not say what time it is
}

// text is what the machine says to whoever asks.
func (m *machine) text() []byte {
	text, _ := m.answer().Encode()
	return text
}

func (m *machine) answer() ldm.Answer {
	a := ldm.Answer{Rating: rating(m.terms()), Logins: m.logins(), Capacity: m.capacity}
	if _, draining := m.draining(); draining {
		a.Draining, a.Rating = true, 0
	}
	if m.clock != nil {
		a.Time = m.clock()
	}
	if info, err := fs.Stat(m.files, "etc/X11/Xsession"); err == nil && info.Mode().IsRegular() {
		a.XSession = "/etc/X11/Xsession"
	}
	named := m.desktops()
	for _, s := range named {
		a.Sessions = append(a.Sessions, ldm.Session(s))
	}
	for _, s := range named { // for greeters from before sessions had names
		a.Sessions = append(a.Sessions, ldm.Session{Command: s.Command})
	}
	a.Languages = m.languages()
	return a
}

// logins counts the sessions that logind knows, or returns -1 if there is no logind. What is
// closing counts no more, and neither do greeters and services.
func (m *machine) logins() int {
	const dir = "run/systemd/sessions"
	entries, err := fs.ReadDir(m.files, dir)
	if err != nil {
		return -1
	}
	n := 0
	for _, e := range entries {
		if !e.Type().IsRegular() { // beside each session stands a pipe
			continue
		}
		session := m.assignments(dir + "/" + e.Name())
		if strings.HasPrefix(session["CLASS"], "user") && session["STATE"] != "closing" {
			n++
		}
	}
	return n
}

// assignments reads a file of lines like KEY=value; none if it cannot.
func (m *machine) assignments(name string) map[string]string {
	values := map[string]string{}
	for line := range m.lines(name) {
		if key, value, found := strings.Cut(line, "="); found {
			values[strings.TrimSpace(key)] = strings.Trim(strings.TrimSpace(value), `"'`)
		}
	}
	return values
}

// lines yields the lines of a small text file; none if it cannot be read.
func (m *machine) lines(name string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		f, err := regular.OpenFS(m.files, name)
		if err != nil {
			return
		}
		defer f.Close()
		for s := bufio.NewScanner(io.LimitReader(f, 1<<20)); s.Scan(); {
			if !yield(s.Text()) {
				return
			}
		}
	}
}

// draining tells whether the machine is to have no new logins, and since when.
func (m *machine) draining() (since time.Time, draining bool) {
	info, err := os.Stat(m.mark)
	if err != nil {
		return time.Time{}, false
	}
	return info.ModTime(), true
}

func (m *machine) drain(out io.Writer) error {
	if err := makeFolder(filepath.Dir(m.mark)); err != nil {
		return asRoot(err)
	}
	f, err := regular.OpenOwn(m.mark, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return asRoot(err)
	}
	if err := cmp.Or(f.Sync(), f.Close()); err != nil {
		return err
	}
	stay := ""
	if n := m.logins(); n >= 0 {
		stay = fmt.Sprintf(" Sessions here now: %d.", n)
	}
	_, err = fmt.Fprintf(out, "Draining: new logins go elsewhere, those that are here stay.%s\n", stay)
	return err
}

// makeFolder makes a folder that the daemon can look into, who is not root, whatever the umask of
// whoever drains.
func makeFolder(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return cmp.Or(os.MkdirAll(dir, 0o755), os.Chmod(dir, 0o755))
}

func (m *machine) undrain(out io.Writer) error {
	if err := os.Remove(m.mark); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return asRoot(err)
	}
	_, err := fmt.Fprintln(out, "Taking logins.")
	return err
}

func asRoot(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w; run it as root", err)
	}
	return err
}

// explain shows what the rating comes from.
func (m *machine) explain(out io.Writer) error {
	terms := m.terms()
	var b strings.Builder
	for _, t := range terms {
		fmt.Fprintf(&b, "%-9s %3.0f %% free   %s\n", t.name, 100*t.free, t.from)
	}
	fmt.Fprintf(&b, "%-9s %3d", "rating", m.answer().Rating)
	since, draining := m.draining()
	switch {
	case draining:
		fmt.Fprintf(&b, "          draining since %s, until ldminfod undrain", since.Format(time.DateTime))
	case len(terms) > 0:
		scarcest := slices.MinFunc(terms, func(a, b term) int { return cmp.Compare(a.free, b.free) })
		fmt.Fprintf(&b, "          the scarcest is %s", scarcest.name)
	}
	b.WriteString("\n")
	if _, left := m.answer().Encode(); left > 0 {
		fmt.Fprintf(&b, "%d lines of the answer, mostly languages, are left out: clients read no more than %d bytes\n",
			left, ldm.MaxEncoded)
	}
	_, err := io.WriteString(out, b.String())
	return err
}
