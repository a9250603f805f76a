// Package derive renders what ltskeeper writes for others: known_hosts and lts.conf for the
// clients, and the servers' keys in the formats of other tools.
//
// All of it is a pure function of a Record: the same declaration and the same keys give the same
// bytes. The package opens no file and asks nobody.
package derive

import (
	"bytes"
	"fmt"

	"ltskeeper/farm"
	"ltskeeper/keys"
)

// A Record is a declaration, and what is known of the keys of its servers.
type Record struct {
	Farm        *farm.Farm
	Trusted     map[string][]keys.Stored // keys, by server
	Certified   map[string]bool          // whether a server is trusted by a certificate
	Revoked     []keys.Stored
	Quarantined []string // servers, those that have been in quarantine for longest first
	Secret      []byte   // for the names in known_hosts; empty if they are not hashed
}

// IsTrusted reports whether clients have a key of the server, or take its certificate.
func (r *Record) IsTrusted(server string) bool {
	return len(r.Trusted[server]) > 0 || r.Certified[server]
}

// The files that clients get, by their path in the client root.
const (
	KnownHostsPath = "etc/ssh/ssh_known_hosts"
	LTSConfPath    = "etc/lts.conf"
)

// Mark begins the first line of every text file that ltskeeper writes. A file without it belongs to
// somebody else.
const Mark = "# Written by ltskeeper"

// IsOurs reports whether ltskeeper wrote a file that holds data.
func IsOurs(data []byte) bool { return bytes.HasPrefix(data, []byte(Mark)) }

// renderHeader returns the first line of a file for clients, which names the file to edit instead.
func renderHeader(edit string) string {
	return fmt.Sprintf("%s: changes here are lost. Edit %s instead, then run: ltskeeper update-image\n", Mark, edit)
}
