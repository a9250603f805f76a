package ltsconf

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var pc1 = Identity{Hostname: "pc1", IP: "10.0.0.1", MAC: "00:11:22:aa:bb:cc"}

// A reading is what getltscfg makes of a file.
type reading struct {
	line                  int
	why, src, stray       string
	files                 map[string]string
	out                   []string
	stops, hangs, crashes bool
}

func (r *reading) readFile(path string) ([]byte, error) {
	if content, ok := r.files[path]; ok {
		return []byte(content), nil
	}
	return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
}

func readings(t testing.TB) []*reading {
	data, err := os.ReadFile("testdata/getltscfg.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all []*reading
	var r *reading
	for i, line := range strings.Split(string(data), "\n") {
		word, rest, _ := strings.Cut(line, " ")
		unquote := func(s string) string {
			s, err := strconv.Unquote(s)
			if err != nil {
				t.Fatalf("testdata/getltscfg.txt:%d: %v", i+1, err)
			}
			return s
		}
		switch {
		case line == "":
			r = &reading{line: i + 1, files: map[string]string{}}
		case r == nil:
		case word == "#":
			r.why = rest
			all = append(all, r)
		case word == "in":
			r.src += unquote(rest)
		case word == "file":
			name, text, _ := strings.Cut(rest, " ")
			r.files[name] += unquote(text)
		case word == "out":
			r.out = append(r.out, rest)
		case word == "stray":
			r.stray = rest
		case line == "stops":
			r.stops = true
		case line == "hangs":
			r.hangs = true
		case line == "crashes":
			r.crashes = true
		default:
			t.Fatalf("testdata/getltscfg.txt:%d: %q", i+1, line)
		}
	}
	if len(all) < 80 {
		t.Fatalf("only %d readings in testdata/getltscfg.txt", len(all))
	}
	return all
}

func printed(settings []Setting) []string {
	var lines []string
	for _, s := range settings {
		lines = append(lines, fmt.Sprintf("%s=\"%s\"", s.Key, s.Value))
	}
	return lines
}

func hasError(problems []Problem) bool {
	return slices.ContainsFunc(problems, func(p Problem) bool { return p.Severity == Error })
}

func TestReadAsGetltscfg(t *testing.T) {
	t.Parallel()
	for _, r := range readings(t) {
		t.Run(fmt.Sprint("line ", r.line), func(t *testing.T) {
			t.Log(r.why)
			problems := Check("lts.conf", []byte(r.src), r.readFile)
			if r.stops || r.hangs || r.crashes || r.stray != "" {
				if !hasError(problems) {
					t.Errorf("Check finds no error, but %v", problems)
				}
			}
			f, err := Parse("lts.conf", []byte(r.src))
			if err == nil {
				if !bytes.Equal(f.Bytes(), []byte(r.src)) {
					t.Errorf("Bytes: %q", f.Bytes())
				}
				f, err = f.Expand(r.readFile)
			}
			if r.stops || r.crashes {
				if err == nil {
					t.Error("no error")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var stray string
			for _, s := range f.strays {
				stray += s.text
			}
			if stray != r.stray {
				t.Errorf("stray: %s, want %s", stray, r.stray)
			}
			out := printed(f.Lookup(pc1))
			slices.Sort(out) // what LIKE leads to twice comes in another order
			slices.Sort(r.out)
			if !r.hangs && !slices.Equal(out, r.out) {
				t.Errorf("Lookup: %q, want %q", out, r.out)
			}
		})
	}
}

func TestSyntaxErrors(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ src, want string }{
		{"A = 1\nB = 2\n[x]\nC = 3\n", "1:1: text before the first section"},
		{"\ufeff[x]\nA = 1\n", "1:1: a byte order mark"},
		{"# all of it", "1:1: a comment without a line end"},
		{"[x]\nA = 1 # why", "2:7: a comment without a line end"},
		{"[x]\nA = 1\n[y]\n", "3:1: section [y] has no setting"},
		{"[x]\n[y]\nA = 1\n", "1:1: section [x] has no setting"},
		{"[]\nA = 1\n", "1:1: a section without a name"},
		{"[x\nA = 1\n[y]\nA\n", "1:1: no ] behind the section name\n4:1: \"A\" has no value"},
		{"[x]\r\nA = \"1\"\r\n\r\n", "1:4: a carriage return"},
		{"[x]\nA =\nB = 1\n", "2:1: A has no value, so getltscfg takes \"B\" on the next line"},
		{"[x]\nA =\n", "2:1: A has no value; write A = \"\""},
		{"[x]\nA =\n[y]\nB = 1\n", "2:1: A has no value; write A = \"\""},
		{"[x]\nA = b=c\n", "2:6: the value of A holds a ="},
		{"[x]\nA = b]\nB = = 2\n  C\n",
			"2:6: the value of A holds a ]\n3:5: the value of B begins with =\n4:3: \"C\" has no value"},
		{"[x]\nA = it's\n", "2:8: text behind the value of A"},
		{"[x]\nA = \"b\" c\n", "2:9: text behind the value of A"},
		{"[x]\n= b\n", "2:1: a line begins with =; write KEY = value"},
		{"[x]\nA = b\n]\n", "3:1: a line begins with ]"},
		{"[x]\nA = 1\ninclude f\nB = 1\n", "4:1: a setting behind an include line"},
		{"[x]\ninclude f\n", "1:1: section [x] has no setting"},
		{"[x]\nA = 1\ninclude = 2\n", "3:1: include without a file"},
		{"[x]\nA = \x00\n", "2:5: a NUL byte"},
	} {
		_, err := Parse("f", []byte(test.src))
		var errs SyntaxErrors
		if !errors.As(err, &errs) {
			t.Errorf("%q: %v", test.src, err)
			continue
		}
		want := strings.Split(test.want, "\n")
		ok := len(errs) == len(want)
		for i := range min(len(errs), len(want)) {
			ok = ok && strings.HasPrefix(errs[i].Error(), "f:"+want[i][:strings.Index(want[i], ": ")]) &&
				strings.Contains(errs[i].Error(), want[i])
		}
		if !ok {
			t.Errorf("%q: got\n%v\nwant\n%s", test.src, err, test.want)
		}
		var first *SyntaxError
		if !errors.As(err, &first) || first != errs[0] {
			t.Errorf("%q: the first error is %v", test.src, first)
		}
	}
}

func mustParse(t testing.TB, src string) *File {
	t.Helper()
	f, err := Parse("lts.conf", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestGet(t *testing.T) {
	t.Parallel()
	f := mustParse(t, "[x]\nA = 1\na = \"2\"\nN = none\n[X]\nB = 3\n")
	for _, test := range []struct {
		section, key, want string
		ok                 bool
	}{
		{"X", "a", "2", true},
		{"x", "n", "none", true},
		{"x", "B", "", false},
		{"y", "A", "", false},
	} {
		if got, ok := f.Get(test.section, test.key); got != test.want || ok != test.ok {
			t.Errorf("Get(%s, %s) = %q, %v", test.section, test.key, got, ok)
		}
	}
}

func TestLookupSaysFromWhere(t *testing.T) {
	t.Parallel()
	f := mustParse(t, "[default]\nA = 1\nB = 2\n\n[PC*]\nb = 3\nC = 4\n[pc1]\nE = none\n\tB = 5\ninclude more\n")
	f, err := f.Expand(func(string) ([]byte, error) { return []byte("[10.0.0.*]\nB = 6\nD = 7\n"), nil })
	if err != nil {
		t.Fatal(err)
	}
	want := []Setting{
		{"A", "1", "default", "lts.conf", 2},
		{"B", "5", "pc1", "lts.conf", 10},
		{"D", "7", "10.0.0.*", "more", 3},
		{"C", "4", "PC*", "lts.conf", 7},
	}
	if got := f.Lookup(pc1); !slices.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

// LIKE in circles, and with so many ways that to go them all would never end.
func TestLookupEnds(t *testing.T) {
	t.Parallel()
	var src strings.Builder
	for i := range 60 {
		fmt.Fprintf(&src, "[s%d]\nLIKE = s%d\nLIKE = s%[2]d\nLIKE = s%d\nK%[1]d = v\n", i, i+1, (i+30)%60)
	}
	f := mustParse(t, src.String())
	if got := f.Lookup(Identity{Hostname: "s0"}); len(got) != 60 {
		t.Errorf("%d settings", len(got))
	}
	if matchName(strings.Repeat("*a", 40)+"b", strings.Repeat("a", 4000)) {
		t.Error("a glob matches what it should not")
	}
}

func TestExpandKeepsToTheBuffer(t *testing.T) {
	t.Parallel()
	head := "[default]\nA = 1\ninclude b.conf\n"
	src := head + strings.Repeat("#", chunk-len(head)-1) + "\n[pc1]\nLATE = 1\n"
	f := mustParse(t, src)
	g, err := f.Expand(func(string) ([]byte, error) { return []byte("[pc1]\nP = b\n"), nil })
	if err != nil {
		t.Fatal(err)
	}
	if got, want := printed(g.Lookup(pc1)), []string{`A="1"`, `P="b"`}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := f.Set("default", "B", "2"); err != nil {
		t.Errorf("Set in a file of which a part is not read anyway: %v", err)
	}
	f = mustParse(t, src[:chunk])
	if err := f.Set("default", "B", "2"); err == nil || !strings.Contains(err.Error(), "beyond 8192 bytes") {
		t.Errorf("Set: %v", err)
	}
	if string(f.Bytes()) != src[:chunk] {
		t.Error("a Set that failed changed the file")
	}
}

func TestFnmatch(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pattern, name string
		want          bool
	}{
		{"PC*", "pc1", true}, {"*", "", true}, {"*", "10.0.0.1", true}, {"?", "", false}, {"pc?", "pc", false},
		{"*1*", "pc1", true}, {"p*c*1", "pc11", true}, {"p*2", "pc1", false},
		{"pc[0-9]", "pc7", true}, {"pc[!0-9]", "pc7", false}, {"pc[^0-9]", "pcx", true}, {"[A-C]1", "b1", true},
		{"[]a]", "]", true}, {"[a-]", "-", true}, {"[a", "[a", true}, {"[[:digit:]x]", "7", true}, {"[[:upper:]]", "a",
			false},
		{`\*`, "*", true}, {`\*`, "a", false}, {`a\`, "a\\", false}, {"\xff?", "\xff\xfe", true},
	} {
		if got := matchName(test.pattern, test.name); got != test.want {
			t.Errorf("fnmatch(%q, %q) = %v", test.pattern, test.name, got)
		}
	}
}
