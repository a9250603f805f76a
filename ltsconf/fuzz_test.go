package ltsconf

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strings"
	"testing"
)

func addReadings(f *testing.F, add func(src string)) {
	for _, r := range readings(f) {
		add(r.src)
	}
}

func FuzzParse(f *testing.F) {
	addReadings(f, func(src string) { f.Add([]byte(src)) })
	f.Fuzz(func(t *testing.T, src []byte) { checkParse(t, src) })
}

func checkParse(t *testing.T, src []byte) {
	f, err := Parse("f", src)
	if err != nil {
		for _, err := range err.(SyntaxErrors) {
			if err.Line < 1 || err.Column < 1 || err.Line > 1+bytes.Count(src, []byte("\n")) {
				t.Fatalf("%q: a place that is not there: %v", src, err)
			}
		}
		return
	}
	if !bytes.Equal(f.Bytes(), src) {
		t.Fatalf("%q became %q", src, f.Bytes())
	}
	for _, s := range f.sections {
		if len(s.settings) == 0 {
			t.Fatalf("%q: [%s] has no setting", src, s.name.text)
		}
		f.Lookup(Identity{Hostname: s.name.text, IP: "10.0.0.1", MAC: "x"})
	}
}

func FuzzCheck(f *testing.F) {
	addReadings(f, func(src string) { f.Add([]byte(src), []byte(src)) })
	f.Fuzz(func(t *testing.T, src, included []byte) { checkCheck(t, src, included) })
}

// A file that does not parse has an error; so has one that expands to such a text.
func checkCheck(t *testing.T, src, included []byte) {
	readFile := func(path string) ([]byte, error) {
		if path == "none" {
			return nil, fs.ErrNotExist
		}
		return included, nil
	}
	problems := Check("f", src, readFile)
	f, err := Parse("f", src)
	if err == nil {
		_, err = f.Expand(readFile)
	}
	if err != nil && !hasError(problems) {
		t.Fatalf("%q: Parse says %v, Check %v", src, err, problems)
	}
}

func FuzzSet(f *testing.F) {
	addReadings(f, func(src string) {
		f.Add([]byte(src), "default", "A", "1")
		f.Add([]byte(src), "pc1", "Q", "1 2")
		f.Add([]byte(src), "new", "A", "")
	})
	f.Fuzz(func(t *testing.T, src []byte, section, key, value string) {
		checkSet(t, src, section, key, value)
		checkDelete(t, src, section, key)
	})
}

// Set makes one setting be as it is told, leaves the others, and never makes a sound file unsound.
func checkSet(t *testing.T, src []byte, section, key, value string) {
	f, err := Parse("f", src)
	if err != nil {
		return
	}
	before := contents(f)
	sound := !hasError(Check("f", src, nil))
	if err := f.Set(section, key, value); err != nil {
		if !bytes.Equal(f.Bytes(), src) {
			t.Fatalf("%q: Set failed (%v), and made %q", src, err, f.Bytes())
		}
		if sound && CheckSection(section) == nil && CheckKey(key) == nil && CheckValue(value) == nil &&
			len(f.includes) == 0 {
			t.Fatalf("%q: Set(%q, %q, %q): %v", src, section, key, value, err)
		}
		return
	}
	if got, ok := f.Get(section, key); !ok || got != value {
		t.Fatalf("%q: Set(%q, %q, %q): Get returns %q, %v", src, section, key, value, got, ok)
	}
	g, err := Parse("f", f.Bytes())
	if err != nil {
		t.Fatalf("%q: Set(%q, %q, %q) made %q: %v", src, section, key, value, f.Bytes(), err)
	}
	if got, _ := g.Get(section, key); got != value {
		t.Fatalf("%q: Set(%q, %q, %q) made %q: Get returns %q", src, section, key, value, f.Bytes(), got)
	}
	if bytes.Contains(src[bytes.LastIndexByte(src, '\n')+1:], []byte("#")) {
		return // getltscfg reads a comment without a line end as settings, and one with it not
	}
	counts := g.findSection(section)
	i := counts.find(key)
	counts.settings[i].key.text, counts.settings[i].value.text = "set", "set"
	if got := contents(g); !isOneSettingMore(before, got) {
		t.Fatalf("%q: Set(%q, %q, %q) made %q: got\n%swant\n%s", src, section, key, value, f.Bytes(), got, before)
	}
	if sound && !isSameName(key, "LIKE") {
		if problems := Check("f", f.Bytes(), nil); hasError(problems) {
			t.Fatalf("%q: Set(%q, %q, %q) made %q: %v", src, section, key, value, f.Bytes(), problems)
		}
	}
}

