// Package sshdtest starts real OpenSSH servers for tests: each with its own host keys,
// configuration and loopback address, away from the machine's own sshd and /etc/ssh, several at a
// time if need be. It is no server to leave running: one that is started with Start ends with its
// test.
package sshdtest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ltskeeper/internal/testkit"
)

// ErrNoServer is why New fails where sshd is not installed.
var ErrNoServer = errors.New("find sshd: not installed (apt-get install openssh-server)")

// Options says what server to start. The zero value is a server with an Ed25519, an ECDSA and an
// RSA host key on an address of its own, port 2222.
type Options struct {
	Address  string   // a 127.x.y.z that nobody else listens on; "" picks one
	Port     int      // 0 means 2222
	KeyTypes []string // of "ed25519", "ecdsa", "ecdsa384", "ecdsa521", "rsa", "rsa1024"
	Config   []string // further lines for sshd_config; they win over the defaults
	Root     string   // the sshd of the Debian in this folder, in which the server's own then is
}

// Server is an sshd with its own files. Its user may log in with the private key in Identity and
// run commands; with the one in Restricted, may only log in.
type Server struct {
	Address    string
	Port       int
	Dir        string // sshd_config, host keys and log
	User       string // the user who runs the test
	Identity   string // path of the private key
	Restricted string // path of the private key

	root    string // "" for this machine's own
	config  []string
	keys    []hostKey
	made    int // host keys so far
	process *os.Process
	ended   chan struct{} // closed once the process is gone
}

// StartIPv6 is Start at a free port of ::1. It skips the test if this machine has no such address.
func StartIPv6(t testing.TB, o Options) *Server {
	t.Helper()
	probe, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip(err)
	}
	o.Address, o.Port = "::1", probe.Addr().(*net.TCPAddr).Port
	probe.Close()
	return Start(t, o)
}

// Start starts a server that stops when the test ends. It needs sshd.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := New(t.TempDir(), o)
	if errors.Is(err, ErrNoServer) {
		testkit.Need(t, err)
	}
	testkit.Must(t, err)
	t.Cleanup(s.Stop)
	return s
}

// New is Start without a test: the caller stops the server, and owns dir, into which its files go.
func New(dir string, o Options) (*Server, error) {
	me, err := user.Current()
	if err != nil {
		return nil, fmt.Errorf("start sshd: %w", err)
	}
	s := &Server{
		Address: o.Address, Port: o.Port, Dir: dir,
		User: me.Username, Identity: filepath.Join(dir, "identity"), Restricted: filepath.Join(dir, "restricted"),
		config: o.Config, root: o.Root,
	}
	if s.Port == 0 {
		s.Port = 2222
	}
	if err := s.authorize(); err != nil {
		return nil, err
	}
	types := o.KeyTypes
	if len(types) == 0 {
		types = []string{"ed25519", "ecdsa", "rsa"}
	}
	if err := s.makeHostKeys(types); err != nil {
		return nil, err
	}
	if s.Address != "" {
		return s, s.Restart()
	}
	for range 20 { // addresses: another process may be quicker to take one
		s.Address = fmt.Sprintf("127.%d.%d.%d", 16+rand.IntN(224), rand.IntN(256), 1+rand.IntN(254))
		if err = s.Restart(); !errors.Is(err, errEnded) {
			break
		}
	}
	return s, err
}

// PublicKeys returns the host keys as public key lines without comments, in the order of the key
// types.
func (s *Server) PublicKeys() []string {
	var lines []string
	for _, k := range s.keys {
		lines = append(lines, k.public)
	}
	return lines
}

// ChangeKeys restarts the server with fresh host keys of these types; of the same types as before
// if none are given.
func (s *Server) ChangeKeys(types ...string) error {
	if len(types) == 0 {
		for _, k := range s.keys {
			types = append(types, k.typ)
		}
	}
	if err := s.makeHostKeys(types); err != nil {
		return err
	}
	return s.Restart()
}

// AddKey restarts the server with a further host key. Of several of one type sshd shows the first,
// and lists all.
func (s *Server) AddKey(typ string) error {
	k, err := s.makeHostKey(typ)
	if err != nil {
		return err
	}
	s.keys = append(s.keys, k)
	return s.Restart()
}

// DropKey restarts the server without the first of its host keys of a type.
func (s *Server) DropKey(typ string) error {
	i := slices.IndexFunc(s.keys, func(k hostKey) bool { return k.typ == typ })
	if i < 0 {
		return fmt.Errorf("drop host key: there is none of type %s", typ)
	}
	s.keys = slices.Delete(s.keys, i, i+1)
	return s.Restart()
}

// Certify restarts the server with a certificate for each of its host keys, made by ssh-keygen with
// the private key of a CA and these arguments (-n, -V). Keys that it gets later have none.
func (s *Server) Certify(ca string, args ...string) error {
	for i := range s.keys {
		all := append([]string{"-q", "-s", ca, "-h", "-I", "host"}, args...)
		out, err := exec.Command("ssh-keygen", append(all, s.keys[i].path+".pub")...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("certify host key: %w\n%s", err, out)
		}
		s.keys[i].certified = true
	}
	return s.Restart()
}

