package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the screens in testdata anew, once they have come to rest")

// A screen is ldmselect in a terminal of its own, which tmux plays.
type screen struct {
	t      *testing.T
	socket string
	output string // a file with what ldmselect printed, and its exit code
}

// program is the command as it is shipped.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "ldmselect-test")
	if err != nil {
		return "", err
	}
	cleanups = append(cleanups, func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "ldmselect")
	build := exec.Command("go", "build", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	return path, build.Run()
})

var cleanups []func()

func TestMain(m *testing.M) {
	code := m.Run()
	for _, f := range cleanups {
		f()
	}
	os.Exit(code)
}

// open starts ldmselect in a terminal of so many columns and lines, with an environment.
func open(t *testing.T, columns, lines int, env ...string) *screen {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil && os.Getenv("CI") == "true" {
		t.Fatal(err)
	} else if err != nil {
		t.Skip(err)
	}
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "tmux") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &screen{t, filepath.Join(dir, "s"), filepath.Join(dir, "output")}
	command := fmt.Sprintf(`env -u NO_COLOR LC_ALL=C.UTF-8 SSH_OVERRIDE_PORT=2222 %s %s --lts-conf /none >%s; echo "exit $?" >>%s; sleep 600`,
		strings.Join(env, " "), path, s.output, s.output)
	s.tmux("-f", "/dev/null", "new-session", "-d", "-x", fmt.Sprint(columns), "-y", fmt.Sprint(lines), command)
	t.Cleanup(func() { s.tmux("kill-server") })
	s.tmux("set-option", "-g", "status", "off")
	s.tmux("resize-window", "-x", fmt.Sprint(columns), "-y", fmt.Sprint(lines))
	return s
}

