package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// fresh is how long an answer is used again.
const fresh = time.Second

// A cache makes a text when it is asked for one and does not have a fresh one.
type cache struct {
	mutex sync.Mutex
	fill  func() []byte
	text  []byte
	until time.Time
}

func (c *cache) get() []byte {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if !time.Now().Before(c.until) {
		c.text = c.fill()
		c.until = time.Now().Add(fresh)
	}
	return c.text
}

// serveSockets answers everybody who connects to one of the sockets, until the context ends.
func serveSockets(ctx context.Context, sockets []*os.File, c *cache) error {
	failed := make(chan error, len(sockets))
	var wg sync.WaitGroup
	for _, s := range sockets {
		wg.Go(func() { failed <- answerClients(s, c) })
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	for _, s := range sockets {
		s.Close()
	}
	wg.Wait()
	return err
}

// answerClients answers everybody who connects to a socket, until that is closed. A client costs
// three system calls and no memory: an answer is smaller than what the kernel takes at once for a
// new connection, so it is written without waiting and the connection is closed after it. The
// kernel does the rest, also if a client does not read.
func answerClients(socket *os.File, c *cache) error {
	raw, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Read(func(fd uintptr) (done bool) {
		for {
			conn, _, err := syscall.Accept4(int(fd), syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
			switch err {
			case nil:
				syscall.Write(conn, c.get())
				syscall.Close(conn)
			case syscall.EAGAIN:
				return false
			case syscall.EBADF, syscall.EINVAL, syscall.ENOTSOCK, syscall.EOPNOTSUPP:
				failed = os.NewSyscallError("accept", err)
				return true
			case syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM:
				time.Sleep(10 * time.Millisecond) // the system is short of something
			} // all others are about one connection: accept(2)
		}
	})
	return cmp.Or(failed, err)
}

// openSocket opens a socket.
func openSocket(ctx context.Context, address string) (*os.File, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	return l.(*net.TCPListener).File()
}

// takeSockets returns the sockets that systemd passes in (sd_listen_fds(3)): some to listen on, or,
// with Accept=yes, a connection to answer.
func takeSockets() (sockets []*os.File, conn *os.File, err error) {
	const first = 3
	n, _ := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if pid, _ := strconv.Atoi(os.Getenv("LISTEN_PID")); pid != os.Getpid() {
		n = 0
	}
	for fd := first; fd < first+n; fd++ {
		listens, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN)
		if err != nil {
			return nil, nil, fmt.Errorf("take socket %d from systemd: %w", fd, err)
		}
		syscall.SetNonblock(fd, true)
		f := os.NewFile(uintptr(fd), "socket from systemd")
		if listens == 0 {
			conn = f
		} else {
			sockets = append(sockets, f)
		}
	}
	return sockets, conn, nil
}
