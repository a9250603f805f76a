package sshdtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"
)

// writeKeyPair makes a key pair, writes the private key to path and the public one to path.pub, and
// returns that as a line.
func writeKeyPair(typ, path string) (string, error) {
	private, err := generate(typ)
	if err != nil {
		return "", fmt.Errorf("generate %s key: %w", typ, err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		return "", fmt.Errorf("generate %s key: %w", typ, err)
	}
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		return "", err
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return "", fmt.Errorf("generate %s key: %w", typ, err)
	}
	public := ssh.MarshalAuthorizedKey(signer.PublicKey())
	return strings.TrimSpace(string(public)), os.WriteFile(path+".pub", public, 0o644)
}

func generate(typ string) (crypto.PrivateKey, error) {
	switch typ {
	case "ed25519":
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	case "ecdsa":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ecdsa384":
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ecdsa521":
		return ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "rsa":
		return rsa.GenerateKey(rand.Reader, 2048)
	case "rsa1024":
		return rsa.GenerateKey(rand.Reader, 1024)
	}
	return nil, errors.New("no such type")
}
