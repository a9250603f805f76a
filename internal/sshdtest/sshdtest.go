// Package sshdtest starts real OpenSSH servers for tests: each with its own
// host keys, configuration and loopback address, away from the machine's own
// sshd and /etc/ssh, several at a time if need be. It is no server to leave
// running: one that is started with Start ends with its test.
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
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ErrNoServer is why New fails where sshd is not installed.
var ErrNoServer = errors.New("find sshd: not installed (apt-get install openssh-server)")

// Options says what server to start. The zero value is a server with an
// Ed25519, an ECDSA and an RSA host key on an address of its own, port 2222.
type Options struct {
	Address  string   // a 127.x.y.z that nobody else listens on; "" picks one
	Port     int      // 0 means 2222
	KeyTypes []string // of "ed25519", "ecdsa", "ecdsa384", "ecdsa521", "rsa", "rsa1024"
	Config   []string // further lines for sshd_config; they win over the defaults
}

// Server is an sshd with its own files. Its user may log in with the private
// key in Identity and run commands.
type Server struct {
	Address  string
	Port     int
	Dir      string // sshd_config, host keys and log
	User     string // the user who runs the test
	Identity string // path of the private key

	types   []string
	config  []string
	public  []string
	process *os.Process
	ended   chan struct{} // closed once the process is gone
}

// Start starts a server that stops when the test ends. Where there is no sshd
// the test is skipped, or fails if CI=true.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := New(t.TempDir(), o)
	switch {
	case errors.Is(err, ErrNoServer) && os.Getenv("CI") != "true":
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// New is Start without a test: the caller stops the server, and owns dir, into
// which its files go.
func New(dir string, o Options) (*Server, error) {
	me, err := user.Current()
	if err != nil {
		return nil, fmt.Errorf("start sshd: %w", err)
	}
	s := &Server{
		Address: o.Address, Port: o.Port, Dir: dir,
		User: me.Username, Identity: filepath.Join(dir, "identity"),
		types: o.KeyTypes, config: o.Config,
	}
	if s.Port == 0 {
		s.Port = 2222
	}
	if len(s.types) == 0 {
		s.types = []string{"ed25519", "ecdsa", "rsa"}
	}
	authorized, err := writeKeyPair("ed25519", s.Identity)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "authorized_keys"), []byte(authorized+"\n"), 0o600); err != nil {
		return nil, err
	}
	if err := s.makeHostKeys(); err != nil {
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

// PublicKeys returns the host keys as public key lines without comments, in
// the order of the key types.
func (s *Server) PublicKeys() []string { return append([]string(nil), s.public...) }

// ChangeKeys restarts the server with fresh host keys of these types; of the
// same types as before if none are given.
func (s *Server) ChangeKeys(types ...string) error {
	if len(types) > 0 {
		s.types = types
	}
	if err := s.makeHostKeys(); err != nil {
		return err
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
	sshd, err := find()
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(s.Dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(sshd, "-D", "-e", "-f", config)
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

// wait returns once the server listens. The connection that finds out closes
// before it says anything.
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
	for i := range s.types {
		lines = append(lines, "HostKey "+s.hostKey(i))
	}
	lines = append(lines,
		"ListenAddress "+net.JoinHostPort(s.Address, strconv.Itoa(s.Port)),
		"PidFile none",
		"AuthorizedKeysFile "+filepath.Join(s.Dir, "authorized_keys"),
		"StrictModes no",
		"UsePAM no",
		"PasswordAuthentication no",
		"KbdInteractiveAuthentication no",
		"PermitRootLogin yes",
	)
	return strings.Join(lines, "\n") + "\n"
}

func (s *Server) hostKey(i int) string {
	return filepath.Join(s.Dir, "host_key_"+strconv.Itoa(i))
}

func (s *Server) makeHostKeys() error {
	s.public = nil
	for i, typ := range s.types {
		line, err := writeKeyPair(typ, s.hostKey(i))
		if err != nil {
			return err
		}
		s.public = append(s.public, line)
	}
	return nil
}

// find finds sshd, which must be called by its full path, and makes the empty
// folder that it wants for its unprivileged half.
func find() (string, error) {
	sshd, err := exec.LookPath("sshd")
	if err != nil {
		sshd = "/usr/sbin/sshd"
		if _, err := os.Stat(sshd); err != nil {
			return "", ErrNoServer
		}
	}
	if os.Getuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			return "", fmt.Errorf("start sshd: %w", err)
		}
	}
	return sshd, nil
}
