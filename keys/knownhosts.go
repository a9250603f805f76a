package keys

import "fmt"

// Host is a server as it stands in known_hosts.
type Host struct {
	Names []string // name, aliases, addresses; letters, digits, '.', '-', '_', ':' only
	Port  int      // 0 means 22
	Keys  []Key    // one line each
}

// RenderKnownHosts renders OpenSSH's known_hosts (sshd(8), SSH_KNOWN_HOSTS FILE
// FORMAT): the header, which is one or more comment lines; the hosts sorted by
// their first name; a revocation for each revoked key under every name; and
// local, byte by byte. The same arguments give the same bytes.
func RenderKnownHosts(header string, hosts []Host, revoked []Key, local []byte) []byte {
	panic("not yet")
}

// LineError is a line that OpenSSH would skip.
type LineError struct {
	Line int // from 1
	Msg  string
}

func (e LineError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Msg) }

// CheckKnownHosts returns the lines of a known_hosts file that OpenSSH would
// not read. Key types that are unknown here are no mistake.
func CheckKnownHosts(data []byte) []LineError { panic("not yet") }
