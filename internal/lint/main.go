// Lint checks this module's Go for what gofmt, go vet and staticcheck leave to people: names with
// one meaning, locals that hide nothing, doc comments, and the width of lines.
//
//	go run ./internal/lint [packages]            # print findings
//	go run ./internal/lint --figures [packages]  # print figures about names, comments and sizes
//
// Without packages it checks the whole module, and also fails on an exception that is not needed
// any more.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"go/token"
	"os"
	"slices"
)

func main() {
	withFigures := flag.Bool("figures", false, "print figures instead of findings")
	flag.Parse()
	packages, err := loadPackages(".", flag.Args()...)
	if err != nil {
		fmt.Fprintln(os.Stderr, "lint:", err)
		os.Exit(2)
	}
	if *withFigures {
		fmt.Print(measure(packages))
		return
	}
	found, stale := excuse(checkPackages(packages), exceptions)
	if flag.NArg() == 0 {
		found = append(found, stale...)
	}
	for _, f := range found {
		fmt.Println(f)
	}
	if len(found) > 0 {
		os.Exit(1)
	}
}

// A finding is something that a person has to change.
type finding struct {
	file    string
	line    int    // 0 if it is about the whole file
	in      string // the package's path below the module's
	subject string // the name at fault, or the file of a line that is too long
	message string
}

func (f finding) String() string {
	return fmt.Sprintf("%v: %s", token.Position{Filename: f.file, Line: f.line}, f.message)
}

// checkPackages runs all checks. It returns what they find in the order of files and lines.
func checkPackages(packages []*pkg) (found []finding) {
	for _, p := range packages {
		for _, check := range []func(*pkg) []finding{checkNames, checkShadows, checkDocs, checkWidths} {
			found = append(found, check(p)...)
		}
	}
	slices.SortFunc(found, func(a, b finding) int {
		return cmp.Or(cmp.Compare(a.file, b.file), a.line-b.line, cmp.Compare(a.message, b.message))
	})
	return slices.Compact(found)
}
