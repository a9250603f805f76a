package main

import (
	"debug/elf"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ltskeeper/internal/testkit/programs"
)

// ample is a deadline that no test waits for.
const ample = "--timeout=1m"

// A client is one with settings of its own, and nothing else in its environment.
type client map[string]string

// run runs get_hosts on it. Names in its settings and arguments may be short: app1 stands for
// 127.95.71.1.
func (c client) run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	full := strings.NewReplacer("app", "127.95.71.")
	for i := range args {
		args[i] = full.Replace(args[i])
	}
	if !slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, "--lts-conf") }) {
		args = append([]string{"--lts-conf", filepath.Join(t.TempDir(), "none")}, args...)
	}
	getenv := func(key string) string { return full.Replace(c[key]) }
	var out strings.Builder
	err := run(t.Context(), args, getenv, rand.New(rand.NewPCG(1, 2)), &out)
	return strings.NewReplacer("127.95.71.", "app", "\n", "").Replace(out.String()), err
}

// serve answers everybody on an address with a text.
func serve(t *testing.T, address, text string) {
	t.Helper()
	serveWith(t, address, func(c net.Conn) { io.WriteString(c, text) })
}

func serveWith(t *testing.T, address string, answer func(net.Conn)) {
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
			wg.Go(func() {
				defer c.Close()
				answer(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
}

// The farm: app1 has the better rating, app2 is drained, app3 has SSH alone, app4 says nonsense,
// and app9 is down.
func farm(t *testing.T) {
	serve(t, "127.95.71.1:9571", "rating:90\nlanguage:en_US.UTF-8\n")
	serve(t, "127.95.71.2:9571", "rating:0\nstate:draining\n")
	serve(t, "127.95.71.3:2222", "SSH-2.0-x\r\n")
	serve(t, "127.95.71.4:9571", "rating:lots\nlanguage:de_DE.UTF-8\n")
	serve(t, "127.95.71.5:9571", "rating:10\n")
}

func TestGetHosts(t *testing.T) {
	farm(t)
	script := func(text string) string {
		path := filepath.Join(t.TempDir(), "rank")
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	conf := filepath.Join(t.TempDir(), "lts.conf")
	err := os.WriteFile(conf,
		[]byte("[default]\nLDM_SERVER = \"127.95.71.9 127.95.71.5 127.95.71.1\"\nLDM_BALANCE = fixed\n"), 0o644)
	if err != nil {
		t.Fatal(err)
	}

	const two = "app9 app5 app1" // by rating app1 app5 app9, as listed app5 app1 app9
	for _, test := range []struct {
		name   string
		client client
		args   []string
		want   string
	}{
		{"the better of two", client{"LDM_SERVER": two}, nil, "app1 app5 app9"},
		{"best", client{"LDM_SERVER": two, "LDM_BALANCE": "best"}, nil, "app1 app5 app9"},
		{"as listed", client{"LDM_SERVER": two, "LDM_BALANCE": "fixed"}, nil, "app5 app1 app9"},
		{"an unknown policy is the default one", client{"LDM_SERVER": two, "LDM_BALANCE": "bset"}, nil,
			"app1 app5 app9"},
		{"arguments win", client{"LDM_SERVER": "app9"}, []string{"app5", "app1"}, "app1 app5"},
		{"a list as one argument", client{}, []string{"app5 app1"}, "app1 app5"},
		{"twice the same", client{"LDM_SERVER": "app1 app1 app9"}, nil, "app1 app9"},
		{"no names are left out", client{"LDM_SERVER": "app1 $(reboot) ../app5 -x app9"}, nil, "app1 app9"},
		{"lts.conf", client{}, []string{"--lts-conf", conf}, "app5 app1 app9"},
		{"the environment wins", client{"LDM_BALANCE": "best"}, []string{"--lts-conf", conf}, "app1 app5 app9"},
		{"every state", client{"LDM_SERVER": "app9 app4 app2 app3 app1", "SSH_OVERRIDE_PORT": "2222"}, nil,
			"app1 app3 app2 app9 app4|app1 app3 app2 app4 app9"},
		{"drained is better than none", client{"LDM_SERVER": "app9 app2"}, nil, "app2 app9"},
		{"nonsense for a port", client{"LDM_SERVER": "app1", "SSH_OVERRIDE_PORT": "x"}, nil, "app1"},
		{"weight decides between equals",
			client{"LDM_SERVER": "app1 app5", "LDM_BALANCE": "random",
				"LDM_SERVER_WEIGHTS": "app5=1000000 app1=0.000001 x"}, nil, "app5 app1"},

		{"a script",
			client{"LDM_SERVER": two,
				"LDM_GET_HOSTS": script("awk '$2 == \"up\" { print $3, $1 }' | sort -n | cut -d ' ' -f 2")}, nil,
			"app5 app1"},
		{"a script's line ends", client{"LDM_SERVER": two, "LDM_GET_HOSTS": script("cut -d ' ' -f 1")}, nil,
			"app9 app5 app1"},
		{"a script that fails", client{"LDM_SERVER": two, "LDM_GET_HOSTS": script("cut -d ' ' -f 1; exit 3")}, nil,
			"app1 app5 app9"},
		{"a script that is not there", client{"LDM_SERVER": two, "LDM_GET_HOSTS": "/no/such/script"}, nil,
			"app1 app5 app9"},
		{"a script that says nothing", client{"LDM_SERVER": two, "LDM_GET_HOSTS": script("")}, nil, "app1 app5 app9"},
		{"a script with a name of its own", client{"LDM_SERVER": two, "LDM_GET_HOSTS": script("echo app1 app7")}, nil,
			"app1 app5 app9"},
		{"a script that says a name twice",
			client{"LDM_SERVER": two, "LDM_GET_HOSTS": script("echo 127.95.71.5 127.95.71.5")}, nil, "app1 app5 app9"},
		{"a script that floods", client{"LDM_SERVER": two, "LDM_GET_HOSTS": script("exec yes app1")}, nil,
			"app1 app5 app9"},
		{"a script that hangs",
			client{"LDM_SERVER": two, "LDM_GET_HOSTS": script("echo 127.95.71.5; sleep 60 & sleep 60")},
			[]string{"--timeout=3s"}, "app1 app5 app9"},
		{"a script whose child stays", client{"LDM_SERVER": two, "LDM_GET_HOSTS": script("sleep 2 & echo 127.95.71.5")},
			nil, "app5"},
	} {
		t.Run(test.name, func(t *testing.T) {
			start := time.Now()
			got, err := test.client.run(t, append([]string{ample}, test.args...)...)
			if err != nil || !slices.Contains(strings.Split(test.want, "|"), got) {
				t.Errorf("%q, %v, want %q", got, err, test.want)
			}
			if took := time.Since(start); took > 30*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		client client
		args   []string
		want   string
	}{
		{client{}, nil, "neither an argument nor LDM_SERVER names one"},
		{client{"LDM_SERVER": "$x"}, nil, "there are no servers"},
		{client{"LDM_SERVER": "app9"}, nil,
			"the application server 127.95.71.9 does not answer: check the network cable"},
		{client{"LDM_SERVER": "app8 app9"}, nil,
			"none of the application servers 127.95.71.8, 127.95.71.9 answers: check the network cable"},
		{client{"LDM_SERVER": "app6 app7 app8 app9 app10 app11"}, nil, "none of the 6 application servers answers"},
		{client{"LDM_SERVER": "app9"}, []string{"--timeout", "0"}, "leaves no time"},
		{client{"LDM_SERVER": "app9"}, []string{"--sever"}, "the command line is wrong"},
	} {
		out, err := test.client.run(t, test.args...)
		if out != "" || err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v %v: %q, %v, want %q", test.client, test.args, out, err, test.want)
		}
	}
}

// The greeter finds a file for each server that is up, clean and short, and none for the others.
func TestInfoDir(t *testing.T) {
	t.Parallel()
	serve(t, "127.95.71.21:9571",
		"language:fr_FR.UTF-8\nsession:\x1b[2J\nserver:127.95.71.22\nrating:55\n"+
			strings.Repeat("language:xx_XX.UTF-8\n", 1000))
	serve(t, "127.95.71.22:2222", "SSH-2.0-x\r\n")
	serveWith(t, "127.95.71.23:9571", func(c net.Conn) {
		for line := []byte(strings.Repeat("rating:99", 1000)); ; {
			if _, err := c.Write(line); err != nil {
				return
			}
		}
	})
	dir := filepath.Join(t.TempDir(), "run", "ldm")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"127.95.71.23", "127.95.71.24"} { // from a better time
		if err := os.WriteFile(filepath.Join(dir, name), []byte("rating:99\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c := client{"LDM_SERVER": "app21 app22 app23 app24", "SSH_OVERRIDE_PORT": "2222"}
	if out, err := c.run(t, ample, "--info-dir", dir); err != nil || !strings.HasPrefix(out, "app21 app22 ") {
		t.Errorf("%q, %v", out, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
		if info, _ := e.Info(); info.Mode() != 0o644 {
			t.Errorf("%s: %v", e.Name(), info.Mode())
		}
	}
	if want := []string{"127.95.71.21", "127.95.71.22"}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
	text, err := os.ReadFile(filepath.Join(dir, "127.95.71.21"))
	if err != nil || !strings.HasPrefix(string(text), "rating:55\nlanguage:fr_FR.UTF-8\n") || len(text) >= 4096 ||
		strings.ContainsAny(string(text), "\x1b") || strings.Contains(string(text), "server") {
		t.Errorf("%d bytes, %.60q, %v", len(text), text, err)
	}

	// Where the answers cannot be left, users can log in all the same.
	file := filepath.Join(dir, "127.95.71.21")
	if out, err := c.run(t, ample, "--info-dir", file); err != nil || !strings.HasPrefix(out, "app21 ") {
		t.Errorf("%q, %v", out, err)
	}
}

func TestPamltsp(t *testing.T) {
	t.Parallel()
	serve(t, "127.95.71.31:9571", "rating:55\n")
	dir := t.TempDir()
	path := filepath.Join(dir, "pamltsp.conf")
	c := client{"LDM_SERVER": "app39 app31"}
	set := func() string {
		t.Helper()
		if out, err := c.run(t, ample, "--pamltsp="+path); out != "" || err != nil {
			t.Fatalf("%q, %v", out, err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if got, want := set(), "SSH_SERVER='127.95.71.31'\n"; got != want {
		t.Errorf("a new file: %q, want %q", got, want)
	}
	before, _ := os.Stat(path)
	set()
	if after, _ := os.Stat(path); !os.SameFile(before, after) {
		t.Error("it is written again without need")
	}

	// As `ltsp init` writes it, and behind a link.
	target := filepath.Join(dir, "real")
	text := "# Generated by `ltsp init`, see man:ltsp(8)\nPAM_AUTH_TYPE=''\nSSH_SERVER='app07'\nSSH_OPTIONS='-p 22'"
	err := errors.Join(os.WriteFile(target, []byte(text), 0o600), os.Remove(path), os.Symlink("real", path))
	if err != nil {
		t.Fatal(err)
	}
	want := "# Generated by `ltsp init`, see man:ltsp(8)\nPAM_AUTH_TYPE=''\nSSH_OPTIONS='-p 22'\nSSH_SERVER='127.95.71.31'\n"
	if got := set(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if info, err := os.Stat(target); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if _, err := os.Readlink(path); err != nil {
		t.Error(err)
	}
	if out, err := (client{"LDM_SERVER": "app39"}).run(t, "--pamltsp="+path); out != "" || err == nil {
		t.Errorf("all down: %q, %v", out, err)
	}
	if got := set(); got != want {
		t.Errorf("all down: %q", got)
	}
}

// A shell that reads the file finds the server, and every other setting as it was.
func TestSetSSHServer(t *testing.T) {
	t.Parallel()
	for _, conf := range []string{
		"", "A='1'\n", "A='1'", "SSH_SERVER=x", "SSH_SERVER=\"x y\"\nA=1\n SSH_SERVER='z'\n", "A=1; SSH_SERVER=x B=2\n",
		"SSH_SERVER=x; A=1\n", "# SSH_SERVER=x\nA=1\n", "SSH_SERVER=$(echo x)\nA=1", "SSH_SERVER=\nA=1\n",
	} {
		got := setSSHServer(conf, "app01")
		if again := setSSHServer(got, "app01"); again != got {
			t.Errorf("%q, and again %q", got, again)
		}
		const show = `eval "$0"; echo "$A $B"`
		before, _ := exec.Command("sh", "-c", show, conf).Output()
		after, err := exec.Command("sh", "-c", show+`; echo "$SSH_SERVER"`, got).Output()
		if want := string(before) + "app01\n"; string(after) != want || err != nil {
			t.Errorf("%q becomes %q: a shell sees %q, want %q", conf, got, after, want)
		}
	}
}

func FuzzSetSSHServer(f *testing.F) {
	f.Add("A='1'\nSSH_SERVER='x'\n")
	f.Add("SSH_SERVER=a;b\nSSH_SERVER=\"")
	f.Fuzz(func(t *testing.T, conf string) {
		got := setSSHServer(conf, "app01")
		if !strings.HasSuffix(got, "\nSSH_SERVER='app01'\n") && got != "SSH_SERVER='app01'\n" {
			t.Errorf("%q", got)
		}
		if setSSHServer(got, "app01") != got {
			t.Errorf("%q is not the last word", got)
		}
	})
}

func TestMain(m *testing.M) { os.Exit(programs.Main(m)) }

func TestStaticAndSmall(t *testing.T) {
	t.Parallel()
	path := programs.Path(t, "get_hosts")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() >= 4<<20 {
		t.Errorf("%d bytes", info.Size())
	}
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("it wants a dynamic linker")
		}
	}
}
