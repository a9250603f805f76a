package main

import (
	"bytes"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"ltskeeper/ldm"
)

// A greeter reads an answer as LDM's greeter does: into a buffer of fixed size, line by line, the
// rating with atoi. It ignores what it does not know, and all sessions without a name if one has a
// name.
type greeter struct {
	languages, sessions []string
	named               map[string]string
	xsession            string
	guests              bool
	rating              int
}

func greet(answer []byte) greeter {
	buffer := make([]byte, 4096)
	n := copy(buffer[:len(buffer)-1], answer) // the last one is for NUL
	g := greeter{named: map[string]string{}}
	for line := range strings.SplitSeq(string(buffer[:n]), "\n") {
		key, value, _ := strings.Cut(line, ":")
		switch key {
		case "language":
			g.languages = append(g.languages, value)
		case "session":
			g.sessions = append(g.sessions, value)
		case "session-with-name":
			name, command, _ := strings.Cut(value, ":")
			g.named[name] = command
		case "xsession":
			g.xsession = value
		case "allow-guest":
			g.guests = value == "true"
		case "rating":
			g.rating = atoi(value)
		}
	}
	if len(g.named) > 0 {
		g.sessions = nil
	}
	return g
}

// atoi is C's: digits as far as there are any.
func atoi(s string) int {
	n := 0
	for _, c := range strings.TrimLeft(s, " ") {
		if c < '0' || c > '9' {
			break
		}
		n = 10*n + int(c-'0')
	}
	return n
}

func TestGreeterReads(t *testing.T) {
	t.Parallel()
	m := newServer(t)
	m.clock = time.Now
	got := greet(m.text())
	want := greeter{
		languages: []string{"fr_FR.UTF-8", "ca_ES.UTF-8@valencia", "en_US.UTF-8", "sv_SE.UTF-8"},
		named: map[string]string{
			"GNOME": "gnome-session --session=x", "Kiosk  the web": "/opt/kiosk/bin/browser",
			"Xfce Session":    "startxfce4",
			"GNOME (Wayland)": "gnome-session", "Sway": "sway",
		},
		xsession: "/etc/X11/Xsession",
		rating:   60,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant\n%+v", got, want)
	}
}

// Greeter and get_hosts see the same, also of a server with every language there is.
func TestGreeterReadsWhatGetHostsReads(t *testing.T) {
	t.Parallel()
	m := newServer(t)
	var all []string
	for i := range 900 {
		all = append(all, "xx_"+strconv.Itoa(i)+".utf8")
	}
	m.files.(fstest.MapFS)["usr/lib/locale/locale-archive"].Data = localeArchive(all...)
	answer := m.text()
	g, a := greet(answer), ldm.Parse(answer)
	if !bytes.HasSuffix(answer, []byte("\n")) || len(answer) < 4000 {
		t.Errorf("%d bytes, the last ones %q", len(answer), answer[len(answer)-20:])
	}
	if g.rating != a.Rating || g.xsession != a.XSession || !reflect.DeepEqual(g.languages, a.Languages) {
		t.Errorf("%+v\nand\n%+v", g, a)
	}
	for _, s := range a.Sessions {
		if s.Name != "" && g.named[s.Name] != s.Command {
			t.Errorf("%q: %q and %q", s.Name, s.Command, g.named[s.Name])
		}
	}
}
