// Package terminal gives tests a terminal, which tmux plays.
package terminal

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"ltskeeper/internal/testkit"
)

// A Screen is a terminal with something running in it. It ends with its test.
type Screen struct {
	t      testing.TB
	socket string
}

// Open runs a command for sh in a terminal of so many columns and lines, which needs tmux.
func Open(t testing.TB, columns, lines int, command string) *Screen {
	t.Helper()
	testkit.NeedPrograms(t, "tmux")
	dir, err := os.MkdirTemp("", "tmux") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &Screen{t, filepath.Join(dir, "s")}
	s.tmux("-f", "/dev/null", "new-session", "-d", "-x", fmt.Sprint(columns), "-y", fmt.Sprint(lines), "sh", "-c",
		command)
	t.Cleanup(func() { exec.Command("tmux", "-S", s.socket, "kill-server").Run() }) // an error: it ended by itself
	s.tmux("set-option", "-g", "status", "off")
	s.Resize(columns, lines)
	return s
}

// Press presses keys, by tmux's names for them.
func (s *Screen) Press(keys ...string) {
	s.t.Helper()
	s.tmux(append([]string{"send-keys"}, keys...)...)
}

// Type types a text, or sends what else a terminal sends, such as a mouse's clicks.
func (s *Screen) Type(text string) {
	s.t.Helper()
	s.tmux("send-keys", "-l", text)
}

// Resize gives the terminal another size.
func (s *Screen) Resize(columns, lines int) {
	s.t.Helper()
	s.tmux("resize-window", "-x", fmt.Sprint(columns), "-y", fmt.Sprint(lines))
}

// Text is what is on the screen at this moment, a line each.
func (s *Screen) Text() string {
	s.t.Helper()
	return s.tmux("capture-pane", "-p")
}

// Styled is Text with the escape sequences of colours and the like.
func (s *Screen) Styled() string {
	s.t.Helper()
	return s.tmux("capture-pane", "-p", "-e")
}

// Eventually waits until something is so, and says whether it came to be.
func Eventually(so func() bool) bool {
	const limit = 30 * time.Second // no test waits so long, unless it fails
	for start := time.Now(); time.Since(start) < limit; time.Sleep(20 * time.Millisecond) {
		if so() {
			return true
		}
	}
	return false
}

func (s *Screen) tmux(args ...string) string {
	s.t.Helper()
	cmd := exec.Command("tmux", append([]string{"-S", s.socket, "-u"}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TERM=screen-256color")
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("tmux %q: %v\n%s", args, err, out)
	}
	return string(out)
}
