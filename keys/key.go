// Package keys holds the formats of SSH host keys: public keys and their fingerprints,
// certificates, known_hosts, and the type Sighting. It opens no connection and no file, and trusts
// nothing.
//
//	scan.Scanner -> Sighting -> trust.Store -> Stored -> RenderKnownHosts
package keys

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Key is a public host key as it is in OpenSSH's files. The blob is the encoding of RFC 4253,
// section 6.6: for types this package does not know it is carried as it is.
type Key struct {
	Type string // "ssh-ed25519"
	Blob []byte // begins with the type as an SSH string
}

const (
	typeDSA  = "ssh-dss"
	certMark = "-cert-v0" // in the type of every certificate

	maxBlob  = 16 << 10 // an RSA key of 16,384 bits has 2 KiB, ML-DSA-87 2.6 KiB
	minRSA   = 2048     // bits
	soundRSA = 3072
)

// ParseKey reads one line of an OpenSSH public key file: type, base64 blob and an optional comment,
// separated by blanks (sshd(8), AUTHORIZED_KEYS FILE FORMAT, without options). A key of a type that
// this package knows must be well formed; of any other only the type inside the blob is compared.
func ParseKey(line string) (Key, error) {
	k, _, err := ParseKeyLine(line)
	return k, err
}

// ParseKeyLine is ParseKey, and returns the comment as well: one line.
func ParseKeyLine(line string) (k Key, comment string, err error) {
	typ, rest := cutBlank(strings.TrimSpace(line))
	encoded, comment := cutBlank(rest)
	switch {
	case typ == "":
		return Key{}, "", errors.New("parse key: the line is empty")
	case !IsKeyType(typ):
		return Key{}, "", fmt.Errorf("parse key: %.40q is not a key type", typ)
	case encoded == "":
		return Key{}, "", fmt.Errorf("parse key: nothing follows %q", typ)
	case strings.ContainsFunc(comment, isControl):
		return Key{}, "", errors.New("parse key: control characters in the comment")
	}
	blob, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return Key{}, "", fmt.Errorf("parse key: %s key is not base64, it may be cut off: %w", typ, err)
	}
	key, err := ParseBlob(blob)
	if err != nil {
		return Key{}, "", fmt.Errorf("parse key: %w", err)
	}
	if key.Type != typ {
		return Key{}, "", fmt.Errorf("parse key: the line says %s, the key itself %.40q", typ, key.Type)
	}
	return key, comment, nil
}

// ParseBlob reads a key in its wire encoding. Two encodings of one key become the same blob, so
// that a key cannot be disguised from a revocation.
func ParseBlob(blob []byte) (Key, error) {
	typ, err := readBlobType(blob)
	if err != nil {
		return Key{}, err
	}
	if CanVerify(typ) || typ == typeDSA {
		public, err := ssh.ParsePublicKey(blob)
		if err != nil {
			return Key{}, fmt.Errorf("malformed %s key, it may be cut off: %w", typ, err)
		}
		blob = public.Marshal()
	}
	return Key{Type: typ, Blob: blob}, nil
}

// readBlobType is the key type at the start of a blob.
func readBlobType(blob []byte) (string, error) {
	if len(blob) > maxBlob {
		return "", fmt.Errorf("key of %d bytes, the most is %d", len(blob), maxBlob)
	}
	var head struct {
		Type string
		Rest []byte `ssh:"rest"`
	}
	if err := ssh.Unmarshal(blob, &head); err != nil || len(head.Rest) == 0 {
		return "", errors.New("key is cut off")
	}
	if !IsKeyType(head.Type) {
		return "", fmt.Errorf("%.40q is not a key type", head.Type)
	}
	return head.Type, nil
}

// IsFingerprint reports whether s is a fingerprint as Key.Fingerprint returns it.
func IsFingerprint(s string) bool {
	hash, hasPrefix := strings.CutPrefix(s, "SHA256:")
	sum, err := base64.RawStdEncoding.Strict().DecodeString(hash)
	return hasPrefix && err == nil && len(sum) == sha256.Size
}

