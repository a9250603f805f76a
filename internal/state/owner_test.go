package state

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ltskeeper/internal/testkit"
)

// No other package of this module joins a path below a state folder.
func TestNobodyElseJoinsAPath(t *testing.T) {
	t.Parallel()
	root, here := filepath.Join("..", ".."), filepath.Join("internal", "state")
	checked := 0
	testkit.Must(t, filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		testkit.Must(t, err)
		if e.IsDir() && (name == here || name != "." && strings.HasPrefix(name, ".")) {
			return fs.SkipDir
		}
		if !e.Type().IsRegular() || filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		testkit.Must(t, err)
		for _, node := range findJoins(file) {
			t.Errorf("%s:%d: only internal/state may join a path below the state folder", name,
				files.Position(node.Pos()).Line)
		}
		checked++
		return nil
	}))
	if checked < 100 {
		t.Errorf("only %d files were checked", checked)
	}
}

// What is found in other packages, and what they may do.
func TestFindJoins(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]bool{
		`filepath.Join(f.State.Path(), "new")`:       true,
		`filepath.Join(string(r.farm.State), "new")`: true,
		`path.Join("/", f.State.Path(), "new")`:      true,
		`f.State + "/new"`:                           true,
		`f.State.Path() + "/new"`:                    true,
		`fmt.Sprintf("%s/new", f.State)`:             true,
		`dir := f.State.Path()`:                      true,
		`var dir = string(f.State)`:                  true,
		`filepath.Join(dir, "quarantine")`:           true,
		`filepath.Join(dir, "lock")`:                 true,
		`keys.Open(f.State.KeysPath(), true)`:        false,
		`q, err := f.State.Quarantine().Read()`:      false,
		`d.State = f.State.Path()`:                   false,
		`own := []string{f.State.Path()}`:            false,
		`filepath.Join(f.Dir, "new")`:                false,
		`filepath.Join("var", "lib", "dpkg/lock")`:   false,
		`top := list[0].State`:                       false,
		`all + " " + string(list[0].State)`:          false,
		`fmt.Sprintf("%s is full", f.State)`:         false,
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "", "package p\nfunc _() {\n"+line+"\n}", 0)
		testkit.Must(t, err)
		if got := len(findJoins(file)) > 0; got != want {
			t.Errorf("%s: found %v, want %v", line, got, want)
		}
	}
}

// findJoins returns where a path below a state folder is made: from the field State of a
// declaration, or from the name of a file of the state. It also returns where the folder's path is
// put into a variable, from which one could be made unseen.
func findJoins(file *ast.File) (found []ast.Node) {
	ast.Inspect(file, func(n ast.Node) bool {
		joins := false
		switch n := n.(type) {
		case *ast.CallExpr:
			switch callee(n) {
			case "filepath.Join", "path.Join":
				joins = slices.ContainsFunc(n.Args, func(arg ast.Expr) bool {
					return mentionsState(arg) || namesFile(arg)
				})
			case "fmt.Sprintf":
				joins = strings.Contains(stringOf(n.Args[0]), "%s/") && slices.ContainsFunc(n.Args, isState)
			}
		case *ast.BinaryExpr:
			joins = n.Op == token.ADD && isState(n.X) && strings.HasPrefix(stringOf(n.Y), "/")
		case *ast.AssignStmt:
			for i, to := range n.Lhs {
				_, isVariable := to.(*ast.Ident)
				joins = joins || isVariable && len(n.Rhs) == len(n.Lhs) && isStatePath(n.Rhs[i])
			}
		case *ast.ValueSpec:
			joins = slices.ContainsFunc(n.Values, isStatePath)
		}
		if joins {
			found = append(found, n)
		}
		return true
	})
	return found
}

// mentionsState reports whether something's field State is part of an expression.
func mentionsState(e ast.Expr) (mentions bool) {
	ast.Inspect(e, func(n ast.Node) bool {
		field, is := n.(*ast.SelectorExpr)
		mentions = mentions || is && field.Sel.Name == "State"
		return true
	})
	return mentions
}

// isState reports whether an expression is a state folder or its path: x.State, x.State.Path() or
// string(x.State).
func isState(e ast.Expr) bool {
	field, is := e.(*ast.SelectorExpr)
	return is && field.Sel.Name == "State" || isStatePath(e)
}

func isStatePath(e ast.Expr) bool {
	call, is := e.(*ast.CallExpr)
	if !is {
		return false
	}
	if len(call.Args) == 1 && callee(call) == "string" {
		return isState(call.Args[0])
	}
	method, is := call.Fun.(*ast.SelectorExpr)
	return is && method.Sel.Name == "Path" && isState(method.X)
}

// namesFile reports whether an expression is the name of a file of the state. The key store's
// folder has too common a name.
func namesFile(e ast.Expr) bool {
	name := stringOf(e)
	return name == "lock" || slices.Contains(slices.Collect(maps.Keys(files(""))), name)
}

// stringOf returns the value of a string literal, "" for any other expression.
func stringOf(e ast.Expr) string {
	literal, is := e.(*ast.BasicLit)
	if !is || literal.Kind != token.STRING {
		return ""
	}
	text, err := strconv.Unquote(literal.Value)
	if err != nil {
		panic(fmt.Sprintf("%s: %v", literal.Value, err))
	}
	return text
}

// callee returns what a call calls: "function", "package.Function" or "x.Method"; "" if it is none
// of these.
func callee(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		if of, is := f.X.(*ast.Ident); is {
			return of.Name + "." + f.Sel.Name
		}
	}
	return ""
}
