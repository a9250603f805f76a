package main

import (
	"go/ast"
	"go/token"
	"strings"
)

// checkDocs finds packages and exported names without a doc comment, and comments of functions and
// types that do not begin with the name. Test files need none.
func checkDocs(p *pkg) (found []finding) {
	var first *file
	isDescribed := false
	for _, f := range p.files {
		if f.isTest {
			continue
		}
		if first == nil {
			first = f
		}
		isDescribed = isDescribed || f.Doc != nil
		_, faults := listExported(f)
		for _, u := range faults {
			found = append(found, p.found(f, u.Pos(), u.Name, "%s", u.why))
		}
	}
	if first != nil && !isDescribed {
		found = append(found, p.found(first, first.Package, p.name, "package %s has no doc comment", p.name))
	}
	return found
}

// isFamiliar holds methods that say the same of every type.
var isFamiliar = map[string]bool{"Error": true, "String": true, "Unwrap": true}

// A docFault is an exported name whose comment is missing, or not in Go's form.
type docFault struct {
	*ast.Ident
	isMissing bool
	why       string
}

// listExported counts the exported names of a file and returns those that lack a proper comment.
func listExported(f *file) (n int, faults []docFault) {
	examine := func(name *ast.Ident, kind string, mustName bool, docs ...*ast.CommentGroup) {
		if !name.IsExported() {
			return
		}
		n++
		for _, doc := range docs {
			if doc == nil {
				continue
			}
			if mustName && doc == docs[0] && !beginsWith(doc.Text(), name.Name) {
				faults = append(faults, docFault{name, false, "the comment of " + kind + " " + name.Name +
					" does not begin with its name"})
			}
			return
		}
		faults = append(faults, docFault{name, true, "exported " + kind + " " + name.Name + " has no doc comment"})
	}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				examine(d.Name, "function", true, d.Doc)
			} else if ast.IsExported(typeName(d.Recv.List[0].Type)) && !isFamiliar[d.Name.Name] {
				examine(d.Name, "method", true, d.Doc)
			}
		case *ast.GenDecl:
			isGroup := d.Lparen.IsValid()
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.TypeSpec:
					own := s.Doc
					if !isGroup {
						own = d.Doc
					}
					examine(s.Name, "type", true, own, d.Doc, s.Comment)
				case *ast.ValueSpec:
					kind := "variable"
					if d.Tok == token.CONST {
						kind = "constant"
					}
					for _, name := range s.Names {
						examine(name, kind, false, s.Doc, d.Doc, s.Comment)
					}
				}
			}
		}
	}
	return n, faults
}

// beginsWith reports whether a comment begins with a name, with or without an article.
func beginsWith(comment, name string) bool {
	for _, article := range []string{"", "A ", "An ", "The "} {
		rest, begins := strings.CutPrefix(comment, article+name)
		if begins && (rest == "" || strings.ContainsAny(rest[:1], " \n,:.'(")) {
			return true
		}
	}
	return strings.HasPrefix(comment, "Deprecated: ")
}
