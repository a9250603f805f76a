package keeper

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ltskeeper/internal/testkit/oddtest"

	"golang.org/x/sys/unix"
)

// In the place of a file that a run reads: an error that names it, in no time, and clients keep
// what they have. What is only an aid, or is made anew anyway, keeps nobody from work.
func TestOddFiles(t *testing.T) {
	for _, thing := range oddtest.Things() {
		for file, refused := range map[string]bool{
			"state/lock":                      thing.Name != "900 GB", // of which nothing is read
			"state/quarantine":                true,
			"state/keys/log":                  true,
			"state/keys/names":                true,
			"state/keys/revoked":              true,
			"state/known-hosts-secret":        true,
			"state/programs":                  true,
			"state/seen":                      false,
			"state/succeeded":                 false,
			"adopted/client-lts.conf":         false,
			"client/usr/share/ltsp/get_hosts": true,
			"tftp/client/lts.conf":            true,
			"ltsp/ssh_known_hosts":            true,
			"known_hosts.local":               true,
		} {
			t.Run(thing.Name+" as "+filepath.Base(file), func(t *testing.T) {
				p := newPlace(t)
				p.write("ltskeeper.toml",
					p.read("ltskeeper.toml")+"[known-hosts]\nhash = true\n[ltsp]\nknown-hosts = \"ltsp/ssh_known_hosts\"\n[metrics]\ntextfile = \"ltskeeper.prom\"\n")
				p.write("client/usr/share/ltsp/get_hosts", "#!/bin/sh\n")
				k := p.keeper()
				f := k.farm
				p.update(UpdateOptions{})
				must(t, os.MkdirAll(filepath.Dir(p.path(file)), 0o755))
				p.write("client/etc/hostname", "another\n")
				thing.Replace(t, p.path(file))
				if strings.HasPrefix(thing.Name, "link") && strings.HasPrefix(file, "client/") {
					return // in the client's root, where it leads nowhere
				}
				oddtest.Bounded(t, func() {
					_, err := k.Update(context.Background(), UpdateOptions{})
					if refused && (err == nil || !strings.Contains(err.Error(), p.path(file))) || !refused &&
						thing.Name != "folder" && err != nil {
						t.Errorf("Run: %v", err)
					}
					k.ReadStatus()
					k.ClientFiles(f.Chroots[0])
					k.LTSPKnownHosts()
					k.IsStale(context.Background(), f.Chroots[0])
					k.KnownHosts()
				})
				was, err := storeOf(f, f.Chroots[0]).ReadFile("etc/hostname")
				must(t, err)
				if refused && string(was) != "client\n" {
					t.Error("a new image was published")
				}
			})
		}
	}
}

// In the adopted folder there may be what was never adopted.
func TestOddThingsInTheAdoptedFolder(t *testing.T) {
	p := newPlace(t)
	p.write("client/etc/lts.conf", "[default]\nA = b\n")
	k := p.keeper()
	f := k.farm
	_, err := Adopt(context.Background(), f, p.path("machine"))
	must(t, err)
	for _, thing := range oddtest.Things() {
		thing.Replace(t, p.path("adopted/"+strings.ReplaceAll(thing.Name, "/", "-")))
	}
	must(t, os.Symlink("gone", p.path("adopted/gone")))
	oddtest.Bounded(t, func() {
		if _, err := k.Update(context.Background(), UpdateOptions{}); err != nil {
			t.Error(err)
		}
	})

	// Where the copy would be put is something odd: it takes the next name.
	for _, e := range []string{"client-lts.conf", "client-lts.conf.1"} {
		os.RemoveAll(p.path("adopted/" + e))
	}
	must(t, unix.Mkfifo(p.path("adopted/client-lts.conf"), 0o600))
	p.write("client/etc/lts.conf", "[default]\nA = c\n")
	oddtest.Bounded(t, func() {
		if _, err := Adopt(context.Background(), f, p.path("machine")); err != nil {
			t.Error(err)
		}
	})
	if got := p.read("adopted/client-lts.conf.1"); !bytes.Contains([]byte(got), []byte("A = c")) {
		t.Errorf("%q", got)
	}
}
