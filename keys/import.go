package keys

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Imported is what became of keys that a person brought from elsewhere.
type Imported struct {
	New       []Stored     // trusted from now on
	Known     []Stored     // trusted before
	Conflicts []Stored     // of a type of which another key is trusted: they wait for a person
	Refused   []RefusedKey // never trusted, and why
}

// RefusedKey is a key that was offered and cannot be trusted.
type RefusedKey struct {
	Stored
	Err error // why
}

// Import trusts keys that a person brought from elsewhere, as far as they replace none: one of a
// type of which another key is trusted, or that a person has rejected, waits to be accepted.
func (s *Store) Import(p Policy, offered []Stored, now time.Time) (Imported, error) {
	var done Imported
	r, err := s.record(p)
	if err != nil {
		return done, err
	}
	r.rejected = slices.Concat(r.rejected, r.recall(Plain(offered)))
	after := record{trusted: slices.Clone(r.trusted), waiting: slices.Clone(r.waiting), certs: r.certs}
	for _, k := range offered {
		switch reason := s.refusal(p, k.Key); {
		case reason != nil:
			done.Refused = append(done.Refused, RefusedKey{k, reason})
		case contains(r.trusted, k):
			done.Known = append(done.Known, remember(k.Key, r.trusted, Origin{}))
		case contains(after.trusted, k), contains(done.Conflicts, k): // twice in what is imported
		case hasType(after.trusted, k.Type), contains(r.rejected, k):
			imported := Stored{k.Key, stampOrigin(HowImported, now)}
			done.Conflicts = append(done.Conflicts, imported)
			if !contains(after.waiting, k) {
				after.waiting = append(after.waiting, imported)
			}
		default:
			imported := Stored{k.Key, stampOrigin(HowImported, now)}
			done.New = append(done.New, imported)
			after.trusted = append(after.trusted, imported)
		}
	}
	if len(after.waiting) > maxPending {
		return Imported{}, fmt.Errorf("import keys of %s: more than %d would wait for a decision", p.Name, maxPending)
	}
	after.waiting = slices.DeleteFunc(after.waiting, func(k Stored) bool { return contains(after.trusted, k) })
	for _, k := range r.rejected {
		if !contains(after.waiting, k) {
			after.rejected = append(after.rejected, k)
		}
	}
	sortKeys(after.trusted)
	c := change{server: p.Name, before: r, after: after}
	if len(done.New)+len(done.Conflicts) > 0 {
		c.names = append([]string{p.Name}, p.Names...)
	}
	return done, s.commit(now, "imported", nil, c)
}

func (s *Store) refusal(p Policy, k Key) error {
	switch {
	case s.isRevoked(k):
		return errors.New("it is revoked")
	case k.Weakness() != nil:
		return k.Weakness()
	case !pinned(p.Pins, k):
		return fmt.Errorf("%s has pins, and this is none of them", p.Name)
	}
	return nil
}

// For reports whether the line holds a key of a server with one of these names, as OpenSSH looks
// them up for the port: a public key line is for every name.
func (l Line) For(names []string, port int) bool {
	if l.Hosts == "" {
		return true
	}
	for _, name := range names {
		name = canonicalName(name)
		if matchHosts(l.Hosts, name) || matchHosts(l.Hosts, hostPort(name, port)) {
			return true
		}
	}
	return false
}

// Names reports whether the line holds a key of a server with one of these names, and each of its
// own names is one name: no pattern, which is for others as well.
func (l Line) Names(names []string, port int) bool {
	return l.Marker == "" && l.Hosts != "" && !strings.ContainsAny(l.Hosts, "*?!") && l.For(names, port)
}

// matchHosts is OpenSSH's match_hostname and, for a hashed name, its comparison.
func matchHosts(hosts, name string) bool {
	if hashed, ok := strings.CutPrefix(hosts, "|1|"); ok {
		salt, sum, _ := strings.Cut(hashed, "|")
		key, err := base64.StdEncoding.DecodeString(salt)
		return err == nil && sum == hashName(key, name)
	}
	return Authority{Hosts: strings.Split(hosts, ",")}.covers(name)
}

// hashName is the second part of a hashed name (sshd(8)): base64.
func hashName(salt []byte, name string) string {
	mac := hmac.New(sha1.New, salt)
	mac.Write([]byte(name))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// SSHFP is the key's fingerprint as a DNS record's data (RFC 4255, 6594, 7479): algorithm, 2 for
// SHA-256, and hexadecimal digits. ok is false for a type that has no number.
func (k Key) SSHFP() (data string, ok bool) {
	algorithm := 0
	switch {
	case k.Type == "ssh-rsa":
		algorithm = 1
	case strings.HasPrefix(k.Type, "ecdsa-sha2-"):
		algorithm = 3
	case k.Type == "ssh-ed25519":
		algorithm = 4
	default:
		return "", false
	}
	return fmt.Sprintf("%d 2 %x", algorithm, k.sum()), true
}
