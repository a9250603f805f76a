// Package names says what the name or address of a server may be, and which of them are the same.
package names

import (
	"fmt"
	"net/netip"
	"strings"
)

// MaxLength keeps the files that are named after a server within what a file system takes, 255
// bytes, with every ending that they may have.
const MaxLength = 200

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

// FindWordFault says why a word cannot be a name of any kind, or returns "".
func FindWordFault(word string) string {
	switch {
	case word == "":
		return "it is empty"
	case strings.ContainsFunc(word, func(r rune) bool { return !strings.ContainsRune(alphabet, r) }):
		return "names are letters, digits, dots, hyphens and underscores"
	case word[0] == '-':
		return "it begins with a hyphen, as options do"
	case len(word) > MaxLength:
		return fmt.Sprintf("it has more than %d letters", MaxLength)
	}
	return ""
}

// FindFault says why a name cannot be a server's, nor that of anything else with files, or returns
// "".
func FindFault(name string) string {
	if fault := FindWordFault(name); fault != "" || name[0] != '.' {
		return fault
	}
	return "it begins with a dot, as hidden files do"
}

// IsValid reports whether s can be a server's name or address. It can be in known_hosts and in a
// list that a shell reads, is no option to a command and, but for its colons, can name a file.
func IsValid(s string) bool { return FindFault(strings.ReplaceAll(s, ":", "a")) == "" }

// Canonical returns the one spelling of a name or address: in lower case, without the dots at the
// end with which DNS takes a name as it is, and an IP address in its shortest form.
func Canonical(s string) string {
	s = strings.ToLower(strings.TrimRight(s, "."))
	if ip, err := netip.ParseAddr(s); err == nil {
		return ip.Unmap().String()
	}
	return s
}
