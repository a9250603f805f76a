package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestVisible(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"app01.example.org":    "app01.example.org",
		"a\tb":                 "a b",
		"\x1b[2Jgone":          `\x1b[2Jgone`,
		"two\nlines\r":         `two\nlines\r`,
		"del\x7f":              `del\x7f`,
		"gr\u00f6\u00dfe":      `gr\u00f6\u00dfe`,
		"csi\u009b2J":          `csi\u009b2J`,
		"right\u202eleft":      `right\u202eleft`,
		"raw \xff\xfe":         `raw \xff\xfe`,
		"replaced \ufffd":      `replaced \ufffd`,
		"clown \U0001f921":     `clown \U0001f921`,
		`quotes ' " and \back`: `quotes ' " and \back`,
	} {
		if got := makeVisible(in); got != want {
			t.Errorf("visible(%q) = %s, want %s", in, got, want)
		}
	}
}

const nasty = "\x1b]0;title\x07\x1b[31m\u009b2J"

// Nothing that comes from a server or a file reaches the terminal as a command.
func TestPageIsSafe(t *testing.T) {
	t.Parallel()
	p := (&tool{term: &terminal{color: true}}).newPage()
	p.printf("%s %s %s %s\n", nasty, errors.New(nasty), stringer{}, p.paint(red, nasty))
	p.table(2, [][]any{{nasty, p.paint(bold, nasty), stringer{}, 12}, {"a"}})
	p.heading(nasty)
	p.diffLines("--- a\n+++ b\n-" + nasty + "\n+" + nasty + "\n")
	text := p.String()
	for _, ours := range []string{"\x1b[0m", "\x1b[1m", "\x1b[31m", "\x1b[32m"} {
		text = strings.ReplaceAll(text, ours, "")
	}
	for _, r := range text {
		if r != '\n' && (r < ' ' || r > '~') {
			t.Fatalf("%q is in the text:\n%q", r, text)
		}
	}
}

type stringer struct{}

func (stringer) String() string { return nasty }

func TestTable(t *testing.T) {
	t.Parallel()
	p := (&tool{term: &terminal{color: true}}).newPage()
	p.table(2, [][]any{{"app01", p.paint(green, "up"), 1}, {"a", p.paint(red, "changed"), 22}, {"b"}})
	want := "  app01  \x1b[32mup\x1b[0m       1\n" +
		"  a      \x1b[31mchanged\x1b[0m  22\n" +
		"  b\n"
	if p.String() != want {
		t.Errorf("got\n%q\nwant\n%q", p.String(), want)
	}
}

func TestWrapped(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 110)
	for in, want := range map[string]string{
		"short":                             "  short\n",
		"":                                  "  \n",
		strings.Repeat("nine char ", 11):    "  " + strings.Repeat("nine char ", 9) + "nine\n    char nine char\n",
		"a " + long + " b":                  "  a\n    " + long + "\n    b\n",
		"\x1b[2J" + "\u009b" + " \nnewline": "  \\x1b[2J\\u009b \\nnewline\n",
	} {
		p := new(tool).newPage()
		if p.wrapped(2, in); p.String() != want {
			t.Errorf("%.20q: got\n%s\nwant\n%s", in, p.String(), want)
		}
	}
}

func TestNumbersForPeople(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 9949: "9.9 kB", 9951: "10 kB", 999_499: "999 kB",
		999_600: "1.0 MB", 597_900_000: "598 MB", 1_600_000_000: "1.6 GB", 1 << 62: "4.6 EB",
	} {
		if got := formatSize(n); got != want {
			t.Errorf("size(%d) = %s, want %s", n, got, want)
		}
	}
	for n, want := range map[int]string{0: "0 files", 1: "1 file", 999: "999 files", 34913: "34,913 files",
		1234567: "1,234,567 files"} {
		if got := countNoun(n, "file", "files"); got != want {
			t.Errorf("count(%d) = %s, want %s", n, got, want)
		}
	}
	now := time.Now()
	for d, want := range map[time.Duration]string{
		-2 * time.Minute: "in the future", -59 * time.Second: "just now", 59 * time.Second: "just now",
		time.Minute: "1 min ago", 119 * time.Minute: "1 h ago",
		47 * time.Hour: "47 h ago", 48 * time.Hour: "2 days ago",
	} {
		if got := formatAge(now, now.Add(-d)); got != want {
			t.Errorf("ago(%s) = %s, want %s", d, got, want)
		}
	}
}

func TestCommandCanBeTyped(t *testing.T) {
	t.Parallel()
	for config, want := range map[string]string{
		defaultConfig:     "ltskeeper keys accept app03 SHA256:a/b+c",
		"lab.toml":        "ltskeeper --config lab.toml keys accept app03 SHA256:a/b+c",
		"my farm/it's.to": `ltskeeper --config 'my farm/it'\''s.to' keys accept app03 SHA256:a/b+c`,
	} {
		if got := (&tool{config: config}).commandLine("keys accept app03", "SHA256:a/b+c"); got != want {
			t.Logf("want %s", want)
			t.Errorf("got  %s", got)
		}
	}
}

type word struct {
	Word string `json:"word"`
}

func (word) text(*page) {}

func TestEncodeIsASCII(t *testing.T) {
	t.Parallel()
	in := nasty + "<gr\u00f6\u00dfe> \u2028 \U0001f921 \x7f"
	data, err := encodeJSON(word{in})
	if err != nil {
		t.Fatal(err)
	}
	if strings.ContainsFunc(string(data), func(r rune) bool { return r != '\n' && (r < ' ' || r > '~') }) {
		t.Errorf("not ASCII: %q", data)
	}
	var back word
	if err := json.Unmarshal(data, &back); err != nil || back.Word != in {
		t.Errorf("%s becomes %q, %v", data, back.Word, err)
	}
}

func FuzzVisible(f *testing.F) {
	f.Add(nasty)
	f.Add("raw \xff\xfe \ufffd")
	f.Fuzz(func(t *testing.T, s string) {
		if got := makeVisible(s); strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("visible(%q) = %q", s, got)
		}
	})
}
