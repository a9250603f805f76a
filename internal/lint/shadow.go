package main

import (
	"go/ast"
	"go/token"
	"go/types"
)

// checkShadows finds names that hide a builtin, and locals that hide a package their file imports.
func checkShadows(p *pkg) (found []finding) {
	for _, f := range p.files {
		see := func(names ...*ast.Ident) {
			for _, n := range names {
				switch {
				case n == nil || n.Name == "_":
				case types.Universe.Lookup(n.Name) != nil:
					found = append(found, p.found(f, n.Pos(), n.Name, "%s hides the builtin %[1]s", n.Name))
				case f.imports[n.Name]:
					found = append(found, p.found(f, n.Pos(), n.Name, "%s hides the imported package %[1]s", n.Name))
				}
			}
		}
		see2 := func(lists ...*ast.FieldList) {
			for _, l := range lists {
				if l != nil {
					for _, field := range l.List {
						see(field.Names...)
					}
				}
			}
		}
		ast.Inspect(f.File, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				see2(n.Recv)
				if n.Recv == nil {
					see(n.Name)
				}
			case *ast.FuncType:
				see2(n.TypeParams, n.Params, n.Results)
			case *ast.TypeSpec:
				see(n.Name)
				see2(n.TypeParams)
			case *ast.ValueSpec:
				see(n.Names...)
			case *ast.AssignStmt:
				if n.Tok == token.DEFINE {
					for _, e := range n.Lhs {
						see(e.(*ast.Ident))
					}
				}
			case *ast.RangeStmt:
				if n.Tok == token.DEFINE {
					for _, e := range []ast.Expr{n.Key, n.Value} {
						name, _ := e.(*ast.Ident)
						see(name)
					}
				}
			}
			return true
		})
	}
	return found
}
