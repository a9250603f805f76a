package keeper

import (
	"context"
	"os"
	"testing"

	"ltskeeper/farm"
	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/sshdtest"
)

// A server that is added again has no first use, whatever was left of it.
func TestAddedAgain(t *testing.T) {
	t.Parallel()
	server := sshdtest.Start(t, sshdtest.Options{KeyTypes: []string{"ed25519"}})
	p := newTestFarm(t)
	ctx := context.Background()
	app := farm.Server{Name: "app01", Addresses: []string{server.Address}, Port: server.Port}
	k := p.openFarm()
	testkit.Must(t, k.AddServer(app))
	r, err := k.CollectKeys(ctx, CollectOptions{})
	testkit.Must(t, err)
	if len(r.Servers[0].Added) != 1 {
		t.Fatalf("first use: %+v", r.Servers[0])
	}
	// Once removed properly, once by deleting its file.
	for _, remove := range []func() error{
		func() error { return k.RemoveServer("app01") },
		func() error { return os.Remove(p.path("servers.d/app01.toml")) },
	} {
		testkit.Must(t, remove())
		testkit.Must(t, k.AddServer(app))
		r, err := k.CollectKeys(ctx, CollectOptions{})
		testkit.Must(t, err)
		if s := r.Servers[0]; s.State != Pending || len(s.Keys) != 0 || !s.Decision || s.Listed {
			t.Errorf("added again: %+v", s)
		}
		if _, err := k.AcceptKeys("app01", nil); err != nil {
			t.Error(err)
		}
		r, err = k.CollectKeys(ctx, CollectOptions{})
		testkit.Must(t, err)
		if s := r.Servers[0]; s.State != Trusted || !s.Listed {
			t.Errorf("accepted: %+v", s)
		}
	}
}
