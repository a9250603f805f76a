package keys

import (
	"cmp"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// A KeyType is a type of host keys, and of certificates for them.
type KeyType struct {
	Name                  string   // of keys: "ssh-ed25519"
	Algorithms            []string // that a key of the type signs with
	Certificate           string   // the certificates' type
	CertificateAlgorithms []string

	short string // as ssh-keygen -l names it
	bits  int    // 0 if each key has its own size
	sshfp int    // its number in SSHFP records
}

// KeyTypes are the key types that can be asked for and the algorithms that ask for them, in the
// order of asking. RSA with SHA-1 and DSA are left out: a signature of theirs proves nothing.
var KeyTypes = []KeyType{
	{ssh.KeyAlgoED25519, []string{ssh.KeyAlgoED25519},
		ssh.CertAlgoED25519v01, []string{ssh.CertAlgoED25519v01}, "ED25519", 256, 4},
	{ssh.KeyAlgoECDSA256, []string{ssh.KeyAlgoECDSA256},
		ssh.CertAlgoECDSA256v01, []string{ssh.CertAlgoECDSA256v01}, "ECDSA", 256, 3},
	{ssh.KeyAlgoECDSA384, []string{ssh.KeyAlgoECDSA384},
		ssh.CertAlgoECDSA384v01, []string{ssh.CertAlgoECDSA384v01}, "ECDSA", 384, 3},
	{ssh.KeyAlgoECDSA521, []string{ssh.KeyAlgoECDSA521},
		ssh.CertAlgoECDSA521v01, []string{ssh.CertAlgoECDSA521v01}, "ECDSA", 521, 3},
	{ssh.KeyAlgoRSA, []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256},
		ssh.CertAlgoRSAv01, []string{ssh.CertAlgoRSASHA512v01, ssh.CertAlgoRSASHA256v01}, "RSA", 0, 1},
}

// findKeyType returns the type of that name, the zero value if it cannot be asked for.
func findKeyType(name string) KeyType {
	i := slices.IndexFunc(KeyTypes, func(t KeyType) bool { return t.Name == name })
	if i < 0 {
		return KeyType{}
	}
	return KeyTypes[i]
}

// SignatureAlgorithms returns the algorithms that a key of this type signs with; none for a type
// that cannot be asked for.
func SignatureAlgorithms(keyType string) []string { return findKeyType(keyType).Algorithms }

// CanVerify reports whether a server can be asked for keys of this type.
func CanVerify(keyType string) bool { return SignatureAlgorithms(keyType) != nil }

// ShortType returns a key type as ssh-keygen -l names it: "ED25519" for "ssh-ed25519".
func ShortType(keyType string) string { return cmp.Or(findKeyType(keyType).short, keyType) }

// IsKeyType reports whether s can be a key type: RFC 4251, section 6, and no character that means
// something in known_hosts.
func IsKeyType(s string) bool {
	const characters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._@+"
	return s != "" && len(s) <= 64 && s[0] != '@' && strings.Trim(s, characters) == ""
}
