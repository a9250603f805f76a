package keeper

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"ltskeeper/internal/remedy"
	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/sshdtest"
)

// After a rollback keys are collected and judged, and nothing is built, until a person releases the
// chroot.
func TestAHeldChroot(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	server := sshdtest.Start(t, sshdtest.Options{KeyTypes: []string{"ed25519"}})
	p := newTestFarm(t)
	p.update(UpdateOptions{})
	p.write("servers.d/app01.toml", fmt.Sprintf("addresses = [%q]\nport = %d\n", server.Address, server.Port))
	p.update(UpdateOptions{})
	expectContains(t, "known_hosts of generation 2", p.readFromImage("etc/ssh/ssh_known_hosts"), server.Address)

	g, err := p.openFarm().RollBack("client", RollBackOptions{Generation: NoGeneration})
	if err != nil || g.Number != 1 {
		t.Fatalf("Rollback = %+v, %v", g, err)
	}
	if text := p.readFromImage("etc/ssh/ssh_known_hosts"); strings.Contains(text, server.Address) {
		t.Errorf("generation 1 knows app01:\n%s", text)
	}
	p.write("client/etc/hostname", "still the bad tree\n")
	testkit.Must(t, server.ChangeKeys())
	// A crash between the two renames of the rollback: the other side follows, held or not.
	testkit.Must(t, os.Remove(p.path("tftp/client/current")))
	testkit.Must(t, os.Symlink("2", p.path("tftp/client/current")))
	r := p.update(UpdateOptions{})
	if target, err := os.Readlink(p.path("tftp/client/current")); err != nil || target != "1" {
		t.Errorf("TFTP is at %s (%v), the image at 1", target, err)
	}
	if len(r.Images) != 1 || r.Images[0].Held == nil || r.Images[0].Changed || r.Images[0].Generation != 1 {
		t.Errorf("images while held: %+v", r.Images)
	}
	if !r.NeedsDecision() || r.Servers[0].State != Changed {
		t.Errorf("servers while held: %+v", r.Servers)
	}
	if r, err = p.openFarm().BuildImages(ctx, BuildOptions{}); err != nil || r.Images[0].Held == nil {
		t.Errorf("image build while held: %+v, %v", r.Images, err)
	}
	if s, err := p.openFarm().ReadStatus(); err != nil || s.Images[0].Held == nil || s.Images[0].Current != 1 {
		t.Errorf("status while held: %+v, %v", s, err)
	}

	testkit.Must(t, p.openFarm().Release("client"))
	if r = p.update(UpdateOptions{}); len(r.Images) != 1 || r.Images[0].Generation != 3 {
		t.Errorf("images after release: %+v", r.Images)
	}
}

// Going back to an image that trusts a key which has been revoked since takes force, and is an
// alarm from then on.
func TestRollbackToARevokedKey(t *testing.T) {
	t.Parallel()
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
	p := newTestFarm(t)
	p.write("known_hosts.local", "app01 "+key+"\n")
	p.update(UpdateOptions{})
	p.write("state/keys/revoked", key+"\n")
	p.write("state/keys/names", "")
	r := p.update(UpdateOptions{})
	if len(r.Images) != 1 || r.Images[0].Generation != 2 {
		t.Fatalf("images: %+v", r.Images)
	}
	expectContains(t, "known_hosts", p.readFromImage("etc/ssh/ssh_known_hosts"), "@revoked * "+key)
	_, err := p.openFarm().RollBack("client", RollBackOptions{Generation: 1})
	if err == nil || !strings.Contains(err.Error(), "SHA256:") ||
		!reflect.DeepEqual(remedy.FindIn(err),
			[]remedy.Remedy{remedy.If{Condition: "it has to be", Then: remedy.Option("force")}}) {
		t.Errorf("Rollback: %v, %v, want a refusal that names the key, and the option force", err, remedy.FindIn(err))
	}
	_, err = p.openFarm().RollBack("client", RollBackOptions{Generation: 1, Force: true})
	testkit.Must(t, err)
	r = p.update(UpdateOptions{})
	expectContains(t, "problem of the held image", r.Images[0].Problem, "still trusts ssh-ed25519 SHA256:")
	status, err := p.openFarm().ReadStatus()
	testkit.Must(t, err)
	expectContains(t, "problem in the status", status.Images[0].Problem, "still trusts")
}

func TestPruneAndPin(t *testing.T) {
	t.Parallel()
	p := newTestFarm(t)
	p.write("ltskeeper.toml",
		strings.Replace(p.read("ltskeeper.toml"), "[image]", "[image]\nkeep = 1\nkeep-for = \"1ns\"", 1))
	p.update(UpdateOptions{})
	testkit.Must(t, p.openFarm().Pin("client", 1))
	for _, name := range []string{"two", "three"} {
		p.write("client/etc/hostname", name)
		p.update(UpdateOptions{})
	}
	status, err := p.openFarm().ReadStatus()
	testkit.Must(t, err)
	if list := status.Images[0].Generations; len(list) < 2 || list[0].Number != 1 || !list[0].Pinned {
		t.Errorf("generations: %+v", list)
	}
	testkit.Must(t, p.openFarm().Unpin("client", 1))
	pruned, err := p.openFarm().Prune(nil)
	if err != nil || len(pruned) != 1 || pruned[0].Generations[0] != 1 {
		t.Errorf("Prune = %+v, %v", pruned, err)
	}
	if err := p.openFarm().Pin("client", 99); err == nil {
		t.Error("a generation that is not there can be pinned")
	}
}
