package main

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

func testApp() *cli.App { return (&tool{term: &terminal{}}).defineApp() }

func TestPermute(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ typed, want string }{
		{"", ""},
		{"status", "status"},
		{"status --json", "--json status"},
		{"--json status", "--json status"},
		{"-q status", "--quiet status"},
		{"status -qv", "--quiet --verbose status"},
		{"update-image x86_64 --dry-run", "update-image --dry-run -- x86_64"},
		{"--dry-run update-image x86_64", "update-image --dry-run -- x86_64"},
		{"update-image -nq", "--quiet update-image --dry-run"},
		{"update-image --dry-run=false", "update-image --dry-run=false"},
		{"server add app04 --address 10.0.0.4 --config lab.toml",
			"--config=lab.toml server add --address=10.0.0.4 -- app04"},
		{"server --address 10.0.0.4 add app04", "server add --address=10.0.0.4 -- app04"},
		{"--address=10.0.0.4 --config=lab.toml server add app04",
			"--config=lab.toml server add --address=10.0.0.4 -- app04"},
		{"server add --address b --address a app04", "server add --address=b --address=a -- app04"},
		{"--config a status --config b", "--config=a --config=b status"},
		{"server add --alias -odd app04", "server add --alias=-odd -- app04"},
		{"server add --alias= app04", "server add --alias= -- app04"},
		{"server add --alias a=b app04", "server add --alias=a=b -- app04"},
		{"server add -- --json", "server add -- --json"},
		{"server add --json -- -x --", "--json server add -- -x --"},
		{"keys accept app03 -- SHA256:x", "keys accept -- app03 SHA256:x"},
		{"lts-conf check -", "lts-conf check -- -"},
		{"lts-conf", "lts-conf"},
		{"lts-conf x86_64", "lts-conf -- x86_64"},
		{"lts-conf get LDM_SERVER --mac 00:11", "lts-conf get --mac=00:11 -- LDM_SERVER"},
		{"server", "server"},
		{"server add app04 --help", "help server add"},
		{"-h server add", "help server add"},
		{"help server add", "help server add"},
		{"help", "help"},
		{"--help --dry-run", "help"},
		{"server --version", "--version"},
	} {
		line, err := permuteArgs(testApp(), append([]string{"ltskeeper"}, strings.Fields(test.typed)...))
		if err != nil {
			t.Errorf("%s: %v", test.typed, err)
			continue
		}
		if got := strings.Join(line[1:], " "); got != test.want {
			t.Errorf("%s\n got %s\nwant %s", test.typed, got, test.want)
		}
	}
}

func TestPermuteRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ typed, want string }{
		{"stauts", "there is no command stauts; did you mean status?"},
		{"update", "there is no command update; did you mean update-image?"},
		{"known_hosts", "there is no command known_hosts; did you mean known-hosts?"},
		{"server ad app04", "there is no command server ad; did you mean server add or add-to-hosts?"},
		{"accept app03", "there is no command accept; did you mean keys accept?"},
		{"list", "there is no command list; did you mean server list, keys list or image list?"},
		{"servers", "there is no command servers; did you mean server add, remove, add-to-hosts or list?"},
		{"servers list", "there is no command servers; did you mean server list?"},
		{"key list app01", "there is no command key; did you mean keys list?"},
		{"imge rolback", "there is no command imge; did you mean image rollback?"},
		{"image rolback", "there is no command image rolback; did you mean image rollback?"},
		{"server delete app01", "there is no command server delete; did you mean server remove?"},
		{"rm app01", "there is no command rm; did you mean server remove?"},
		{"show", "there is no command show; did you mean server list, keys list or image list?"},
		{"image update", "there is no command image update; did you mean update-image?"},
		{"image-update", "there is no command image-update; did you mean update-image?"},
		{"server-add app04", "there is no command server-add; did you mean server add?"},
		{"add-server app04", "there is no command add-server; did you mean server add?"},
		{"list keys", "there is no command list; did you mean keys list?"},
		{"server app04 add", "there is no command server app04; did you mean server add?"},
		{"keys app01 accept", "there is no command keys app01; did you mean keys accept?"},
		{"image create", "there is no command image create; did you mean image build?"},
		{"create", "there is no command create; did you mean server add or image build?"},
		{"diagnose", "there is no command diagnose; did you mean doctor?"},
		{"scan", "there is no command scan; did you mean keys collect?"},
		{"version", "there is no command version; did you mean --version?"},
		{"server frobnicate",
			"there is no command server frobnicate; there are add, remove, add-to-hosts, list: ltskeeper server --help explains them"},
		{"status --jsn", "there is no option --jsn; did you mean --json?"},
		{"update-image --dryrun", "there is no option --dryrun; did you mean --dry-run?"},
		{"update-image --dry", "there is no option --dry; did you mean --dry-run?"},
		{"status -json", "there is no option -json; did you mean --json?"},
		{"status -qx", "there is no option -x; ltskeeper COMMAND --help lists them"},
		{"status --xyzzy", "there is no option --xyzzy; ltskeeper COMMAND --help lists them"},
		{"status --q", "there is no option --q; ltskeeper COMMAND --help lists them"},
		{"status --", ""},
		{"server list --address x", "server list has no option --address; it belongs to server add"},
		{"--dry-run", "--dry-run belongs to a command: update-image"},
		{"server add app04 --ip 10.0.0.14", "server add has no option --ip; did you mean --address?"},
		{"init --chroot", "--chroot needs a value: the client root is PATH; look for no others; may be repeated"},
		{"server add app04 --chroot", "server add has no option --chroot; it belongs to init or lts-conf get"},
		{"doctor --fix", "there is no option --fix; ltskeeper COMMAND --help lists them"},
		{"server add app04 --port", "--port needs a value: its SSH port is N (default 22)"},
		{"server add --alias --json app04", "--alias needs a value: users know it as N too; may be repeated"},
		{"server add --port ssh app04", `--port wants a number, not "ssh"`},
		{"server add --weight much app04", `--weight wants a number, not "much"`},
		{"status --json=maybe", `--json is on or off and takes no value, not "maybe"`},
		{"status now", `there is no use for "now": ltskeeper status`},
		{"server -- list", `there is no use for "list": ltskeeper server`},
		{"server remove a b", `there is no use for "b": ltskeeper server remove NAME`},
		{"server remove", "something is missing: ltskeeper server remove NAME"},
		{"image diff 1", "something is missing: ltskeeper image diff [CHROOT] A B"},
		{"image diff a 1 2 3", `there is no use for "3": ltskeeper image diff [CHROOT] A B`},
		{"help stauts", "there is no command stauts; did you mean status?"},
	} {
		_, err := permuteArgs(testApp(), append([]string{"ltskeeper"}, strings.Fields(test.typed)...))
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s\n got %s\nwant %s", test.typed, got, test.want)
		}
		if err != nil && exitCode(err) != exitUsage {
			t.Errorf("%s: exit code %d", test.typed, exitCode(err))
		}
	}
}

