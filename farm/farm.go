// Package farm reads what an admin declares about a thin-client farm: ltskeeper.toml, one file for
// each application server in servers.d beside it, and the admin's own lts.conf and
// known_hosts.local.
//
// Load reads and checks all of it at once. It returns either a Farm in which everything holds
// together, or every mistake there is, each with its file, line, column, key and remedy. AddServer
// and RemoveServer change one file of servers.d, and only if the declaration is sound with the
// change.
//
// It opens no network connection, and reads no key and no client root: other packages find out
// whether a server answers and whether a chroot is one.
package farm

import (
	"time"

	"ltskeeper/internal/state"
	"ltskeeper/keys"
	"ltskeeper/ldm"
	"ltskeeper/ltsconf"
)

// A Farm is a sound declaration. Every path in it is absolute; a relative one in ltskeeper.toml
// counts from the folder of that file.
type Farm struct {
	Path  string // ltskeeper.toml
	Dir   string // the folder it is in
	State state.Folder

	Collect Collect
	Image   Image
	TFTP    string   // the folder from which clients fetch their kernel, initrd and lts.conf
	Chroots []Chroot // as declared
	LTSConf LTSConf
	Balance Balance
	Clients []Client // as declared
	Servers []Server // sorted by name

	Authorities     []keys.Authority // whose host certificates clients take, as declared
	Aliases         []Alias          // as declared
	LTSP            LTSP
	MetricsFile     string // where node_exporter reads figures; ends in .prom; empty: none are written
	HashKnownHosts  bool   // whether names are hashed in known_hosts
	KnownHostsLocal []byte // known_hosts.local, every line of which OpenSSH reads; nil without one

	ltsConfs map[string]*ltsconf.File // the sources of lts.conf by path
}

// Collect says how host keys are scanned.
type Collect struct {
	Timeout     time.Duration // per connection, above zero
	Parallel    int           // connections at once, at least 1
	FirstUse    bool          // whether a server that never had a key is trusted with those that it shows
	Login       *Login        // how servers are logged in to, nil if they are only scanned
	RetireAfter time.Duration // how long a key stays trusted that its server lists no more
}

// Image says how client images are made and how long they are kept.
type Image struct {
	Directory   string
	Compression string        // "zstd", "gzip" or "lz4"
	Keep        int           // generations, at least 1
	KeepFor     time.Duration // and each for at least this long after it was replaced

	AllowSecrets []string // patterns, as of excludes, of files with secrets that are meant to be in images
}

// A Chroot is a client's root file system, from which one image is made.
type Chroot struct {
	Name            string // of the image and of its folder below Farm.TFTP
	Path            string
	Exclude         []string // patterns of what stays out of the image
	ExcludeDefaults bool     // whether the built-in list stays out as well
	Write           bool     // false: known_hosts and lts.conf go into the image only
	Mounts          []string // mounted file systems in it that belong to the image, beside those of the system itself
	NoMounts        bool     // none of them belongs to the image
	IDOffset        uint32   // what to take off its uids and gids; 0: nothing
	LTSConf         string   // the admin's lts.conf for it, which need not exist if it is the default one
}

// LTSConf says what ltskeeper sets in the [default] section of lts.conf.
type LTSConf struct {
	ByAddress bool // whether LDM_SERVER holds addresses instead of names
	Set       []Setting
}

// Balance says how clients choose between servers.
type Balance struct {
	Policy ldm.Policy
	// Binaries is the folder with a folder per architecture of clients (amd64, i386, arm64, armhf,
	// riscv64) with their programs in it; empty: clients get those beside ltskeeper.
	Binaries string
}

// A Login is the account on the servers in which they prove their host keys.
type Login struct {
	User     string
	Identity string // path of a private key or of an agent's socket; "" is the agent of SSH_AUTH_SOCK
}

// LTSP says what is done for LTSP's own log-in, since 2019.
type LTSP struct {
	KnownHosts string // the file that clients' pamltsp and SSHFS read, "" for none
	Initrd     bool   // run `ltsp initrd` after it changed
}

// A Client is a section of lts.conf.
type Client struct {
	Match string // MAC, IP address, host name, or a glob of one
	Group string // if not empty, LDM_SERVER there lists only this group's servers
	Set   []Setting
}

// A Setting is a line of lts.conf. Its value is safe in a client's shell.
type Setting struct {
	Key, Value string
}

// An Alias is a name that several servers answer to, such as that of a floating address, or
// `server`, by which LTSP's clients know where to log in.
type Alias struct {
	Name   string
	Groups []string // of the servers; none: all servers
}

// A Server is an application server.
type Server struct {
	Name      string   `json:"name"`
	Addresses []string `json:"addresses,omitempty"` // IP addresses or names to connect to; none: the name is resolved
	Port      int      `json:"port"`
	Aliases   []string `json:"aliases,omitempty"`
	Groups    []string `json:"groups,omitempty"`
	Weight    float64  `json:"weight"`         // above zero; 1 is usual
	Pins      []string `json:"pins,omitempty"` // fingerprints, SHA256:... as ssh-keygen prints them
}