// Fingerprint is the key's SHA-256 fingerprint as ssh-keygen prints it: "SHA256:" and 43 characters
// of base64.
func (k Key) Fingerprint() string {
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(k.sum())
}

func (k Key) sum() []byte {
	sum := sha256.Sum256(k.Blob)
	return sum[:]
}

// FormatLine is the key as a line of a public key file, without a comment and the newline.
func (k Key) FormatLine() string {
	return k.Type + " " + base64.StdEncoding.EncodeToString(k.Blob)
}

// Equal reports whether both are the same key.
func (k Key) Equal(other Key) bool { return bytes.Equal(k.Blob, other.Blob) }

// Weakness says why the key must not be trusted, whatever vouches for it: it is DSA, RSA under
// 2,048 bits, or no plain key but a certificate. It is nil for all other keys.
func (k Key) Weakness() error {
	switch {
	case k.Type == typeDSA:
		return errors.New("DSA is broken and OpenSSH has dropped it")
	case k.IsCertificate():
		return errors.New("it is a certificate, not a plain key")
	case k.Type == ssh.KeyAlgoRSA:
		if bits := countRSABits(k.Blob); bits < minRSA {
			return fmt.Errorf("RSA of %d bits is too short, %d is the least", bits, minRSA)
		}
	}
	return nil
}

// Caution returns a warning for keys that may be trusted but are weak (RSA under 3,072 bits), or
// "".
func (k Key) Caution() string {
	if bits := k.Bits(); k.Type == ssh.KeyAlgoRSA && bits < soundRSA {
		return fmt.Sprintf("weak: RSA of %d bits, %d would be sound", bits, soundRSA)
	}
	return ""
}

// IsCertificate reports whether it is a certificate that is carried as a Key.
func (k Key) IsCertificate() bool { return strings.Contains(k.Type, certMark) }

// countRSABits is the size of an RSA key's modulus, 0 if it has no proper one.
func countRSABits(blob []byte) int {
	public, err := ssh.ParsePublicKey(blob)
	if err != nil {
		return 0
	}
	crypto, ok := public.(ssh.CryptoPublicKey)
	if !ok {
		return 0
	}
	key, ok := crypto.CryptoPublicKey().(*rsa.PublicKey)
	if !ok || key.N.Sign() <= 0 {
		return 0
	}
	return key.N.BitLen()
}

// Bits is the size of the key as ssh-keygen prints it, 0 for types that this package does not know.
func (k Key) Bits() int {
	if k.Type == ssh.KeyAlgoRSA {
		return countRSABits(k.Blob)
	}
	return findKeyType(k.Type).bits
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// cutBlank splits s at its first run of blanks.
func cutBlank(s string) (before, after string) {
	i := strings.IndexAny(s, " \t")
	if i < 0 {
		return s, ""
	}
	return s[:i], strings.TrimLeft(s[i:], " \t")
}

// AnyKey is a key, whether its origin is known or not.
type AnyKey interface {
	Key | Stored
	plain() Key
}

func (k Key) plain() Key { return k }

// Contains reports whether the key is in the list, with whatever origin.
func Contains[K, L AnyKey](list []K, k L) bool {
	return slices.ContainsFunc(list, func(other K) bool { return other.plain().Equal(k.plain()) })
}

// HasType reports whether a key in the list is of the type.
func HasType[K AnyKey](list []K, typ string) bool {
	return slices.ContainsFunc(list, func(k K) bool { return k.plain().Type == typ })
}

// SSHFP is the key's fingerprint as a DNS record's data (RFC 4255, 6594, 7479): algorithm, 2 for
// SHA-256, and hexadecimal digits. ok is false for a type that has no number.
func (k Key) SSHFP() (data string, ok bool) {
	algorithm := findKeyType(k.Type).sshfp
	if algorithm == 0 {
		return "", false
	}
	return fmt.Sprintf("%d 2 %x", algorithm, k.sum()), true
}
