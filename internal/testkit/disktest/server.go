package disktest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ltskeeper/internal/testkit"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// These variables turn a test's program into a server, of that kind and over that folder.
const (
	serverKind = "DISKTEST_SERVER"
	serverFor  = "DISKTEST_SERVER_FOR"
)

func init() {
	serve := map[string]func(dir string, in io.Reader, out io.Writer) error{
		"failing": serveFailing,
		"faked":   serveFaked,
	}[os.Getenv(serverKind)]
	if serve != nil {
		fmt.Fprintln(os.Stderr, serve(os.Getenv(serverFor), os.Stdin, os.Stdout))
		os.Exit(1)
	}
}

// startServer starts a server over the folder dir and waits for its mount. The server ends when its
// input is closed; wait waits for that.
func startServer(t *testing.T, kind, dir string) (in io.WriteCloser, out *bufio.Reader, wait func()) {
	t.Helper()
	dir, err := filepath.Abs(dir)
	testkit.Need(t, err)
	server := exec.Command("/proc/self/exe")
	server.Env = append(os.Environ(), serverKind+"="+kind, serverFor+"="+dir)
	var complaints strings.Builder
	server.Stderr = &complaints
	in, err = server.StdinPipe()
	testkit.Need(t, err)
	pipe, err := server.StdoutPipe()
	testkit.Need(t, err)
	testkit.Need(t, server.Start())
	out = bufio.NewReader(pipe)
	if _, err := out.ReadString('\n'); err != nil {
		server.Wait()
		testkit.Need(t, fmt.Errorf("mount a file system at %s: %s", dir, complaints.String()))
	}
	return in, out, func() { server.Wait() }
}

// enterBelow makes dir the working folder. Paths relative to it lead below a file system that is
// mounted there later.
func enterBelow(dir string) (*fs.LoopbackRoot, error) {
	if err := os.Chdir(dir); err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Stat(".", &st); err != nil {
		return nil, err
	}
	return &fs.LoopbackRoot{Path: ".", Dev: st.Dev}, nil
}

var mountOptions = fuse.MountOptions{
	FsName: "disktest", DirectMountStrict: true, // there is no fusermount
	DisabledCapabilities: fuse.CAP_PASSTHROUGH, // reads and writes go through the server
}
