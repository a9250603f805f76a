// Package keytest makes host keys, certificates and sightings for tests, the same ones each time.
package keytest

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ltskeeper/keys"

	"golang.org/x/crypto/ssh"
)

// Noon is the time in tests.
var Noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// Key makes a key from its short name: a letter for the type, and a number. The same name is always
// the same key.
//
//	e Ed25519, c ECDSA, r RSA, w RSA of 1,024 bits, x a type unknown here
func Key(name string) keys.Key {
	if k, ok := made.Load(name); ok {
		return k.(keys.Key)
	}
	k := makeKey(name)
	made.Store(name, k)
	return k
}

var made sync.Map

func makeKey(name string) keys.Key {
	seed := bytes.Repeat([]byte(name), 256)
	var blob []byte
	switch name[0] {
	case 'e':
		blob = ssh.Marshal(struct{ Type, Key string }{"ssh-ed25519", string(seed[:32])})
	case 'c':
		private, err := ecdh.P256().NewPrivateKey(seed[:32])
		if err != nil {
			panic(err)
		}
		blob = ssh.Marshal(struct{ Type, Curve, Point string }{
			"ecdsa-sha2-nistp256", "nistp256", string(private.PublicKey().Bytes())})
	case 'r':
		seed[0] |= 0x80
		blob = rsaBlob(new(big.Int).SetBytes(seed[:256]))
	case 'w':
		seed[0] |= 0x80
		blob = rsaBlob(new(big.Int).SetBytes(seed[:128]))
	case 'x':
		blob = ssh.Marshal(struct{ Type, Key string }{"ssh-mldsa-44@openssh.com", string(seed[:100])})
	default:
		panic("no key is called " + name)
	}
	k, err := keys.ParseBlob(blob)
	if err != nil {
		panic(err)
	}
	return k
}

func rsaBlob(n *big.Int) []byte {
	return ssh.Marshal(struct {
		Type string
		E, N *big.Int
	}{"ssh-rsa", big.NewInt(65537), n})
}

// Keys makes keys from their names, separated by blanks.
func Keys(names string) (list []keys.Key) {
	for _, name := range strings.Fields(names) {
		list = append(list, Key(name))
	}
	return list
}

// Stored makes keys from their names, with a comment that somebody may have written.
func Stored(names, comment string) (list []keys.Stored) {
	for _, k := range Keys(names) {
		list = append(list, keys.Stored{Key: k, Origin: keys.ParseOrigin(comment)})
	}
	return list
}

// Names is the inverse of Keys, sorted, for keys with a number under ten.
func Names[K interface{ Fingerprint() string }](list []K) string {
	var short []string
	for _, k := range list {
		name := k.Fingerprint()
		for _, letter := range "ecrwx" {
			for n := range 10 {
				if candidate := fmt.Sprintf("%c%d", letter, n); Key(candidate).Fingerprint() == name {
					name = candidate
				}
			}
		}
		short = append(short, name)
	}
	slices.Sort(short)
	return strings.Join(short, " ")
}

// Same reports whether two lists hold the same keys.
func Same[K, L keys.AnyKey](a []K, b []L) bool {
	strange := func(k K) bool { return !keys.Contains(b, k) }
	return len(a) == len(b) && !slices.ContainsFunc(a, strange)
}

// Sight makes a sighting, an address each: the names of the keys that it shows, "!" if it then
// failed, "+e" if it offers a type that it did not show.
func Sight(addresses ...string) keys.Sighting {
	var s keys.Sighting
	for i, text := range addresses {
		a := keys.AddressSighting{Address: fmt.Sprintf("10.0.0.%d", i+1)}
		for _, word := range strings.Fields(text) {
			switch {
			case word == "!":
				a.Err = errors.New("silence")
			case word[0] == '+':
				a.Offered = append(a.Offered, Key(word[1:]+"1").Type)
			default:
				a.Keys = append(a.Keys, Key(word))
				a.Offered = append(a.Offered, Key(word).Type)
			}
		}
		s.Addresses = append(s.Addresses, a)
	}
	return s
}

// SSHString returns s as an SSH string (RFC 4251, section 5).
func SSHString(s string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(s))), s...)
}

// Certificate makes a certificate for AppName that Signer("two") has signed.
func Certificate(t testing.TB) keys.Key {
	t.Helper()
	one, two := Signer("one"), Signer("two")
	cert := &ssh.Certificate{
		Key: one.PublicKey(), CertType: ssh.HostCert, ValidPrincipals: []string{AppName},
		ValidBefore: ssh.CertTimeInfinity,
	}
	if err := cert.SignCert(rand.Reader, two); err != nil {
		t.Fatal(err)
	}
	k, err := keys.ParseBlob(cert.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Signer makes an Ed25519 signer, the same one for the same text.
func Signer(text string) ssh.Signer {
	signer, err := ssh.NewSignerFromSigner(ed25519.NewKeyFromSeed(bytes.Repeat([]byte(text), 32)[:32]))
	if err != nil {
		panic(err)
	}
	return signer
}

// KeyOf returns a signer's key.
func KeyOf(t testing.TB, s ssh.Signer) keys.Key {
	t.Helper()
	k, err := keys.ParseBlob(s.PublicKey().Marshal())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// AppName is the full name of a server.
const AppName = "app01.example.org"
