package secrets

import (
	"bytes"
	"encoding/base64"
	"strings"
)

// Marks are what a private key begins with.
const (
	pemMark   = "-----BEGIN "          // RFC 7468, RFC 1421, RFC 9580 section 6.2
	puttyMark = "PuTTY-User-Key-File-" // appendix C of PuTTY's manual
)

var marks = [...]string{pemMark, puttyMark}

const (
	// maxLine bounds a line of a key. Some programs write all of a key's base64 on one.
	maxLine = 64 << 10
	// maxLabel bounds the label of a key.
	maxLabel = 64
	// maxEnd bounds a key's last line, with what is before it.
	maxEnd = 256
	// minKey is the least number of bytes that a key's base64 holds: PuTTY's private half of a DSA
	// key. Less is a placeholder.
	minKey = 24
	// opensshMagic begins the content of OpenSSH's format (PROTOCOL.key).
	opensshMagic = "openssh-key-v1\x00"
	// around is what may be around the lines of a key in a script, a program's source, YAML or
	// JSON.
	around = " \t#," + quotes
	quotes = "\"'`"
)

// opensLine reports whether the mark at text[at:] begins its line, as people write keys: it may be
// indented, quoted, commented out, or assigned to something. It may also begin a file in a tar
// archive. Elsewhere, above all after a zero byte, it is a program's constant: libgnutls tests
// itself with private keys.
//
// text begins at offset start of the file, and at least reach before at, unless start is 0.
func opensLine(text []byte, at int, start int64) bool {
	before := text[max(0, at-reach/2):at]
	line := bytes.TrimRight(before, around)
	if len(line) == 0 {
		return len(before) < reach/2 // so this is the file's first line
	}
	switch line[len(line)-1] {
	case '\n', '\r', '=', ':', '>':
		return true
	case 'n', 'r': // as JSON and C write line ends
		return bytes.HasSuffix(line[:len(line)-1], []byte{'\\'})
	case 0:
		return len(line) == len(before) && (start+int64(at))%tarBlock == 0 && isTarHeader(text[max(0, at-tarBlock):at])
	}
	return bytes.ContainsAny(before[len(before)-1:], quotes)
}

// tarBlock is the unit of tar archives (pax in POSIX).
const tarBlock = 512

func isTarHeader(block []byte) bool {
	return len(block) == tarBlock && bytes.HasPrefix(block[257:], []byte("ustar"))
}

// A key is a private key, as much of it as was read after its mark.
type key struct {
	putty   bool
	offset  int64
	line    []byte // what was read of the line
	lines   int    // those before it
	escaped bool   // lines end in \n as JSON and C write it
	escape  bool   // the last byte was such a backslash
	label   string // of PEM: "RSA PRIVATE KEY"
	footer  string // of PEM: "-----END RSA PRIVATE KEY-----"
	private bool   // of PuTTY: these are the private lines
	body    body
}

// A state is what a key is by what was read of it.
type state int

const (
	open state = iota
	complete
	broken
)

// read takes the next bytes of the file.
func (k *key) read(text []byte) state {
	for _, c := range text {
		if k.escape {
			k.escape = false
			if c == 'n' || c == 'r' {
				k.escaped, c = true, '\n'
			}
		}
		switch {
		case c == '\n' || c == '\r':
			if !k.endLine(string(bytes.Trim(k.line, around))) {
				return broken
			}
			k.line = k.line[:0]
			k.lines++
			continue
		case c == '\\' && (k.escaped || k.lines == 0):
			k.escape = true
			continue
		case len(k.line) == maxLine:
			return broken
		}
		k.line = append(k.line, c)
		if (c == '-' || c == ':') && k.ends() {
			return k.judge()
		}
	}
	return open
}

// endLine takes a line, and reports whether this may still be a key.
func (k *key) endLine(line string) bool {
	switch {
	case k.lines == 0 && k.putty:
		return len(line) > 2 && line[1] == ':'
	case k.lines == 0:
		k.label, k.footer = strings.TrimSuffix(line, "-----"), "-----END "+line
		return isPrivateLabel(k.label)
	case line == "":
		return true
	case k.putty && strings.Contains(line, ":"):
		k.private = strings.HasPrefix(line, "Private-Lines:")
		k.body = body{}
		return true
	case strings.Contains(line, ":"): // RFC 1421's headers, and OpenPGP's
		return k.body.empty()
	case k.label == pgpLabel && line[0] == '=': // the checksum
		return true
	}
	return k.body.add(line)
}

const pgpLabel = "PGP PRIVATE KEY BLOCK"

// isPrivateLabel reports whether a label is that of a secret. Labels are printable text (RFC 7468).
func isPrivateLabel(label string) bool {
	if len(label) > maxLabel || strings.ContainsFunc(label, func(r rune) bool { return r < ' ' || r > '~' }) {
		return false
	}
	return label == "PRIVATE KEY" || strings.HasSuffix(label, " PRIVATE KEY") || label == pgpLabel ||
		strings.HasPrefix(label, "OpenVPN ") // static keys, in hexadecimal, and tls-crypt's
}

// ends reports whether the part of the line that was read ends a key, as a file's last line may.
func (k *key) ends() bool {
	if len(k.line) > maxEnd {
		return false
	}
	line := string(bytes.TrimLeft(k.line, around))
	if k.putty {
		return line == "Private-MAC:" || line == "Private-Hash:"
	}
	return k.lines > 0 && line == k.footer
}

// judge returns whether what has ended is a key.
func (k *key) judge() state {
	switch {
	case !k.body.whole() || k.body.size < minKey,
		k.putty && !k.private,
		k.label == "OPENSSH PRIVATE KEY" && !bytes.HasPrefix(k.body.head, []byte(opensshMagic)):
		return broken
	}
	return complete
}

// name returns what k is called in messages.
func (k *key) name() string {
	if k.putty {
		return "PuTTY private key"
	}
	return strings.NewReplacer("PRIVATE KEY BLOCK", "private key", "PRIVATE KEY", "private key",
		"OPENSSH", "OpenSSH", "ENCRYPTED", "encrypted").Replace(k.label)
}

// A body decodes base64 that comes in lines of any length.
type body struct {
	head   []byte // the first bytes that were decoded, up to minKey
	size   int    // bytes that were decoded
	rest   string // what is not decoded yet: up to three characters
	padded bool   // so nothing may follow
}

func (b *body) empty() bool { return b.size == 0 && b.rest == "" }

// whole reports whether the base64 could end here.
func (b *body) whole() bool { return b.rest == "" }

// add takes a line, and reports whether all so far is base64.
func (b *body) add(line string) bool {
	text := b.rest + line
	whole := len(text) &^ 3
	decoded, err := base64.StdEncoding.DecodeString(text[:whole])
	if err != nil || b.padded {
		return false
	}
	b.size += len(decoded)
	b.head = append(b.head, decoded[:min(len(decoded), minKey-len(b.head))]...)
	b.rest = text[whole:]
	b.padded = strings.HasSuffix(text[:whole], "=")
	return true
}
