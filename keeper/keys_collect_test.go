package keeper

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/sshdtest"
)

// A relay stands between the scanner and servers, as someone on the wire would: for each
// connection, in order, it says which server really answers. Beyond the list, the last one does.
type relay struct {
	mu    sync.Mutex
	plan  []*sshdtest.Server
	count int
}

func (r *relay) next() *sshdtest.Server {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.plan[min(r.count, len(r.plan)-1)]
	r.count++
	return s
}

func (r *relay) answer(plan ...*sshdtest.Server) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.plan, r.count = plan, 0
}

// listen starts the relay, and returns its address and port.
func (r *relay) listen(t *testing.T) (string, int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	testkit.Must(t, err)
	var open sync.WaitGroup
	t.Cleanup(func() { l.Close(); open.Wait() })
	open.Go(func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			server := r.next()
			open.Go(func() {
				defer from.Close()
				to, err := net.Dial("tcp", net.JoinHostPort(server.Address, fmt.Sprint(server.Port)))
				if err != nil {
					return
				}
				defer to.Close()
				open.Go(func() { io.Copy(to, from); to.Close() })
				io.Copy(from, to)
			})
		}
	})
	port := l.Addr().(*net.TCPAddr).Port
	return "127.0.0.1", port
}

// Only a server that shows a wrong key in both scans of a run goes into quarantine.
func TestSecondScan(t *testing.T) {
	t.Parallel()
	genuine := sshdtest.Start(t, sshdtest.Options{KeyTypes: []string{"ed25519"}})
	other := sshdtest.Start(t, sshdtest.Options{KeyTypes: []string{"ed25519"}})
	var wire relay
	wire.answer(genuine)
	address, port := wire.listen(t)
	p := newTestFarm(t)
	p.write("servers.d/app01.toml", fmt.Sprintf("addresses = [%q]\nport = %d\n", address, port))
	second := sshdtest.Start(t, sshdtest.Options{Port: port, KeyTypes: []string{"ed25519"}})
	p.write("servers.d/app02.toml", fmt.Sprintf("addresses = [%q]\nport = %d\n", second.Address, port))

	app01 := func(r *Report) Server { return r.Servers[0] }
	if s := app01(p.update(UpdateOptions{})); s.State != Trusted || len(s.Added) != 1 || !s.Listed {
		t.Fatalf("first run: %+v", s)
	}

	wire.answer(other, genuine) // wrong once, then right
	s := app01(p.update(UpdateOptions{}))
	if s.State != Trusted || s.Quarantined != nil || !s.Listed || len(s.Pending) != 0 {
		t.Errorf("wrong key once: %+v", s)
	}
	expectContains(t, "message", s.Message.String(), "someone may be answering in its place")

	wire.answer(other, other)
	s = app01(p.update(UpdateOptions{}))
	if s.State != Changed || s.Quarantined == nil || s.Listed || !s.Decision || len(s.Pending) != 1 {
		t.Errorf("wrong key twice: %+v", s)
	}
	expectContains(t, "lts.conf", p.read("tftp/client/lts.conf"), `LDM_SERVER = app02`)
	trusted := strings.Join(strings.Fields(genuine.PublicKeys()[0])[:2], " ")
	expectContains(t, "known_hosts in the image", p.readFromImage("etc/ssh/ssh_known_hosts"), trusted)

	// What prints without asking anybody goes by the same record.
	conf, err := p.openFarm().LTSConf("client")
	testkit.Must(t, err)
	if string(conf) != p.read("tftp/client/lts.conf") {
		t.Errorf("LTSConf prints\n%s\nclients have\n%s", conf, p.read("tftp/client/lts.conf"))
	}

	genuine.Stop()
	wire.answer(genuine) // silence ends no quarantine
	if s = app01(p.update(UpdateOptions{})); s.Quarantined == nil || s.Listed || !s.Unreachable || !s.Decision {
		t.Errorf("silent in quarantine: %+v", s)
	}

	testkit.Must(t, genuine.Restart()) // its trusted key does
	if s = app01(p.update(UpdateOptions{})); s.State != Trusted || s.Quarantined != nil || !s.Listed ||
		len(s.Pending) != 0 {
		t.Errorf("trusted key again: %+v", s)
	}
}
