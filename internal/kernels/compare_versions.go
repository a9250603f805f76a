package kernels

import "strings"

// CompareVersions orders kernel versions as `sort -V` does: runs of digits by their value, the rest
// byte by byte, letters before other characters, and a `~` before everything, including the end.
// The order is Debian Policy's, 5.6.12.
func CompareVersions(a, b string) int {
	for a != "" || b != "" {
		if c := rankStart(a) - rankStart(b); c != 0 {
			return c
		}
		if rankStart(a) != 0 {
			a, b = a[1:], b[1:]
			continue
		}
		digitsA, digitsB := cutDigits(a), cutDigits(b)
		if c := compareNumbers(digitsA, digitsB); c != 0 {
			return c
		}
		a, b = a[len(digitsA):], b[len(digitsB):]
	}
	return 0
}

// rankStart is the rank of what a version's rest begins with: 0 for a number and for the end.
func rankStart(s string) int {
	if s == "" {
		return 0
	}
	switch c := s[0]; {
	case c == '~':
		return -1
	case '0' <= c && c <= '9':
		return 0
	case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z':
		return int(c)
	default:
		return int(c) + 256
	}
}

func cutDigits(s string) string {
	return s[:len(s)-len(strings.TrimLeft(s, "0123456789"))]
}

func compareNumbers(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}
