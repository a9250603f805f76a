package host

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// ltsp.conf is read as LTSP and a shell read it, where that can be done without one.
func TestLTSPConf(t *testing.T) {
	t.Parallel()
	m := &Machine{Root: t.TempDir()}
	const text = `ABOVE=1
[ Server ] # of this machine
NAT=1
TFTP_DIR=/srv/server
INCLUDE="mine"
[common]
TFTP_DIR = /srv/common
[mine]
BASE_DIR='/srv/it''s mine'   # comment
QUOTED="a \"b\" \\ \c"'$d'\ e
GLUED=a#b;
INCLUDE=server
[b8:27:eb:*|dc:a6:32:*]
COMMAND=env ltsp info
SHELL_A="$HOME" SHELL_B=1
SHELL_C=` + "`id`" + `
# OFF=1
LINES="one
[two]
three" # and more
	INDENTED=yes
CONTINUED=/srv\
/tftp
if [ "$X" = 1 ]; then
UNENDED="`
	writeFile(t, m, "etc/ltsp/ltsp.conf", text)
	c, err := m.ReadLTSPConf()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range c.Settings {
		if s.Plain {
			got = append(got, fmt.Sprintf("%d [%s] %s=%s", s.Line, s.Section, s.Key, s.Value))
		} else {
			got = append(got, fmt.Sprintf("%d [%s] %s", s.Line, s.Section, s.Key))
		}
	}
	want := []string{
		"1 [] ABOVE=1", "3 [server] NAT=1", "4 [server] TFTP_DIR=/srv/server", "5 [server] INCLUDE=mine",
		"7 [common] TFTP_DIR=/srv/common",
		"9 [mine] BASE_DIR=/srv/its mine", `10 [mine] QUOTED=a "b" \ \c$d e`, "11 [mine] GLUED=a#b",
		"12 [mine] INCLUDE=server",
		"14 [b8:27:eb:*|dc:a6:32:*] COMMAND", "15 [b8:27:eb:*|dc:a6:32:*] SHELL_A",
		"16 [b8:27:eb:*|dc:a6:32:*] SHELL_C",
		"18 [b8:27:eb:*|dc:a6:32:*] LINES=one\n[two]\nthree", "21 [b8:27:eb:*|dc:a6:32:*] INDENTED=yes",
		"22 [b8:27:eb:*|dc:a6:32:*] CONTINUED=/srv/tftp", "25 [b8:27:eb:*|dc:a6:32:*] UNENDED",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got := c.ServerValue("TFTP_DIR"); got != "/srv/server" { // LTSP evaluates [common] before [server]
		t.Error(got)
	}
	if got := c.ServerValue("BASE_DIR"); got != "/srv/its mine" {
		t.Error(got)
	}
}

// A name is added for clients, where LTSP takes it from, and nothing else changes.
func TestAddHostToLTSPConf(t *testing.T) {
	t.Parallel()
	address := netip.MustParseAddr("10.0.0.11")
	const added = "HOSTS_app_01=\"10.0.0.11 app-01\"\n"
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "[clients]\n" + added},
		{"another section", "[server]\nNAT=1", "[server]\nNAT=1\n\n[clients]\n" + added},
		{"that section", "[ Clients ] # all\nA=1\n[pc01]\nB=2", "[ Clients ] # all\n" + added + "A=1\n[pc01]\nB=2"},
		{"without an end", "A=1\n[clients]", "A=1\n[clients]\n" + added},
		{"two of that section", "[clients]\nA=1\n[clients]\nB=1\n", "[clients]\nA=1\n[clients]\n" + added + "B=1\n"},
		{"in a value", "A=\"1\n[clients]\n\"\n", "A=\"1\n[clients]\n\"\n\n[clients]\n" + added},
		{"already", "[common]\nHOSTS_1='10.0.0.11 app-01'", "[common]\nHOSTS_1='10.0.0.11 app-01'"},
		{"with its key", "[clients]\nHOSTS_app_01='10.0.0.12 app_01'\n",
			"[clients]\nHOSTS_app_01_=\"10.0.0.11 app-01\"\nHOSTS_app_01='10.0.0.12 app_01'\n"},
	} {
		got, err := parseLTSPConf(File{"ltsp.conf", []byte(c.text)}).AddHost("app-01", address)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %q, %v, want %q", c.name, got, err, c.want)
		}
	}
	for text, want := range map[string]string{
		"[clients]\nHOSTS_A=\"$SERVER app-01\"\n":   "line 2 of ltsp.conf: only a shell can tell what it says of hosts",
		"[clients]\nHOSTS_A=\"10.0.0.12 app-01\"\n": "app-01 is 10.0.0.12 in line 2 of ltsp.conf",
		"[pc01]\nA=\"": "ltsp.conf: only a shell can tell what it says of hosts",
	} {
		if _, err := parseLTSPConf(File{"ltsp.conf", []byte(text)}).AddHost("app-01", address); err == nil ||
			err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// ltsp.conf is a shell's, and may hold anything. What is read of it is the same when it is written
// plainly.
func FuzzLTSPConf(f *testing.F) {
	f.Add("[server]\nTFTP_DIR='/srv/it''s' # comment\nINCLUDE=\"x\"\n[x]\nA=b\\ c\"$d\nE='f\ng'\n")
	f.Fuzz(func(t *testing.T, text string) {
		last := 0
		for _, s := range parseLTSPConf(File{Data: []byte(text)}).Settings {
			if s.Line <= last {
				t.Errorf("%+v comes after line %d", s, last)
			}
			last = s.Line
			if !s.Plain {
				continue
			}
			again := parseLTSPConf(File{Data: []byte(s.Key + "='" + strings.ReplaceAll(s.Value, "'", `'\''`) +
				"'")}).Settings
			if len(again) != 1 || again[0].Value != s.Value || !again[0].Plain {
				t.Errorf("%+v is read as %+v", s, again)
			}
		}
		conf := parseLTSPConf(File{Data: []byte(text)})
		edited, err := conf.AddHost("app01", netip.MustParseAddr("10.0.0.11"))
		if err != nil {
			return
		}
		again, err := parseLTSPConf(File{Data: edited}).AddHost("app01", netip.MustParseAddr("10.0.0.11"))
		if err != nil || string(again) != string(edited) {
			t.Errorf("%q becomes %q, and then %q, %v", text, edited, again, err)
		}
	})
}
