package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"
)

// Every option that takes a value, and every command that takes arguments, declares what they may
// be.
func TestEverythingIsCompleted(t *testing.T) {
	t.Parallel()
	app := testApp()
	left := maps.Clone(completions)
	check := func(c *cli.Command) {
		path := commandPath(c)
		declared := completions[path]
		delete(left, path)
		options := maps.Clone(declared.options)
		for _, f := range c.Flags {
			name := f.Names()[0]
			if _, found := options[name]; found != takesValue(f) {
				t.Errorf("%s --%s: takes a value: %v, says which: %v", c.HelpName, name, takesValue(f), found)
			}
			delete(options, name)
		}
		for name := range options {
			t.Errorf("%s: there is no option --%s", c.HelpName, name)
		}
		// A word of ArgsUsage is an argument.
		if want := len(strings.Fields(c.ArgsUsage)); len(declared.arguments) != want {
			t.Errorf("%s %s: %d arguments have completions", c.HelpName, c.ArgsUsage, len(declared.arguments))
		}
	}
	check(&cli.Command{HelpName: app.Name, Flags: app.Flags})
	for _, c := range allCommands(app) {
		check(c)
	}
	for path := range left {
		t.Errorf("there is no command %q", path)
	}
}

// completable is a farm with all that can be completed.
func completable(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	all := map[string]string{
		"ltskeeper.toml": "state = \"state\"\n[image]\ndirectory = \"images\"\n[tftp]\ndirectory = \"tftp\"\n" +
			"[[chroot]]\nname = \"x86_64\"\npath = \"root\"\n[[client]]\nmatch = \"ws*\"\ngroup = \"lab\"\n[[alias]]\nname = \"a\"\ngroups = [\"all\"]\n",
		"servers.d/app01.toml":        "addresses = [\"10.0.0.1\"]\ngroups = [\"cad\", \"lab\"]\n",
		"servers.d/app02.toml":        "",
		"state/keys/app01.pub":        key1 + " first-use\n" + key2 + "\n",
		"state/keys/app01.pending":    key3 + " $(reboot)`reboot`\n",
		"state/keys/names":            "app01\n",
		"known_hosts.local":           "app01," + "nas " + key3 + "\nnas " + key1 + "\n[APP01]:2222 " + key3 + "\n",
		"images/x86_64/3/build.json":  `{"generation": 3, "time": "2026-01-02T03:04:05Z", "published": true}`,
		"images/x86_64/12/build.json": `{"generation": 12, "time": "2026-02-03T04:05:06Z", "published": true}`,
	}
	for name, text := range files {
		all[name] = text
	}
	for name, text := range all {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755),
			os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("x86_64/12/root.img", filepath.Join(dir, "images/x86_64.img")); err != nil {
		t.Fatal(err)
	}
	return dir
}

const (
	key1 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAZkboRlZv9evvEQ9ezxl1oJBkyxeLxa7h1Hu0Jdnigm"
	key2 = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBKngpPra11iLaroA15jsOd+0bK0xCGrsme9SD5CYu0Pqd+1XmDAdeP3MVq4LfUGeTXAK5MTPWFbejWTIsQ5Yfhw="
	key3 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOq48x2jeDIB8s7PmAOSuX2Y4QC9eALLTu7ZQEPPCiMH"

	fingerprint1 = "SHA256:Jn1tEoEpJmC1eHmc23DzwWIGAVz6yBmk/XIYT6WAQo4"
	fingerprint2 = "SHA256:+oqiP3kZVHjSCYM94dypFqHydHhk3Xfbpid0wfhggP4"
	fingerprint3 = "SHA256:afE/qt0H7pnMRH/C3hxTYLJkiwjGVOzEsGEFEl/L9Y8"
)

