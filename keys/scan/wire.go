package scan

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"

	"ltskeeper/keys"

	"golang.org/x/crypto/ssh"
)

// Bounds on what a server may send before its key is known. OpenSSH sends about 3 KiB; one packet
// may have 35,000 bytes (RFC 4253, section 6.1).
const (
	maxReceived = 256 << 10
	maxOpening  = 64 << 10
)

var errFlood = errors.New("sends far more than a key exchange takes")

// wire is a connection that reads a bounded number of bytes and remembers how the server opened:
// version and first KEXINIT pass it in plain text.
type wire struct {
	net.Conn
	reader *bufio.Reader // the version is read byte by byte
	left   int

	// The connection may read on a little after it has said that it failed.
	mu      sync.Mutex
	start   []byte // what it read first
	failure error  // the first that Read returned
}

// parseStart is how the server opened the connection.
func (w *wire) parseStart() opening {
	w.mu.Lock()
	defer w.mu.Unlock()
	return parseOpening(w.start)
}

// failed is why nothing can be read any more, if so.
func (w *wire) failed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failure
}

func newWire(conn net.Conn) *wire {
	return &wire{Conn: conn, reader: bufio.NewReader(conn), left: maxReceived}
}

func (w *wire) Read(p []byte) (n int, err error) {
	if w.left == 0 {
		err = errFlood
	} else {
		n, err = w.reader.Read(p[:min(len(p), w.left)])
	}
	w.left -= n
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failure == nil {
		w.failure = err
	}
	w.start = append(w.start, p[:min(n, maxOpening-len(w.start))]...)
	return n, err
}

// opening is how a server opens a connection.
type opening struct {
	preface    string // what it said before its version, or instead of it
	version    string // "SSH-2.0-OpenSSH_9.2"; "" if none came
	algorithms string // for host keys, from the first KEXINIT, comma-separated
}

// offers reports whether the server has one of the algorithms.
func (o opening) offers(algorithms []string) bool {
	for name := range strings.SplitSeq(o.algorithms, ",") {
		if slices.Contains(algorithms, name) {
			return true
		}
	}
	return false
}

// parseOpening reads the opening off a connection's first bytes, even if some are missing (RFC
// 4253, sections 4.2 and 7.1).
func parseOpening(b []byte) opening {
	var o opening
	rest := b
	for {
		line, after, whole := bytes.Cut(rest, []byte("\n"))
		if !whole {
			o.preface = string(b)
			return o
		}
		if bytes.HasPrefix(line, []byte("SSH-")) {
			o.preface = string(b[:len(b)-len(rest)])
			o.version = strings.TrimRight(string(line), "\r")
			rest = after
			break
		}
		rest = after
	}
	var packet struct { // RFC 4253, section 6
		Content []byte // the padding's length, the payload, the padding
		Rest    []byte `ssh:"rest"`
	}
	var kexInit struct {
		Cookie       [16]byte `sshtype:"20"`
		KeyExchanges string
		HostKeys     string
		Rest         []byte `ssh:"rest"`
	}
	if ssh.Unmarshal(rest, &packet) == nil && len(packet.Content) > 1 &&
		ssh.Unmarshal(packet.Content[1:], &kexInit) == nil {
		o.algorithms = kexInit.HostKeys
	}
	return o
}

// cutString splits an SSH string off b (RFC 4251, section 5).
func cutString(b []byte) (s, rest []byte, ok bool) {
	var cut struct {
		S    []byte
		Rest []byte `ssh:"rest"`
	}
	err := ssh.Unmarshal(b, &cut)
	return cut.S, cut.Rest, err == nil
}

// listKeyTypes turns host key algorithms into key types: RSA keys sign under several names. A
// hostile server's list is cut short.
func listKeyTypes(algorithms string) []string {
	const most = 64
	var types []string
	for name := range strings.SplitSeq(algorithms, ",") {
		if name == "rsa-sha2-256" || name == "rsa-sha2-512" {
			name = "ssh-rsa"
		}
		if keys.IsKeyType(name) && !slices.Contains(types, name) && len(types) < most {
			types = append(types, name)
		}
	}
	return types
}
