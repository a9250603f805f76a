package keeper

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/disktest"
)

// A file in a mount that is left out of the image is not the clients' file: what they need of it is
// put into the image, and what it says has no part in that.
func TestFilesInMountsLeftOut(t *testing.T) {
	t.Parallel()
	p := newTestFarm(t)
	p.update(UpdateOptions{})
	known := p.read("client/etc/ssh/ssh_known_hosts")
	p.write("ltskeeper.toml", p.read("ltskeeper.toml")+"write = false\n")
	testkit.Must(t, os.RemoveAll(p.path("client/etc/ssh")))
	for _, folder := range []string{"client/etc/ssh", "client/var/lib/dbus"} {
		disktest.Small(t, p.path(folder))
	}
	p.write("client/etc/ssh/ssh_known_hosts", known)
	p.write("client/var/lib/dbus/machine-id", "0123456789abcdef0123456789abcdef\n")
	p.update(UpdateOptions{})
	if got := p.readFromImage("etc/ssh/ssh_known_hosts"); got != known {
		t.Errorf("the image has the known_hosts %q", got)
	}
	if r := p.update(UpdateOptions{}); r.SomethingChanged() {
		t.Errorf("a second run changed something: %+v", r)
	}
}

// An image is compared with all that it is made of: what is mounted in the chroot, with the ids
// that clients see.
func TestVerifyTree(t *testing.T) {
	t.Parallel()
	p := newTestFarm(t)
	disktest.LoopAt(t, p.path("client/usr"), "ext4", 16<<20)
	p.write("client/usr/bin/program", "x")
	testkit.Must(t, filepath.WalkDir(p.path("client"), func(path string, _ fs.DirEntry, err error) error {
		testkit.Must(t, err)
		return os.Lchown(path, 100_000, 100_000)
	}))
	p.write("ltskeeper.toml", p.read("ltskeeper.toml")+"id-offset = 100000\n")
	p.update(UpdateOptions{})
	verified, err := p.openFarm().VerifyImages(t.Context(), VerifyOptions{Tree: true})
	testkit.Must(t, err)
	if v := verified[0]; v.Problem != "" || len(v.Tree) > 0 {
		t.Errorf("the image is not what its tree makes: %+v", v)
	}
}
