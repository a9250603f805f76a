package ltsconf

import (
	"strings"

	"ltskeeper/internal/glob"
)

// fnmatch reports whether a name matches a pattern as fnmatch(3) has it in the C locale with
// FNM_CASEFOLD and nothing else: bytes, no character that * does not match, brackets with ranges
// and classes, a backslash that quotes.
func fnmatch(pattern, name string) bool { return glob.Match(pattern, name, matchOne) }

// covers reports whether one pattern surely matches all that another one does. Where a bracket or a
// backslash is in either, that is not looked into.
func covers(pattern, other string) bool {
	return !strings.ContainsAny(pattern+other, "[\\") &&
		glob.Match(pattern, other, func(pattern string, p int, c byte) (int, bool) {
			if pattern[p] == '?' {
				return p + 1, c != '*'
			}
			return p + 1, lower(pattern[p]) == lower(c)
		})
}

// matchOne matches one byte with the part of the pattern that begins at p, and returns where the
// next one begins.
func matchOne(pattern string, p int, c byte) (next int, ok bool) {
	switch pattern[p] {
	case '?':
		return p + 1, true
	case '[':
		if next, in, ok := matchBracket(pattern, p+1, c); ok {
			return next, in
		}
	case '\\':
		if p++; p == len(pattern) {
			return p, false
		}
	}
	return p + 1, lower(pattern[p]) == lower(c)
}

// matchBracket matches a byte with the bracket expression behind p; classes mind its case. It is
// not ok if the expression has no end: then the bracket stands for itself.
func matchBracket(pattern string, p int, c byte) (next int, in, ok bool) {
	negated := p < len(pattern) && (pattern[p] == '!' || pattern[p] == '^')
	if negated {
		p++
	}
	for first := true; ; first = false {
		if p >= len(pattern) {
			return 0, false, false
		}
		if pattern[p] == ']' && !first {
			return p + 1, in != negated, true
		}
		if class, rest, found := bracketClass(pattern[p:]); found {
			p = len(pattern) - len(rest)
			isIn, known := glob.Classes[class]
			in = in || known && isIn(c)
			continue
		}
		var from byte
		if from, p = bracketByte(pattern, p); p > len(pattern) {
			return 0, false, false
		}
		to := from
		if p+1 < len(pattern) && pattern[p] == '-' && pattern[p+1] != ']' {
			if to, p = bracketByte(pattern, p+1); p > len(pattern) {
				return 0, false, false
			}
		}
		in = in || from <= lower(c) && lower(c) <= to
	}
}

// bracketByte returns a byte of a bracket expression in lower case, and where the next one begins.
func bracketByte(pattern string, p int) (byte, int) {
	if pattern[p] == '\\' {
		p++
	}
	if p == len(pattern) {
		return 0, p + 1
	}
	return lower(pattern[p]), p + 1
}

// bracketClass cuts [:name:] off the front.
func bracketClass(s string) (class, rest string, ok bool) {
	s, ok = strings.CutPrefix(s, "[:")
	if !ok {
		return "", "", false
	}
	class, rest, ok = strings.Cut(s, ":]")
	return class, rest, ok && class != "" && strings.Trim(class, "abcdefghijklmnopqrstuvwxyz") == ""
}
