package keys

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"ltskeeper/internal/names"
)

// DefaultPort is the port of SSH, for which known_hosts names none.
const DefaultPort = 22

// Host is a server in known_hosts.
type Host struct {
	Names []string // name, aliases, addresses; letters, digits, '.', '-', '_', ':' only
	Port  int      // 0 means 22
	Keys  []Key    // one line each
}

// KnownHosts is the content of a known_hosts file.
type KnownHosts struct {
	Header      string // one or more comment lines
	Hosts       []Host
	Authorities []Authority
	Port        int    // for which the authorities' patterns are; 0 means 22
	Revoked     []Key  // under every name
	Secret      []byte // if not empty, hosts' names are hashed, with salts that depend on it
	Local       []byte // lines that are added byte by byte
}

// RenderKnownHosts renders OpenSSH's known_hosts (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT), hosts
// sorted by their names. The same argument gives the same bytes. A host's name that could be a
// pattern is left out: it would vouch for others.
func RenderKnownHosts(k KnownHosts) []byte {
	hosts := slices.Clone(k.Hosts)
	slices.SortStableFunc(hosts, func(a, b Host) int {
		return slices.Compare(a.Names, b.Names)
	})

	b := appendLines(nil, k.Header)
	for _, h := range hosts {
		field := h.formatNames()
		if field == "" {
			continue
		}
		fields := []string{field}
		if len(k.Secret) > 0 {
			fields = nil
			for name := range strings.SplitSeq(field, ",") {
				fields = append(fields, formatHashedName(k.Secret, name))
			}
		}
		for _, key := range h.Keys {
			for _, field := range fields {
				b = appendEntry(b, field, key)
			}
		}
	}
	for _, a := range k.Authorities {
		if patterns := a.formatPatterns(k.Port); patterns != "" {
			b = appendEntry(b, "@cert-authority "+patterns, a.Key)
		}
	}
	for _, key := range k.Revoked {
		b = appendEntry(b, "@revoked *", key)
	}
	return appendLines(b, string(k.Local))
}

// formatHashedName is a name as HashKnownHosts writes it: "|1|salt|hash". The salt of a name is
// always the same, so that the file is, too, and nobody without the secret can compute it from a
// name.
func formatHashedName(secret []byte, name string) string {
	name = strings.ToLower(name)
	mac := hmac.New(sha1.New, secret)
	mac.Write([]byte(name))
	salt := mac.Sum(nil)
	return "|1|" + base64.StdEncoding.EncodeToString(salt) + "|" + hashName(salt, name)
}

// formatPatterns is the field that names the authority's hosts.
func (a Authority) formatPatterns(port int) string {
	var patterns []string
	for _, pattern := range a.Hosts {
		rest, negated := strings.CutPrefix(pattern, "!")
		if !IsPattern(rest) {
			continue
		}
		rest = joinHostPort(rest, port)
		if negated {
			rest = "!" + rest
		}
		patterns = append(patterns, rest)
	}
	return strings.Join(patterns, ",")
}

// joinHostPort returns a name with its port, as known_hosts has it.
func joinHostPort(name string, port int) string {
	if port == 0 || port == DefaultPort {
		return name
	}
	return "[" + name + "]:" + strconv.Itoa(port)
}

// IsPattern reports whether s can be a pattern of names or addresses in known_hosts.
func IsPattern(s string) bool {
	return s != "" && names.IsValid("a"+strings.NewReplacer("*", "a", "?", "a").Replace(s))
}

// formatNames is the field that names the host: as OpenSSH looks them up, which is in lower case,
// addresses in their shortest form, and with the port unless that is 22 (put_host_port in misc.c).
func (h Host) formatNames() string {
	var patterns []string
	for _, name := range h.Names {
		if !names.IsValid(name) {
			continue
		}
		if ip, err := netip.ParseAddr(name); err == nil {
			name = ip.Unmap().String()
		}
		name = joinHostPort(name, h.Port)
		if !slices.Contains(patterns, name) {
			patterns = append(patterns, name)
		}
	}
	return strings.Join(patterns, ",")
}

func appendEntry(b []byte, hosts string, k Key) []byte {
	return fmt.Appendf(b, "%s %s\n", hosts, k.FormatLine())
}

// appendLines appends whole lines.
func appendLines(b []byte, text string) []byte {
	b = append(b, text...)
	if text != "" && text[len(text)-1] != '\n' {
		b = append(b, '\n')
	}
	return b
}

// LineError is a line that OpenSSH would skip.
type LineError struct {
	Line int // from 1
	Msg  string
}

func (e LineError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Msg) }

// CheckKnownHosts returns the lines of a known_hosts file that OpenSSH would not read; it skips
// them without a word. Key types that are unknown here are no mistake.
func CheckKnownHosts(data []byte) []LineError {
	var mistakes []LineError
	n := 0
	for line := range bytes.Lines(data) {
		n++
		if err := checkEntry(strings.TrimRight(string(line), "\r\n")); err != nil {
			mistakes = append(mistakes, LineError{n, err.Error()})
		}
	}
	return mistakes
}

// checkEntry follows hostkeys_foreach_file in OpenSSH's hostfile.c.
func checkEntry(line string) error {
	if strings.ContainsRune(line, 0) {
		return errors.New("holds a NUL byte")
	}
	line = strings.TrimLeft(line, " \t")
	if line == "" || line[0] == '#' {
		return nil
	}
	line, err := cutMarker(line)
	if err != nil {
		return err
	}
	hosts, key := cutBlank(line)
	if key == "" || key[0] == '#' {
		return errors.New("no key follows the host names")
	}
	if err := checkHashedName(hosts); err != nil {
		return err
	}
	return checkEntryKey(key)
}

// cutMarker takes the marker off a line. OpenSSH looks for the blank that ends it before it looks
// for a tab.
func cutMarker(line string) (rest string, err error) {
	if line[0] != '@' {
		return line, nil
	}
	marker, rest, ok := strings.Cut(line, " ")
	if !ok {
		marker, rest, _ = strings.Cut(line, "\t")
	}
	if marker != "@cert-authority" && marker != "@revoked" {
		return "", fmt.Errorf("%.40q is not a marker and a space: @cert-authority or @revoked", marker)
	}
	rest = strings.TrimLeft(rest, " \t")
	if strings.HasPrefix(rest, "@") {
		return "", errors.New("has two markers")
	}
	return rest, nil
}

// checkHashedName checks a hashed host name, "|1|salt|hash", both of the size of a SHA-1 sum. A
// list of names that are not hashed has no wrong form.
func checkHashedName(hosts string) error {
	if !strings.HasPrefix(hosts, "|") {
		return nil
	}
	parts := strings.Split(hosts, "|")
	if len(parts) != 4 || parts[1] != "1" {
		return fmt.Errorf("%.80q is not a hashed host name", hosts)
	}
	for _, part := range parts[2:] {
		sum, err := base64.StdEncoding.Strict().DecodeString(part)
		if err != nil || len(sum) != sha1.Size {
			return fmt.Errorf("%.80q is not a hashed host name", hosts)
		}
	}
	return nil
}

// checkEntryKey checks type and key, whatever follows them.
func checkEntryKey(s string) error {
	typ, rest := cutBlank(s)
	encoded, _ := cutBlank(rest)
	_, err := ParseKey(typ + " " + encoded)
	return err
}
