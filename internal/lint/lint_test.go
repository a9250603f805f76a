package main

import (
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Each check by small sources: what it finds, as "line: message", and what it lets pass.
func TestChecks(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 95)
	for name, test := range map[string]struct {
		check  func(*pkg) []finding
		source string
		want   []string
	}{
		"function like a type": {checkNames, "type Entry int\nfunc entry() {}", []string{
			"3: function entry has the name of type Entry"}},
		"method like a type": {checkNames, "type T[K any] int\nfunc (*T[K]) Scan() {}\ntype scan int", []string{
			"3: method T.Scan has the name of type scan"}},
		"twin functions": {checkNames, "func Open() {}\nfunc open() {}", []string{
			"3: function open differs from function Open by capitals only"}},
		"twin methods": {checkNames, "type T int\nfunc (T) Set() {}\nfunc (*T) set() {}", []string{
			"4: method T.set differs from method T.Set by capitals only"}},
		"twins of all kinds": {checkNames, "const Rules = 1\nvar rules = 2\ntype server int\nconst Server = 3",
			[]string{
				"3: variable rules differs from constant Rules by capitals only",
				"5: constant Server differs from type server by capitals only"}},
		"names of their own": {checkNames, "type A int\nfunc (A) Set() {}\ntype B struct { a, A int }\n" +
			"func (B) set() {}\nfunc init() {}\nfunc f() { a := 0; _ = a }\nvar _, _ = 1, 2", nil},

		"method of an interface": {checkNames, "type Error int\nfunc (Error) Error() string { return \"\" }", nil},

		"parameter": {checkShadows, "func f(new int) {}", []string{"2: new hides the builtin new"}},
		"result":    {checkShadows, "func f() (close int) { return }", []string{"2: close hides the builtin close"}},
		"receiver":  {checkShadows, "type T int\nfunc (len T) f() {}", []string{"3: len hides the builtin len"}},
		"variable": {checkShadows, "func f() {\n\tprint := 1\n\tvar min, x int\n\tconst cap = 1\n\ttype any int\n}",
			[]string{
				"3: print hides the builtin print", "4: min hides the builtin min", "5: cap hides the builtin cap",
				"6: any hides the builtin any"}},
		"range": {checkShadows, "func f() {\n\tfor max, copy := range \"\" {\n\t}\n}", []string{
			"3: copy hides the builtin copy", "3: max hides the builtin max"}},
		"type switch": {checkShadows, "func f(x any) {\n\tswitch real := x.(type) {\n\tdefault:\n\t\t_ = real\n\t}\n}",
			[]string{
				"3: real hides the builtin real"}},
		"function literal": {checkShadows, "var f = func(make int) {}", []string{"2: make hides the builtin make"}},
		"outside functions": {checkShadows, "func clear() {}\nvar delete int", []string{
			"2: clear hides the builtin clear", "3: delete hides the builtin delete"}},
		"package": {checkShadows, "import \"path\"\nfunc f(path string) {}", []string{
			"3: path hides the imported package path"}},
		"package by another name": {checkShadows, "import slash \"path\"\nfunc f(path, slash string) {}", []string{
			"3: slash hides the imported package slash"}},
		"package with a version": {checkShadows, "import \"example.org/cli/v2\"\nfunc f(cli, v2 string) {}", []string{
			"3: cli hides the imported package cli"}},
		"no shadows": {checkShadows, "type T struct { len int }\nfunc (T) copy() {}\n" +
			"func f(path string, _ int) { path, x := \"\", 1; _ = x; _ = path }", nil},

		"no comments": {checkDocs, "type T int\nfunc F() {}\nfunc (T) M() {}\nconst C = 1\nvar (\n\tV = 1\n)", []string{
			"2: exported type T has no doc comment", "3: exported function F has no doc comment",
			"4: exported method M has no doc comment", "5: exported constant C has no doc comment",
			"7: exported variable V has no doc comment"}},
		"another name": {checkDocs, "// Does it.\nfunc F() {}\n\n// Fs are many.\ntype F2 int", []string{
			"3: the comment of function F does not begin with its name",
			"6: the comment of type F2 does not begin with its name"}},
		"comments": {checkDocs,
			"// A T is one.\ntype T int\n\n// M does.\nfunc (T) M() {}\n\n// Of numbers.\nconst (\n\tA = 1\n\tB\n)\n\n" +
				"var (\n\tV = 1 // is one\n\t// W is two.\n\tW = 2\n)\n\nfunc (T) String() string { return \"\" }\n\n" +
				"type u int\n\nfunc (u) M() {}\n\n// T2, too.\ntype T2 struct{ F int }", nil},

		"code":    {checkWidths, "var x = 1 + 2 // " + long + " 12345678", []string{"2: 121 columns, 120 are allowed"}},
		"comment": {checkWidths, "// " + long + " 3", nil},
		"long comment": {checkWidths, "// " + long + " 34", []string{
			"2: 101 columns, 100 are allowed"}},
		"indented comment": {checkWidths, "func f() {\n\t// " + long + " 3\n}", []string{
			"3: 104 columns, 100 are allowed"}},
		"comment of lines": {checkWidths, "/*\n" + long + " 12345678\n*/", []string{
			"3: 104 columns, 100 are allowed"}},
		"letters, not bytes": {checkWidths, "// " + strings.ReplaceAll(long, "x", "ü") + " 3", nil},
		"long words": {checkWidths, "// https://example.org/" + long + "\n//go:generate x " + long + "\n" +
			"var a = []string{\n\t\"" + long + " and on and on and on and on\",\n}\n" +
			"var b = `" + long + "\n" + long + " and on and on and on and on and on`", nil},
		"long literal and more": {checkWidths, "var c = g(\"" + long + " and on and on and on and on\", 5)", []string{
			"2: 139 columns, 120 are allowed"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, f := range test.check(parsePackage(t, map[string]string{
				"doc.go": "// Package p is one.\npackage p", "a.go": "package p\n" + test.source})) {
				got = append(got, strings.TrimPrefix(f.String(), "a.go:"))
			}
			slices.Sort(got)
			slices.Sort(test.want)
			if !slices.Equal(got, test.want) {
				t.Errorf("found %q, want %q", got, test.want)
			}
		})
	}
}

