package keeper

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/oddtest"
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
				p := newTestFarm(t)
				p.write("ltskeeper.toml", p.read("ltskeeper.toml")+"[known-hosts]\nhash = true\n"+
					"[ltsp]\nknown-hosts = \"ltsp/ssh_known_hosts\"\n[metrics]\ntextfile = \"ltskeeper.prom\"\n")
				p.write("client/usr/share/ltsp/get_hosts", "#!/bin/sh\n")
				k := p.openFarm()
				f := k.farm
				p.update(UpdateOptions{})
				testkit.Must(t, os.MkdirAll(filepath.Dir(p.path(file)), 0o755))
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
					k.ReadFileStatus(f.Chroots[0])
					k.ReadLTSPStatus()
					k.IsStale(context.Background(), f.Chroots[0])
					k.KnownHosts()
				})
				was, err := New(f).imageStore(f.Chroots[0]).ReadFile("etc/hostname")
				testkit.Must(t, err)
				if refused && string(was) != "client\n" {
					t.Error("a new image was published")
				}
			})
		}
	}
}
