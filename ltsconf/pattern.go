package ltsconf

import (
	"strings"

	"ltskeeper/internal/glob"
)

// matchName reports whether a name matches a pattern as fnmatch(3) has it in the C locale with
// FNM_CASEFOLD alone: bytes, no character that * does not match, brackets with ranges and classes,
// a backslash that quotes.
func matchName(pattern, name string) bool { return glob.Match(pattern, name, matchOne) }

// coversPattern reports whether one pattern surely matches all that another one does. It does not
// look into patterns with a bracket or a backslash.
func coversPattern(pattern, other string) bool {
	return !strings.ContainsAny(pattern+other, "[\\") &&
		glob.Match(pattern, other, func(pattern string, p int, c byte) (int, bool) {
			if pattern[p] == '?' {
				return p + 1, c != '*'
			}
			return p + 1, lowerByte(pattern[p]) == lowerByte(c)
		})
}

// matchOne matches one byte with the part of the pattern that begins at p, and returns where the
// next one begins.
func matchOne(pattern string, p int, c byte) (next int, ok bool) {
	switch pattern[p] {
	case '?':
		return p + 1, true
	case '[':
		if set, rest, err := glob.ParseSet(pattern[p+1:], glob.FoldCase); err == nil {
			return len(pattern) - len(rest), set[c]
		}
	case '\\':
		if p++; p == len(pattern) {
			return p, false
		}
	}
	return p + 1, lowerByte(pattern[p]) == lowerByte(c)
}
