package farm

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"ltskeeper/internal/testkit/elftest"
)

// machine makes a tree with client roots and other folders.
func machine(t *testing.T, roots, folders []string) string {
	t.Helper()
	dir := t.TempDir()
	for _, root := range roots {
		folders = append(folders, root+"/etc", root+"/bin")
	}
	for _, folder := range folders {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, root := range roots {
		sh := filepath.Join(dir, root, "bin/sh")
		if err := errors.Join(os.WriteFile(sh, elftest.Static(elf.EM_X86_64), 0o755), os.Chmod(sh, 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestDiscover(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		roots, folders []string
		files          map[string]string
		want           Found
	}{
		"nothing": {},
		"LTSP 5": {
			roots:   []string{"opt/ltsp/i386", "opt/ltsp/amd64"},
			folders: []string{"opt/ltsp/images", "var/lib/tftpboot/ltsp/i386"},
			want: Found{
				Chroots: []Chroot{{Name: "amd64", Path: "/opt/ltsp/amd64"}, {Name: "i386", Path: "/opt/ltsp/i386"}},
				Images:  "/opt/ltsp/images",
				TFTP:    "/var/lib/tftpboot/ltsp",
			},
		},
		"LTSP since 2019": {
			roots:   []string{"srv/ltsp/x86_64"},
			folders: []string{"srv/ltsp/images", "srv/tftp/ltsp", "srv/ltsp/backup"},
			want: Found{
				Chroots: []Chroot{{Name: "x86_64", Path: "/srv/ltsp/x86_64"}},
				Images:  "/srv/ltsp/images",
				TFTP:    "/srv/tftp/ltsp",
			},
		},
		"LTSP since 2019, with settings of its own": {
			roots:   []string{"srv/ltsp/x86_64"},
			folders: []string{"var/lib/tftp/ltsp", "srv/tftp"},
			files: map[string]string{
				"etc/ltsp/ltsp.conf": "# comment\n[server]\nTFTP_DIR=/var/lib/tftp\nOMIT_IMAGE_EXCLUDES=\"home/*\"\n" +
					"ADD_IMAGE_EXCLUDES=\"\nvar/big/*\nhome/*\nopt/x y\n\"\n[clients]\nSSH_SERVER=app01\nHOSTNAME=\"$(evil)\"\n" +
					"[00:11:*]\nSSH_SERVER='app02'\nTFTP_DIR=/not/this\n[crt]\nSSH_SERVER=$SERVER\n",
				"etc/ltsp/ssh_known_hosts":    "app01 ssh-ed25519 AAAA\n",
				"usr/share/ltsp/ltsp":         "",
				"srv/ltsp/images/x86_64.img":  "",
				"srv/ltsp/images/other.img":   "",
				"srv/ltsp/images/a.img.old":   "",
				"srv/ltsp/vm.img":             "",
				"srv/ltsp/images/vm.img":      "",
				"etc/dnsmasq.d/ltsp.conf":     "tftp-root=/srv/tftp\n",
				"srv/ltsp/images/x86_64.img~": "",
			},
			want: Found{
				Chroots: []Chroot{{Name: "x86_64", Path: "/srv/ltsp/x86_64"}},
				Images:  "/srv/ltsp/images", TFTP: "/var/lib/tftp/ltsp",
				Exclude: []string{"var/big/*", "opt/x y"}, Include: []string{"home/*"},
				ExcludesFrom: []string{"ADD_IMAGE_EXCLUDES in /etc/ltsp/ltsp.conf",
					"OMIT_IMAGE_EXCLUDES in /etc/ltsp/ltsp.conf"},
				KnownHosts: "/etc/ltsp/ssh_known_hosts", Initrd: true,
				InUse: []string{"app01", "app02"}, Strays: []string{"other"},
				Notes: []string{
					"Line 17 of /etc/ltsp/ltsp.conf has a shell work out SSH_SERVER, and ltskeeper runs none: compare it with the servers in the declaration.",
					"/srv/ltsp/vm.img is the disk of a virtual machine. ltskeeper images folders: mount its file system somewhere for good, and declare that as [[chroot]] with write = false.",
					"There is an image other and no client root for it: it stays as it is.",
				},
			},
		},
		"LTSP's own excludes replaced": {
			roots: []string{"srv/ltsp/a"},
			files: map[string]string{
				"usr/share/ltsp/server/image/image.excludes": "# theirs\nhome/*\ntmp/*\n",
				"etc/ltsp/image.excludes":                    "tmp/*\nvar/big\n",
			},
			want: Found{
				Chroots: []Chroot{{Name: "a", Path: "/srv/ltsp/a"}},
				Exclude: []string{"var/big"}, Include: []string{"home/*"},
				ExcludesFrom: []string{"/etc/ltsp/image.excludes"},
			},
		},
		"LTSP 5 beside an empty new one": {
			roots:   []string{"opt/ltsp/i386"},
			folders: []string{"srv/ltsp/images", "srv/tftp/ltsp", "var/lib/tftpboot/ltsp"},
			files: map[string]string{
				"opt/ltsp/images/i386.img":            "",
				"etc/default/tftpd-hpa":               "TFTP_USERNAME=\"tftp\"\nTFTP_DIRECTORY=\"/var/lib/tftpboot\"\n",
				"etc/ltsp/ltsp-update-image.excludes": "var/big\n",
			},
			want: Found{
				Chroots: []Chroot{{Name: "i386", Path: "/opt/ltsp/i386"}},
				Images:  "/opt/ltsp/images", TFTP: "/var/lib/tftpboot/ltsp",
				Exclude: []string{"var/big"}, ExcludesFrom: []string{"/etc/ltsp/ltsp-update-image.excludes"},
			},
		},
		"images in two places": {
			roots: []string{"opt/ltsp/i386", "srv/ltsp/x86"},
			files: map[string]string{"opt/ltsp/images/i386.img": "", "srv/ltsp/images/x86.img": ""},
			want: Found{
				Chroots: []Chroot{{Name: "x86", Path: "/srv/ltsp/x86"}, {Name: "i386", Path: "/opt/ltsp/i386"}},
				Images:  "/srv/ltsp/images",
				Notes:   []string{"/opt/ltsp/images/i386.img is where clients of i386 find their image today. From the first update-image on it is /srv/ltsp/images/i386.img: have clients look there."},
			},
		},
		"the machine itself": {
			files: map[string]string{"srv/ltsp/images/x86_64.img": ""},
			want: Found{
				Images: "/srv/ltsp/images", Strays: []string{"x86_64"}, Machine: "x86_64",
				Notes: []string{"There is an image x86_64 and no client root for it. If LTSP makes it of this machine itself (ltsp image /), declare that: ltskeeper init --force --chroot /"},
			},
		},
		"both, and odd names": {
			roots: []string{"srv/ltsp/x86", "srv/ltsp/my root (1)", "opt/ltsp/X86", "opt/ltsp/i386",
				"srv/ltsp/current"},
			folders: []string{"opt/ltsp/images", "srv/tftp/ltsp", "var/lib/tftpboot/ltsp"},
			want: Found{
				Chroots: []Chroot{
					{Name: "client", Path: "/srv/ltsp/current"}, {Name: "my-root-1", Path: "/srv/ltsp/my root (1)"},
					{Name: "x86", Path: "/srv/ltsp/x86"}, {Name: "i386", Path: "/opt/ltsp/i386"},
				},
				Images: "/opt/ltsp/images",
				TFTP:   "/srv/tftp/ltsp",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := machine(t, c.roots, c.folders)
			for name, text := range c.files {
				path := filepath.Join(dir, name)
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755),
					os.WriteFile(path, []byte(text), 0o644)); err != nil {
					t.Fatal(err)
				}
			}
			got := Discover(dir)
			text := Template(got)
			strip := func(path *string) { *path = strings.TrimPrefix(*path, dir) }
			strip(&got.Images)
			strip(&got.TFTP)
			strip(&got.KnownHosts)
			for i := range got.Notes {
				got.Notes[i] = strings.ReplaceAll(got.Notes[i], dir, "")
			}
			for i := range got.Chroots {
				strip(&got.Chroots[i].Path)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
			f := mustLoad(t, write(t, map[string]string{"ltskeeper.toml": string(text)}))
			if len(f.Chroots) != len(c.want.Chroots) {
				t.Errorf("the template has %v", f.Chroots)
			}
		})
	}
}

// ltsp.conf is read as LTSP and a shell read it, where that can be done without one.
func TestLTSPConf(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "etc/ltsp"), 0o755); err != nil {
		t.Fatal(err)
	}
	const text = `ABOVE=1
[ Server ] # of this machine
NAT=1
TFTP_DIR=/srv/server
INCLUDE="mine"
[common]
TFTP_DIR = /srv/common
[mine]
BASE_DIR='/srv/it''s mine'   # comment
QUOTED="a \"b\" \\ \c"'$d'\ e
GLUED=a#b;
INCLUDE=server
[b8:27:eb:*|dc:a6:32:*]
COMMAND=env ltsp info
SHELL_A="$HOME" SHELL_B=1
SHELL_C=` + "`id`" + `
# OFF=1
LINES="one
[two]
three" # and more
	INDENTED=yes
CONTINUED=/srv\
/tftp
if [ "$X" = 1 ]; then
UNENDED="`
	if err := os.WriteFile(filepath.Join(dir, "etc/ltsp/ltsp.conf"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := ReadLTSPConf(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range c.Settings {
		if s.Plain {
			got = append(got, fmt.Sprintf("%d [%s] %s=%s", s.Line, s.Section, s.Key, s.Value))
		} else {
			got = append(got, fmt.Sprintf("%d [%s] %s", s.Line, s.Section, s.Key))
		}
	}
	want := []string{
		"1 [] ABOVE=1", "3 [server] NAT=1", "4 [server] TFTP_DIR=/srv/server", "5 [server] INCLUDE=mine",
		"7 [common] TFTP_DIR=/srv/common",
		"9 [mine] BASE_DIR=/srv/its mine", `10 [mine] QUOTED=a "b" \ \c$d e`, "11 [mine] GLUED=a#b",
		"12 [mine] INCLUDE=server",
		"14 [b8:27:eb:*|dc:a6:32:*] COMMAND", "15 [b8:27:eb:*|dc:a6:32:*] SHELL_A",
		"16 [b8:27:eb:*|dc:a6:32:*] SHELL_C",
		"18 [b8:27:eb:*|dc:a6:32:*] LINES=one\n[two]\nthree", "21 [b8:27:eb:*|dc:a6:32:*] INDENTED=yes",
		"22 [b8:27:eb:*|dc:a6:32:*] CONTINUED=/srv/tftp", "25 [b8:27:eb:*|dc:a6:32:*] UNENDED",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got := c.server("TFTP_DIR"); got != "/srv/server" { // LTSP evaluates [common] before [server]
		t.Error(got)
	}
	if got := c.server("BASE_DIR"); got != "/srv/its mine" {
		t.Error(got)
	}
}

func TestChrootName(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/srv/ltsp/x86_64":             "x86_64",
		"/srv/ltsp/x86_64/":            "x86_64",
		"/":                            "client",
		"..":                           "client",
		"/srv/.hidden":                 "hidden",
		"/srv/my root":                 "my-root",
		"/srv/a.img":                   "client",
		"/" + strings.Repeat("a", 255): strings.Repeat("a", 200),
	} {
		if got := ChrootName(path); got != want || chrootNameProblem(got) != "" {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
}

func TestTemplate(t *testing.T) {
	t.Parallel()
	found := Found{
		Chroots: []Chroot{{Name: "a", Path: "/srv/ltsp/a"}, {Name: "b", Path: `roots/"b"`}},
		State:   "state",
		Images:  "/opt/ltsp/images",
		TFTP:    "tftp",
	}
	dir := write(t, map[string]string{"ltskeeper.toml": string(Template(found))})
	f := mustLoad(t, dir)
	want := []Chroot{
		{Name: "a", Path: "/srv/ltsp/a", ExcludeDefaults: true, Write: true, LTSConf: dir + "/lts.conf"},
		{Name: "b", Path: dir + `/roots/"b"`, ExcludeDefaults: true, Write: true, LTSConf: dir + "/lts.conf"},
	}
	if !reflect.DeepEqual(f.Chroots, want) || f.State.Path() != dir+"/state" ||
		f.Image.Directory != "/opt/ltsp/images" || f.TFTP.Directory != dir+"/tftp" {
		t.Errorf("got %+v", f)
	}
}

// What the template's comments show is what holds without them.
func TestTemplateShowsDefaults(t *testing.T) {
	t.Parallel()
	template := string(Template(Found{Chroots: []Chroot{{Name: "a", Path: "/a"}}}))
	commented := mustLoad(t, write(t, map[string]string{"ltskeeper.toml": template}))
	settings, _, ok := strings.Cut(template, "\n[lts-conf]") // examples from here on
	if !ok {
		t.Fatal("the template has no [lts-conf]")
	}
	var lines []string
	uncommented := 0
	for line := range strings.Lines(settings) {
		if text, ok := strings.CutPrefix(line, "# "); ok && strings.Contains(text, " = ") {
			line = text
			uncommented++
		}
		lines = append(lines, line)
	}
	dir := write(t, map[string]string{"ltskeeper.toml": strings.Join(lines, ""), "lts.conf": builtinLTSConf})
	plain := mustLoad(t, dir)
	for _, f := range []*Farm{commented, plain} {
		f.ltsConf = nil
		f.Path, f.Dir, f.Chroots[0].LTSConf = "", "", ""
	}
	plain.Chroots[0].Exclude = nil // not an empty list
	if !reflect.DeepEqual(commented, plain) || uncommented != 15 {
		t.Errorf("%d uncommented\ngot  %+v\nwant %+v", uncommented, plain, commented)
	}
}
