// Package glob holds what the dialects of patterns have in common: those of known_hosts, lts.conf
// and mksquashfs.
package glob

import "strings"

// Match reports whether a pattern matches the whole of s, in which * stands for any bytes, also
// none. matchOne matches one byte with what is at p in the pattern, and returns where the rest of
// the pattern begins.
func Match(pattern, s string, matchOne func(pattern string, p int, c byte) (next int, ok bool)) bool {
	p, n := 0, 0
	starP, starN := -1, 0 // where to go on if the rest does not match: one more byte for the last star
	for n < len(s) {
		if p < len(pattern) {
			if pattern[p] == '*' {
				p++
				starP, starN = p, n
				continue
			}
			if next, ok := matchOne(pattern, p, s[n]); ok {
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

// classes are POSIX's character classes in the C locale, for ASCII.
var classes = map[string]func(c byte) bool{
	"alpha":  isAlpha,
	"digit":  isDigit,
	"alnum":  func(c byte) bool { return isAlpha(c) || isDigit(c) },
	"upper":  isUpper,
	"lower":  func(c byte) bool { return 'a' <= c && c <= 'z' },
	"space":  func(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' },
	"blank":  func(c byte) bool { return c == ' ' || c == '\t' },
	"cntrl":  func(c byte) bool { return c < ' ' || c == 0x7f },
	"print":  func(c byte) bool { return ' ' <= c && c < 0x7f },
	"graph":  isGraph,
	"punct":  func(c byte) bool { return isGraph(c) && !isAlpha(c) && !isDigit(c) },
	"xdigit": func(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' },
}

func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }
func isAlpha(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isGraph(c byte) bool { return ' ' < c && c < 0x7f }
