package keys

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// errCut is what is wrong with a file that something else than this package wrote, or that was not
// written to its end.
var errCut = errors.New("it is cut off in the middle of a line")

// parseKeyFile reads a file of public key lines. Empty lines and lines that begin with # are
// comments. The last line, too, ends in a newline: a file that does not is cut off.
func parseKeyFile(data []byte) ([]Stored, error) {
	var keys []Stored
	err := eachLine(data, func(line string) error {
		k, comment, err := ParseKeyLine(line)
		if err == nil {
			keys = append(keys, Stored{k, parseOrigin(comment)})
		}
		return err
	})
	return keys, err
}

// formatKeyFile is the inverse of parseKeyFile.
func formatKeyFile(keys []Stored) []byte {
	var b bytes.Buffer
	for _, k := range keys {
		b.WriteString(k.Line())
		if comment := k.Origin.Comment(); comment != "" {
			b.WriteString(" " + comment)
		}
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// parseServerKeys reads NAME.pub or NAME.pending, nil if there is none: there is no reason for one
// without a key, or with one that is refused.
func parseServerKeys(data []byte) ([]Stored, error) {
	if data == nil {
		return nil, nil
	}
	keys, err := parseKeyFile(data)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, errors.New("it holds no key")
	}
	for _, k := range keys {
		if err := k.Weakness(); err != nil {
			return nil, fmt.Errorf("key %s: %w", k.Fingerprint(), err)
		}
	}
	return keys, nil
}

// splitPending parts the keys that wait from those that are rejected.
func splitPending(keys []Stored) (waiting, rejected []Stored) {
	for _, k := range keys {
		if k.Origin.How == HowRejected {
			rejected = append(rejected, k)
		} else {
			waiting = append(waiting, k)
		}
	}
	return waiting, rejected
}

// parseNames reads the names file: one name or address a line.
func parseNames(data []byte) (map[string]bool, error) {
	names := make(map[string]bool)
	err := eachLine(data, func(line string) error {
		if !validName(line) {
			return fmt.Errorf("%.80q is not a name", line)
		}
		names[canonicalName(line)] = true
		return nil
	})
	return names, err
}

const namesHeader = "# Every name and address that ever had a host key: none of them has a first use again.\n"

// formatNames is the inverse of parseNames.
func formatNames(names map[string]bool) []byte {
	sorted := make([]string, 0, len(names))
	for name := range names {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted)
	return []byte(namesHeader + strings.Join(sorted, "\n") + "\n")
}

func eachLine(data []byte, f func(line string) error) error {
	if len(data) > 0 && data[len(data)-1] != '\n' {
		return errCut
	}
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if err := f(line); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return nil
}

// validName reports whether s can be a server's name or address, and so stand in known_hosts and,
// but for the colon, be a file's name.
func validName(s string) bool {
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

// canonicalName is the one spelling of a name or address.
func canonicalName(s string) string {
	s = strings.ToLower(strings.TrimRight(s, "."))
	if ip, err := netip.ParseAddr(s); err == nil {
		return ip.Unmap().String()
	}
	return s
}
