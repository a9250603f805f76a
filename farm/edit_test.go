package farm

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestAddServer(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"ltskeeper.toml": ""})
	f := mustLoad(t, dir)
	for _, c := range []struct {
		server Server
		want   string
	}{
		{Server{Name: "app02"}, "# Nothing needs to be said: the name resolves, and the rest is as usual.\n"},
		{
			Server{
				Name: "app01", Addresses: []string{"10.0.0.11",
					"fd00::11"}, Port: 22, Aliases: []string{"app01.example.org"},
				Groups: []string{"cad"}, Weight: 2,
				Pins: []string{"SHA256:nntmvzDwIGkvvfyiDdSlSaEK/GhqP4/+S3P5objo10E"},
			},
			`addresses = ["10.0.0.11", "fd00::11"]
port = 22
aliases = ["app01.example.org"]
groups = ["cad"]
weight = 2
pins = ["SHA256:nntmvzDwIGkvvfyiDdSlSaEK/GhqP4/+S3P5objo10E"]
`,
		},
	} {
		if err := f.AddServer(c.server); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(f.ServerPath(c.server.Name))
		if err != nil || string(got) != c.want {
			t.Errorf("got %s, %v", got, err)
		}
	}
	if !reflect.DeepEqual(f, mustLoad(t, dir)) {
		t.Errorf("the farm is %+v", f)
	}
	if len(f.Servers) != 2 || f.Servers[0].Name != "app01" || f.Servers[1].Port != 22 {
		t.Errorf("the servers are %+v", f.Servers)
	}
	if names := listFiles(t, dir+"/servers.d"); names != "app01.toml app02.toml" {
		t.Errorf("there is %s", names)
	}
}

func TestAddServerRefuses(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"ltskeeper.toml":             "",
		"servers.d/app01.toml":       "addresses = [\"10.0.0.1\"]",
		"servers.d/.ltskeeper-x.tmp": "a leftover of nobody here",
	}
	for _, c := range []struct {
		server Server
		want   string
	}{
		{Server{Name: "app01"}, "servers.d/app01.toml: the server is declared already"},
		{Server{Name: "APP01"}, "servers.d/app01.toml: the server is declared already"},
		{Server{Name: "../app02"}, `servers.d: "../app02" cannot name a server`},
		{Server{Name: ""}, `servers.d: "" cannot name a server`},
		{Server{Name: "server"}, `servers.d: "server" cannot name a server`},
		{Server{Name: "app02", Port: 2222},
			"servers.d/app02.toml:1:8: port: clients would have to log in at port 2222 here"},
		{Server{Name: "app02", Port: -1}, "servers.d/app02.toml:1:8: port: -1 is out of range"},
		{Server{Name: "app02", Addresses: []string{"10.0.0.1"}},
			"servers.d/app02.toml:1:14: addresses: \"10.0.0.1\" is an address in servers.d/app01.toml already"},
		{Server{Name: "app02", Aliases: []string{"a\"]\nport = 3 #\u2028\x7f"}}, "servers.d/app02.toml:1:"},
		{Server{Name: "10.0.0.1"},
			"servers.d/app01.toml:1:14: addresses: \"10.0.0.1\" is a name in servers.d/10.0.0.1.toml already"},
	} {
		dir := write(t, files)
		f := mustLoad(t, dir)
		before := *f
		err := f.AddServer(c.server)
		var ms Mistakes
		if !errors.As(err, &ms) || !strings.HasPrefix(strings.TrimPrefix(err.Error(), dir+"/"), c.want) {
			t.Errorf("%+v: got %v", c.server, err)
		}
		if !reflect.DeepEqual(*f, before) {
			t.Errorf("%+v: the farm has changed", c.server)
		}
		if names := listFiles(t, dir+"/servers.d"); names != ".ltskeeper-x.tmp app01.toml" {
			t.Errorf("%+v: there is %s", c.server, names)
		}
	}
}

func TestAddServerAfterACrash(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"ltskeeper.toml": "", "servers.d/.ltskeeper-app01.toml.tmp": "hal"})
	f := mustLoad(t, dir)
	if err := f.AddServer(Server{Name: "app01"}); err != nil {
		t.Fatal(err)
	}
	if names := listFiles(t, dir+"/servers.d"); names != "app01.toml" {
		t.Errorf("there is %s", names)
	}
}

func TestRemoveServer(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{
		"ltskeeper.toml":       "[[client]]\nmatch = \"lab*\"\ngroup = \"cad\"\n",
		"servers.d/app01.toml": "groups = [\"cad\"]",
		"servers.d/app02.toml": "groups = [\"cad\"]",
	})
	f := mustLoad(t, dir)

	var unknown *UnknownError
	if err := f.RemoveServer("app11"); !errors.As(err, &unknown) || !strings.HasSuffix(err.Error(), "did you mean app01?") {
		t.Errorf("got %v", err)
	}
	if err := f.RemoveServer("App01"); err != nil {
		t.Fatal(err)
	}
	if names := listFiles(t, dir+"/servers.d"); names != "app02.toml" || len(f.Servers) != 1 {
		t.Errorf("there is %s, the farm has %v", names, f.Servers)
	}
	// The last of a group may go, and the first come: clients of an empty group get the default
	// list.
	if err := f.RemoveServer("app02"); err != nil {
		t.Fatal(err)
	}
	if names := listFiles(t, dir+"/servers.d"); names != "" || len(f.Servers) != 0 {
		t.Errorf("there is %s, the farm has %v", names, f.Servers)
	}
}

// listFiles returns the names in dir, separated by spaces.
func listFiles(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, filepath.Base(e.Name()))
	}
	return strings.Join(names, " ")
}
