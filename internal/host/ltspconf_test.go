package host

import (
	"fmt"
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

// ltsp.conf is a shell's, and may hold anything. What is read of it is the same when it is written
// plainly.
func FuzzLTSPConf(f *testing.F) {
	f.Add("[server]\nTFTP_DIR='/srv/it''s' # comment\nINCLUDE=\"x\"\n[x]\nA=b\\ c\"$d\nE='f\ng'\n")
	f.Fuzz(func(t *testing.T, text string) {
		last := 0
		for _, s := range parseLTSPConf(text) {
			if s.Line <= last {
				t.Errorf("%+v comes after line %d", s, last)
			}
			last = s.Line
			if !s.Plain {
				continue
			}
			again := parseLTSPConf(s.Key + "='" + strings.ReplaceAll(s.Value, "'", `'\''`) + "'")
			if len(again) != 1 || again[0].Value != s.Value || !again[0].Plain {
				t.Errorf("%+v is read as %+v", s, again)
			}
		}
		conf := LTSPConf{Settings: parseLTSPConf(text)}
		conf.Evaluate(ClientSections...)
	})
}
