package adopt

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"ltskeeper/image"
	"ltskeeper/internal/host"
	"ltskeeper/internal/remedy"
	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/oddtest"
	"ltskeeper/keeper"

	"golang.org/x/sys/unix"
)

// What stands where ltskeeper writes is refused, taken over, and then not lost.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	const key1 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
	const key2 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMyk6cgTZl4ESS0nY7bZ0mXvJQ0UfGkfzBDBcKNbr5kc"
	p := newFarm(t)
	p.Write("client/etc/ssh/ssh_known_hosts", "# mine\napp09 "+key1+"\nnot a line\n")
	p.Write("client/etc/lts.conf", "[default]\n  LANG = de\n")
	p.Write("tftp/client/lts.conf", "[default]\n  LANG = fr\n")
	p.Write("machine/etc/ltsp/ssh_known_hosts.auto", "app08 "+key1+"\napp09 "+key1+"\n")
	p.Write("machine/etc/ssh/ssh_host_ed25519_key.pub", key2+" root@primary\n")
	p.Write("machine/etc/ssh/ssh_host_dsa_key.pub", "ssh-dss AAAA root@primary\n")

	adopt := []remedy.Remedy{remedy.Command{"init", "--adopt"}}
	refused := func(name string) {
		t.Helper()
		_, err := p.keeper().Update(context.Background(), keeper.UpdateOptions{})
		if err == nil || !strings.Contains(err.Error(), p.Path(name)) || !reflect.DeepEqual(remedy.FindIn(err), adopt) {
			t.Errorf("Run: %v, %v, want a refusal that names %s, and %v", err, remedy.FindIn(err), name, adopt)
		}
		if _, err := os.Stat(p.Path("images/client.img")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("an image was published all the same (%v)", err)
		}
	}
	refused("client/etc/ssh/ssh_known_hosts")
	first := []string{p.Read("client/etc/ssh/ssh_known_hosts"), p.Read("client/etc/lts.conf"),
		p.Read("tftp/client/lts.conf")}

	taken, err := TakeOver(p.keeper(), &host.Machine{Root: p.Path("machine")})
	testkit.Must(t, err)
	if len(taken) != 6 {
		t.Errorf("took over %d files, want 6: %+v", len(taken), taken)
	}
	local := p.Read("known_hosts.local")
	for _, line := range []string{"app09 " + key1, "app08 " + key1, "server " + key2} {
		if strings.Count(local, line+"\n") != 1 {
			t.Errorf("known_hosts.local does not have %q once:\n%s", line, local)
		}
	}
	if strings.Contains(local, "not a line") || strings.Contains(local, "ssh-dss") {
		t.Errorf("known_hosts.local has lines that OpenSSH does not read:\n%s", local)
	}
	if got := p.Read("lts.conf"); got != "[default]\n  LANG = fr\n" {
		t.Errorf("lts.conf is %q, want the one from TFTP, which clients use", got)
	}
	for i, name := range []string{"client-ssh_known_hosts", "client-lts.conf", "tftp-client-lts.conf"} {
		if got := p.Read("adopted/" + name); got != first[i] {
			t.Errorf("adopted/%s is %q, want %q", name, got, first[i])
		}
	}
	before := p.list()
	again, err := TakeOver(p.keeper(), &host.Machine{Root: p.Path("machine")})
	testkit.Must(t, err)
	if after := p.list(); !slices.Equal(before, after) {
		t.Errorf("taking over twice changed files; it says %+v", again)
	}

	_, err = p.keeper().Update(context.Background(), keeper.UpdateOptions{})
	testkit.Must(t, err)
	store := image.Store{Name: "client", Images: p.Path("images"), TFTP: p.Path("tftp")}
	inImage, err := store.ReadFile("etc/ssh/ssh_known_hosts")
	testkit.Must(t, err)
	testkit.WantContains(t, "known_hosts in the image", string(inImage), "app09 "+key1)
	testkit.WantContains(t, "lts.conf under TFTP", p.Read("tftp/client/lts.conf"), "LANG = fr")
	if got := p.Read("tftp/client/0/lts.conf"); got != first[2] {
		t.Errorf("generation 0 keeps lts.conf %q, want %q", got, first[2])
	}

	// A stranger's later edit is not what was taken over.
	p.Write("client/etc/ssh/ssh_known_hosts", first[0]+"app10 "+key1+"\n")
	_, err = p.keeper().Update(context.Background(), keeper.UpdateOptions{})
	if err == nil || !reflect.DeepEqual(remedy.FindIn(err), adopt) {
		t.Errorf("Run after a stranger's edit: %v", err)
	}
}

// In the adopted folder there may be what was never taken over.
func TestOddThingsInTheAdoptedFolder(t *testing.T) {
	p := newFarm(t)
	p.Write("client/etc/lts.conf", "[default]\nA = b\n")
	_, err := TakeOver(p.keeper(), &host.Machine{Root: p.Path("machine")})
	testkit.Must(t, err)
	for _, thing := range oddtest.Things() {
		thing.Replace(t, p.Path("adopted/"+strings.ReplaceAll(thing.Name, "/", "-")))
	}
	testkit.Must(t, os.Symlink("gone", p.Path("adopted/gone")))
	oddtest.Bounded(t, func() {
		if _, err := p.keeper().Update(context.Background(), keeper.UpdateOptions{}); err != nil {
			t.Error(err)
		}
	})

	// Where the copy would be put is something odd: it takes the next name.
	for _, e := range []string{"client-lts.conf", "client-lts.conf.1"} {
		os.RemoveAll(p.Path("adopted/" + e))
	}
	testkit.Must(t, unix.Mkfifo(p.Path("adopted/client-lts.conf"), 0o600))
	p.Write("client/etc/lts.conf", "[default]\nA = c\n")
	oddtest.Bounded(t, func() {
		if _, err := TakeOver(p.keeper(), &host.Machine{Root: p.Path("machine")}); err != nil {
			t.Error(err)
		}
	})
	if got := p.Read("adopted/client-lts.conf.1"); !bytes.Contains([]byte(got), []byte("A = c")) {
		t.Errorf("%q", got)
	}
}
