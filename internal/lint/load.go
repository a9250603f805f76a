package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A pkg is a package of this module with its tests, also those outside the package (x_test).
type pkg struct {
	path  string // below the module's; "." for the module's root
	name  string
	files []*file
	fset  *token.FileSet
}

type file struct {
	*ast.File
	name    string // relative to the working directory
	source  []byte
	isTest  bool            // named x_test.go
	imports map[string]bool // the names of what it imports
}

// loadPackages parses packages, all of the module if none are named, with comments.
func loadPackages(dir string, patterns ...string) ([]*pkg, error) {
	args := []string{"list", "-deps", "-test", "-json=ImportPath,Name,Dir,DepOnly,ForTest,Module," +
		"GoFiles,IgnoredGoFiles,TestGoFiles,XTestGoFiles"}
	if len(patterns) == 0 {
		patterns = []string{"./..."}
	}
	list := exec.Command("go", append(args, patterns...)...)
	list.Dir = dir
	out, err := list.Output()
	if exit, is := errors.AsType[*exec.ExitError](err); is {
		return nil, fmt.Errorf("go list: %w\n%s", err, exit.Stderr)
	} else if err != nil {
		return nil, err
	}

	type listed struct {
		ImportPath, Name, Dir, ForTest string
		DepOnly                        bool
		Module                         *struct{ Path string }

		GoFiles, IgnoredGoFiles, TestGoFiles, XTestGoFiles []string
	}
	var wanted []listed
	names := map[string]string{} // by import path
	for stream := json.NewDecoder(bytes.NewReader(out)); ; {
		var l listed
		if err := stream.Decode(&l); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		names[l.ImportPath] = l.Name
		if !l.DepOnly && l.ForTest == "" && !strings.HasSuffix(l.ImportPath, ".test") {
			wanted = append(wanted, l)
		}
	}

	var packages []*pkg
	for _, l := range wanted {
		p := &pkg{name: l.Name, fset: token.NewFileSet(), path: strings.TrimPrefix(l.ImportPath, l.Module.Path+"/")}
		for _, list := range [][]string{l.GoFiles, l.IgnoredGoFiles, l.TestGoFiles, l.XTestGoFiles} {
			for _, name := range list {
				if err := p.parse(filepath.Join(l.Dir, name), names); err != nil {
					return nil, err
				}
			}
		}
		packages = append(packages, p)
	}
	slices.SortFunc(packages, func(a, b *pkg) int { return strings.Compare(a.path, b.path) })
	return packages, nil
}

// parse adds a file to the package. names holds the names of packages by import path.
func (p *pkg) parse(path string, names map[string]string) error {
	source, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	parsed, err := parser.ParseFile(p.fset, path, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	f := &file{File: parsed, name: path, source: source, isTest: strings.HasSuffix(path, "_test.go"),
		imports: map[string]bool{}}
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, path); err == nil {
			f.name = rel
		}
	}
	for _, spec := range parsed.Imports {
		of, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		name := names[of]
		if spec.Name != nil {
			name = spec.Name.Name
		}
		f.imports[name] = true
	}
	p.files = append(p.files, f)
	return nil
}

// found makes a finding at a place in one of the package's files.
func (p *pkg) found(f *file, at token.Pos, subject, format string, args ...any) finding {
	return finding{file: f.name, line: p.fset.Position(at).Line, in: p.path, subject: subject,
		message: fmt.Sprintf(format, args...)}
}
