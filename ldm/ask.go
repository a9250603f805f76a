package ldm

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"
)

// maxAnswer bounds an answer, in bytes. LDM's own service, on a server with every locale of glibc,
// sends about 20 KB.
const maxAnswer = 32 << 10

// A Server is a server to ask.
type Server struct {
	Name      string
	Addresses []string // the first that answers is used; without any, the name is resolved
}

// A Reply is the result of asking a server.
type Reply struct {
	Name   string
	State  State
	Answer Answer
	// Err says why there is no rating; nil if there is one.
	Err error
	// At is when the answer had come, or had not, on this machine's clock.
	At time.Time
}

// ListCandidates returns the servers for choosing, with weights by name. Others weigh 1.
func ListCandidates(replies []Reply, weights map[string]float64) []Candidate {
	var candidates []Candidate
	for _, r := range replies {
		candidates = append(candidates, Candidate{Name: r.Name, Weight: weights[r.Name], State: r.State,
			Rating: r.Answer.Rating, Capacity: r.Answer.Capacity})
	}
	return candidates
}

// An Asker asks servers.
type Asker struct {
	Timeout time.Duration // for all of them together; 0: until the context's deadline
	SSHPort int           // where servers without an answer are looked for; 0: 22
	NoSSH   bool          // do not look for them; they count as down
	// Dial connects; nil: a net.Dialer does.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Ask asks all servers at once, and returns what is known of each when all have answered or the
// time is up, in the order of the servers. Those that refuse to answer, or take more than half of
// the time, are looked for on their SSH port meanwhile. An answer that is not complete when the
// time is up does not count.
func (a *Asker) Ask(ctx context.Context, servers []Server) []Reply {
	if a.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, a.Timeout)
		defer cancel()
	}
	replies := make([]Reply, len(servers))
	var wg sync.WaitGroup
	for i, s := range servers {
		wg.Go(func() { replies[i] = a.askOne(ctx, s) })
	}
	wg.Wait()
	return replies
}

func (a *Asker) askOne(ctx context.Context, s Server) Reply {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	info, ssh := make(chan Reply, 1), make(chan error, 1)
	wg.Go(func() { info <- a.readInfo(ctx, s) })
	var late <-chan time.Time
	if deadline, ok := ctx.Deadline(); ok {
		late = time.After(time.Until(deadline) / 2)
	}
	var reply Reply
	isLate := false
	select {
	case reply = <-info:
	case <-late:
		isLate = true
	}
	if !isLate && reply.State != Down {
		return reply
	}
	wg.Go(func() { ssh <- a.checkSSH(ctx, s) })
	if isLate {
		reply = <-info
	}
	if reply.State != Down {
		return reply
	}
	if err := <-ssh; err != nil {
		reply.Err = fmt.Errorf("%w; %w", reply.Err, err)
	} else {
		reply.State = Alive
	}
	return reply
}

// readInfo reads a server's answer. Its state is Down without a rating, unless it is draining.
func (a *Asker) readInfo(ctx context.Context, s Server) Reply {
	text, err := a.readFrom(ctx, s, Port, func(conn io.Reader) ([]byte, error) {
		text, err := io.ReadAll(io.LimitReader(conn, maxAnswer+1))
		if err == nil && len(text) > maxAnswer {
			err = fmt.Errorf("longer than %d bytes", maxAnswer)
		}
		return text, err
	})
	r := Reply{Name: s.Name, Answer: Parse(nil), At: time.Now()}
	if err == nil {
		r.Answer = Parse(text)
	}
	switch {
	case r.Answer.Draining:
		r.State = Draining
	case r.Answer.Rating != Unrated:
		r.State = Rated
	case err == nil:
		err = errors.New("there is no rating from 0 to 100 in it")
	}
	if r.State == Down {
		r.Err = fmt.Errorf("read its answer: %w", err)
	}
	return r
}

// maxGreeting is how much a server may say before its SSH version (RFC 4253, section 4.2).
const maxGreeting = 1 << 10

// checkSSH fails if no SSH server greets. One that hangs may still accept connections.
func (a *Asker) checkSSH(ctx context.Context, s Server) error {
	if a.NoSSH {
		return errors.New("its SSH was not looked for")
	}
	port := cmp.Or(a.SSHPort, 22)
	_, err := a.readFrom(ctx, s, port, func(conn io.Reader) ([]byte, error) {
		var text []byte
		for buf := make([]byte, 256); len(text) < maxGreeting; {
			n, err := conn.Read(buf)
			text = append(text, buf[:n]...)
			if bytes.HasPrefix(text, []byte("SSH-")) || bytes.Contains(text, []byte("\nSSH-")) {
				return nil, nil
			}
			if err != nil {
				return nil, err
			}
		}
		return nil, errors.New("what answers is no SSH server")
	})
	if err != nil {
		return fmt.Errorf("look for its SSH on port %d: %w", port, err)
	}
	return nil
}

// readFrom connects to a server and reads from it, until the context ends.
func (a *Asker) readFrom(ctx context.Context, s Server, port int, read func(io.Reader) ([]byte, error)) ([]byte,
	error) {
	conn, err := a.connect(ctx, s, port)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	text, err := read(conn)
	if err != nil && ctx.Err() != nil {
		err = errors.New("it did not come to an end in time")
	}
	return text, err
}

// connect connects to the first of a server's addresses that accepts.
func (a *Asker) connect(ctx context.Context, s Server, port int) (net.Conn, error) {
	addresses := s.Addresses
	if len(addresses) == 0 {
		addresses = []string{s.Name}
	}
	dial := a.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	racing, cancel := context.WithCancel(ctx)
	defer cancel()
	conns, errs := make(chan net.Conn), make(chan error)
	for _, address := range addresses {
		go func() {
			conn, err := dial(racing, "tcp", net.JoinHostPort(address, strconv.Itoa(port)))
			if err != nil {
				errs <- err
				return
			}
			conns <- conn
		}()
	}
	var first net.Conn
	var failed error
	for range addresses {
		select {
		case conn := <-conns:
			if first != nil {
				conn.Close()
				continue
			}
			first = conn
			cancel()
		case err := <-errs:
			failed = err
		}
	}
	switch {
	case first != nil:
		return first, nil
	case ctx.Err() != nil:
		return nil, errors.New("nothing answers in time")
	}
	return nil, failed
}
