package keys

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"slices"
	"strings"

	"ltskeeper/internal/names"
)

// A Line is a key in a file that another program wrote: a public key line, or one of known_hosts.
type Line struct {
	Number int    // from 1
	Marker string // "@revoked", "@cert-authority" or ""
	Hosts  string // patterns separated by commas, or a hashed name; "" in a public key line
	Key    Key

	// Origin is the comment after the key. It may look like the store's, and is not.
	Origin Origin
}

// KeyWithOrigin returns the key as a stored one, with its comment.
func (l Line) KeyWithOrigin() Stored { return Stored{l.Key, l.Origin} }

// ReadLines reads public key files (*.pub, what sshd has), known_hosts and what ssh-keyscan prints,
// also mixed. Comments and empty lines are skipped.
func ReadLines(data []byte) (lines []Line, mistakes []LineError) {
	n := 0
	for raw := range bytes.Lines(data) {
		n++
		text := strings.TrimSpace(string(raw))
		if text == "" || text[0] == '#' {
			continue
		}
		line, err := readLine(text)
		if err != nil {
			mistakes = append(mistakes, LineError{n, err.Error()})
			continue
		}
		line.Number = n
		lines = append(lines, line)
	}
	return lines, mistakes
}

// readLine reads a line that is not empty. A first word that is a key type whose key follows begins
// a public key; anything else names hosts.
func readLine(text string) (Line, error) {
	if key, comment, err := ParseKeyLine(text); err == nil {
		return Line{Key: key, Origin: ParseOrigin(comment)}, nil
	}
	if typ, _ := cutBlank(text); CanVerify(typ) || typ == typeDSA { // a public key, and broken
		_, err := ParseKey(text)
		return Line{}, err
	}
	rest, err := cutMarker(text)
	if err != nil {
		return Line{}, err
	}
	marker := strings.TrimSpace(strings.TrimSuffix(text, rest))
	hosts, entry := cutBlank(rest)
	if err := checkHashedName(hosts); err != nil {
		return Line{}, err
	}
	key, comment, err := ParseKeyLine(entry)
	return Line{Marker: marker, Hosts: hosts, Key: key, Origin: ParseOrigin(comment)}, err
}

// FindTrusted returns those of the keys that OpenSSH would trust with a known_hosts file: they are
// in a line of it, as a host's key or a certificate authority's, and no line revokes them for every
// name.
func FindTrusted(knownHosts []byte, list []Key) []Key {
	var trusted, revoked []Key
	lines, _ := ReadLines(knownHosts)
	for _, l := range lines {
		switch {
		case l.Marker != "@revoked" && l.Hosts != "":
			trusted = append(trusted, l.Key)
		case l.Hosts == "*":
			revoked = append(revoked, l.Key)
		}
	}
	return slices.DeleteFunc(slices.Clone(list), func(k Key) bool {
		return !Contains(trusted, k) || Contains(revoked, k)
	})
}

// For reports whether the line holds a key of a server with one of these names, as OpenSSH looks
// them up for the port: a public key line is for every name.
func (l Line) For(hosts []string, port int) bool {
	if l.Hosts == "" {
		return true
	}
	for _, name := range hosts {
		name = names.Canonical(name)
		if matchHosts(l.Hosts, name) || matchHosts(l.Hosts, joinHostPort(name, port)) {
			return true
		}
	}
	return false
}

// Names reports whether the line holds a key of a server with one of these names, and each of its
// own names is one name: no pattern, which is for others as well.
func (l Line) Names(hosts []string, port int) bool {
	return l.Marker == "" && l.Hosts != "" && !strings.ContainsAny(l.Hosts, "*?!") && l.For(hosts, port)
}

// matchHosts is OpenSSH's match_hostname and, for a hashed name, its comparison.
func matchHosts(hosts, name string) bool {
	if hashed, ok := strings.CutPrefix(hosts, "|1|"); ok {
		salt, sum, _ := strings.Cut(hashed, "|")
		key, err := base64.StdEncoding.DecodeString(salt)
		return err == nil && sum == hashName(key, name)
	}
	return Authority{Hosts: strings.Split(hosts, ",")}.Covers(name)
}

// hashName is the second part of a hashed name (sshd(8)): base64.
func hashName(salt []byte, name string) string {
	mac := hmac.New(sha1.New, salt)
	mac.Write([]byte(name))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