// Stop stops the server and waits until it is gone. It can be restarted.
func (s *Server) Stop() {
	if s.process == nil {
		return
	}
	s.process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(5 * time.Second):
		s.process.Kill()
		<-s.ended
	}
	s.process = nil
}

// Restart starts the server again, on the same address with the same keys.
func (s *Server) Restart() error {
	s.Stop()
	config := filepath.Join(s.Dir, "sshd_config")
	if err := os.WriteFile(config, []byte(s.render()), 0o600); err != nil {
		return err
	}
	sshd, err := find(s.root)
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(s.Dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	args := []string{sshd, "-D", "-e", "-f", s.inside(config)}
	if s.root != "" {
		args = append([]string{"chroot", s.root}, args...)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stderr = log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}

	ended, started := make(chan struct{}), make(chan error)
	go func() {
		// The kernel ties Pdeathsig to the thread, which must live as long.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(ended)
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start sshd: %w", err)
	}
	s.process, s.ended = cmd.Process, ended
	if err := s.wait(); err != nil {
		s.Stop()
		said, _ := os.ReadFile(log.Name())
		return fmt.Errorf("start sshd on %s port %d: %w\n%s", s.Address, s.Port, err, said)
	}
	return nil
}

var errEnded = errors.New("it ended at once")

// wait returns once the server listens. The connection that finds out closes before it says
// anything.
func (s *Server) wait() error {
	for start := time.Now(); time.Since(start) < 20*time.Second; time.Sleep(10 * time.Millisecond) {
		select {
		case <-s.ended:
			return errEnded
		default:
		}
		said, err := os.ReadFile(filepath.Join(s.Dir, "log"))
		if err != nil {
			return err
		}
		if strings.Contains(string(said), "Server listening on") {
			return nil
		}
	}
	return errors.New("it does not listen")
}

// render is the configuration. Of two equal keywords sshd takes the first.
func (s *Server) render() string {
	lines := append([]string(nil), s.config...)
	for _, k := range s.keys {
		lines = append(lines, "HostKey "+s.inside(k.path))
		if k.certified {
			lines = append(lines, "HostCertificate "+s.inside(k.path)+"-cert.pub")
		}
	}
	lines = append(lines,
		"ListenAddress "+net.JoinHostPort(s.Address, strconv.Itoa(s.Port)),
		"PidFile none",
		"AuthorizedKeysFile "+s.inside(filepath.Join(s.Dir, "authorized_keys")),
		"StrictModes no",
		"UsePAM no",
		"PasswordAuthentication no",
		"KbdInteractiveAuthentication no",
		"PermitRootLogin yes",
		// A shell reads its user's files even for a single command, and what they print would come
		// before what it says.
		"SetEnv HOME="+s.inside(s.Dir),
	)
	return strings.Join(lines, "\n") + "\n"
}

// inside is a path as the server sees it.
func (s *Server) inside(path string) string { return strings.TrimPrefix(path, s.root) }

// A hostKey is a pair of files, PATH and PATH.pub, as ssh-keygen leaves them.
type hostKey struct {
	typ, path, public string
	certified         bool // PATH-cert.pub is there, too
}

func (s *Server) makeHostKey(typ string) (hostKey, error) {
	s.made++
	path := filepath.Join(s.Dir, "host_key_"+strconv.Itoa(s.made))
	public, err := writeKeyPair(typ, path)
	return hostKey{typ: typ, path: path, public: public}, err
}

func (s *Server) makeHostKeys(types []string) error {
	s.keys = nil
	for _, typ := range types {
		k, err := s.makeHostKey(typ)
		if err != nil {
			return err
		}
		s.keys = append(s.keys, k)
	}
	return nil
}

// authorize makes the keys that the user may log in with.
func (s *Server) authorize() error {
	full, err := writeKeyPair("ed25519", s.Identity)
	if err != nil {
		return err
	}
	restricted, err := writeKeyPair("ed25519", s.Restricted)
	if err != nil {
		return err
	}
	lines := full + "\n" + `restrict,command="/bin/false" ` + restricted + "\n"
	return os.WriteFile(filepath.Join(s.Dir, "authorized_keys"), []byte(lines), 0o600)
}

// find finds sshd, which must be called by its full path, and makes the empty folder that it wants
// for its unprivileged half.
func find(root string) (string, error) {
	sshd, err := exec.LookPath("sshd")
	if err != nil || root != "" {
		sshd = "/usr/sbin/sshd"
		if _, err := os.Stat(root + sshd); err != nil {
			return "", ErrNoServer
		}
	}
	if os.Getuid() == 0 {
		if err := os.MkdirAll(root+"/run/sshd", 0o755); err != nil {
			return "", fmt.Errorf("start sshd: %w", err)
		}
	}
	return sshd, nil
}
