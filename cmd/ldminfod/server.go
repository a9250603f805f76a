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
	"strings"
	"time"

	"ltskeeper/internal/regular"
	"ltskeeper/ldm"
)

// A server is the application server that this program runs on.
type server struct {
	files    fs.FS // everything, from the root
	capacity int   // sessions it is meant for; 0 if that is not known
	mark     string
	clock    func() time.Time // nil: it does not say what time it is
}

// text returns what the server answers.
func (s *server) text() []byte {
	text, _ := s.makeAnswer().Encode()
	return text
}

func (s *server) makeAnswer() ldm.Answer {
	a := ldm.Answer{Rating: computeRating(s.terms()), Logins: s.logins(), Capacity: s.capacity}
	if _, draining := s.drainingSince(); draining {
		a.Draining, a.Rating = true, 0
	}
	if s.clock != nil {
		a.Time = s.clock()
	}
	if info, err := fs.Stat(s.files, "etc/X11/Xsession"); err == nil && info.Mode().IsRegular() {
		a.XSession = "/etc/X11/Xsession"
	}
	a.Sessions = s.desktops()
	for _, named := range a.Sessions { // for greeters from before sessions had names
		a.Sessions = append(a.Sessions, ldm.Session{Command: named.Command})
	}
	a.Languages = s.languages()
	return a
}

// logins counts the sessions that logind knows, or returns -1 if there is no logind. Sessions that
// are closing, greeters and services do not count.
func (s *server) logins() int {
	const dir = "run/systemd/sessions"
	entries, err := fs.ReadDir(s.files, dir)
	if err != nil {
		return -1
	}
	n := 0
	for _, e := range entries {
		if !e.Type().IsRegular() { // there is a pipe beside each session
			continue
		}
		session := s.assignments(dir + "/" + e.Name())
		if strings.HasPrefix(session["CLASS"], "user") && session["STATE"] != "closing" {
			n++
		}
	}
	return n
}

// assignments reads the lines like KEY=value of a file. One that cannot be read has none.
func (s *server) assignments(name string) map[string]string {
	values := map[string]string{}
	for line := range s.lines(name) {
		if key, value, found := strings.Cut(line, "="); found {
			values[strings.TrimSpace(key)] = strings.Trim(strings.TrimSpace(value), `"'`)
		}
	}
	return values
}

// lines yields the lines of a small text file. One that cannot be read has none.
func (s *server) lines(name string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		f, err := regular.OpenFS(s.files, name)
		if err != nil {
			return
		}
		defer f.Close()
		for lines := bufio.NewScanner(io.LimitReader(f, 1<<20)); lines.Scan(); {
			if !yield(lines.Text()) {
				return
			}
		}
	}
}

// drainingSince reports whether the server is to have no new logins, and since when.
func (s *server) drainingSince() (since time.Time, draining bool) {
	info, err := os.Stat(s.mark)
	if err != nil {
		return time.Time{}, false
	}
	return info.ModTime(), true
}

func (s *server) drain(out io.Writer) error {
	if err := makeFolder(filepath.Dir(s.mark)); err != nil {
		return adviseRoot(err)
	}
	f, err := regular.OpenOwn(s.mark, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return adviseRoot(err)
	}
	if err := cmp.Or(f.Sync(), f.Close()); err != nil {
		return err
	}
	stay := ""
	if n := s.logins(); n >= 0 {
		stay = fmt.Sprintf(" Sessions here now: %d.", n)
	}
	_, err = fmt.Fprintf(out, "Draining: new logins go elsewhere, those that are here stay.%s\n", stay)
	return err
}

// makeFolder makes a folder that the daemon, which is not root, can read, whatever the umask.
func makeFolder(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return cmp.Or(os.MkdirAll(dir, 0o755), os.Chmod(dir, 0o755))
}

func (s *server) undrain(out io.Writer) error {
	if err := os.Remove(s.mark); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return adviseRoot(err)
	}
	_, err := fmt.Fprintln(out, "Taking logins.")
	return err
}

func adviseRoot(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w; run it as root", err)
	}
	return err
}

// explain shows where the rating comes from.
func (s *server) explain(out io.Writer) error {
	terms := s.terms()
	var b strings.Builder
	for _, t := range terms {
		fmt.Fprintf(&b, "%-9s %3.0f %% free   %s\n", t.name, 100*t.free, t.from)
	}
	fmt.Fprintf(&b, "%-9s %3d", "rating", s.makeAnswer().Rating)
	since, draining := s.drainingSince()
	switch {
	case draining:
		fmt.Fprintf(&b, "          draining since %s, until ldminfod undrain", since.Format(time.DateTime))
	case len(terms) > 0:
		fmt.Fprintf(&b, "          the scarcest is %s", findScarcest(terms).name)
	}
	b.WriteString("\n")
	if _, left := s.makeAnswer().Encode(); left > 0 {
		fmt.Fprintf(&b, "%d lines of the answer, mostly languages, are left out: clients read no more than %d bytes\n",
			left, ldm.MaxEncoded)
	}
	_, err := io.WriteString(out, b.String())
	return err
}
