package doctor

import (
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"ltskeeper/internal/remedy"
	"ltskeeper/keys/scan"
)

// Each way of not answering has causes of its own, and commands for who has to look.
func TestWaysOfNotAnswering(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err     scan.AddressError
		cause   string
		command remedy.Remedy
	}{
		{scan.AddressError{Kind: scan.KindUnreachable, Err: syscall.ECONNREFUSED}, "refused",
			remedy.Elsewhere{On: "app01", Do: remedy.Program{"systemctl", "status", "ssh"}}},
		{scan.AddressError{Kind: scan.KindUnreachable, Err: syscall.EHOSTUNREACH}, "unreachable",
			remedy.Program{"ip", "route", "get", "192.0.2.1"}},
		{scan.AddressError{Kind: scan.KindUnreachable, Err: errors.New("no answer within 3s")}, "silent",
			remedy.Program{"ping", "-c", "3", "192.0.2.1"}},
		{scan.AddressError{Kind: scan.KindTimeout, Err: errors.New("connected, but no SSH version within 3s")}, "hangs",
			remedy.Elsewhere{On: "app01", Do: remedy.Program{"uptime"}}},
	} {
		c.err.Address, c.err.Port = "192.0.2.1", 22
		r := &results{}
		addSilence("app01", &c.err, r)
		f := r.findings[0]
		if f.Cause != c.cause || !reflect.DeepEqual(f.Remedies[1], c.command) ||
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