// complete is what a shell is told, of the words that are typed, the last of which the cursor is
// in.
func complete(t *testing.T, config string, words ...string) string {
	t.Helper()
	out, err := os.CreateTemp(t.TempDir(), "out")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	tool := &tool{out: out, term: &terminal{}}
	if err := tool.run(t.Context(),
		append([]string{"ltskeeper", "--config", config, "complete", "--"}, words...)); err != nil {
		t.Fatalf("%q: %v", words, err)
	}
	text, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestComplete(t *testing.T) {
	t.Parallel()
	dir := completable(t, nil)
	config := filepath.Join(dir, "ltskeeper.toml")
	other := filepath.Join(completable(t, map[string]string{"servers.d/zoo.toml": ""}), "ltskeeper.toml")
	for _, test := range []struct{ typed, want string }{
		{"known", "init server update-image ..."},
		{"keys ac", "collect list accept reject revoke forget-line import export log"},
		{"server ", "add remove add-to-hosts list"},
		{"status app", ""},
		{"nonsense ", ""},
		{"keys nonsense ", ""},
		{"server remove ", "app01 app02"},
		{"server remove app01 ", ""},
		{"keys collect ", "app01 app02"},
		{"keys collect app01 ", "app02"},
		{"keys collect app01 app02 ", ""},
		{"keys accept app01 ", fingerprint3},
		{"keys accept APP01 SHA256:", fingerprint3},
		{"keys reject app01 ", fingerprint3},
		{"keys accept app01 " + fingerprint3 + " ", ""},
		{"keys revoke app01 ", fingerprint1 + " " + fingerprint2},
		{"keys revoke app01 " + fingerprint1 + " ", fingerprint2},
		{"keys revoke app02 ", ""},
		{"keys revoke nobody ", ""},
		{"keys forget-line app01 ", fingerprint3},
		{"keys forget-line nobody ", ""},
		{"server add-to-hosts app01 ", ""},
		{"server add-to-hosts app01 10.0.0.11 ", "x86_64"},
		{"keys import app01 ", "<files>"},
		{"keys export --format ", "known_hosts sshfp json ansible"},
		{"keys export --format=", "--format=known_hosts --format=sshfp --format=json --format=ansible"},
		{"keys revoke --file ", "<files>"},
		{"keys revoke --file=x", "<files>"},
		{"init --chroot ", "<files>"},
		{"--config ", "<files>"},
		{"status --config=", "<files>"},
		{"server add ", ""},
		{"server add app03 --group ", "all cad lab"},
		{"server add app03 --address ", ""},
		{"image rollback ", "x86_64 12 3"},
		{"image rollback x86_64 ", "12 3"},
		{"image rollback 12 ", ""},
		{"image rollback nowhere ", ""},
		{"image diff ", "x86_64 12 3"},
		{"image diff 3 ", "12"},
		{"image diff x86_64 3 ", "12"},
		{"image diff 3 12 ", ""},
		{"update-image ", "x86_64"},
		{"lts-conf ", "get check x86_64"},
		{"lts-conf get --chroot ", "x86_64"},
		{"lts-conf get ", "LTSP_CONFIG LDM_SERVER LDM_SERVER_GROUPS"},
		{"lts-conf check ", "<files>"},
		{"help ", "init server update-image ..."},
		{"help server ", "add remove add-to-hosts list"},
		{"status -", "--live --config --quiet --verbose --json --version --help"},
		{"status --live --json -", "--config --quiet --verbose --version --help"},
		{"init --chroot a -", "--chroot --force --adopt --config --quiet --verbose --json --version --help"},
		{"server remove -- -", "app01 app02"},
		{"server remove --config " + other + " ", "app01 app02 zoo"},
		{"--config=" + other + " server remove ", "app01 app02 zoo"},
		{"server remove --config /none ", ""},
		{"keys accept app01 --config /none ", ""},
		{"image pin --config /none ", ""},
		{"--json -v server remove a", "app01 app02"},
	} {
		var words []string
		for line := range strings.Lines(complete(t, config, strings.Split(test.typed, " ")...)) {
			word, what, found := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			if word == "" {
				word = "<" + what + ">"
			}
			if !found || strings.ContainsFunc(what, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("%s: %q", test.typed, line)
			}
			words = append(words, word)
		}
		got := strings.Join(words, " ")
		if begin, more := strings.CutSuffix(test.want, "..."); got != test.want &&
			!(more && strings.HasPrefix(got, begin)) {
			t.Errorf("%s\n got %s\nwant %s", test.typed, got, test.want)
		}
	}
}

// A declaration or a state that is broken, or a file that somebody dropped, makes for fewer
// candidates, and for nothing else.
func TestCompleteBroken(t *testing.T) {
	t.Parallel()
	for name, files := range map[string]map[string]string{
		"no TOML":          {"ltskeeper.toml": "state = "},
		"a hostile server": {"servers.d/$(touch x).toml": ""},
		"a hostile key":    {"servers.d/app03.toml": "groups = [\"$(touch x)\"]"},
		"a broken state": {"state/keys/app01.pub": "no key\n", "state/keys/app01.pending": "$(touch x)\n",
			"images/x86_64/12/build.json": "{"},
		"a folder there": {"state/keys/revoked/x": ""},
	} {
		config := filepath.Join(completable(t, files), "ltskeeper.toml")
		for _, words := range [][]string{{"keys", "accept", "app01", ""}, {"keys", "revoke", "app01", "S"}} {
			if got := complete(t, config, words...); got != "" {
				t.Errorf("%s: %q: %q", name, words, got)
			}
		}
		for _, words := range [][]string{{"server", "remove", ""}, {"image", "pin", ""},
			{"server", "add", "--group", ""}, {"lts-conf", "get", ""}} {
			if got := complete(t, config, words...); strings.Contains(got, "touch") {
				t.Errorf("%s: %q: %q", name, words, got)
			}
		}
	}
}

// Completing writes nothing, takes no lock, and asks nobody: it works while a run is at work.
func TestCompleteOnlyLooks(t *testing.T) {
	t.Parallel()
	dir := completable(t, nil)
	look := func() (all string) {
		filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
			info, _ := os.Lstat(path)
			all += fmt.Sprintln(path, info.Mode(), info.Size(), info.ModTime().Format(time.RFC3339Nano), err)
			return nil
		})
		return all
	}
	before := look()
	for _, words := range [][]string{
		{"keys", "accept", "app01", ""}, {"image", "pin", ""}, {"lts-conf", "get", ""}, {"server", "remove",
			""}, {"update-image", ""},
	} {
		if complete(t, filepath.Join(dir, "ltskeeper.toml"), words...) == "" {
			t.Errorf("%q: nothing", words)
		}
	}
	if after := look(); after != before {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
}

// Whatever is typed, there is no panic, and what a shell gets is words that mean nothing to it.
func FuzzComplete(f *testing.F) {
	for _, seed := range []string{
		"", "keys accept app01 SHA256:", "--config=", "--config --json", "-- -", "lts-conf get --mac=",
		"image diff x86_64 3 12 ", "help help ",
		"server add --group --", "complete -- ", "-", "--=", "keys revoke app01 --file",
	} {
		f.Add(seed)
	}
	config := filepath.Join(completable(f, nil), "ltskeeper.toml")
	f.Fuzz(func(t *testing.T, typed string) {
		tool := &tool{term: &terminal{}, config: config}
		app := tool.defineApp()
		for _, c := range tool.findCandidates(app, strings.Split(typed, " ")) {
			if !isPlainWord(c.word) {
				t.Errorf("%q: %q", typed, c)
			}
		}
	})
}
