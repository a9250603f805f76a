package farm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"ltskeeper/keys"
	"ltskeeper/ldm"
)

// write makes files below a new folder, by their paths.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755),
			os.WriteFile(file, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func mustLoad(t *testing.T, dir string) *Farm {
	t.Helper()
	f, err := Load(filepath.Join(dir, "ltskeeper.toml"))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// findMistakes returns what is wrong with a declaration and what would be right, without its
// folder.
func findMistakes(t *testing.T, dir string) []string {
	t.Helper()
	f, err := Load(filepath.Join(dir, "ltskeeper.toml"))
	if err == nil {
		return nil
	}
	var ms Mistakes
	if !errors.As(err, &ms) || f != nil {
		t.Fatalf("got %v, %v", f, err)
	}
	var lines []string
	for _, m := range ms {
		lines = append(lines, strings.ReplaceAll(m.Error()+adviceOf(m), dir+"/", ""))
	}
	return lines
}

// adviceOf returns the remedies of a mistake as text.
func adviceOf(m Mistake) string {
	var b strings.Builder
	for _, r := range m.Remedies {
		fmt.Fprintf(&b, "; %v", r)
	}
	return b.String()
}

// everything is a declaration that leaves nothing out.
var everything = map[string]string{
	"ltskeeper.toml": `
state = "/var/lib/ltskeeper"

[collect]
timeout   = "2s"          # per connection: TCP, banner, key exchange
parallel  = 8
first-use = "refuse"
login     = { user = "keeper", identity = "keys/id_ed25519" }
retire-after = "48h"

[image]
directory   = "images"
compression = "lz4"
keep        = 5
keep-for    = "24h"
allow-secrets = ["etc/ssl/private/lab-*.key"]

[tftp]
directory = "../tftp"

[[chroot]]
name    = "x86_64"
path    = "/srv/ltsp/x86_64"
exclude = ["var/cache/apt/archives/*.deb"]
exclude-defaults = false
write   = false

[[chroot]]
name    = "i386"
path    = "roots/i386"
lts-conf = "lab.conf"

[[chroot]]
name    = "i386-slim"
path    = "roots/i386"
write   = false
exclude = ["usr/share/doc/*", "... *.pyc"]

[lts-conf]
list = "address"
set  = { LDM_DIRECTX = "True", SCREEN_07 = "ldm" }

[balance]
policy   = "weighted"
binaries = "client"

[[ca]]
hosts = ["*.example.org", "!gw.example.org"]
key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ9tLyIqx6HTYuGkeVzBNHQ7YTtFnA4mAuS2BXuNcW3o the CA"

[[alias]]
name = "server"
groups = ["cad"]

[[alias]]
name = "floating.example.org"

[ltsp]
known-hosts = "ltsp/ssh_known_hosts"
initrd = true

[known-hosts]
hash = true

[[client]]
match = "00:11:22:*"
group = "cad"
set   = { XSERVER = "vesa" }

[[client]]
match = "kiosk"
[client.set]
XSERVER = "fbdev"
`,
	"servers.d/app02.toml": "# nothing but the default\naddresses = [\"fd00::11\"]\n",
	"servers.d/app01.toml": `
addresses = ["10.0.0.11", "app01.internal"]
port      = 22
aliases   = ["app01.example.org"]
groups    = ["cad", "big"]
weight    = 2.5
pins      = ["SHA256:nntmvzDwIGkvvfyiDdSlSaEK/GhqP4/+S3P5objo10E"]
`,
	"servers.d/app01.toml~":          "an editor's backup",
	"servers.d/app03.toml.dpkg-dist": "a package manager's",
	"servers.d/.#app01.toml":         "an editor's lock",
	"servers.d/README":               "an admin's",
	"lab.conf":                       "[default]\nSCREEN_08 = shell\n",
}

func TestLoad(t *testing.T) {
	t.Parallel()
	dir := write(t, everything)
	got := mustLoad(t, dir)
	got.ltsConfs = nil
	ca, err := keys.ParseKey("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ9tLyIqx6HTYuGkeVzBNHQ7YTtFnA4mAuS2BXuNcW3o the CA")
	if err != nil {
		t.Fatal(err)
	}
	want := &Farm{
		Aliases:        []Alias{{Name: "server", Groups: []string{"cad"}}, {Name: "floating.example.org"}},
		LTSP:           LTSP{KnownHosts: dir + "/ltsp/ssh_known_hosts", Initrd: true},
		HashKnownHosts: true,

		Authorities: []keys.Authority{{Hosts: []string{"*.example.org", "!gw.example.org"}, Key: ca,
			Comment: "the CA"}},

		Path:  dir + "/ltskeeper.toml",
		Dir:   dir,
		State: "/var/lib/ltskeeper",
		Collect: Collect{
			Timeout: 2 * time.Second, Parallel: 8, RetireAfter: 48 * time.Hour,
			Login: &Login{User: "keeper", Identity: dir + "/keys/id_ed25519"},
		},
		Image: Image{Directory: dir + "/images", Compression: "lz4", Keep: 5, KeepFor: 24 * time.Hour,
			AllowSecrets: []string{"etc/ssl/private/lab-*.key"}},
		TFTP:    filepath.Dir(dir) + "/tftp",
		Balance: Balance{Policy: ldm.Weighted, Binaries: dir + "/client"},
		Chroots: []Chroot{
			{Name: "x86_64", Path: "/srv/ltsp/x86_64", Exclude: []string{"var/cache/apt/archives/*.deb"},
				LTSConf: dir + "/lts.conf"},
			{Name: "i386", Path: dir + "/roots/i386", ExcludeDefaults: true, Write: true, LTSConf: dir + "/lab.conf"},
			{
				Name: "i386-slim", Path: dir + "/roots/i386", Exclude: []string{"usr/share/doc/*", "... *.pyc"},
				ExcludeDefaults: true, LTSConf: dir + "/lts.conf",
			},
		},
		LTSConf: LTSConf{ByAddress: true, Set: []Setting{{"LDM_DIRECTX", "True"}, {"SCREEN_07", "ldm"}}},
		Clients: []Client{
			{Match: "00:11:22:*", Group: "cad", Set: []Setting{{"XSERVER", "vesa"}}},
			{Match: "kiosk", Set: []Setting{{"XSERVER", "fbdev"}}},
		},
		Servers: []Server{
			{
				Name: "app01", Addresses: []string{"10.0.0.11",
					"app01.internal"}, Port: 22, Aliases: []string{"app01.example.org"},
				Groups: []string{"cad", "big"}, Weight: 2.5,
				Pins: []string{"SHA256:nntmvzDwIGkvvfyiDdSlSaEK/GhqP4/+S3P5objo10E"},
			},
			{Name: "app02", Addresses: []string{"fd00::11"}, Port: 22, Weight: 1},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"ltskeeper.toml": ""})
	got := mustLoad(t, dir)
	got.ltsConfs = nil
	want := &Farm{
		Path:    dir + "/ltskeeper.toml",
		Dir:     dir,
		State:   "/var/lib/ltskeeper",
		Collect: Collect{Timeout: 5 * time.Second, Parallel: 64, FirstUse: true, RetireAfter: 336 * time.Hour},
		Image:   Image{Directory: "/srv/ltsp/images", Compression: "zstd", Keep: 3, KeepFor: 336 * time.Hour},
		TFTP:    "/srv/tftp/ltsp",
		Balance: Balance{Policy: ldm.Two},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestLookUp(t *testing.T) {
	t.Parallel()
	f := mustLoad(t, write(t, everything))
	if s, err := f.FindServer("APP02"); err != nil || s.Name != "app02" {
		t.Errorf("got %v, %v", s, err)
	}
	if c, err := f.FindChroot("i386"); err != nil || c.Name != "i386" {
		t.Errorf("got %v, %v", c, err)
	}
	if s, err := f.FindServer("app02."); err != nil || s.Name != "app02" {
		t.Errorf("with a dot at its end: %+v, %v", s, err)
	}
	_, noServer := f.FindServer("ap02")
	_, noChroot := f.FindChroot("amd64-fat")
	for err, want := range map[error]string{
		noServer: `there is no server "ap02"; did you mean app02?`,
		noChroot: `there is no chroot "amd64-fat"; there are x86_64, i386, i386-slim`,
	} {
		var unknown *UnknownError
		if !errors.As(err, &unknown) || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{
		"ltskeeper.toml": `
[[client]]
match = "lab*"
group = "cad"
[[client]]
match = "kiosk"
[[client]]
match = "desk"
group = "big"
`,
		"servers.d/app01.toml": "port = 2222\ngroups = [\"cad\"]",
		"servers.d/app02.toml": "port = 2222\ngroups = [\"big\", \"cad\"]",
		"servers.d/app03.toml": "port = 2222",
	})
	type list struct {
		section, group, servers string
		port                    int
	}
	var got []list
	for _, l := range mustLoad(t, dir).Lists() {
		var names []string
		for _, s := range l.Servers {
			names = append(names, s.Name)
		}
		got = append(got, list{l.Section, l.Group, strings.Join(names, " "), l.Port})
	}
	want := []list{
		{"default", "", "app01 app02 app03", 2222},
		{"lab*", "cad", "app01 app02", 2222},
		{"desk", "big", "app02", 2222},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}

	empty := mustLoad(t, write(t, map[string]string{"ltskeeper.toml": ""})).Lists()
	if len(empty) != 1 || empty[0].Section != "default" || empty[0].Port != 22 || len(empty[0].Servers) != 0 {
		t.Errorf("an empty farm has %v", empty)
	}
}

func TestListEntry(t *testing.T) {
	t.Parallel()
	s := Server{Name: "app01", Addresses: []string{"fd00::11", "10.0.0.11"}}
	for _, c := range []struct {
		farm Farm
		s    Server
		want string
	}{
		{Farm{}, s, "app01"},
		{Farm{LTSConf: LTSConf{ByAddress: true}}, s, "fd00::11"},
		{Farm{LTSConf: LTSConf{ByAddress: true}}, Server{Name: "10.0.0.12"}, "10.0.0.12"},
	} {
		if got := c.farm.ListEntry(c.s); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

func TestLTSConfSource(t *testing.T) {
	t.Parallel()
	dir := write(t, everything)
	f := mustLoad(t, dir)
	for name, want := range map[string]string{"x86_64": BuiltinLTSConf, "i386": everything["lab.conf"]} {
		c, err := f.FindChroot(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.LTSConfSource(c).Bytes(); string(got) != want {
			t.Errorf("%s: got %q", name, got)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "lts.conf"), []byte("[default]\nA = b\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	f = mustLoad(t, dir)
	if got := f.LTSConfSource(f.Chroots[0]).Bytes(); string(got) != "[default]\nA = b\n" {
		t.Errorf("got %q", got)
	}
}

// Where no [[client]] is declared, [client] may name the clients' binaries.
func TestClientBinaries(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"ltskeeper.toml": "[client]\nbinaries = \"/usr/lib/ltskeeper/client\"\n"})
	if got := mustLoad(t, dir).Balance.Binaries; got != "/usr/lib/ltskeeper/client" {
		t.Errorf("%q", got)
	}
}
