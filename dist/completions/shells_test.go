// Package completions tests the completions in real shells, each in a terminal that tmux plays:
// what somebody sees who types and presses Tab.
package completions

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/programs"
	"ltskeeper/internal/testkit/terminal"

	"golang.org/x/crypto/ssh"
)

// hostile is what a shell must not take for code.
const hostile = "$(touch PWNED)`touch PWNED`;touch PWNED #"

// A farm is one to complete the names of.
type farm struct {
	dir     string
	waiting string // the fingerprint of the one key of app02 that waits
	trusted string // that of app01
}

func newFarm(t *testing.T) farm {
	t.Helper()
	f := farm{dir: tempDir(t)}
	write := func(name, text string) {
		path := filepath.Join(f.dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755),
			os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	const declaration = "state = \"state\"\n[image]\ndirectory = \"images\"\n[tftp]\ndirectory = \"tftp\"\n" +
		"[[chroot]]\nname = \"x86_64\"\npath = \"root\"\n"
	write("ltskeeper.toml", declaration)
	write("servers.d/app01.toml", "addresses = [\"127.0.0.1\"]\n")
	write("servers.d/app02.toml", "addresses = [\"127.0.0.2\"]\ngroups = [\"cad\"]\n")
	write("other/other.toml", declaration)
	write("other/servers.d/lonely.toml", "")
	write("hostile/ltskeeper.toml", declaration)
	write("hostile/servers.d/app01.toml", "")
	write("hostile/servers.d/"+hostile+".toml", "")
	write("a key.pub", "")
	write("images/x86_64/12/build.json", `{"generation": 12, "time": "2026-01-02T03:04:05Z", "published": true}`)
	if err := os.Symlink("x86_64/12/root.img", filepath.Join(f.dir, "images/x86_64.img")); err != nil {
		t.Fatal(err)
	}
	var line string
	line, f.trusted = newKey(t)
	write("state/keys/app01.pub", line+" "+hostile+"\n")
	line, f.waiting = newKey(t)
	write("state/keys/app02.pending", line+" "+hostile+"\n")
	write("state/keys/names", "app01\napp02\n")
	return f
}

// newKey makes a key with a fingerprint that is hard to complete.
func newKey(t *testing.T) (line, fingerprint string) {
	t.Helper()
	for {
		public, _, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		key, err := ssh.NewPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		if fingerprint = ssh.FingerprintSHA256(key); strings.Contains(fingerprint, "/") &&
			strings.Contains(fingerprint, "+") {
			return key.Type() + " " + base64.StdEncoding.EncodeToString(key.Marshal()), fingerprint
		}
	}
}

// tempDir is short enough for a socket, and for a line of a terminal.
func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "c")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// shells are how each is started, with a prompt "> " and the completions in this folder, as they
// are installed in @.
var shells = map[string]struct{ program, start string }{
	"bash": {"bash", `printf 'PS1="> "; . @/completions/ltskeeper\n' >@/rc; exec bash --rcfile @/rc -i`},
	"bash with bash-completion": {"bash", `printf 'PS1="> "; . /usr/share/bash-completion/bash_completion\n' >@/rc
		BASH_COMPLETION_USER_DIR=@ exec bash --rcfile @/rc -i`},
	"zsh": {"zsh", `printf 'PS1="> "; fpath=(@/zsh $fpath); autoload -U compinit; compinit -u -D\n' >@/.zshrc
		ZDOTDIR=@ exec zsh -d -i`},
	"fish": {"fish", `HOME=@ exec fish --no-config -C 'set -g fish_autosuggestion_enabled 0
		function fish_prompt; echo -n "> "; end; source @/fish/ltskeeper.fish'`},
}

