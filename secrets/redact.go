package secrets

import (
	"bytes"
	"slices"
	"strings"
)

// redactions are the files that every root has and that an image holds without what is secret in
// them.
var redactions = map[string]func([]byte) []byte{
	"etc/shadow":               hideHash(1), // shadow(5)
	"etc/shadow-":              hideHash(1),
	"etc/gshadow":              hideHash(1), // gshadow(5)
	"etc/gshadow-":             hideHash(1),
	"etc/passwd":               hideHash(1), // passwd(5): x, but where pwunconv(8) was used
	"etc/passwd-":              hideHash(1),
	"etc/group":                hideHash(1), // group(5)
	"etc/group-":               hideHash(1),
	"etc/security/opasswd":     hideHash(3), // name:uid:count:hash,hash (pam_unix, pam_pwhistory)
	"etc/security/opasswd.old": hideHash(3),
	"etc/machine-id":           forget, // machine-id(5)
	"var/lib/dbus/machine-id":  forget, // systemd would take /etc/machine-id from here
}

// Redacted returns the paths of the files that [Redact] may change, sorted.
func Redacted() []string {
	var paths []string
	for path := range redactions {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths
}

// Redact returns what an image is to hold of the file at path, and whether that is another content.
// Password hashes become *, those of locked accounts !*; an account that is locked, or needs no
// password, stays as it is. A machine's ID becomes nothing, so that each client makes its own.
func Redact(path string, content []byte) ([]byte, bool) {
	redact := redactions[path]
	if redact == nil {
		return content, false
	}
	redacted := redact(content)
	return redacted, !bytes.Equal(redacted, content)
}

// forget empties a file that holds a machine's ID.
func forget(content []byte) []byte {
	if strings.TrimSpace(string(content)) == "uninitialized" { // means: this is a first boot
		return content
	}
	return nil
}

// hideHash returns a function that replaces what a field of each line holds of password hashes.
// Fields are counted from 0.
func hideHash(field int) func([]byte) []byte {
	return func(content []byte) []byte {
		lines := strings.SplitAfter(string(content), "\n")
		for i, line := range lines {
			line, end := strings.CutSuffix(line, "\n")
			fields := strings.Split(line, ":")
			if len(fields) <= field {
				continue
			}
			fields[field] = hidden(fields[field])
			lines[i] = strings.Join(fields, ":")
			if end {
				lines[i] += "\n"
			}
		}
		return []byte(strings.Join(lines, ""))
	}
}

// hidden returns what stands for a password's hash, or for what is none.
func hidden(hash string) string {
	if hash == "x" || strings.Trim(hash, "!*") == "" {
		return hash
	}
	locked := hash[:len(hash)-len(strings.TrimLeft(hash, "!"))]
	return locked + "*"
}
