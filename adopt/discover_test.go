package adopt

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"ltskeeper/farm"
	"ltskeeper/internal/host"
	"ltskeeper/internal/remedy"
	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/farmtest"
	"ltskeeper/internal/testkit/oddtest"
)

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
				Chroots: []farm.Chroot{{Name: "amd64", Path: "/opt/ltsp/amd64"},
					{Name: "i386", Path: "/opt/ltsp/i386"}},
				Images: "/opt/ltsp/images",
				TFTP:   "/var/lib/tftpboot/ltsp",
			},
		},
		"LTSP since 2019": {
			roots:   []string{"srv/ltsp/x86_64"},
			folders: []string{"srv/ltsp/images", "srv/tftp/ltsp", "srv/ltsp/backup"},
			want: Found{
				Chroots: []farm.Chroot{{Name: "x86_64", Path: "/srv/ltsp/x86_64"}},
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
				Chroots: []farm.Chroot{{Name: "x86_64", Path: "/srv/ltsp/x86_64"}},
				Images:  "/srv/ltsp/images", TFTP: "/var/lib/tftp/ltsp",
				Exclude: []string{"var/big/*", "opt/x y"}, Include: []string{"home/*"},
				ExcludesFrom: []string{"ADD_IMAGE_EXCLUDES in /etc/ltsp/ltsp.conf",
					"OMIT_IMAGE_EXCLUDES in /etc/ltsp/ltsp.conf"},
				KnownHosts: "/etc/ltsp/ssh_known_hosts", Initrd: true,
				InUse: []string{"app01", "app02"}, Strays: []string{"other"},
				Notes: []Note{
					{"Line 17 of /etc/ltsp/ltsp.conf has a shell work out SSH_SERVER, and ltskeeper runs none",
						[]remedy.Remedy{remedy.Advice("compare it with the servers that are declared")}},
					{"/srv/ltsp/vm.img is the disk of a virtual machine, and ltskeeper makes images of folders",
						[]remedy.Remedy{remedy.Steps{remedy.Advice("mount its file system somewhere for good"),
							remedy.Advice("declare that folder as a chroot"),
							remedy.Setting{Section: "chroot", Key: "write", Value: "false"}}}},
					{"There is an image other and no client root for it: it stays as it is", nil},
				},
			},
		},
		"LTSP elsewhere, without an image yet": {
			roots: []string{"data/ltsp/x86_64"},
			files: map[string]string{"etc/ltsp/ltsp.conf": "[server]\nBASE_DIR=/data/ltsp\n"},
			want: Found{
				Chroots: []farm.Chroot{{Name: "x86_64", Path: "/data/ltsp/x86_64"}},
				Images:  "/data/ltsp/images",
			},
		},
		"LTSP's own excludes replaced": {
			roots: []string{"srv/ltsp/a"},
			files: map[string]string{
				"usr/share/ltsp/server/image/image.excludes": "# theirs\nhome/*\ntmp/*\n",
				"etc/ltsp/image.excludes":                    "tmp/*\nvar/big\n",
			},
			want: Found{
				Chroots: []farm.Chroot{{Name: "a", Path: "/srv/ltsp/a"}},
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
				Chroots: []farm.Chroot{{Name: "i386", Path: "/opt/ltsp/i386"}},
				Images:  "/opt/ltsp/images", TFTP: "/var/lib/tftpboot/ltsp",
				Exclude: []string{"var/big"}, ExcludesFrom: []string{"/etc/ltsp/ltsp-update-image.excludes"},
			},
		},
		"images in two places": {
			roots: []string{"opt/ltsp/i386", "srv/ltsp/x86"},
			files: map[string]string{"opt/ltsp/images/i386.img": "", "srv/ltsp/images/x86.img": ""},
			want: Found{
				Chroots: []farm.Chroot{{Name: "x86", Path: "/srv/ltsp/x86"}, {Name: "i386", Path: "/opt/ltsp/i386"}},
				Images:  "/srv/ltsp/images",
				Notes: []Note{{"/opt/ltsp/images/i386.img is where clients of i386 find their image today, and the " +
					"next one will be /srv/ltsp/images/i386.img",
					[]remedy.Remedy{remedy.Advice("have clients look there")}}},
			},
		},
		"the machine itself": {
			files: map[string]string{"srv/ltsp/images/x86_64.img": ""},
			want: Found{
				Images: "/srv/ltsp/images", Strays: []string{"x86_64"}, Machine: "x86_64",
				Notes: []Note{{"There is an image x86_64 and no client root for it",
					[]remedy.Remedy{remedy.If{Condition: "LTSP makes it of this machine itself (ltsp image /)",
						Then: remedy.Command{"init", "--force", "--chroot", "/"}}}}},
			},
		},
		"both, and odd names": {
			roots: []string{"srv/ltsp/x86", "srv/ltsp/my root (1)", "opt/ltsp/X86", "opt/ltsp/i386",
				"srv/ltsp/current"},
			folders: []string{"opt/ltsp/images", "srv/tftp/ltsp", "var/lib/tftpboot/ltsp"},
			want: Found{
				Chroots: []farm.Chroot{
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
			p := newPlace(t, c.files)
			for _, root := range c.roots {
				farmtest.MakeRoot(p.Folder, root)
			}
			for _, folder := range c.folders {
				testkit.Must(t, os.MkdirAll(p.Path(folder), 0o755))
			}
			got := Discover(&host.Machine{Root: p.Path("")})
			text := format(t, got)
			strip := func(path *string) { *path = strings.TrimPrefix(*path, p.Path("")) }
			strip(&got.Images)
			strip(&got.TFTP)
			strip(&got.KnownHosts)
			for i := range got.Notes {
				got.Notes[i].Text = strings.ReplaceAll(got.Notes[i].Text, p.Path(""), "")
			}
			for i := range got.Chroots {
				strip(&got.Chroots[i].Path)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
			f := newPlace(t, map[string]string{"ltskeeper.toml": string(text)}).farm()
			if len(f.Chroots) != len(c.want.Chroots) {
				t.Errorf("the template has %v", f.Chroots)
			}
		})
	}
}