func TestShells(t *testing.T) {
	t.Parallel()
	bin := tempDir(t)
	programs.Build(t, bin, "ltskeeper")
	for name, shell := range shells {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testkit.NeedPrograms(t, "tmux", shell.program)
			if strings.Contains(shell.start, "bash_completion") {
				testkit.NeedPrograms(t, "/usr/share/bash-completion/bash_completion")
			}
			f := newFarm(t)
			dir := tempDir(t)
			for from, to := range map[string]string{
				"ltskeeper.bash": "completions/ltskeeper", "_ltskeeper": "zsh/_ltskeeper",
				"ltskeeper.fish": "fish/ltskeeper.fish",
			} {
				text, err := os.ReadFile(from)
				path := filepath.Join(dir, to)
				if err := errors.Join(err, os.MkdirAll(filepath.Dir(path), 0o755),
					os.WriteFile(path, text, 0o644)); err != nil {
					t.Fatal(err)
				}
			}
			s := open(t, f, bin, strings.ReplaceAll(shell.start, "@", dir))
			for _, c := range []struct{ typed, want string }{
				{"ltskeeper upd", "ltskeeper update-image"},
				{"ltskeeper keys acc", "ltskeeper keys accept"},
				{"ltskeeper --js", "ltskeeper --json"},
				{"ltskeeper keys accept app02 ", "ltskeeper keys accept app02 " + f.waiting},
				{"ltskeeper keys accept app02 SHA256:", "ltskeeper keys accept app02 " + f.waiting},
				{"ltskeeper keys reject app02 " + f.waiting[:30], "ltskeeper keys reject app02 " + f.waiting},
				{"ltskeeper keys revoke app01 SHA", "ltskeeper keys revoke app01 " + f.trusted},
				{"ltskeeper keys export --format=kn", "ltskeeper keys export --format=known_hosts"},
				{"ltskeeper keys export --format kn", "ltskeeper keys export --format known_hosts"},
				{"ltskeeper server add app03 --group ", "ltskeeper server add app03 --group cad"},
				{"ltskeeper image unpin x86_64 ", "ltskeeper image unpin x86_64 12"},
				{"ltskeeper image unpin 1", "ltskeeper image unpin 12"},
				{"ltskeeper --config=other/oth", "ltskeeper --config=other/other.toml"},
				{"ltskeeper --config other/oth", "ltskeeper --config other/other.toml"},
				{"ltskeeper --config=other/other.toml server remove ",
					"ltskeeper --config=other/other.toml server remove lonely"},
				{"ltskeeper server remove --config other/other.toml l",
					"ltskeeper server remove --config other/other.toml lonely"},
				{"ltskeeper server remove --config 'other/other.toml' ",
					"ltskeeper server remove --config 'other/other.toml' lonely"},
				{"ltskeeper keys import app01 a", `ltskeeper keys import app01 a\ key.pub`},
				// Nothing to offer, and nothing to say either.
				{"ltskeeper --config=none server remove a", "ltskeeper --config=none server remove a"},
				{"ltskeeper --config=hostile/ltskeeper.toml server remove a",
					"ltskeeper --config=hostile/ltskeeper.toml server remove a"},
				{"ltskeeper nonsense a", "ltskeeper nonsense a"},
			} {
				s.completes(c.typed, c.want)
			}
			s.lists("ltskeeper server remove ", "app01", "app02")
			if strings.Contains(name, "bash-completion") {
				s.completes("sudo ltskeeper upd", "sudo ltskeeper update-image")
			}
			for _, found := range []string{f.dir, dir, "."} {
				if _, err := os.Stat(filepath.Join(found, "PWNED")); err == nil {
					t.Errorf("a name or a comment was run, in %s", found)
				}
			}
		})
	}
}

// A screen is a shell in a terminal.
type screen struct {
	*terminal.Screen
	t *testing.T
}

func open(t *testing.T, f farm, bin, start string) *screen {
	t.Helper()
	command := fmt.Sprintf(
		"cd %s && export LC_ALL=C.UTF-8 PATH=%s:$PATH LTSKEEPER_CONFIG=%[1]s/ltskeeper.toml HISTFILE= && %[3]s",
		f.dir, bin, start)
	s := &screen{terminal.Open(t, 160, 24, command), t}
	s.until("a prompt", func(text string) bool { return strings.HasSuffix(text, ">") })
	return s
}

// until waits for a screen that is as it should be. Blanks at the end of lines do not count.
func (s *screen) until(what string, fine func(text string) bool) {
	s.t.Helper()
	var text string
	if !terminal.Eventually(func() bool { text = strings.TrimSpace(s.Text()); return fine(text) }) {
		s.t.Errorf("no %s:\n%s", what, text)
	}
}

// types begins a new line on an empty screen.
func (s *screen) types(text string) {
	s.t.Helper()
	s.Press("C-u")
	s.Press("C-l")
	s.until("empty screen", func(text string) bool { return text == ">" })
	s.Type(text)
}

// completes types, presses Tab, and wants the line to become this one, with nothing else on the
// screen.
func (s *screen) completes(typed, want string) {
	s.t.Helper()
	s.types(typed)
	s.Press("Tab")
	if want == typed { // what comes of Tab has to come before the next letter
		s.Type("x")
		want += "x"
	}
	s.until("> "+want, func(text string) bool { return text == "> "+want })
}

// lists types, presses Tab until the candidates are listed, and wants these words on the screen.
func (s *screen) lists(typed string, want ...string) {
	s.t.Helper()
	s.types(typed)
	for range 3 {
		s.Press("Tab")
	}
	s.until(strings.Join(want, " and "), func(text string) bool {
		for _, w := range want {
			if !strings.Contains(text, w) {
				return false
			}
		}
		return true
	})
}
