// Package names says what a server's name or address may be, and which names are the same.
package names

import (
	"net/netip"
	"strings"
)

// IsValid reports whether s can be a server's name or address, and so stand in known_hosts and, but
// for the colon, be a file's name.
func IsValid(s string) bool {
	if s == "" || len(s) > 200 || s[0] == '-' || s[0] == '.' {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-', c == '.', c == '_', c == ':':
		default:
			return false
		}
	}
	return true
}

// Canonical returns the one spelling of a name or address.
func Canonical(s string) string {
	s = strings.ToLower(strings.TrimRight(s, "."))
	if ip, err := netip.ParseAddr(s); err == nil {
		return ip.Unmap().String()
	}
	return s
}
