package secrets

import (
	"bytes"
	"maps"
	"slices"
	"strings"
)

// redactions are the files that every root has, and that an image holds without their secrets.
var redactions = map[string]func([]byte) []byte{
	"etc/shadow":               hideHashes(1), // shadow(5)
	"etc/shadow-":              hideHashes(1),
	"etc/gshadow":              hideHashes(1), // gshadow(5)
	"etc/gshadow-":             hideHashes(1),
	"etc/passwd":               hideHashes(1), // passwd(5): x, but where pwunconv(8) was used
	"etc/passwd-":              hideHashes(1),
	"etc/group":                hideHashes(1), // group(5)
	"etc/group-":               hideHashes(1),
	"etc/security/opasswd":     hideHashes(3), // name:uid:count:hash,hash (pam_unix, pam_pwhistory)
	"etc/security/opasswd.old": hideHashes(3),
	"etc/machine-id":           forgetID, // machine-id(5)
	"var/lib/dbus/machine-id":  forgetID, // systemd would take /etc/machine-id from here
}

// ListRedacted returns the paths of the files that [Redact] may change, sorted.
func ListRedacted() []string {
	return slices.Sorted(maps.Keys(redactions))
}

// RedactFile returns what an image is to hold of the file at path, and whether that differs from
// its content. Password hashes become *, those of locked accounts !*. An account that is locked, or
// needs no password, stays as it is. A machine's ID becomes nothing, so that each client makes its
// own.
func RedactFile(path string, content []byte) ([]byte, bool) {
	redact := redactions[path]
	if redact == nil {
		return content, false
	}
	redacted := redact(content)
	return redacted, !bytes.Equal(redacted, content)
}

// forgetID empties a file that holds a machine's ID.
func forgetID(content []byte) []byte {
	if strings.TrimSpace(string(content)) == "uninitialized" { // means: this is a first boot
		return content
	}
	return nil
}

// hideHashes returns a function that replaces password hashes in one field of each line. Fields are
// counted from 0.
func hideHashes(field int) func([]byte) []byte {
	return func(content []byte) []byte {
		lines := strings.Split(string(content), "\n")
		for i, line := range lines {
			if fields := strings.Split(line, ":"); len(fields) > field {
				fields[field] = maskHash(fields[field])
				lines[i] = strings.Join(fields, ":")
			}
		}
		return []byte(strings.Join(lines, "\n"))
	}
}

// maskHash returns what replaces a password's hash, or the same if it is not one.
func maskHash(hash string) string {
	if hash == "x" || strings.Trim(hash, "!*") == "" {
		return hash
	}
	locked := hash[:len(hash)-len(strings.TrimLeft(hash, "!"))]
	return locked + "*"
}
