package keeper

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/sshdtest"
)

// A dry run reports what a run would do, and leaves no trace.
func TestDryRunWritesNothing(t *testing.T) {
	t.Parallel()
	server := sshdtest.Start(t, sshdtest.Options{KeyTypes: []string{"ed25519"}})
	p := newTestFarm(t)
	p.write("servers.d/app01.toml", fmt.Sprintf("addresses = [%q]\nport = %d\n", server.Address, server.Port))
	before := p.listFiles()
	r := p.update(UpdateOptions{DryRun: true})
	if after := p.listFiles(); !slices.Equal(before, after) {
		t.Errorf("files before\n%s\nafter\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
	if s := r.Servers[0]; len(s.Added) != 1 || !s.Listed {
		t.Errorf("app01: %+v", s)
	}
	if len(r.Files) != 2 || !r.Files[0].Changed || !strings.Contains(r.Files[1].New, "LDM_SERVER = app01") {
		t.Errorf("files: %+v", r.Files)
	}
	if len(r.Images) != 1 || !r.Images[0].Changed {
		t.Errorf("images: %+v", r.Images)
	}
}

// A chroot with write = false gets its files in the image only.
func TestWriteFalse(t *testing.T) {
	t.Parallel()
	p := newTestFarm(t)
	p.write("ltskeeper.toml", p.read("ltskeeper.toml")+"write = false\n")
	p.write("known_hosts.local",
		"old ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl\n")
	before := p.listFiles()
	r := p.update(UpdateOptions{})
	for i, f := range r.Files {
		if want := []string{"image:/etc/ssh/ssh_known_hosts", "image:/etc/lts.conf"}[i]; f.Path != want || !f.Changed {
			t.Errorf("file %+v, want %s changed", f, want)
		}
	}
	expectContains(t, "known_hosts in the image", p.readFromImage("etc/ssh/ssh_known_hosts"), "old ssh-ed25519")
	inTree := func(list []string) []string {
		return slices.DeleteFunc(list, func(line string) bool { return !strings.HasPrefix(line, p.path("client")) })
	}
	if after := inTree(p.listFiles()); !slices.Equal(inTree(before), after) {
		t.Errorf("the tree was written to:\n%s", strings.Join(after, "\n"))
	}
	if r = p.update(UpdateOptions{}); r.SomethingChanged() {
		t.Errorf("a second run changed something: %+v", r)
	}
}

// A file that clients would not find in the image is not written where only the tree has it.
func TestALinkOutOfTheImage(t *testing.T) {
	t.Parallel()
	p := newTestFarm(t)
	testkit.Must(t, os.MkdirAll(p.path("client/etc/ssh"), 0o755))
	testkit.Must(t, os.MkdirAll(p.path("client/tmp"), 0o755))
	testkit.Must(t, os.Symlink("/tmp/known_hosts", p.path("client/etc/ssh/ssh_known_hosts")))
	_, err := p.openFarm().Update(context.Background(), UpdateOptions{})
	if err == nil || !strings.Contains(err.Error(), "at /tmp/known_hosts, which is left out of the image") {
		t.Errorf("Run: %v", err)
	}
	if _, err := os.Stat(p.path("client/tmp/known_hosts")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it was written into the tree all the same (%v)", err)
	}
}

// One broken chroot does not keep the others from being brought up to date.
func TestOneChrootFails(t *testing.T) {
	t.Parallel()
	p := newTestFarm(t)
	p.write("ltskeeper.toml",
		strings.Replace(p.read("ltskeeper.toml"), "[[chroot]]",
			"[[chroot]]\nname = \"broken\"\npath = \"nowhere\"\n[[chroot]]", 1))
	r, err := p.openFarm().Update(context.Background(), UpdateOptions{})
	if err == nil || !strings.Contains(err.Error(), "chroot broken") {
		t.Errorf("Run: %v, want an error about chroot broken", err)
	}
	if len(r.Images) != 1 || r.Images[0].Chroot != "client" || !r.Images[0].Changed {
		t.Errorf("images: %+v", r.Images)
	}
}

func TestTimesInReports(t *testing.T) {
	t.Parallel()
	p := newTestFarm(t)
	r := p.update(UpdateOptions{})
	if r.Duration <= 0 || time.Since(r.Started) > time.Hour {
		t.Errorf("report: %+v", r)
	}
	var steps []string
	var sum time.Duration
	for _, s := range r.Steps {
		steps = append(steps, strings.TrimSpace(s.Name+" "+s.Chroot))
		sum += s.Duration
	}
	want := []string{"scan", "record", "open client", "write client", "build client", "publish client", "prune client"}
	if !slices.Equal(steps, want) || sum > r.Duration {
		t.Errorf("steps %q of %v in %v, want %q", steps, sum, r.Duration, want)
	}
	if first, second := p.update(UpdateOptions{DryRun: true}), p.update(UpdateOptions{}); len(first.Steps) != 5 ||
		len(second.Steps) != 6 {
		t.Errorf("a dry run has the steps %+v, a run that publishes nothing %+v", first.Steps, second.Steps)
	}
}
