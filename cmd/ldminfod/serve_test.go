package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"ltskeeper/internal/testkit/programs"
)

// The text is made once a second, however many ask for it, and not at all if nobody does.
func TestCache(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		made := 0
		c := &cache{fill: func() []byte {
			made++
			return []byte(strconv.Itoa(made))
		}}
		time.Sleep(time.Hour)
		for second := 1; second <= 3; second++ {
			var wg sync.WaitGroup
			for i := range 2000 {
				wg.Go(func() {
					time.Sleep(time.Duration(i%1000) * time.Millisecond)
					if got := string(c.get()); got != strconv.Itoa(second) {
						t.Errorf("%s in second %d", got, second)
					}
				})
			}
			wg.Wait()
			time.Sleep(time.Millisecond)
		}
		if made != 3 {
			t.Errorf("made %d times", made)
		}
	})
}

func TestServeEnds(t *testing.T) {
	t.Parallel()
	socket, address := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		done <- serveSockets(ctx, []*os.File{socket}, &cache{fill: func() []byte { return []byte("rating:1\n") }})
	}()
	if got := ask(t, address); got != "rating:1\n" {
		t.Errorf("%q", got)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", address); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("it still listens: %v", err)
	}
}

// Clients that do not read, or send something, hold nobody up.
func TestServeBesideTheRude(t *testing.T) {
	t.Parallel()
	socket, address := open(t)
	want := strings.Repeat("language:xx_XX.UTF-8\n", 190)
	go serveSockets(t.Context(), []*os.File{socket}, &cache{fill: func() []byte { return []byte(want) }})
	for i := range 200 {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if i%2 == 0 {
			io.WriteString(conn, "GET / HTTP/1.1\r\n\r\n")
		}
	}
	if got := ask(t, address); got != want {
		t.Errorf("%d bytes of %d", len(got), len(want))
	}
}

// open returns a listening socket and its address.
func open(t *testing.T) (*os.File, string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, l.Addr().String()
}

func ask(t *testing.T, address string) string {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	text, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestMain(m *testing.M) { os.Exit(programs.Main(m)) }

// start starts the program as systemd does, with an open file as its socket, if there is one. It
// ends with the test.
func start(t *testing.T, socket *os.File, args ...string) *exec.Cmd {
	path := programs.Path(t, "ldminfod")
	// The shell becomes the program, so that the number is its own.
	cmd := exec.Command("sh",
		append([]string{"-c", `LISTEN_PID=$$ exec "$0" "$@"`, path, "--state", t.TempDir()}, args...)...)
	cmd.Stderr = os.Stderr
	if socket != nil {
		cmd.ExtraFiles = []*os.File{socket}
		cmd.Env = append(os.Environ(), "LISTEN_FDS=1")
	}
	return cmd
}

func TestSystemdListens(t *testing.T) {
	t.Parallel()
	socket, address := open(t)
	cmd := start(t, socket)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if got := ask(t, address); !strings.HasPrefix(got, "rating:") {
			t.Errorf("%q", got)
		}
	}
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
}

// With Accept=yes the connection is passed in, as the standard output or, without
// StandardInput=socket, not.
func TestSystemdAccepts(t *testing.T) {
	t.Parallel()
	for _, stdout := range []bool{false, true} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan string)
		go func() { got <- ask(t, l.Addr().String()) }()
		conn, err := l.Accept()
		l.Close()
		if err != nil {
			t.Fatal(err)
		}
		f, err := conn.(*net.TCPConn).File()
		conn.Close()
		if err != nil {
			t.Fatal(err)
		}
		cmd := start(t, f)
		if stdout {
			cmd.Stdin, cmd.Stdout = f, f
		}
		if err := cmd.Run(); err != nil {
			t.Error(err)
		}
		f.Close()
		if got := <-got; strings.Count(got, "rating:") != 1 {
			t.Errorf("%q", got)
		}
	}
}

func TestInetd(t *testing.T) {
	t.Parallel()
	out, err := start(t, nil).Output()
	if err != nil || !strings.HasPrefix(string(out), "rating:") {
		t.Errorf("%q, %v", out, err)
	}
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"walk", "--capacity -1", "--capacity x", "drain undrain", "--listen :0 --explain",
		"--listen :0 drain", "--unknown"} {
		cmd := start(t, nil, strings.Fields(args)...)
		cmd.Stderr = nil
		_, err := cmd.Output()
		exit := (*exec.ExitError)(nil)
		if !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(string(exit.Stderr), "Usage:") {
			t.Errorf("%s: %v", args, err)
		}
	}
}

// All of 2,000 clients that come at the same moment get an answer.
func TestManyAtOnce(t *testing.T) {
	const clients = 2000
	socket, address := open(t)
	cmd := start(t, socket)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	ask(t, address)

	took := make([]time.Duration, clients)
	now := make(chan struct{})
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			<-now
			start := time.Now()
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			if text, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(text), "rating:") {
				t.Errorf("%q, %v", text, err)
			}
			took[i] = time.Since(start)
		})
	}
	close(now)
	wg.Wait()
	slices.Sort(took)
	memory := peak(t, cmd.Process.Pid)
	t.Logf("half within %v, 99 of 100 within %v, all within %v; %d kB at most", took[clients/2], took[clients*99/100],
		took[clients-1], memory)
	if memory > 30<<10 {
		t.Errorf("it took %d kB", memory)
	}
}

// peak returns the most memory that a process has had, in kB.
func peak(t *testing.T, pid int) (kB int) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		fmt.Sscanf(s.Text(), "VmHWM: %d kB", &kB)
	}
	return kB
}
