package keys

import (
	"bytes"
	"crypto/ecdh"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// key makes a key from its short name: a letter for the type, and a number. The same name is always
// the same key.
//
//	e Ed25519, c ECDSA, r RSA, w RSA of 1,024 bits, x a type unknown here
func key(name string) Key {
	if k, ok := made.Load(name); ok {
		return k.(Key)
	}
	k := makeKey(name)
	made.Store(name, k)
	return k
}

var made sync.Map

func makeKey(name string) Key {
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
	k, err := parseBlob(blob)
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

// keysOf makes keys from their names, separated by blanks.
func keysOf(names string) (keys []Key) {
	for _, name := range strings.Fields(names) {
		keys = append(keys, key(name))
	}
	return keys
}

// storedKeys are keys from their names, with a comment that somebody may have written.
func storedKeys(names, comment string) (list []Stored) {
	for _, k := range keysOf(names) {
		list = append(list, Stored{k, parseOrigin(comment)})
	}
	return list
}

// namesOf is the inverse of keysOf, sorted, for keys with a number under ten.
func namesOf[K anyKey](list []K) string {
	var names []string
	for _, k := range list {
		k := k.plain()
		name := k.Fingerprint()
		for _, letter := range "ecrwx" {
			for n := range 10 {
				if candidate := fmt.Sprintf("%c%d", letter, n); key(candidate).Equal(k) {
					name = candidate
				}
			}
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// sameKeys reports whether two lists hold the same keys.
func sameKeys[K, L anyKey](a []K, b []L) bool {
	strange := func(k K) bool { return !contains(b, k) }
	return len(a) == len(b) && !slices.ContainsFunc(a, strange)
}

// sight makes a sighting, an address each: the names of the keys that it shows, "!" if it then
// failed, "+e" if it offers a type that it did not show.
func sight(addresses ...string) Sighting {
	s := Sighting{Target: Target{Name: "app01", Port: 22}}
	for i, text := range addresses {
		a := AddressSighting{Address: fmt.Sprintf("10.0.0.%d", i+1)}
		for _, word := range strings.Fields(text) {
			switch {
			case word == "!":
				a.Err = &ScanError{Name: "app01", Address: a.Address, Port: 22, Kind: KindTimeout,
					Err: errors.New("silence")}
			case word[0] == '+':
				a.Offered = append(a.Offered, key(word[1:]+"1").Type)
			default:
				a.Keys = append(a.Keys, key(word))
				a.Offered = append(a.Offered, key(word).Type)
			}
		}
		s.Addresses = append(s.Addresses, a)
	}
	return s
}

// tool returns the path of a program that the test needs.
func tool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return path
}

func sshString(s string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(s))), s...)
}