// A package has a comment, and what tests declare is seen, but needs none.
func TestChecksOfPackages(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"no comment": {map[string]string{"a.go": "package p", "b.go": "package p"}, []string{
			"a.go:1: package p has no doc comment"}},
		"one comment": {map[string]string{"a.go": "package p", "b.go": "// Package p is one.\npackage p"}, nil},
		"only tests":  {map[string]string{"a_test.go": "package p\nfunc Exported() {}"}, nil},
		"names in tests": {
			map[string]string{"a.go": "// Package p is one.\npackage p\ntype key int",
				"a_test.go": "package p\nfunc Key() {}"},
			[]string{"a_test.go:2: function Key has the name of type key"}},
		"names in tests outside": {
			map[string]string{"a.go": "// Package p is one.\npackage p\ntype key int",
				"a_test.go": "package p_test\nfunc Key() {}\nfunc key() {}"},
			[]string{"a_test.go:3: function key differs from function Key by capitals only"}},
		"shadows in tests": {map[string]string{"a_test.go": "package p\nfunc f(new int) {}"}, []string{
			"a_test.go:2: new hides the builtin new"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, f := range checkPackages([]*pkg{parsePackage(t, test.files)}) {
				got = append(got, f.String())
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("found %q, want %q", got, test.want)
			}
		})
	}
}

// What exceptions excuse, and that each is needed.
func TestExceptions(t *testing.T) {
	t.Parallel()
	found := []finding{{in: "a", subject: "x"}, {in: "a", subject: "y"}, {in: "b", subject: "x"}}
	rest, stale := excuse(found, []exception{{in: "a", subject: "x"}, {in: "b", subject: "y", reason: "why"}})
	if !slices.Equal(rest, found[1:]) {
		t.Errorf("after exceptions: %v", rest)
	}
	if len(stale) != 1 || stale[0].String() != exceptionsFile+": the exception for y of b is not needed any more" {
		t.Errorf("exceptions without findings: %v", stale)
	}
}