func TestTemplate(t *testing.T) {
	t.Parallel()
	found := Found{
		Chroots: []farm.Chroot{{Name: "a", Path: "/srv/ltsp/a"}, {Name: "b", Path: `roots/"b"`}},
		State:   "state",
		Images:  "/opt/ltsp/images",
		TFTP:    "tftp",
	}
	p := newPlace(t, map[string]string{"ltskeeper.toml": string(format(t, found))})
	dir, f := p.Path(""), p.farm()
	want := []farm.Chroot{
		{Name: "a", Path: "/srv/ltsp/a", ExcludeDefaults: true, Write: true, LTSConf: dir + "/lts.conf"},
		{Name: "b", Path: dir + `/roots/"b"`, ExcludeDefaults: true, Write: true, LTSConf: dir + "/lts.conf"},
	}
	if !reflect.DeepEqual(f.Chroots, want) || f.State.Path() != dir+"/state" ||
		f.Image.Directory != "/opt/ltsp/images" || f.TFTP != dir+"/tftp" {
		t.Errorf("got %+v", f)
	}
}

// What the template's comments show is what holds without them.
func TestTemplateShowsDefaults(t *testing.T) {
	t.Parallel()
	template := string(format(t, Found{Chroots: []farm.Chroot{{Name: "a", Path: "/a"}}}))
	p := newPlace(t, map[string]string{"ltskeeper.toml": template, "lts.conf": farm.BuiltinLTSConf})
	commented := p.farm()
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
	p.Write("ltskeeper.toml", strings.Join(lines, ""))
	plain := p.farm()
	plain.Chroots[0].Exclude = nil // not an empty list
	if !reflect.DeepEqual(commented, plain) || uncommented != 15 {
		t.Errorf("%d uncommented\ngot  %+v\nwant %+v", uncommented, plain, commented)
	}
}

// What LTSP's own files may be instead of files.
func TestDiscoverOddFiles(t *testing.T) {
	oddtest.Each(t, func(t *testing.T, thing oddtest.Thing) {
		p := newPlace(t, nil)
		testkit.Must(t, os.MkdirAll(p.Path("etc/ltsp"), 0o755))
		for _, name := range []string{"etc/ltsp/ltsp.conf", "etc/ltsp/image.excludes",
			"etc/ltsp/ltsp-update-image.excludes", "etc/dnsmasq.conf"} {
			thing.Replace(t, p.Path(name))
		}
		Discover(&host.Machine{Root: p.Path("")})
	})
}

func format(t *testing.T, found Found) []byte {
	t.Helper()
	text, err := formatDeclaration(found)
	testkit.Must(t, err)
	return text
}
