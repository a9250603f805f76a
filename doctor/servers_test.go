package doctor

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"

	"ltskeeper/farm"
	"ltskeeper/keys/scan"
)

// Each way of not answering has causes of its own, and commands for who has to look.
func TestWaysOfNotAnswering(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err            scan.AddressError
		cause, command string
	}{
		{scan.AddressError{Kind: scan.KindUnreachable, Err: syscall.ECONNREFUSED}, "refused",
			"# on app01: systemctl status ssh"},
		{scan.AddressError{Kind: scan.KindUnreachable, Err: syscall.EHOSTUNREACH}, "unreachable",
			"ip route get 192.0.2.1"},
		{scan.AddressError{Kind: scan.KindUnreachable, Err: errors.New("no answer within 3s")}, "silent",
			"ping -c 3 192.0.2.1"},
		{scan.AddressError{Kind: scan.KindTimeout, Err: errors.New("connected, but no SSH version within 3s")}, "hangs",
			"# on app01: uptime"},
	} {
		c.err.Address, c.err.Port = "192.0.2.1", 22
		f := closed(&server{Server: farm.Server{Name: "app01"}}, &c.err)
		if f.Cause != c.cause || f.Commands[0] != c.command || !strings.HasSuffix(f.Fix, ":") ||
			!strings.Contains(f.Message, c.err.Err.Error()) {
			t.Errorf("%+v", f)
		}
	}
}

// What a server shows cannot be collected before it answers, so that is not what is said to type.
func TestNothingToCollect(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.another("app03")
	w.undeclare("app03")
	w.zone.Forget("app03.")
	if found := ids(w.examine("app03").Findings); !slices.Equal(found, []string{"names-unresolved"}) {
		t.Errorf("%q", found)
	}
	w.declare("app03", "addresses = [\"127.0.0.9\"]\nport = 2222\n")
	w.zone.Set("app03.", netip.MustParseAddr("127.0.0.9"))
	if found := ids(w.examine("app03").Findings); !slices.Equal(found, []string{"ssh-closed"}) {
		t.Errorf("%q", found)
	}
}
