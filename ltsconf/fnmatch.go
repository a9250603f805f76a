package ltsconf

import "strings"

// fnmatch reports whether a name matches a pattern as fnmatch(3) has it in the C locale with
// FNM_CASEFOLD and nothing else: bytes, no character that * does not match, brackets with ranges
// and classes, a backslash that quotes.
func fnmatch(pattern, name string) bool { return match(pattern, name, matchOne) }

// covers reports whether one pattern surely matches all that another one does. Where a bracket or a
// backslash is in either, that is not looked into.
func covers(pattern, other string) bool {
	return !strings.ContainsAny(pattern+other, "[\\") &&
		match(pattern, other, func(pattern string, p int, c byte) (int, bool) {
			if pattern[p] == '?' {
				return p + 1, c != '*'
			}
			return p + 1, lower(pattern[p]) == lower(c)
		})
}

// match does the stars; one matches a byte with what stands at p in the pattern, and returns where
// the rest begins.
func match(pattern, name string, one func(pattern string, p int, c byte) (next int, ok bool)) bool {
	p, n := 0, 0
	starP, starN := -1, 0 // where to go on if the rest does not match: one more byte for the last star
	for n < len(name) {
		if p < len(pattern) {
			if pattern[p] == '*' {
				p++
				starP, starN = p, n
				continue
			}
			if next, ok := one(pattern, p, name[n]); ok {
				p, n = next, n+1
				continue
			}
		}
		if starP < 0 {
			return false
		}
		starN++
		p, n = starP, starN
	}
	return strings.Trim(pattern[p:], "*") == ""
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
			in = in || inClass(class, c)
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

func inClass(class string, c byte) bool {
	letter, digit := 'a' <= lower(c) && lower(c) <= 'z', '0' <= c && c <= '9'
	graph := '!' <= c && c <= '~'
	switch class {
	case "alpha":
		return letter
	case "lower":
		return letter && c == lower(c)
	case "upper":
		return letter && c != lower(c)
	case "digit":
		return digit
	case "alnum":
		return letter || digit
	case "xdigit":
		return digit || letter && lower(c) <= 'f'
	case "punct":
		return graph && !letter && !digit
	case "graph":
		return graph
	case "print":
		return graph || c == ' '
	case "blank":
		return c == ' ' || c == '\t'
	case "space":
		return strings.IndexByte(space, c) >= 0
	case "cntrl":
		return c < ' ' || c == 0x7f
	}
	return false
}
