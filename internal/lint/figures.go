package main

import (
	"cmp"
	"fmt"
	"go/ast"
	"slices"
	"strings"
	"unicode"
)

// isTestKit reports whether a package serves tests alone, as this one does. Its lines and names
// count as those of tests.
func isTestKit(path string) bool {
	return path == "internal/lint" || path == "internal/testkit" || strings.HasPrefix(path, "internal/testkit/")
}

// measure returns figures about packages as text.
func measure(packages []*pkg) string {
	var b strings.Builder
	for _, figures := range []func([]*pkg) string{
		measureNames, measureShared, measureDocs, measureFunctions, measureLines, measureWidths,
	} {
		b.WriteString(figures(packages))
	}
	return b.String()
}

// listSources returns a package's files, or those of them that are no tests.
func listSources(p *pkg, withTests bool) (files []*file) {
	for _, f := range p.files {
		if withTests || !f.isTest && !isTestKit(p.path) {
			files = append(files, f)
		}
	}
	return files
}

// isCustomary holds names of functions that Go or its custom gives, whose words are not counted.
var isCustomary = map[string]bool{"New": true, "Open": true, "Parse": true, "main": true, "init": true}

func measureNames(packages []*pkg) string {
	var words [4]int // by how many words a name has, less one; the last is for more as well
	all := 0
	for _, p := range packages {
		for _, n := range listDeclared(listSources(p, false)) {
			if n.kind == "function" && !isCustomary[n.Name] {
				words[min(countWords(n.Name), len(words))-1]++
				all++
			}
		}
	}
	text := fmt.Sprintf("functions without a receiver, but New, Open, Parse, main, init: %d\n", all)
	for i, label := range []string{"one word", "two words", "three words", "four words or more"} {
		text += fmt.Sprintf("  %-20s %5d  %3.0f %%\n", label, words[i], 100*float64(words[i])/float64(max(all, 1)))
	}
	return text
}

// countWords counts the words of a name: a capital begins one, unless it goes on with an
// abbreviation. LTSConf has two.
func countWords(name string) (n int) {
	letters := []rune(name)
	for i, c := range letters {
		isCapital := unicode.IsUpper(c)
		afterCapital := i > 0 && unicode.IsUpper(letters[i-1])
		beforeSmall := i+1 < len(letters) && unicode.IsLower(letters[i+1])
		if i == 0 || isCapital && (!afterCapital || beforeSmall) {
			n++
		}
	}
	return n
}

func measureShared(packages []*pkg) string {
	type shared struct {
		in    string
		words []string
	}
	var all []shared
	total := 0
	for _, p := range packages {
		types, words := map[string]bool{}, []string{}
		names := listDeclared(listSources(p, false))
		for _, n := range names {
			if n.kind == "type" {
				types[strings.ToLower(n.Name)] = true
			}
		}
		for _, n := range names {
			if word := strings.ToLower(n.Name); types[word] &&
				(n.kind == "function" || n.kind == "method" && !isFamiliar[n.Name]) {
				words = append(words, word)
			}
		}
		slices.Sort(words)
		if words = slices.Compact(words); len(words) > 0 {
			all = append(all, shared{p.path, words})
			total += len(words)
		}
	}
	slices.SortStableFunc(all, func(a, b shared) int { return len(b.words) - len(a.words) })
	text := fmt.Sprintf("words that are a type and a function or method of one package: %d\n", total)
	for _, s := range all {
		text += fmt.Sprintf("  %-20s %5d  %s\n", s.in, len(s.words), strings.Join(s.words, " "))
	}
	return text
}

func measureDocs(packages []*pkg) string {
	all, bare := 0, 0
	for _, p := range packages {
		for _, f := range listSources(p, false) {
			exported, faults := listExported(f)
			all += exported
			for _, u := range faults {
				if u.isMissing {
					bare++
				}
			}
		}
	}
	return fmt.Sprintf("exported names without a doc comment: %d of %d\n", bare, all)
}

func measureFunctions(packages []*pkg) string {
	type function struct {
		where string
		lines int
	}
	var all []function
	for _, p := range packages {
		for _, f := range listSources(p, false) {
			for _, d := range f.Decls {
				if d, is := d.(*ast.FuncDecl); is {
					begin, end := p.fset.Position(d.Pos()).Line, p.fset.Position(d.End()).Line
					all = append(all, function{fmt.Sprintf("%s at %s:%d", d.Name.Name, f.name, begin), end - begin + 1})
				}
			}
		}
	}
	if len(all) == 0 {
		return ""
	}
	slices.SortFunc(all, func(a, b function) int { return cmp.Compare(a.lines, b.lines) })
	longest := all[len(all)-1]
	return fmt.Sprintf("lines of a function: median %d, 99 of 100 have at most %d, longest %d (%s)\n",
		all[len(all)/2].lines, all[len(all)*99/100].lines, longest.lines, longest.where)
}

func measureLines(packages []*pkg) string {
	all, sources, code := 0, 0, 0
	for _, p := range packages {
		for _, f := range listSources(p, true) {
			all += strings.Count(string(f.source), "\n")
		}
		for _, f := range listSources(p, false) {
			for line := range strings.Lines(string(f.source)) {
				sources++
				if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
					code++
				}
			}
		}
	}
	return fmt.Sprintf("lines of Go: %d outside tests, %d of them code; %d in tests, test kits and checks\n",
		sources, code, all-sources)
}

func measureWidths(packages []*pkg) string {
	comments, code := 0, 0
	var widest sourceLine
	var in string
	for _, p := range packages {
		for _, f := range listSources(p, true) {
			for _, l := range splitLines(p, f) {
				switch {
				case !l.isTooWide():
				case l.isComment:
					comments++
				default:
					code++
				}
				if l.width > widest.width {
					widest, in = l, f.name
				}
			}
		}
	}
	return fmt.Sprintf("lines over the limits: %d of comments (%d columns), %d of code (%d); ",
		comments, maxComment, code, maxCode) +
		fmt.Sprintf("the widest line has %d (%s:%d)\n", widest.width, in, widest.number)
}
