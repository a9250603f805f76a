package sshdtest_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"ltskeeper/internal/testkit/sshdtest"
)

func endpoint(s *sshdtest.Server) string { return net.JoinHostPort(s.Address, strconv.Itoa(s.Port)) }

// login runs a command on the server with the real ssh, which must find the host key in known.
func login(t *testing.T, s *sshdtest.Server, known, command string) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(file, []byte(known), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("ssh", "-F", "none", "-p", fmt.Sprint(s.Port), "-i", s.Identity,
		"-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile="+file,
		"-o", "GlobalKnownHostsFile=none", s.User+"@"+s.Address, command).CombinedOutput()
	return string(out), err
}

func TestLoginAndChangeKeys(t *testing.T) {
	t.Parallel()
	s := sshdtest.Start(t, sshdtest.Options{KeyTypes: []string{"ed25519"}})
	known := fmt.Sprintf("[%s]:%d %s\n", s.Address, s.Port, s.PublicKeys()[0])
	if out, err := login(t, s, known, "echo hello"); err != nil || out != "hello\n" {
		t.Fatalf("login: %v\n%s", err, out)
	}
	if err := s.ChangeKeys(); err != nil {
		t.Fatal(err)
	}
	if out, err := login(t, s, known, "echo hello"); err == nil ||
		!strings.Contains(out, "REMOTE HOST IDENTIFICATION HAS CHANGED") {
		t.Fatalf("login with the old key: %v\n%s", err, out)
	}
}

// TestHome: a login does not read the files of the user who runs the test, which may print
// something.
func TestHome(t *testing.T) {
	t.Parallel()
	s := sshdtest.Start(t, sshdtest.Options{KeyTypes: []string{"ed25519"}})
	known := fmt.Sprintf("[%s]:%d %s\n", s.Address, s.Port, s.PublicKeys()[0])
	if out, err := login(t, s, known, "echo ~"); err != nil || out != s.Dir+"\n" {
		t.Fatalf("the shell's home: %v\n%s", err, out)
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	s := sshdtest.Start(t, sshdtest.Options{KeyTypes: []string{"ed25519"}})
	s.Stop()
	if conn, err := net.Dial("tcp", endpoint(s)); err == nil {
		conn.Close()
		t.Fatal("still listens")
	}
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", endpoint(s))
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}
