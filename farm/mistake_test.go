package farm

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Every mistake names its file, line, column, key and remedy.
func TestMistakes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		toml    string
		servers map[string]string
		want    []string
	}{
		"not TOML": {
			toml: "state = \"here\"\n[collect\n",
			want: []string{"ltskeeper.toml:2:9: it is not TOML: expected ']' to close table name; put strings in double quotes, and write every key once"},
		},
		"authorities": {
			toml: "[[ca]]\nhosts = [\"*.example.org,x\", \"a b\"]\nkey = \"ssh-ed25519 AAAA\"\n[[ca]]\n",
			want: []string{
				`ltskeeper.toml:2:10: ca.hosts: "*.example.org,x" is no pattern of host names; write one like "*.example.org"; ! in front excludes`,
				`ltskeeper.toml:2:29: ca.hosts: "a b" is no pattern of host names; write one like "*.example.org"; ! in front excludes`,
				`ltskeeper.toml:3:7: ca.key: parse key: key is cut off; write the CA's public key, as it stands in its .pub file`,
				`ltskeeper.toml:4:3: ca: there is no hosts in it; add it: every [[ca]] needs one`,
				`ltskeeper.toml:4:3: ca: there is no key in it; add it: every [[ca]] needs one`,
			},
		},
		"aliases": {
			toml:    "[[alias]]\nname = \"app01\"\n[[alias]]\nname = \"server\"\n[[alias]]\nname = \"Server\"\n[[alias]]\nname = \"*\"\n[ltsp]\ninitrd = true\n",
			servers: map[string]string{"app01": ""},
			want: []string{
				`ltskeeper.toml:2:8: alias.name: "app01" is a name in servers.d/app01.toml already; choose another name`,
				`ltskeeper.toml:6:8: alias.name: there is an alias "Server" already; make one section of the two`,
				`ltskeeper.toml:8:8: alias.name: "*" cannot name a server; write a host name or an address`,
				`ltskeeper.toml:9:2: ltsp: initrd is of no use without known-hosts; write known-hosts = "/etc/ltsp/ssh_known_hosts"`,
			},
		},
		"metrics": {
			toml: "[metrics]\ntextfile = \"ltskeeper.txt\"\ntextfil = \"\"\n",
			want: []string{
				`ltskeeper.toml:2:12: metrics.textfile: node_exporter reads only files that end in .prom; write one like "/var/lib/prometheus/node-exporter/ltskeeper.prom"`,
				`ltskeeper.toml:3:1: metrics.textfil: there is no such key; did you mean textfile?`,
			},
		},
		"a login": {
			toml: "[collect]\nlogin = { user = \"-x\", identity = \"\" }\nretire-after = \"14d\"\n",
			want: []string{
				`ltskeeper.toml:2:18: collect.login.user: "-x" is no user's name; write one like "ltskeeper"`,
				`ltskeeper.toml:2:35: collect.login.identity: the path is empty; name a file or folder, or leave the key out for its default`,
				`ltskeeper.toml:3:16: collect.retire-after: there are no days in time spans; write hours: "336h"`,
			},
		},
		"half a login": {
			toml: "[collect]\nlogin = { usr = \"keeper\" }\n",
			want: []string{
				`ltskeeper.toml:2:9: collect.login: there is no user in it; write { user = "ltskeeper", identity = "/etc/ltskeeper/id_ed25519" }`,
				`ltskeeper.toml:2:9: collect.login: there is no identity in it; write { user = "ltskeeper", identity = "/etc/ltskeeper/id_ed25519" }`,
				`ltskeeper.toml:2:11: collect.login.usr: there is no such key; did you mean user?`,
			},
		},
		"no login": {
			toml: "[collect]\nlogin = \"keeper\"\n",
			want: []string{`ltskeeper.toml:2:9: collect.login: "keeper" is a string; write it as a section: [collect.login]`},
		},
		"balance": {
			toml: "[balance]\npolicy = \"tow\"\nbinaries = 3\n[lts-conf]\nset = { LDM_SERVER_WEIGHTS = \"app01=2\" }\n[client]\nbinary = \"x\"\n",
			want: []string{
				`ltskeeper.toml:2:10: balance.policy: "tow" means nothing here; did you mean two?`,
				`ltskeeper.toml:3:12: balance.binaries: 3 is a number; put it in double quotes`,
				`ltskeeper.toml:5:9: lts-conf.set.LDM_SERVER_WEIGHTS: ltskeeper derives it from servers.d; take it out; weight and groups in a server's file say it`,
				`ltskeeper.toml:7:1: client.binary: there is no such key; did you mean binaries?`,
			},
		},
		"a key twice": {
			toml: "[collect]\nparallel = 1\nparallel = 2\n",
			want: []string{"ltskeeper.toml:3:1: parallel: it is not TOML: key parallel is already defined; put strings in double quotes, and write every key once"},
		},
		"unknown keys": {
			toml: "stat = \"x\"\n[colect]\n[collect]\nparralel = 2\nzzz = 1\n[[chroot]]\nname = \"a\"\npath = \"a\"\n\"lts conf\".x = 3\n",
			want: []string{
				"ltskeeper.toml:1:1: stat: there is no such key; did you mean state?",
				"ltskeeper.toml:2:2: colect: there is no such key; did you mean collect?",
				"ltskeeper.toml:4:1: collect.parralel: there is no such key; did you mean parallel?",
				"ltskeeper.toml:5:1: collect.zzz: there is no such key; use one of these: first-use, login, parallel, retire-after, timeout; man ltskeeper.toml explains them",
				"ltskeeper.toml:9:1: chroot.lts conf: there is no such key; did you mean lts-conf?",
			},
		},
		"wrong types": {
			toml: "state = 3\nimage = \"x\"\nchroot = \"y\"\nclient = [1]\n[collect]\ntimeout = 5\nparallel = \"64\"\nfirst-use = true\n[lts-conf]\nlist = 2026-01-01\nset = [\"A\"]\n",
			want: []string{
				"ltskeeper.toml:1:9: state: 3 is a number; put it in double quotes",
				"ltskeeper.toml:2:9: image: \"x\" is a string; write it as a section: [image]",
				"ltskeeper.toml:3:10: chroot: \"y\" is a string; write a section for each one: [[chroot]]",
				"ltskeeper.toml:4:11: client: 1 is a number; write a section for each one: [[client]]",
				"ltskeeper.toml:6:11: collect.timeout: 5 is a number; write numbers with units, like \"5s\", \"1m30s\" or \"336h\"",
				"ltskeeper.toml:7:12: collect.parallel: \"64\" is a string; write a whole number, without quotes",
				"ltskeeper.toml:8:13: collect.first-use: true is true or false; put it in double quotes",
				"ltskeeper.toml:10:8: lts-conf.list: 2026-01-01 is a date or time; put it in double quotes",
				"ltskeeper.toml:11:1: lts-conf.set: it is a list; write it as { KEY = \"value\" }",
			},
		},
		"wrong values": {
			toml: "state = \"\"\n[collect]\ntimeout = \"0s\"\nparallel = 0\nfirst-use = \"acept\"\n[image]\ncompression = \"xz\"\nkeep = -1\nkeep-for = \"14d\"\n[lts-conf]\nlist = \"names\"\n[tftp]\ndirectory = \"a\\nb\"\n",
			want: []string{
				"ltskeeper.toml:1:9: state: the path is empty; name a file or folder, or leave the key out for its default",
				"ltskeeper.toml:3:11: collect.timeout: no server answers in no time; write a time above zero, like \"5s\"",
				"ltskeeper.toml:4:12: collect.parallel: 0 is out of range; write at least 1",
				"ltskeeper.toml:5:13: collect.first-use: \"acept\" means nothing here; did you mean accept?",
				"ltskeeper.toml:7:15: image.compression: \"xz\" means nothing here; write zstd or gzip or lz4",
				"ltskeeper.toml:8:8: image.keep: -1 is out of range; write at least 1",
				"ltskeeper.toml:9:12: image.keep-for: there are no days in time spans; write hours: \"336h\"",
				"ltskeeper.toml:11:8: lts-conf.list: \"names\" means nothing here; did you mean name?",
				"ltskeeper.toml:13:13: tftp.directory: there is a control character in the path; take it out",
			},
		},
		"time spans": {
			toml: "[collect]\ntimeout = \"5\"\n[image]\nkeep-for = \"-1h\"\n",
			want: []string{
				"ltskeeper.toml:2:11: collect.timeout: \"5\" is no time span; write numbers with units, like \"5s\", \"1m30s\" or \"336h\"",
				"ltskeeper.toml:4:12: image.keep-for: \"-1h\" is no time span; write numbers with units, like \"5s\", \"1m30s\" or \"336h\"",
			},
		},
		"chroots": {
			toml: `
[[chroot]]
name = "current"
path = "a"
[[chroot]]
name = "x/y"
path = "b"
exclude = "tmp"
[[chroot]]
name = "x.img"
path = "c"
write = "no"
[[chroot]]
name = "x86"
path = "d"
[[chroot]]
name = "X86"
path = "./e/../d"
lts-conf = "gone.conf"
[[chroot]]
name = "y"
exclude = ["/tmp/*"]
[[chroot]]
`,
			want: []string{
				`ltskeeper.toml:3:8: chroot.name: "current" cannot name an image: that is what the current image is called; write one like x86_64`,
				`ltskeeper.toml:6:8: chroot.name: "x/y" cannot name an image: names are letters, digits, dots, hyphens and underscores; write one like x86_64`,
				`ltskeeper.toml:8:11: chroot.exclude: "tmp" is a string; write ["tmp"]`,
				`ltskeeper.toml:10:8: chroot.name: "x.img" cannot name an image: that is what the image of another chroot is called; write one like x86_64`,
				`ltskeeper.toml:12:9: chroot.write: "no" is a string; write true or false, without quotes`,
				`ltskeeper.toml:16:3: chroot: its path is that of the chroot "x86", too, and each would undo what is written for the other; put write = false into one of them`,
				`ltskeeper.toml:17:8: chroot.name: there is a chroot "x86" already; give every chroot a name of its own`,
				`ltskeeper.toml:19:12: chroot.lts-conf: there is no gone.conf; write it, or leave the key out`,
				`ltskeeper.toml:20:3: chroot: there is no path in it; add it: every [[chroot]] needs one`,
				`ltskeeper.toml:22:12: chroot.exclude: `,
				`ltskeeper.toml:23:3: chroot: there is no name in it; add it: every [[chroot]] needs one`,
				`ltskeeper.toml:23:3: chroot: there is no path in it; add it: every [[chroot]] needs one`,
			},
		},
		"clients": {
			toml: `
[[client]]
match = "lab]"
group = "kad"
[[client]]
match = "Default"
[[client]]
match = "a*"
[[client]]
match = "A*"
group = "no group"
[[client]]
group = "cad"
`,
			servers: map[string]string{"app01": `groups = ["cad"]`},
			want: []string{
				`ltskeeper.toml:3:9: client.match: "lab]" matches no client; write a MAC, an IP address, a host name, or a glob of one, like "00:11:22:*"`,
				`ltskeeper.toml:6:9: client.match: [default] is the section of all clients; { lts-conf  set  its settings  }`,
				`ltskeeper.toml:10:9: client.match: "A*" is matched above already; make one section of the two`,
				`ltskeeper.toml:11:9: client.group: "no group" cannot name a group: names are letters, digits, dots, hyphens and underscores; choose another`,
				`ltskeeper.toml:12:3: client: there is no match in it; add it: every [[client]] needs one`,
			},
		},
		"settings": {
			toml: `
[lts-conf.set]
LDM_SERVER = "app01"
1X = "y"
A = 3
B = "$(reboot)"
C = 'say "its"'
D = "two\nlines"
E = "fine: [x] = #1"
e = "again"
include = "x"
[[client]]
match = "lab"
set = { SSH_OVERRIDE_PORT = "22", "A B" = "` + "`x`" + `", F = "a\\b" }
`,
			want: []string{
				"ltskeeper.toml:3:1: lts-conf.set.LDM_SERVER: ltskeeper derives it from servers.d; take it out; the group of a client's section chooses its servers",
				"ltskeeper.toml:4:1: lts-conf.set.1X: ",
				"ltskeeper.toml:5:5: lts-conf.set.A: 3 is a number; put it in double quotes",
				"ltskeeper.toml:6:5: lts-conf.set.B: ",
				"ltskeeper.toml:7:5: lts-conf.set.C: ",
				"ltskeeper.toml:8:5: lts-conf.set.D: ",
				"ltskeeper.toml:10:1: lts-conf.set.e: it is set as E already; take one out: clients do not tell them apart",
				"ltskeeper.toml:11:1: lts-conf.set.include: ",
				"ltskeeper.toml:14:9: client.set.SSH_OVERRIDE_PORT: ltskeeper derives it from servers.d; take it out; the group of a client's section chooses its servers",
				"ltskeeper.toml:14:35: client.set.A B: ",
				"ltskeeper.toml:14:43: client.set.A B: ",
				"ltskeeper.toml:14:54: client.set.F: ",
			},
		},
		"servers": {
			servers: map[string]string{
				"app01":  "adresses = []\nport = 0\nweight = 0\naliases = [\"-x\", \"a b\", \"SERVER\", \"10.0.0\"]",
				"app02":  "addresses = [\"fd00::zz\", \"10.0.0.256\", \"a_b\", \"a:b\", \"fe80::1%eth0\", \"-v\"]\nport = 65536",
				"app03":  "pins = [\"MD5:00\", \"SHA256:short\", \"SHA256:nntmvzDwIGkvvfyiDdSlSaEK/GhqP4/+S3P5objo10F\"]\ngroups = [\"\"]\nport = 22\nweight = \"2\"",
				"server": "",
				"a b":    "",
			},
			want: []string{
				`servers.d/a b.toml: "a b" cannot name a server: names are letters, digits, dots, hyphens and underscores; rename the file`,
				`servers.d/app01.toml:1:1: adresses: there is no such key; did you mean addresses?`,
				`servers.d/app01.toml:2:8: port: 0 is out of range; write a number from 1 to 65535`,
				`servers.d/app01.toml:3:10: weight: 0 is out of range; write a number above zero, like 2 or 0.5`,
				`servers.d/app01.toml:4:12: aliases: "-x" cannot name a server: it begins with a hyphen, as options do; write a host name`,
				`servers.d/app01.toml:4:18: aliases: "a b" cannot name a server: names are letters, digits, dots, hyphens and underscores; write a host name`,
				`servers.d/app01.toml:4:25: aliases: "SERVER" cannot name a server: on LTSP clients that is the name of the machine they boot from; write a host name`,
				`servers.d/app01.toml:4:35: aliases: "10.0.0" cannot name a server: it looks like an IP address, and is none; write a host name`,
				`servers.d/app02.toml:1:14: addresses: "fd00::zz" is no address: it looks like an IP address, and is none; write an IP address, like "10.0.0.11" or "fd00::11"`,
				`servers.d/app02.toml:1:26: addresses: "10.0.0.256" is no address: it looks like an IP address, and is none; write an IP address, like "10.0.0.11" or "fd00::11"`,
				`servers.d/app02.toml:1:47: addresses: "a:b" is no address: it looks like an IP address, and is none; write an IP address, like "10.0.0.11" or "fd00::11"`,
				`servers.d/app02.toml:1:54: addresses: "fe80::1%eth0" is no address: an address that holds for one interface only means something else on each client; write an IP address, like "10.0.0.11" or "fd00::11"`,
				`servers.d/app02.toml:1:70: addresses: "-v" is no address: it begins with a hyphen, as options do; write an IP address, like "10.0.0.11" or "fd00::11"`,
				`servers.d/app02.toml:2:8: port: 65536 is out of range; write a number from 1 to 65535`,
				`servers.d/app03.toml:1:9: pins: "MD5:00" is no fingerprint; write one as ssh-keygen -lf prints it: SHA256: and 43 characters`,
				`servers.d/app03.toml:1:19: pins: "SHA256:short" is no fingerprint; write one as ssh-keygen -lf prints it: SHA256: and 43 characters`,
				`servers.d/app03.toml:1:35: pins: "SHA256:nntmvzDwIGkvvfyiDdSlSaEK/GhqP4/+S3P5objo10F" is no fingerprint; write one as ssh-keygen -lf prints it: SHA256: and 43 characters`,
				`servers.d/app03.toml:2:11: groups: "" cannot name a group: it is empty; choose another`,
				`servers.d/app03.toml:4:10: weight: "2" is a string; write a number above zero, like 2 or 0.5`,
				`servers.d/server.toml: "server" cannot name a server: on LTSP clients that is the name of the machine they boot from; rename the file`,
			},
		},
		"names and addresses twice": {
			servers: map[string]string{
				"app01":     "addresses = [\"10.0.0.1\", \"FD00::1\", \"10.0.0.1\"]\naliases = [\"APP02\", \"app01\"]",
				"App01":     "aliases = [\"app\"]",
				"app02":     "aliases = [\"App\"]\naddresses = [\"::ffff:10.0.0.1\", \"fd00:0::1\", \"app01.lan\"]",
				"app01.lan": "",
			},
			want: []string{
				`servers.d/app01.toml: "app01" is a name in servers.d/App01.toml already; leave it to one of the two`,
				`servers.d/app01.toml:1:37: addresses: "10.0.0.1" is an address in the same file already; leave it to one of the two`,
				`servers.d/app01.toml:2:12: aliases: "APP02" is a name in servers.d/app02.toml already; leave it to one of the two`,
				`servers.d/app01.toml:2:21: aliases: "app01" is a name in servers.d/App01.toml already; leave it to one of the two`,
				`servers.d/app02.toml:1:12: aliases: "App" is an alias in servers.d/App01.toml already; leave it to one of the two`,
				`servers.d/app02.toml:2:14: addresses: "::ffff:10.0.0.1" is an address in servers.d/app01.toml already; leave it to one of the two`,
				`servers.d/app02.toml:2:33: addresses: "fd00:0::1" is an address in servers.d/app01.toml already; leave it to one of the two`,
				`servers.d/app02.toml:2:46: addresses: "app01.lan" is a name in servers.d/app01.lan.toml already; leave it to one of the two`,
			},
		},
		"a name and the same with a dot at its end": {
			servers: map[string]string{"app01": "", "app01.": "", "app02": "aliases = [\"app03.\", \"app03\"]",
				"app04..": "aliases = [\"app04\"]"},
			want: []string{
				`servers.d/app01..toml: "app01." is a name in servers.d/app01.toml already; leave it to one of the two`,
				`servers.d/app02.toml:1:22: aliases: "app03" is an alias in the same file already; leave it to one of the two`,
				`servers.d/app04...toml:1:12: aliases: "app04" is a name in the same file already; leave it to one of the two`,
			},
		},
		"ports": {
			servers: map[string]string{"app01": "", "app02": "weight = 1\nport = 2222", "app03": "port = 2222"},
			want: []string{
				`servers.d/app01.toml: port: clients would have to log in at port 22 here and at 2222 in servers.d/app02.toml, and know one port for all (SSH_OVERRIDE_PORT); give all servers the same`,
			},
		},
		"lists of addresses": {
			toml: "[lts-conf]\nlist = \"address\"",
			servers: map[string]string{
				"app01": "", "app02": "port = 22\naddresses = [\"app02.lan\", \"10.0.0.2\"]",
				"app03": "addresses = [\"10.0.0.3\"]", "10.0.0.4": "",
			},
			want: []string{
				`servers.d/app01.toml: there is no IP address to put into LDM_SERVER; begin addresses with one; { lts-conf  list "name"   }`,
				`servers.d/app02.toml:2:1: addresses: there is no IP address to put into LDM_SERVER; begin addresses with one; { lts-conf  list "name"   }`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{"ltskeeper.toml": c.toml}
			for name, text := range c.servers {
				files["servers.d/"+name+".toml"] = text
			}
			got := findMistakes(t, write(t, files))
			for i := range min(len(got), len(c.want)) {
				if strings.HasSuffix(c.want[i], ": ") && strings.HasPrefix(got[i], c.want[i]) {
					got[i] = c.want[i] // another package's words
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

// The files that are not TOML are checked, too, and all mistakes come at once.
func TestMistakesInOtherFiles(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{
		"ltskeeper.toml":       "x = 1",
		"lts.conf":             "stray\n[default]\nA = b\n",
		"known_hosts.local":    "app01 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ\nnonsense\n",
		"servers.d/app01.toml": "port = \"x",
	})
	if err := os.Mkdir(filepath.Join(dir, "servers.d/folder.toml"), 0o755); err != nil {
		t.Fatal(err)
	}
	got := findMistakes(t, dir)
	want := []string{
		"known_hosts.local:2: ",
		"lts.conf:1:1: ",
		"ltskeeper.toml:1:1: x: there is no such key",
		"servers.d/app01.toml:1:",
		"servers.d/folder.toml: it cannot be read: it is a folder and not a regular file; move it away, and put the file in its place",
	}
	for i, line := range got {
		if len(got) != len(want) || !strings.HasPrefix(line, want[i]) {
			t.Fatalf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

func TestNoDeclaration(t *testing.T) {
	t.Parallel()
	got := findMistakes(t, t.TempDir())
	want := []string{"ltskeeper.toml: there is no such file; [init]; {it is elsewhere config}"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

// An lts.conf that clients would stop reading, or run as code, is not one to derive theirs from.
func TestMistakesInLTSConf(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"[default]\nA = b\n[default\n": "lts.conf:3:",
		"[default]\nA = $(reboot)\n":   "lts.conf:2:",
		"[default]\nA = don't\n":       "lts.conf:2:",
		"[default]\nA-B = c\n":         "lts.conf:2:",
		"[a]\nA = b\n[A]\nA = c\n":     "", // the second [A] is ignored: a warning, no mistake
	} {
		dir := t.TempDir()
		for name, text := range map[string]string{"ltskeeper.toml": "[[chroot]]\nname = \"a\"\npath = \"a\"\n",
			"lts.conf": text} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		_, err := Load(filepath.Join(dir, "ltskeeper.toml"))
		if (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("lts.conf %q: %v, want a mistake at %q", text, err, want)
		}
	}
}

// A file's name may hold a line's end, and its mistake is one line all the same.
func TestMistakeIsOneLine(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ltskeeper.toml")
	server := filepath.Join(filepath.Dir(path), "servers.d", "app01\nall is well.toml")
	if err := os.Mkdir(filepath.Dir(server), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{path, server} {
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Load(path); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
}

// A file that is not TOML at all is told from one with a wrong value by the mistake's data.
func TestSyntaxMistake(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"state = [":          true,
		"state = x":          true,
		"state = 3":          false,
		"[image]\nkeeep = 1": false,
	} {
		path := filepath.Join(t.TempDir(), "ltskeeper.toml")
		if err := os.WriteFile(path, []byte(text+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		_, mistakes, err := Salvage(path)
		if err != nil || len(mistakes) == 0 {
			t.Fatalf("%q: %v, %v", text, mistakes, err)
		}
		for _, m := range mistakes {
			if m.Syntax != want {
				t.Errorf("%q: Syntax is %v in %+v", text, m.Syntax, m)
			}
		}
	}
}
