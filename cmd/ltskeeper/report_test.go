package main

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"ltskeeper/farm"
	"ltskeeper/image"
	"ltskeeper/keeper"
	"ltskeeper/keys"

	"golang.org/x/crypto/ssh"
)

var (
	noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

	oldKey = makeKey(ed25519.PublicKey(bytes.Repeat([]byte{1}, ed25519.PublicKeySize)),
		keys.Origin{How: keys.HowFirstUse, At: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)})
	newKey = makeKey(ed25519.PublicKey(bytes.Repeat([]byte{2}, ed25519.PublicKeySize)),
		keys.Origin{How: keys.HowShown, At: noon})
	rsaKey = makeKey(&rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 3071), E: 65537}, keys.Origin{})

	// shortFingerprints puts shorter ones in place of theirs.
	shortFingerprints = strings.NewReplacer(oldKey.Fingerprint(), "SHA256:old", newKey.Fingerprint(), "SHA256:new",
		rsaKey.Fingerprint(), "SHA256:rsa")

	fine = keeper.Server{Name: "app01", State: keeper.Trusted, Listed: true, Keys: []keeper.Key{oldKey, rsaKey},
		Seen: &noon}
	silent = keeper.Server{
		Name: "app02", State: keeper.Unreachable, Unreachable: true, Listed: true,
		Addresses: []keeper.AddressProblem{{Address: "10.0.0.2", Error: "no route to host"}},
	}
	changed = keeper.Server{
		Name: "app03", State: keeper.Changed, Decision: true, Quarantined: &noon,
		Message: keeper.Sentences{"app03 shows another key", "clients are kept away from it"},
		Keys:    []keeper.Key{oldKey, rsaKey}, Pending: []keeper.Key{newKey},
	}
	extra = keeper.Server{Name: "app04", State: keeper.Trusted, Listed: true, Keys: []keeper.Key{oldKey},
		Pending: []keeper.Key{rsaKey}}

	pinnedExtra = keeper.Server{
		Name: "app05", State: keeper.Trusted, Listed: true, Keys: []keeper.Key{oldKey}, Pending: []keeper.Key{rsaKey},
		Declared: farm.Server{Name: "app05", Pins: []string{oldKey.Fingerprint()}},
	}
)

// makeKey returns a key in a report.
func makeKey(public crypto.PublicKey, origin keys.Origin) keeper.Key {
	k, err := ssh.NewPublicKey(public)
	if err != nil {
		panic(err)
	}
	return keeper.Key{Stored: keys.Stored{Key: keys.Key{Type: k.Type(), Blob: k.Marshal()}, Origin: origin}}
}

// text is a document as it is printed, with shorter fingerprints.
func text(d document, quiet, verbose bool) string {
	p := (&tool{config: defaultConfig, quiet: quiet, verbose: verbose, term: &terminal{}}).newPage()
	p.now = noon.Add(5 * time.Minute)
	d.text(p)
	return shortFingerprints.Replace(p.String())
}

func TestReport(t *testing.T) {
	t.Parallel()
	unchangedImage := []keeper.Image{{Chroot: "x86_64", Path: "/srv/x86_64.img", Generation: 12}}
	for name, test := range map[string]struct {
		report      keeper.Report
		want, quiet string
	}{
		"nothing to do": {
			report: keeper.Report{Servers: []keeper.Server{fine}, Images: unchangedImage},
			want:   "Nothing to do: 1 server trusted, x86_64 at generation 12.\n",
		},
		"nothing declared": {want: "Nothing to do: nothing is declared.\n"},
		"a new image": {
			report: keeper.Report{
				Duration: 4200 * time.Millisecond,
				Servers:  []keeper.Server{{Name: "app01", State: keeper.Trusted, Added: []keeper.Key{oldKey}}},
				Files:    []keeper.File{{Chroot: "x86_64", Path: "/srv/x86_64/etc/lts.conf", Changed: true}},
				Images: []keeper.Image{{
					Chroot: "x86_64", Path: "/srv/x86_64.img", Changed: true, Generation: 13, Size: 598_000_000,
					Files: 34913, Read: 1_200_000, Reused: 5, Kernel: "6.1.0-13-amd64", Pruned: []int{9, 10},
				}},
			},
			want: "app01  now trusts ED25519  SHA256:old  (first-use 2026-11-01T12:00:00Z)\n" +
				"x86_64: wrote /srv/x86_64/etc/lts.conf\n" +
				"x86_64: made generation 13 of /srv/x86_64.img: 598 MB, 34,913 files, 1.2 MB of it read anew, kernel 6.1.0-13-amd64; deleted what nobody needs any more: 9, 10\n" +
				"Done in 4.2 s: 1 server trusted, x86_64 at generation 13.\n",
		},
		"a further type of key is no alarm": {
			report: keeper.Report{Servers: []keeper.Server{extra}},
			want: "Nothing to do: 1 server trusted.\n" +
				"app04 also shows keys that nobody has trusted yet; to trust them: ltskeeper keys accept app04\n" +
				"  3072  SHA256:rsa  (RSA)\n",
		},
		"further keys of a server with pins": {
			report: keeper.Report{Servers: []keeper.Server{pinnedExtra}},
			want: "Nothing to do: 1 server trusted.\n" +
				"app05 also shows keys that nobody has trusted yet; to trust them: add them to the pins in servers.d/app05.toml\n" +
				"  3072  SHA256:rsa  (RSA)\n",
		},
		"what needs a decision stands last": {
			report: keeper.Report{Servers: []keeper.Server{changed, fine, silent}},
			want:   "Nothing to do: 3 servers (1 trusted, 1 changed, 1 unreachable).\n\n" + attention,
			quiet:  attention,
		},
	} {
		if got := text(newReportDocument(&test.report), false, false); got != test.want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, test.want)
		}
		if got := text(newReportDocument(&test.report), true, false); got != test.quiet {
			t.Errorf("%s, quiet: got\n%s\nwant\n%s", name, got, test.quiet)
		}
	}
}