// The command that shells ask is nothing that people type.
func TestHiddenCommand(t *testing.T) {
	t.Parallel()
	_, err := permuteArgs(testApp(), []string{"ltskeeper", "complet"})
	if err == nil || strings.Contains(err.Error(), "complete") ||
		bytes.Contains(explainCommand(testApp(), rootCommand(testApp())), []byte("complete ")) {
		t.Error(err)
	}
}

// However options are mixed with words, and in whichever form they are typed, cli gets the same
// line.
func TestPermuteAnyOrder(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	words := []string{"server", "add", "app04"}
	globals := [][]string{{"--json"}, {"-q"}, {"--config", "lab.toml"}, {"--config=lab.toml"}}
	own := [][]string{{"--address", "10.0.0.4"}, {"--address=10.0.0.5"}, {"--port", "2222"}, {"--group", "cad"}}
	want := []string{"ltskeeper", "--json", "--quiet", "--config=lab.toml", "--config=lab.toml",
		"server", "add", "--address=10.0.0.4", "--address=10.0.0.5", "--port=2222", "--group=cad", "--", "app04"}
	for range 1000 {
		line := []string{"ltskeeper"}
		w, g, o := words, globals, own
		for len(w)+len(g)+len(o) > 0 {
			switch pick := random.IntN(3); {
			case pick == 0 && len(w) > 0:
				line, w = append(line, w[0]), w[1:]
			case pick == 1 && len(g) > 0:
				line, g = append(line, g[0]...), g[1:]
			case pick == 2 && len(o) > 0:
				line, o = append(line, o[0]...), o[1:]
			}
		}
		got, err := permuteArgs(testApp(), line)
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("%q\n got %q, %v\nwant %q", line, got, err, want)
		}
	}
}

// Whatever is typed, permuteArgs does not panic, and its outcome is in order already.
func FuzzPermute(f *testing.F) {
	for _, seed := range []string{
		"", "--", "-", "--=", "--json=", "-q -v -n", "server add app04 --address 10.0.0.4", "help server",
		"lts-conf get -- --mac", "--config", "--config --json status", "keys accept app03 SHA256:x", "--version --help",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		once, err := permuteArgs(testApp(), append([]string{"ltskeeper"}, strings.Split(typed, " ")...))
		if err != nil {
			return
		}
		twice, err := permuteArgs(testApp(), once)
		if err != nil || !slices.Equal(once, twice) {
			t.Fatalf("%q becomes %q, which becomes %q, %v", typed, once, twice, err)
		}
	})
}

// permuteArgs reads an option before it knows the command, so options of one name must be of one
// kind.
func TestOptionsOfOneNameAreOfOneKind(t *testing.T) {
	t.Parallel()
	app := testApp()
	all := allFlags(app)
	check := func(owner string, flags []cli.Flag) {
		for name, f := range flagsByName(flags) {
			if other := all[name]; takesValue(f) != takesValue(other) || f.Names()[0] != other.Names()[0] {
				t.Errorf("%s: %s is %T here and %T elsewhere", owner, name, f, other)
			}
			if !strings.HasPrefix(name, "--") && takesValue(f) {
				t.Errorf("%s: %s takes a value, which permuteArgs does not read", owner, name)
			}
		}
	}
	check("ltskeeper", app.Flags)
	for _, c := range allCommands(app) {
		check(c.HelpName, c.Flags)
		for _, f := range c.Flags {
			if name := "--" + f.Names()[0]; flagsByName(app.Flags)[name] != nil {
				t.Errorf("%s: %s is an option of every command already", c.HelpName, name)
			}
		}
	}
}
