package pages

import (
	"fmt"
	"strings"
	"testing"
)

// A page with everything, and what is read from it.
func TestParse(t *testing.T) {
	t.Parallel()
	p, err := Parse("page.md", strings.Join([]string{
		"<!-- starts: farm -->", "# Title", "", "Look with `ltskeeper status`, then [on](other.md#there).", "",
		"```console", "# ltskeeper status", "SERVER", "app02# cat >x <<END", "> y", "> END",
		"alice@client$ ssh app02", "hello", "```",
		"<!-- run:", "app01# false", "-->", "<!-- boot: client -->",
		"```toml servers.d/a.toml", "port = 22", "```", "```make", "sudo make bench  # long", "```",
		"```demo", "$ ltskeeper status", "```", "<!-- farm: here -->",
	}, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Step{
		{Line: 7, machine: "primary", Command: "ltskeeper status", output: []string{"SERVER"}, end: 8},
		{Line: 9, machine: "app02", Command: "cat >x <<END\ny\nEND", end: 11},
		{Line: 12, user: "alice", machine: "client", Command: "ssh app02", output: []string{"hello"}, end: 13},
		{Line: 16, isUnseen: true, machine: "app01", Command: "false", end: 16},
		{Line: 18, isUnseen: true, boots: "client"},
		{Line: 28, isUnseen: true, keeps: true},
	}
	if fmt.Sprint(p.Steps) != fmt.Sprint(want) {
		t.Errorf("steps are\n%v, want\n%v", p.Steps, want)
	}
	for got, want := range map[string]string{
		fmt.Sprint(p.Inline):       "[{4 ltskeeper status}]",
		fmt.Sprint(p.Links):        "[{4 other.md}]",
		fmt.Sprint(p.Makes):        "[{23 sudo make bench}]",
		fmt.Sprint(p.Declarations): "[{19 servers.d/a.toml port = 22\n}]",
		fmt.Sprint(p.Demos):        "[{25 [$ ltskeeper status]}]",
	} {
		if got != want {
			t.Errorf("read %v, want %v", got, want)
		}
	}
	if p.Path != "page.md" || p.Starts != "farm" {
		t.Errorf("%s starts %s", p.Path, p.Starts)
	}
}

// Every mistake is found, with its line.
func TestParseMistakes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"    ltskeeper status\n":            "page.md:1: no test runs \"ltskeeper status\"",
		"```\n# apt-get install x\n```\n":   ":2: no test runs",
		"```sh\nsystemctl stop x\n```\n":    ":2: no test runs",
		"```text\nltskeeper status\n```\n":  ":2: no test runs",
		"    X=$(ldmselect) || exit\n":      ":1: no test runs",
		"a\n    cp -r a b\n":                ":2: no test runs",
		"```console\nno prompt\n```\n":      ":2: \"no prompt\" is before the first command",
		"```console\n$ ls\n```\n":           ":2: \"$ ls\": root has a #",
		"```console\nalice@client# ls\n```": ":2: \"alice@client# ls\": root has a #",
		"a\n```console\n# ls\n":             ":2: it has no end",
		"<!-- run:\n# ls\n":                 ":1: it has no end",
		"<!-- starts: somewhere -->":        ":1: a page starts bare or with the farm",
		"```make\nltskeeper status\n```\n":  ":2: \"ltskeeper status\" is no call of make",
		"    cp a b\n\n    cp c d\n":        "\npage.md:3: no test runs \"cp c d\"",
	} {
		if _, err := Parse("page.md", text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// What looks like a command, at the beginning of a line.
func TestFindCommand(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"# ltskeeper status": "# ltskeeper ", "sudo apt update": "sudo apt ", "app01# ssh a": "app01# ssh ",
		"A=b cat c": "A=b cat ", "/usr/sbin/ldminfod now": "/usr/sbin/ldminfod ", "ltskeeper keeps": "ltskeeper ",
		"the cat sat": "", "sshd: yes": "", "": "",
	} {
		if got := FindCommand(line); got != want {
			t.Errorf("%q has %q, want %q", line, got, want)
		}
	}
}

// Outputs of several steps are replaced at once, with more lines and with fewer.
func TestReplaceOutputs(t *testing.T) {
	t.Parallel()
	p, err := Parse("page.md", "```console\n# a\n1\n2\n# b\n# c\n3\n```\nEnd\n")
	if err != nil {
		t.Fatal(err)
	}
	p.replaceOutputs(map[int][]string{0: {"4"}, 1: {"5", "6"}, 2: nil})
	if want := "```console\n# a\n4\n# b\n5\n6\n# c\n```\nEnd\n"; p.Text() != want {
		t.Errorf("the page is\n%s, want\n%s", p.Text(), want)
	}
}