const attention = `No answer (a server keeps its keys and its place in the list):
  app02  10.0.0.2  no route to host

app03 needs a decision:
  app03 shows another key
  clients are kept away from it
    trusted  256  SHA256:old  (ED25519)  first-use 2026-11-01T12:00:00Z
    shown    256  SHA256:new  (ED25519)  shown 2026-11-20T12:00:00Z
  Compare with what the server's own console says: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub
  If it is the same:  ltskeeper keys accept app03 SHA256:new
  If not:             ltskeeper keys reject app03 SHA256:new
`

func TestDryRun(t *testing.T) {
	t.Parallel()
	d := newReportDocument(&keeper.Report{DryRun: true, Files: []keeper.File{
		{Chroot: "x86_64", Path: "/etc/lts.conf", Changed: true, Old: "[default]\nA = b\n", New: "[default]\nA = c\n"},
		{Chroot: "x86_64", Path: "/etc/other", Old: "same\n", New: "same\n"},
	}})
	want := "x86_64: would write /etc/lts.conf\n" +
		"--- /etc/lts.conf\n+++ /etc/lts.conf\n@@ -1,2 +1,2 @@\n [default]\n-A = b\n+A = c\n" +
		"Nothing was written: nothing is declared.\n"
	if got := text(d, false, false); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// However large the farm, status fits a screen as long as it is in order, and shows what is not.
func TestStatusFitsAScreen(t *testing.T) {
	t.Parallel()
	status := &keeper.Status{
		Servers: []keeper.Server{changed},
		Images: []keeper.ImageStatus{{Chroot: "x86_64", Path: "/srv/x86_64.img", Current: 12,
			Generations: []image.Generation{
				{Number: 11, Time: noon.Add(-time.Hour), Size: 1},
				{Number: 12, Time: noon, Size: 598_000_000, Kernel: "6.1.0", Current: true},
			}}},
	}
	for i := range 999 {
		s := fine
		s.Name = fmt.Sprintf("server%03d", i)
		status.Servers = append(status.Servers, s)
	}
	want := "SERVER  STATE    LISTED  SEEN   KEYS\n" +
		"app03   changed  no      never  ED25519 RSA  kept out of the list since " + formatTime(noon) + "\n" +
		"999 servers are in order.\n\n" +
		"CHROOT  GENERATION  BUILT      SIZE    KERNEL  IMAGE\n" +
		"x86_64  12          5 min ago  598 MB  6.1.0   /srv/x86_64.img\n" +
		"app03 needs a decision: ltskeeper keys accept app03\n"
	if got := text(statusDocument{Status: status}, false, false); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if lines := strings.Count(text(statusDocument{Status: status}, false, true), "\n"); lines < 1000 {
		t.Errorf("--verbose shows %d lines, not every server", lines)
	}
}

// A farm whose every server changed at once does not make a mail of a thousand pages.
func TestManyDecisions(t *testing.T) {
	t.Parallel()
	var report keeper.Report
	for i := range 1000 {
		s := changed
		s.Name = fmt.Sprintf("server%03d", i)
		s.Added = []keeper.Key{rsaKey}
		report.Servers = append(report.Servers, s)
	}
	got := text(newReportDocument(&report), false, false)
	if n := strings.Count(got, " needs a decision:\n"); n != screenful {
		t.Errorf("%d decisions are shown in full, want %d", n, screenful)
	}
	for _, want := range []string{
		"1,000 keys are or were trusted; to see them: ltskeeper keys list\n",
		"\n984 more servers need a decision:\n  ltskeeper status\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%.2000s", want, got)
		}
	}
	status := text(statusDocument{Status: &keeper.Status{Servers: report.Servers}}, false, false)
	if !strings.HasSuffix(status, "\n1,000 servers need a decision: ltskeeper keys accept NAME\n") {
		t.Errorf("status ends with %q", status[len(status)-200:])
	}
	if all := text(newReportDocument(&report), false, true); strings.Count(all, " needs a decision:\n") != 1000 {
		t.Errorf("--verbose does not show every decision")
	}
}

func TestOutcome(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		servers []keeper.Server
		want    int
	}{
		{nil, exitDone},
		{[]keeper.Server{fine, extra}, exitDone},
		{[]keeper.Server{fine, silent}, exitUnreachable},
		{[]keeper.Server{silent, changed}, exitDecision},
	} {
		if got := exitCode(decideOutcome(&keeper.Report{Servers: test.servers})); got != test.want {
			t.Errorf("%d servers: exit code %d, want %d", len(test.servers), got, test.want)
		}
	}
}
