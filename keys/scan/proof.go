package scan

import (
	"errors"
	"fmt"
	"slices"

	"ltskeeper/keys"

	"golang.org/x/crypto/ssh"
)

const (
	hostKeysRequest = "hostkeys-00@openssh.com"
	proveRequest    = "hostkeys-prove-00@openssh.com"

	maxListed = 32 // sshd has one key of a type, rarely two
)

// A listError is what is wrong with a server's list of its keys.
type listError string

func (e listError) Error() string { return string(e) }

// parseHostKeys reads the payload of hostkeys-00: the server's host keys, each an SSH string. Of
// types that are not known here only the type is looked at. Certificates and what is listed twice
// are left out.
func parseHostKeys(payload []byte) ([]keys.Key, error) {
	var list []keys.Key
	for n := 0; len(payload) > 0; n++ {
		blob, rest, ok := cutString(payload)
		if !ok {
			return nil, listError("its list of host keys is cut off")
		}
		if n == maxListed {
			return nil, listError(fmt.Sprintf("it lists more than %d host keys", maxListed))
		}
		payload = rest
		k, err := keys.ParseBlob(blob)
		if err != nil {
			return nil, listError(fmt.Sprintf("its list of host keys cannot be read: %.120q", err.Error()))
		}
		if !k.IsCertificate() && !keys.Contains(list, k) {
			list = append(list, k)
		}
	}
	return list, nil
}

// isProvable reports whether a server can prove to have the key: its type is known here, and it is
// none that is refused anyway.
func isProvable(k keys.Key) bool { return keys.CanVerify(k.Type) && k.Weakness() == nil }

// formatProofRequest returns the payload of hostkeys-prove-00 for these keys.
func formatProofRequest(list []keys.Key) (b []byte) {
	for _, k := range list {
		b = append(b, ssh.Marshal(struct{ Blob []byte }{k.Blob})...)
	}
	return b
}

// formatProof returns what a server signs with a key to prove that it has it in the session.
func formatProof(session []byte, k keys.Key) []byte {
	return ssh.Marshal(struct {
		Request       string
		Session, Blob []byte
	}{proveRequest, session, k.Blob})
}

// checkProofs reads the reply to hostkeys-prove-00: a signature for each key that was asked about,
// in their order. It returns an error for each key, nil for one that is proven.
func checkProofs(reply, session []byte, asked []keys.Key) []error {
	faults := make([]error, len(asked))
	for i, k := range asked {
		signature, rest, ok := cutString(reply)
		if !ok {
			faults[i] = errors.New("the signature is missing")
			reply = nil
			continue
		}
		reply = rest
		faults[i] = checkProof(signature, session, k)
	}
	if len(reply) > 0 { // an answer to another question proves nothing
		for i := range faults {
			faults[i] = errors.New("the reply has more in it than was asked for")
		}
	}
	return faults
}

// checkProof checks one signature. An RSA key signs with SHA-2, or proves nothing.
func checkProof(signature, session []byte, k keys.Key) error {
	var sig ssh.Signature
	if ssh.Unmarshal(signature, &sig) != nil || len(sig.Rest) > 0 {
		return errors.New("the signature cannot be read")
	}
	if !slices.Contains(keys.SignatureAlgorithms(k.Type), sig.Format) {
		return fmt.Errorf("the signature is of the kind %.40q", sig.Format)
	}
	public, err := ssh.ParsePublicKey(k.Blob)
	if err != nil {
		return cleanError(err)
	}
	if public.Verify(formatProof(session, k), &sig) != nil {
		return errors.New("the signature is not of this key and this session")
	}
	return nil
}
