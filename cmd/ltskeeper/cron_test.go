package main

import (
	"fmt"
	"strings"
	"testing"

	"ltskeeper/keeper"
	"ltskeeper/keys"
)

func TestCron(t *testing.T) {
	t.Parallel()
	proven := rsaKey
	proven.Origin = keys.Origin{How: keys.HowProven, VouchedBy: oldKey.Fingerprint()}
	built := keeper.Image{Chroot: "x86_64", Changed: true, Generation: 13, Size: 598_000_000, Read: 1_200_000,
		Reused: 5, Kernel: "6.1.0"}
	wrote := func(path string) keeper.File { return keeper.File{Chroot: "x86_64", Path: path, Changed: true} }
	var many []keeper.Server
	for i := range 1000 {
		many = append(many,
			keeper.Server{Name: fmt.Sprintf("s%03d", i), Added: []keeper.Key{oldKey, rsaKey},
				Removed: []keeper.Key{newKey}})
	}
	for name, test := range map[string]struct {
		report keeper.Report
		failed bool
		want   string
	}{
		"nothing changed": {report: keeper.Report{
			Servers: []keeper.Server{fine}, Files: []keeper.File{{Chroot: "x86_64", Path: "/etc/lts.conf"}},
			Images: []keeper.Image{{Chroot: "x86_64", Generation: 12}},
		}},
		"keys and how they came": {
			report: keeper.Report{Servers: []keeper.Server{
				{Name: "app01", Added: []keeper.Key{proven}, Removed: []keeper.Key{oldKey}}, {Name: "app04",
					Added: []keeper.Key{oldKey}},
			}},
			want: "ltskeeper: app01 now trusts RSA SHA256:rsa (proven); app01 no longer trusts ED25519 SHA256:old; " +
				"app04 now trusts ED25519 SHA256:old (first-use)\n",
		},
		"more keys": {
			report: keeper.Report{Servers: []keeper.Server{{Name: "app01",
				Added: []keeper.Key{oldKey, proven, newKey, rsaKey}}}},
			want: "ltskeeper: app01 now trusts 4 keys (first-use, proven, shown)\n",
		},
		"a thousand servers": {
			report: keeper.Report{Servers: many},
			want:   "ltskeeper: 2,000 keys are trusted now; 1,000 keys are no longer trusted; to see them: ltskeeper keys log\n",
		},
		"an image, for what changed in its tree": {
			report: keeper.Report{Images: []keeper.Image{built}},
			want:   "ltskeeper: x86_64: generation 13, 598 MB, 1.2 MB of it read anew, kernel 6.1.0\n",
		},
		"an image for new files, and LTSP's own": {
			report: keeper.Report{
				Files: []keeper.File{
					{Chroot: "ltsp", Path: "/etc/ltsp/ssh_known_hosts", Changed: true},
					wrote("/srv/etc/ssh/ssh_known_hosts"), wrote("image:/etc/lts.conf"),
					wrote("/srv/usr/share/ltsp/get_hosts"),
				},
				Images: []keeper.Image{built},
			},
			want: "ltskeeper: ltsp: wrote ssh_known_hosts; x86_64: generation 13 with new ssh_known_hosts, lts.conf and get_hosts, " +
				"598 MB, 1.2 MB of it read anew, kernel 6.1.0\n",
		},
		"failed half-way": {
			report: keeper.Report{Files: []keeper.File{wrote("/srv/etc/lts.conf")}},
			failed: true,
			want:   "ltskeeper: not finished; so far: x86_64: wrote lts.conf\n",
		},
		"what a crash left": {
			report: keeper.Report{Images: []keeper.Image{{Chroot: "x86_64", Generation: 12, Repaired: true}}},
			want:   "ltskeeper: x86_64: brought what clients fetch over TFTP back to generation 12\n",
		},
		"names from elsewhere are made visible": {
			report: keeper.Report{Images: []keeper.Image{{Chroot: "x86_64", Changed: true, Generation: 1,
				Kernel: "6\n7"}}},
			want: "ltskeeper: x86_64: generation 1, 0 B, kernel 6\\n7\n",
		},
	} {
		p := (&tool{config: defaultConfig, quiet: true, cron: true, term: &terminal{}}).newPage()
		d := newReportDocument(&test.report)
		d.failed = test.failed
		d.text(p)
		got := shortFingerprints.Replace(p.String())
		if got != test.want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, test.want)
		}
		if strings.Count(got, "\n") > 1 {
			t.Errorf("%s: more than a line", name)
		}
	}
}
