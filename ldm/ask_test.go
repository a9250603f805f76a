package ldm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A wire is what stands at an address, like "app01:9571": it has the server's end of each
// connection. Where there is none, connections are refused.
type wire map[string]func(net.Conn)

// blackHole is where connecting takes for ever.
func blackHole(net.Conn) {}

func (w wire) dial(ctx context.Context, network, address string) (net.Conn, error) {
	serve, ok := w[address]
	switch {
	case !ok:
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	case fmt.Sprintf("%p", serve) == fmt.Sprintf("%p", blackHole):
		<-ctx.Done()
		return nil, ctx.Err()
	}
	near, far := net.Pipe()
	go func() {
		defer far.Close()
		serve(far)
	}()
	return near, nil
}

func says(text string) func(net.Conn) { return func(c net.Conn) { io.WriteString(c, text) } }

// after waits before it serves.
func after(d time.Duration, serve func(net.Conn)) func(net.Conn) {
	return func(c net.Conn) {
		if wait(c, d) {
			serve(c)
		}
	}
}

// wait waits, and tells whether the other side is still there then.
func wait(c net.Conn, d time.Duration) bool {
	c.SetReadDeadline(time.Now().Add(d))
	_, err := c.Read(make([]byte, 1))
	return errors.Is(err, os.ErrDeadlineExceeded)
}

// drip sends a byte a second.
func drip(c net.Conn) {
	for _, b := range []byte("rating:99\n" + strings.Repeat("x", 1000)) {
		if _, err := c.Write([]byte{b}); err != nil || !wait(c, time.Second) {
			return
		}
	}
}

// flood sends a line without an end.
func flood(c net.Conn) {
	for line := []byte("rating:" + strings.Repeat("9", 1000)); ; {
		if _, err := c.Write(line); err != nil {
			return
		}
	}
}

// mute says nothing until the other side has gone.
func mute(c net.Conn) { c.Read(make([]byte, 1)) }

func TestAsk(t *testing.T) {
	t.Parallel()
	const timeout = 700 * time.Millisecond
	sshd := says("SSH-2.0-OpenSSH_9.2\r\n")
	for _, test := range []struct {
		name  string
		wire  wire
		state State
		took  time.Duration
		err   string // a part of it
	}{
		{"a rating", wire{"app:9571": says("rating:87\n")}, Rated, 0, ""},
		{"a slow rating", wire{"app:9571": after(600*time.Millisecond, says("rating:87\n"))}, Rated,
			600 * time.Millisecond, ""},
		{"a slow rating, past a quick SSH",
			wire{"app:9571": after(600*time.Millisecond, says("rating:87\n")),
				"app:22": sshd}, Rated, 600 * time.Millisecond, ""},
		{"draining", wire{"app:9571": says("rating:0\nstate:draining\n")}, Draining, 0, ""},
		{"refused, with SSH", wire{"app:22": sshd}, Alive, 0, "connection refused"},
		{"refused", nil, Down, 0, "connection refused"},
		{"no rating", wire{"app:9571": says("language:C\n"), "app:22": sshd}, Alive, 0, "no rating"},
		{"no sound rating", wire{"app:9571": says("rating:101\n"), "app:22": sshd}, Alive, 0, "no rating"},
		{"a black hole", wire{"app:9571": blackHole, "app:22": blackHole}, Down, timeout, "nothing answers in time"},
		{"a firewall before the info service", wire{"app:9571": blackHole, "app:22": sshd}, Alive, timeout,
			"nothing answers in time"},
		{"a slow SSH", wire{"app:9571": blackHole, "app:22": after(340*time.Millisecond, sshd)}, Alive, timeout,
			"in time"},
		{"an SSH that hangs", wire{"app:22": mute}, Down, timeout, "did not come to an end in time"},
		{"an SSH with a banner", wire{"app:22": says("Welcome!\r\nSSH-2.0-x\r\n")}, Alive, 0, ""},
		{"no SSH", wire{"app:22": says("220 smtp\r\n")}, Down, 0, "port 22"},
		{"an SSH that floods", wire{"app:22": flood}, Down, 0, "no SSH server"},
		{"a byte a second", wire{"app:9571": drip, "app:22": sshd}, Alive, timeout, "did not come to an end in time"},
		{"an endless line", wire{"app:9571": flood, "app:22": sshd}, Alive, 0, "longer than"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				asker := &Asker{Timeout: timeout, Dial: test.wire.dial}
				reply := asker.Ask(t.Context(), []Server{{Name: "app"}})[0]
				if took := time.Since(start); reply.State != test.state || took != test.took {
					t.Errorf("%s after %v, want %s after %v", reply.State, took, test.state, test.took)
				}
				if (reply.Err == nil) != (test.state == Rated || test.state == Draining) {
					t.Errorf("error: %v", reply.Err)
				}
				if reply.Err != nil && !strings.Contains(reply.Err.Error(), test.err) {
					t.Errorf("error %q, want one with %q", reply.Err, test.err)
				}
				if (reply.State == Rated) != (reply.Answer.Rating > 0) {
					t.Errorf("%s with rating %d", reply.State, reply.Answer.Rating)
				}
			})
		})
	}
}

// All are asked at once, the answers stand in the order of the servers, and the first full set of
// them ends it.
func TestAskMany(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, servers := wire{}, []Server(nil)
		for i := range 100 {
			name := fmt.Sprint("app", i)
			servers = append(servers, Server{Name: name})
			w[name+":9571"] = after(time.Duration(i)*time.Millisecond, says(fmt.Sprintf("rating:%d\nserver:app0\n", i)))
		}
		start := time.Now()
		replies := (&Asker{Timeout: time.Minute, Dial: w.dial}).Ask(t.Context(), servers)
		if took := time.Since(start); took != 99*time.Millisecond {
			t.Errorf("took %v", took)
		}
		for i, r := range replies {
			if r.Name != servers[i].Name || r.State != Rated || r.Answer.Rating != i {
				t.Errorf("%s: %+v", servers[i].Name, r)
			}
		}
	})
}

func TestAskAddresses(t *testing.T) {
	t.Parallel()
	for name, addresses := range map[string][]string{
		"one refuses":         {"10.0.0.1", "10.0.0.3"},
		"one is a black hole": {"10.0.0.2", "10.0.0.3"},
		"two answer":          {"10.0.0.3", "10.0.0.3"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := wire{"10.0.0.2:9571": blackHole, "10.0.0.2:2222": blackHole, "10.0.0.3:9571": says("rating:5\n")}
				start := time.Now()
				asker := &Asker{Timeout: time.Second, SSHPort: 2222, Dial: w.dial}
				reply := asker.Ask(t.Context(), []Server{{"app", addresses}})[0]
				if reply.State != Rated || reply.Answer.Rating != 5 || time.Since(start) != 0 {
					t.Errorf("%+v after %v", reply, time.Since(start))
				}
			})
		})
	}
}

// Whoever asks can lose interest.
func TestAskCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := wire{"app:9571": drip, "app:22": blackHole}
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("enough"))
		defer cancel()
		start := time.Now()
		if reply := (&Asker{Dial: w.dial}).Ask(ctx, []Server{{Name: "app"}})[0]; reply.State != Down ||
			time.Since(start) != time.Second {
			t.Errorf("%+v after %v", reply, time.Since(start))
		}
	})
}
