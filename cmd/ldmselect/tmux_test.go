package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ltskeeper/internal/testkit/programs"
	"ltskeeper/internal/testkit/terminal"
)

var update = flag.Bool("update", false, "write the screens in testdata anew, once they have come to rest")

// A screen is ldmselect in a terminal of its own.
type screen struct {
	*terminal.Screen
	t      *testing.T
	output string // a file with what ldmselect printed, and its exit code
}

func TestMain(m *testing.M) { os.Exit(programs.Main(m)) }

// open starts ldmselect in a terminal of so many columns and lines, with an environment.
func open(t *testing.T, columns, lines int, env ...string) *screen {
	t.Helper()
	output := filepath.Join(t.TempDir(), "output")
	command := fmt.Sprintf(`env -u NO_COLOR LC_ALL=C.UTF-8 SSH_OVERRIDE_PORT=2222 %s %s --lts-conf /none >%s; echo "exit $?" >>%s; sleep 600`,
		strings.Join(env, " "), programs.Path(t, "ldmselect"), output, output)
	return &screen{terminal.Open(t, columns, lines, command), t, output}
}

// click presses and releases the left button of the mouse on a line, from 1.
func (s *screen) click(line int) {
	s.t.Helper()
	s.Type(fmt.Sprintf("\x1b[<0;5;%dM\x1b[<0;5;%dm", line, line))
}

// shows waits until the screen is the one in testdata. One whose name ends in -styled has colours
// and the like.
func (s *screen) shows(name string) {
	s.t.Helper()
	capture := s.Text
	if strings.HasSuffix(name, "-styled") {
		capture = s.Styled
	}
	golden := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(golden, []byte(s.atRest(capture)), 0o644); err != nil {
			s.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		s.t.Fatal(err)
	}
	var got string
	if !terminal.Eventually(func() bool { got = capture(); return got == string(want) }) {
		s.t.Fatalf("%s: the screen is\n%s\nwant\n%s\n(in other words %q)", name, got, want, got)
	}
}

// atRest is a screen that has not changed for three seconds.
func (s *screen) atRest(capture func() string) string {
	for got := capture(); ; {
		before := got
		time.Sleep(3 * time.Second)
		if got = capture(); got == before {
			return got
		}
	}
}

// prints waits until ldmselect has ended.
func (s *screen) prints(want string) {
	s.t.Helper()
	var got []byte
	terminal.Eventually(func() bool {
		got, _ = os.ReadFile(s.output)
		return strings.Contains(string(got), "exit ")
	})
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

// farm returns the environment of a farm on 127.95.N.x: a good server, a fair one, a poor one, one
// that drains, one with SSH alone, and one that is down.
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
	s.Press("Enter")
	s.prints("127.95.80.1\nexit 0\n")
}

func TestPick(t *testing.T) {
	t.Parallel()
	s := open(t, 80, 24, farm(t, 81)...)
	s.shows("pick-start")
	s.Press("Down") // past the one that is down
	s.shows("pick-first")
	s.shows("pick-first-styled")
	s.Press("Down", "Down", "Down", "Down", "Down", "Down")
	s.shows("pick-last")
	s.Press("PPage", "Home", "Down", "Down")
	s.shows("pick-second")
	s.Press("Enter")
	s.prints("127.95.81.2\nexit 0\n")
}

func TestFilter(t *testing.T) {
	t.Parallel()
	s := open(t, 80, 24, farm(t, 82)...)
	s.shows("filter-start")
	s.Type("OFF")
	s.shows("filter-off")
	s.Press("BSpace", "BSpace", "BSpace", "c", "a", "d")
	s.shows("filter-cad")
	s.Press("Escape")
	s.shows("filter-start")
	s.Type("82.3")
	s.shows("filter-name")
	s.Press("Enter")
	s.prints("127.95.82.3\nexit 0\n")
}

func TestCancel(t *testing.T) {
	t.Parallel()
	s := open(t, 80, 24, farm(t, 83)...)
	s.shows("cancel")
	s.Press("Escape")
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
	s.Type("\x1b[<65;5;5M") // the wheel
	s.shows("mouse-wheel")
	s.click(8)
	s.prints("127.95.84.3\nexit 0\n")
}

// Without colours, and for people who read no more than ASCII.
func TestPlain(t *testing.T) {
	t.Parallel()
	s := open(t, 80, 24, append(farm(t, 85), "NO_COLOR=1", "LC_ALL=C")...)
	s.shows("plain-styled")
	s.Press("Down")
	s.shows("plain-first-styled")
}

func TestSmall(t *testing.T) {
	t.Parallel()
	s := open(t, 80, 24, farm(t, 86)...)
	for _, size := range []string{"60x12", "40x9", "30x7", "20x4", "10x2"} {
		var columns, lines int
		if _, err := fmt.Sscanf(size, "%dx%d", &columns, &lines); err != nil {
			t.Fatal(err)
		}
		s.Resize(columns, lines)
		s.shows("small-" + size)
	}
	s.Press("End")
	s.shows("small-end")
	s.Resize(80, 24)
	s.shows("small-again")
}

// The table follows what becomes of the servers. A user on one that goes down is on automatic
// again.
func TestLive(t *testing.T) {
	t.Parallel()
	var rating atomic.Pointer[string]
	set := func(s string) { rating.Store(&s) }
	set("rating:90\nlogins:1\n")
	serve(t, "127.95.87.1:9571", func() string { return *rating.Load() })
	serve(t, "127.95.87.2:9571", says("rating:50\nlogins:2\n"))
	s := open(t, 60, 10, "LDM_SERVER='127.95.87.1 127.95.87.2'")
	s.shows("live-start")
	s.Press("Down")
	s.shows("live-there")
	set("rating:10\nlogins:9\n")
	s.shows("live-busy")
	set("")
	s.shows("live-gone")
	s.Press("Enter")
	s.prints("127.95.87.2\nexit 0\n")
}

func TestNoneAnswers(t *testing.T) {
	t.Parallel()
	s := open(t, 80, 10, "LDM_SERVER='127.95.88.1 127.95.88.2'")
	s.shows("none")
	s.Press("Down", "Enter")
	s.shows("none")
	s.Press("C-c")
	s.prints("exit 1\n")
}