func checkDelete(t *testing.T, src []byte, section, key string) {
	f, err := Parse("f", src)
	if err != nil {
		return
	}
	sound := !hasError(Check("f", src, nil))
	if err := f.Delete(section, key); err != nil {
		if sound {
			t.Fatalf("%q: Delete(%q, %q): %v", src, section, key, err)
		}
		return
	}
	if got, ok := f.Get(section, key); ok {
		t.Fatalf("%q: Delete(%q, %q) leaves %q", src, section, key, got)
	}
	g, err := Parse("f", f.Bytes())
	if err != nil {
		t.Fatalf("%q: Delete(%q, %q) made %q: %v", src, section, key, f.Bytes(), err)
	}
	if len(g.sections) == 0 {
		return
	}
	if problems := Check("f", f.Bytes(), nil); sound && hasError(problems) &&
		len(g.sections) == len(mustParse(t, string(src)).sections) {
		t.Fatalf("%q: Delete(%q, %q) made %q: %v", src, section, key, f.Bytes(), problems)
	}
}

// contents lists what a file says, a line for a section or setting.
func contents(f *File) string {
	var b strings.Builder
	for _, s := range f.sections {
		fmt.Fprintf(&b, "[%q]\n", s.name.text)
		for _, set := range s.settings {
			fmt.Fprintf(&b, "%q %q\n", set.key.text, set.value.text)
		}
	}
	return b.String()
}

// isOneSettingMore reports whether the texts are the same but for one setting that was changed or
// added, and perhaps its section.
func isOneSettingMore(before, after string) bool {
	const set = "\"set\" \"set\"\n"
	head, tail, _ := strings.Cut(after, set)
	if !strings.HasSuffix(before, tail) {
		return false
	}
	rest := strings.TrimSuffix(before, tail)
	if more, ok := strings.CutPrefix(rest, head); ok {
		return strings.Count(more, "\n") <= 1
	}
	added, ok := strings.CutPrefix(head, rest)
	return ok && strings.HasPrefix(added, "[") && strings.Count(added, "\n") == 1
}

// The same on files put together at random, which a fuzzer rarely comes upon.
func TestRandomFiles(t *testing.T) {
	t.Parallel()
	pieces := []string{
		"[default]\n", "[pc1]\n", "[PC*]", "[10.0.0.?]\n", "[\"a[bc]\"]", "[x]\n", "[y] # c\n", "A=1\n", "A = 2\n",
		"  a   = 3\n",
		"b = \"x y\"\n", "B=NONE\n", "LIKE = x\n", "LIKE=y\n", "\n", "# c\n", "# \"q\" c\n", "A = 1 # \"q\"\n", "  ",
		"\t", "\r\n", "\r",
		"=", "[", "]", "\"", "'", "#", "a", "word two", " C = it's\n", "C = 'c'\n", "D=\"\"\n", "\"E\"=f\n", "F =\n",
		"G=\"a\" # \"b\"\n",
		"H= \va\f \n", "include = 4\n", "include f\n", "include \"g\"\n", "include none\n", "[default]",
		"A=\"1\"[x]B=2\n", "A=1 \"B\"\n=3\n", "\x00", "\xff",
	}
	sections := []string{"default", "DEFAULT", "pc1", "pc*", "x", "new", "a[bc]", "z\"", "", " z"}
	keys := []string{"A", "a", "B", "NEW", "LIKE", "F", "include", "1"}
	values := []string{"1", "", "a b", "x#y", "it's", "[x]", "include", "NONE", "a=b", " ", "$x", "a\"", "é", "a\n"}
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(from []string) string { return from[r.IntN(len(from))] }
	for range 20000 {
		var b strings.Builder
		if r.IntN(3) > 0 {
			b.WriteString("[default]\nA = 0\n")
		}
		for range r.IntN(12) {
			few := pieces
			if r.IntN(2) > 0 {
				few = pieces[:18]
			}
			piece := pick(few)
			b.WriteString(piece)
			if strings.HasPrefix(piece, "[") && r.IntN(3) > 0 {
				b.WriteString(" Z = 1\n")
			}
		}
		src := []byte(b.String())
		checkParse(t, src)
		checkCheck(t, src, []byte("[inc]\nA = 1\n"))
		section, key := pick(sections), pick(keys)
		checkSet(t, src, section, key, pick(values))
		checkDelete(t, src, section, key)
	}
}