// Packages come from go list, with all their files and the names of what they import.
func TestLoadPackages(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":        "module example.org/m\n\ngo 1.26\n",
		"p/a.go":        "package p\n\nimport _ \"example.org/m/q/v2\"\n",
		"p/a_plan9.go":  "package p\n",
		"p/a_test.go":   "package p\n\nimport \"testing\"\n\nfunc f(testing.TB) {}\n",
		"p/out_test.go": "package p_test\n\nimport q2 \"example.org/m/q/v2\"\n\nvar q = q2.X\n",
		"q/v2/b.go":     "package q\n\nvar X = 1\n",
		"q/v2/b_test.go": "package q_test\n\nimport \"example.org/m/q/v2\"\n\nfunc f(q int) {}\n\n" +
			"var x = q.X\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	packages, err := loadPackages(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range packages {
		for _, f := range p.files {
			got = append(got, p.path+" "+filepath.Base(f.name))
		}
	}
	want := []string{"p a.go", "p a_plan9.go", "p a_test.go", "p out_test.go", "q/v2 b.go", "q/v2 b_test.go"}
	if !slices.Equal(got, want) {
		t.Fatalf("files are %q, want %q", got, want)
	}
	got = nil
	for _, f := range checkShadows(packages[1]) {
		got = append(got, f.message)
	}
	if want := []string{"q hides the imported package q"}; !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}

	only, err := loadPackages(dir, "./p")
	if err != nil || len(only) != 1 || only[0].path != "p" {
		t.Errorf("./p is %v, %v", only, err)
	}
	if _, err := loadPackages(dir, "./none"); err == nil || !strings.Contains(err.Error(), "directory not found") {
		t.Errorf("a package that does not exist: %v", err)
	}
}

// The figures, of a package whose every one is known.
func TestFigures(t *testing.T) {
	t.Parallel()
	p := parsePackage(t, map[string]string{
		"a.go": "// Package p is one.\npackage p\n\ntype Entry int\n\n// Scan does.\nfunc Scan() {\n}\n\n" +
			"func New() {}\nfunc readLTSConf() {}\nfunc (Entry) entry() {}\nfunc (Entry) scan() {}\n",
		"a_test.go": "package p\nfunc test() {} // " + strings.Repeat("x", 120) + "\n",
	})
	want := `functions without a receiver, but New, Open, Parse, main, init: 2
  one word                 1   50 %
  two words                0    0 %
  three words              1   50 %
  four words or more       0    0 %
words that are a type and a function or method of one package: 1
  p                        1  entry
exported names without a doc comment: 2 of 3
lines of a function: median 1, 99 of 100 have at most 2, longest 2 (Scan at a.go:7)
lines of Go: 13 outside tests, 8 of them code; 2 in tests, test kits and checks
lines over the limits: 0 of comments (100 columns), 1 of code (120); the widest line has 138 (a_test.go:2)
`
	if got := measure([]*pkg{p}); got != want {
		t.Errorf("the figures are\n%swant\n%s", got, want)
	}
	p.path = "internal/testkit/p"
	if got := measure([]*pkg{p}); !strings.Contains(got, "lines of Go: 0 outside tests, 0 of them code; 15 in tests") {
		t.Errorf("the figures of a test kit are\n%s", got)
	}
}

func TestCountWords(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int{"scan": 1, "LTSP": 1, "lookUp": 2, "LTSConf": 2, "readLTSConf": 3,
		"writeSHA256": 2, "äÄb": 2, "isA": 2} {
		if got := countWords(name); got != want {
			t.Errorf("%s has %d words, want %d", name, got, want)
		}
	}
}

// parsePackage makes package p of files, by their names.
func parsePackage(t *testing.T, files map[string]string) *pkg {
	t.Helper()
	p := &pkg{path: "p", name: "p", fset: token.NewFileSet()}
	dir := t.TempDir()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(files[name]), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := p.parse(path, map[string]string{"path": "path", "example.org/cli/v2": "cli"}); err != nil {
			t.Fatal(err)
		}
		p.files[len(p.files)-1].name = name
	}
	return p
}
