// Package sshdtest starts real OpenSSH servers for tests: each with its own
// host keys, configuration and loopback address, away from the machine's own
// sshd and /etc/ssh, several at a time if need be. It is no server to leave
// running: one that is started with Start ends with its test.
package sshdtest

import "testing"

// Options says what server to start. The zero value is a server with one
// Ed25519, one ECDSA and one RSA host key on an address of its own, port 2222.
type Options struct {
	Address  string   // a 127.x.y.z that nobody else listens on; "" picks one
	Port     int      // 0 means 2222
	KeyTypes []string // of "ed25519", "ecdsa", "ecdsa384", "ecdsa521", "rsa", "rsa1024"
	Config   []string // further lines for sshd_config; they win over the defaults
}

// Server is a running sshd.
type Server struct {
	Address  string
	Port     int
	Dir      string // its configuration, host keys and log
	User     string // who can log in, with the private key in Identity
	Identity string
}

// Start starts a server that stops when the test ends. The test is skipped
// where there is no sshd, and fails there if CI=true.
func Start(t testing.TB, o Options) *Server { panic("not yet") }

// New is Start without a test: the caller closes the server. Its files go
// into dir.
func New(dir string, o Options) (*Server, error) { panic("not yet") }

// PublicKeys returns the host keys as public key lines without comments, in
// the order of the key types.
func (s *Server) PublicKeys() []string { panic("not yet") }

// ChangeKeys restarts the server with fresh host keys of these types; with
// the same types as before if none are given.
func (s *Server) ChangeKeys(types ...string) error { panic("not yet") }

// Stop stops the server; Restart brings it back with the same keys.
func (s *Server) Stop() error { panic("not yet") }

// Restart starts a stopped server again, on the same address.
func (s *Server) Restart() error { panic("not yet") }
