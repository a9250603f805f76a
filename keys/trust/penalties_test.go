package trust

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"ltskeeper/internal/testkit/keytest"
	"ltskeeper/internal/testkit/machine"
	"ltskeeper/internal/testkit/sshdtest"
	"ltskeeper/keys/scan"
)

// trixie starts the sshd of Debian 13, which by default penalises whoever connects and does not log
// in (PerSourcePenalties, since OpenSSH 9.8).
func trixie(t *testing.T, types ...string) *keeper {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("chroot(2) takes root")
	}
	root := machine.Trixie(t)
	dir, err := os.MkdirTemp(filepath.Join(root, "tmp"), "ltskeeper-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s, err := sshdtest.New(dir, sshdtest.Options{Root: root, KeyTypes: types})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return &keeper{
		t: t, server: s, dir: t.TempDir(), login: loginTo(t, s), now: keytest.Noon,
		policy: Policy{Name: "app01", Names: []string{"app01", s.Address}, FirstUse: true, RetireAfter: time.Hour},
	}
}

// Whoever logs in is no stranger, however often he comes.
func TestLoginsAreNotPenalised(t *testing.T) {
	k := trixie(t, "ed25519", "ecdsa", "rsa")
	if v := k.collect(); describeState(v) != "first-use" || len(v.Trusted) != 3 {
		t.Fatalf("first use: %s", summary(v))
	}
	for i := range 20 {
		if v := k.collect(); describeState(v) != "trusted" || k.seen.Addresses[0].Testimony == nil ||
			len(v.decision.confirmed) != 3 {
			t.Fatalf("collect %d: %s, %v", i+1, summary(v), k.seen.Addresses[0].Err)
		}
	}
}

// Without a login each key costs a second of sshd's patience, which is 15 s: the fifth scan in a
// row of five keys is turned away, and that is said as what it is.
func TestScansArePenalised(t *testing.T) {
	k := trixie(t, "ed25519", "ecdsa", "ecdsa384", "ecdsa521", "rsa")
	k.login = nil
	k.collect()
	for i := range 4 {
		v := k.collect()
		failed, _ := k.seen.Addresses[0].Err.(*scan.AddressError)
		switch {
		case v.IsSuspect || v.NeedsDecision || len(v.Trusted) != 5:
			t.Fatalf("scan %d: %s, %v", i+2, summary(v), failed)
		case failed != nil && failed.Kind == scan.KindThrottled:
			t.Logf("scan %d is turned away: %v", i+2, failed)
			return
		case failed != nil:
			t.Fatalf("scan %d: %s: %v", i+2, failed.Kind, failed)
		}
	}
	t.Fatal("nobody was turned away")
}
