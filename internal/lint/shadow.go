package main

import (
	"go/ast"
	"go/token"
	"go/types"
)

// checkShadows finds names that hide a builtin, and locals that hide a package their file imports.
func checkShadows(p *pkg) (found []finding) {
	for _, f := range p.files {
		declare := func(names ...*ast.Ident) {
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
		declareFields := func(lists ...*ast.FieldList) {
			for _, l := range lists {
				if l != nil {
					for _, field := range l.List {
						declare(field.Names...)
					}
				}
			}
		}
		ast.Inspect(f.File, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				declareFields(n.Recv)
				if n.Recv == nil {
					declare(n.Name)
				}
			case *ast.FuncType:
				declareFields(n.TypeParams, n.Params, n.Results)
			case *ast.TypeSpec:
				declare(n.Name)
				declareFields(n.TypeParams)
			case *ast.ValueSpec:
				declare(n.Names...)
			case *ast.AssignStmt:
				if n.Tok == token.DEFINE {
					for _, e := range n.Lhs {
						declare(e.(*ast.Ident))
					}
				}
			case *ast.RangeStmt:
				if n.Tok == token.DEFINE {
					for _, e := range []ast.Expr{n.Key, n.Value} {
						name, _ := e.(*ast.Ident)
						declare(name)
					}
				}
			}
			return true
		})
	}
	return found
}
