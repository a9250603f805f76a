package update

import (
	"os"
	"testing"

	"ltskeeper/internal/disktest"
)

// A file in a mount that is left out of the image is not the clients' file: what they need of it is put into the image, and
// what it says has no part in that.
func TestFilesInMountsLeftOut(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.run(Options{})
	known := p.read("client/etc/ssh/ssh_known_hosts")
	p.write("ltskeeper.toml", p.read("ltskeeper.toml")+"write = false\n")
	must(t, os.RemoveAll(p.path("client/etc/ssh")))
	for _, folder := range []string{"client/etc/ssh", "client/var/lib/dbus"} {
		disktest.Small(t, p.path(folder))
	}
	p.write("client/etc/ssh/ssh_known_hosts", known)
	p.write("client/var/lib/dbus/machine-id", "0123456789abcdef0123456789abcdef\n")
	p.run(Options{})
	if got := p.inImage("etc/ssh/ssh_known_hosts"); got != known {
		t.Errorf("the image has the known_hosts %q", got)
	}
	if r := p.run(Options{}); r.SomethingChanged() {
		t.Errorf("a second run changed something: %+v", r)
	}
}
