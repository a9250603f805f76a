package main

import (
	"go/ast"
	"go/token"
	"strings"
)

// A named is something that a package declares outside functions.
type named struct {
	*ast.Ident
	file *file
	kind string // "type", "function", "method", "variable" or "constant"
	of   string // the type whose method it is
}

func (n named) String() string {
	if n.of != "" {
		return n.kind + " " + n.of + "." + n.Name
	}
	return n.kind + " " + n.Name
}

// listDeclared returns what files declare outside functions.
func listDeclared(files []*file) (all []named) {
	for _, f := range files {
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv != nil {
					all = append(all, named{d.Name, f, "method", typeName(d.Recv.List[0].Type)})
				} else {
					all = append(all, named{d.Name, f, "function", ""})
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					switch s := s.(type) {
					case *ast.TypeSpec:
						all = append(all, named{s.Name, f, "type", ""})
					case *ast.ValueSpec:
						kind := map[token.Token]string{token.VAR: "variable", token.CONST: "constant"}[d.Tok]
						for _, name := range s.Names {
							all = append(all, named{name, f, kind, ""})
						}
					}
				}
			}
		}
	}
	return all
}

// typeName returns the name of a receiver's type.
func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.StarExpr:
		return typeName(e.X)
	case *ast.IndexExpr:
		return typeName(e.X)
	case *ast.IndexListExpr:
		return typeName(e.X)
	}
	return ""
}

// checkNames finds functions and methods that have a type's name, and names that differ from
// another by capitals only: of two methods of one type, or of two things outside functions.
func checkNames(p *pkg) (found []finding) {
	// Tests outside the package have names of their own.
	inside := map[bool][]*file{}
	for _, f := range p.files {
		isOutside := f.Name.Name != p.name
		inside[isOutside] = append(inside[isOutside], f)
	}
	for _, files := range inside {
		all := listDeclared(files)
		types, firsts := map[string]named{}, map[string]named{}
		for _, n := range all {
			if n.kind == "type" {
				types[strings.ToLower(n.Name)] = n
			}
		}
		for _, n := range all {
			lower := strings.ToLower(n.Name)
			t, isType := types[lower]
			isType = isType && (n.kind == "function" || n.kind == "method" && !isFamiliar[n.Name])
			first, isTwin := firsts[n.of+"."+lower]
			if !isTwin {
				firsts[n.of+"."+lower] = n
			}
			switch {
			case isType:
				found = append(found, p.found(n.file, n.Pos(), n.Name, "%v has the name of type %s", n, t.Name))
			case isTwin && first.Name != n.Name:
				found = append(found, p.found(n.file, n.Pos(), n.Name, "%v differs from %v by capitals only", n, first))
			}
		}
	}
	return found
}
