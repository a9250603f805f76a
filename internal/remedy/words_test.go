package remedy

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// faces turn remedies into words.
var faces = []string{"cmd"}

// forTests holds what only tests, and scripts around them, import.
var forTests = []string{
	"internal/testkit", "testscripts", "scripts", "demo", "bench", "docs",
}

// writers name the program in the comments of the files that they write.
var writers = []string{"derive"}

// No package below the faces speaks of ltskeeper's command line or of the declaration's tables, but
// in a remedy.
func TestOnlyFacesSpeakOfCommands(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	checked := 0
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if e.IsDir() &&
			(slices.Contains(slices.Concat(faces, forTests, writers), name) || name != "." &&
				strings.HasPrefix(name, ".")) {
			return fs.SkipDir
		}
		if !e.Type().IsRegular() || filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		checked++
		for _, literal := range findCommandWords(file) {
			t.Errorf("%s:%d: %s: only faces turn remedies into words", name, files.Position(literal.Pos()).Line,
				literal.Value)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if checked < 60 {
		t.Errorf("only %d files were checked", checked)
	}
}

// What is found, and what is not.
func TestFindCommandWords(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]bool{
		`fmt.Errorf("%w: run ltskeeper image prune", err)`:                       true,
		`fmt.Errorf("%w: run ` + "`ltskeeper init`" + `", err)`:                  true,
		"errors.New(`then run update-image`)":                                    true,
		`fmt.Errorf("%w; if it is meant so: --force", err)`:                      true,
		`x := "--force does not override it"`:                                    true,
		`errors.New("lower keep in [image]")`:                                    true,
		`fmt.Errorf("write id-offset = %d in its [[chroot]]", id)`:               true,
		`remedy.AttachTo(errors.New("see [image]"), remedy.Option("force"))`:     true,
		`remedy.Command{"update-image"}`:                                         false,
		`remedy.AttachTo(err, remedy.Command{"init", "--adopt"})`:                false,
		`remedy.Steps{remedy.Advice("move it"), remedy.Command{"update-image"}}`: false,
		`exec.Command("mksquashfs", "--quiet")`:                                  false,
		`x := "-----BEGIN "`:                                                     false,
		`x := "etc/ltsp/ltsp-update-image.excludes"`:                             false,
		`errors.New("another run of ltskeeper is at work")`:                      false,
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "", "package p\nfunc _() {\n"+line+"\n}", 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(findCommandWords(file)) > 0; got != want {
			t.Errorf("%s: found %v, want %v", line, got, want)
		}
	}
}

var commandWords = regexp.MustCompile("\\bltskeeper (--|init\\b|server |update-image|status\\b|doctor\\b|keys |image [a-z]|known-hosts|lts-conf|help\\b)" +
	"|(^|[ `(])update-image\\b|(^|[ `(])--[a-z].* |.* [`(]?--[a-z]|\\[(image|chroot|client|tftp|collect)\\]")

// findCommandWords returns the string literals that speak of a command, an option or a table of the
// declaration, but for those that package remedy is given to hold.
func findCommandWords(file *ast.File) (found []*ast.BasicLit) {
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CompositeLit:
			return !isOfRemedy(n.Type)
		case *ast.CallExpr:
			of, is := n.Fun.(*ast.SelectorExpr)
			return !isOfRemedy(n.Fun) || is && of.Sel.Name == "AttachTo"
		case *ast.BasicLit:
			text, err := strconv.Unquote(n.Value)
			if err == nil && n.Kind == token.STRING && commandWords.MatchString(text) {
				found = append(found, n)
			}
		}
		return true
	})
	return found
}

// isOfRemedy reports whether an expression is a name of package remedy.
func isOfRemedy(e ast.Expr) bool {
	of, is := e.(*ast.SelectorExpr)
	if !is {
		return false
	}
	name, is := of.X.(*ast.Ident)
	return is && name.Name == "remedy"
}