func (s *screen) tmux(args ...string) string {
	s.t.Helper()
	cmd := exec.Command("tmux", append([]string{"-S", s.socket, "-u"}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TERM=screen-256color")
	out, err := cmd.CombinedOutput()
	if err != nil && args[0] != "kill-server" {
		s.t.Fatalf("tmux %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// press presses keys, by tmux's names for them.
func (s *screen) press(keys ...string) {
	s.t.Helper()
	s.tmux(append([]string{"send-keys"}, keys...)...)
}

// click presses and releases the left button of the mouse on a line, from 1.
func (s *screen) click(line int) {
	s.t.Helper()
	s.press("-l", fmt.Sprintf("\x1b[<0;5;%dM\x1b[<0;5;%dm", line, line))
}

const eventually = 30 * time.Second // no test waits so long, unless it fails

// shows waits until the screen is the one in testdata. One whose name ends in -styled has colours and the like.
func (s *screen) shows(name string) {
	s.t.Helper()
	capture := []string{"capture-pane", "-p"}
	if strings.HasSuffix(name, "-styled") {
		capture = append(capture, "-e")
	}
	golden := filepath.Join("testdata", name+".txt")
	want, err := os.ReadFile(golden)
	if err != nil && !*update {
		s.t.Fatal(err)
	}
	var got string
	for start := time.Now(); time.Since(start) < eventually; time.Sleep(20 * time.Millisecond) {
		before := got
		got = s.tmux(capture...)
		if *update {
			time.Sleep(3 * time.Second)
			if got = s.tmux(capture...); got == before {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					s.t.Fatal(err)
				}
				return
			}
		} else if got == string(want) {
			return
		}
	}
	s.t.Fatalf("%s: the screen is\n%s\nwant\n%s\n(in other words %q)", name, got, want, got)
}

// prints waits until ldmselect has ended.
func (s *screen) prints(want string) {
	s.t.Helper()
	var got []byte
	for start := time.Now(); time.Since(start) < eventually; time.Sleep(20 * time.Millisecond) {
		if got, _ = os.ReadFile(s.output); strings.Contains(string(got), "exit ") {
			break
		}
	}
	if string(got) != want {
		s.t.Errorf("it printed %q, want %q", got, want)
	}
}

// serve answers everybody on an address.
func serve(t *testing.T, address string, text func() string) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, text())
			c.Close()
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
}

func says(text string) func() string { return func() string { return text } }

// farm returns the environment of a farm on 127.95.N.x: a good server, a fair one, a poor one, one that drains, one with
// SSH alone, and one that is down.
func farm(t *testing.T, n int) []string {
	t.Helper()
	name := func(i int) string { return fmt.Sprintf("127.95.%d.%d", n, i) }
	serve(t, name(1)+":9571", says("rating:87\nlogins:5\ncapacity:40\n"))
	serve(t, name(2)+":9571", says("rating:34\nlogins:26\ncapacity:40\n"))
	serve(t, name(3)+":9571", says("rating:8\nlogins:37\n"))
	serve(t, name(4)+":9571", says("rating:0\nstate:draining\nlogins:2\ncapacity:40\n"))
	serve(t, name(5)+":2222", says("SSH-2.0-x\r\n"))
	return []string{
		fmt.Sprintf("LDM_SERVER='%s %s %s %s %s %s'", name(6), name(1), name(2), name(3), name(4), name(5)),
		fmt.Sprintf("LDM_SERVER_GROUPS='%s=cad,office %s=cad %s=office'", name(1), name(2), name(6)),
		"LDM_BALANCE=best",
	}
}

func TestAutomatic(t *testing.T) {
	t.Parallel()
	s := open(t, 80, 24, farm(t, 80)...)
	s.shows("automatic")
	s.shows("automatic-styled")
	s.press("Enter")
	s.prints("127.95.80.1\nexit 0\n")
}

func TestPick(t *testing.T) {
	t.Parallel()
	s := open(t, 80, 24, farm(t, 81)...)
	s.shows("pick-start")
	s.press("Down") // past the one that is down
	s.shows("pick-first")
	s.shows("pick-first-styled")
	s.press("Down", "Down", "Down", "Down", "Down", "Down")
	s.shows("pick-last")
	s.press("PPage", "Home", "Down", "Down")
	s.shows("pick-second")
	s.press("Enter")
	s.prints("127.95.81.2\nexit 0\n")
}

func TestFilter(t *testing.T) {
	t.Parallel()
	s := open(t, 80, 24, farm(t, 82)...)
	s.shows("filter-start")
	s.press("-l", "OFF")
	s.shows("filter-off")
	s.press("BSpace", "BSpace", "BSpace", "c", "a", "d")
	s.shows("filter-cad")
	s.press("Escape")
	s.shows("filter-start")
	s.press("-l", "82.3")
	s.shows("filter-name")
	s.press("Enter")
	s.prints("127.95.82.3\nexit 0\n")
}

func TestCancel(t *testing.T) {
	t.Parallel()
	s := open(t, 80, 24, farm(t, 83)...)
	s.shows("cancel")
	s.press("Escape")
	s.prints("exit 1\n")
}

func TestMouse(t *testing.T) {
	t.Parallel()
	s := open(t, 80, 24, farm(t, 84)...)
	s.shows("mouse-start")
	s.click(5) // it is down
	s.click(2) // nothing is there
	s.click(7)
	s.shows("mouse-clicked")
	s.press("-l", "\x1b[<65;5;5M") // the wheel
	s.shows("mouse-wheel")
	s.click(8)
	s.prints("127.95.84.3\nexit 0\n")
}

// Without colours, and for people who read no more than ASCII.
func TestPlain(t *testing.T) {
	t.Parallel()
	s := open(t, 80, 24, append(farm(t, 85), "NO_COLOR=1", "LC_ALL=C")...)
	s.shows("plain-styled")
	s.press("Down")
	s.shows("plain-first-styled")
}

func TestSmall(t *testing.T) {
	t.Parallel()
	s := open(t, 80, 24, farm(t, 86)...)
	for _, size := range []string{"60x12", "40x9", "30x7", "20x4", "10x2"} {
		columns, lines, _ := strings.Cut(size, "x")
		s.tmux("resize-window", "-x", columns, "-y", lines)
		s.shows("small-" + size)
	}
	s.press("End")
	s.shows("small-end")
	s.tmux("resize-window", "-x", "80", "-y", "24")
	s.shows("small-again")
}

// The table follows what becomes of the servers. A user on one that goes down is on automatic again.
func TestLive(t *testing.T) {
	t.Parallel()
	var rating atomic.Pointer[string]
	set := func(s string) { rating.Store(&s) }
	set("rating:90\nlogins:1\n")
	serve(t, "127.95.87.1:9571", func() string { return *rating.Load() })
	serve(t, "127.95.87.2:9571", says("rating:50\nlogins:2\n"))
	s := open(t, 60, 10, "LDM_SERVER='127.95.87.1 127.95.87.2'")
	s.shows("live-start")
	s.press("Down")
	s.shows("live-there")
	set("rating:10\nlogins:9\n")
	s.shows("live-busy")
	set("")
	s.shows("live-gone")
	s.press("Enter")
	s.prints("127.95.87.2\nexit 0\n")
}

func TestNoneAnswers(t *testing.T) {
	t.Parallel()
	s := open(t, 80, 10, "LDM_SERVER='127.95.88.1 127.95.88.2'")
	s.shows("none")
	s.press("Down", "Enter")
	s.shows("none")
	s.press("C-c")
	s.prints("exit 1\n")
}
