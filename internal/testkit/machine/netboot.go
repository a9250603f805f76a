package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A Diskless machine has nothing but a network card and a serial console. It boots what the network
// offers: DHCP, then TFTP, as its firmware and iPXE do. It is emulated in software, kernel and all:
// where a bare machine takes seconds it takes a minute.
type Diskless struct {
	t    testing.TB
	out  net.Conn
	mu   sync.Mutex
	said strings.Builder // on the console
	read int             // as far as Expect has got
	done <-chan struct{}
}

// MAC is the address of the card of the n-th diskless machine.
func MAC(n int) string { return fmt.Sprintf("52:54:00:00:00:%02x", n) }

// BootDiskless switches on a diskless machine, which ends with the test. What its kernel and its
// login say on the first serial port, ttyS0, is for Expect.
func (n *Network) BootDiskless(t testing.TB, number int) *Diskless {
	t.Helper()
	tap := fmt.Sprintf("tap%d", number)
	for _, step := range []string{"tuntap add " + tap + " mode tap", "link set " + tap + " master bridge",
		"link set " + tap + " up"} {
		if err := ip(n.process.Process.Pid, step); err != nil {
			t.Fatalf("plug a diskless machine in: %v", err)
		}
	}
	socket := filepath.Join(t.TempDir(), "console")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	cmd := n.Command("qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "1024", "-display", "none", "-boot",
		"n", "-no-reboot",
		"-netdev", "tap,id=net,ifname="+tap+",script=no,downscript=no", "-device",
		"virtio-net-pci,netdev=net,mac="+MAC(number),
		"-chardev", "socket,id=console,path="+socket, "-serial", "chardev:console")
	var complaints strings.Builder
	cmd.Stderr = &complaints
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	d := &Diskless{t: t}
	if d.done, err = begin(cmd); err != nil {
		t.Fatalf("switch on a diskless machine: %v", err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-d.done
	})
	listener.(*net.UnixListener).SetDeadline(time.Now().Add(20 * time.Second))
	if d.out, err = listener.Accept(); err != nil {
		t.Fatalf("start qemu: %v\n%s", err, &complaints)
	}
	t.Cleanup(func() { d.out.Close() })
	go d.listen()
	return d
}

func (d *Diskless) listen() {
	buffer := make([]byte, 4096)
	for {
		n, err := d.out.Read(buffer)
		d.mu.Lock()
		d.said.Write(buffer[:n])
		d.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Expect waits until the console has said something that matches, since the last match, and returns
// everything up to there. It fails the test if ctx ends, or the machine does.
func (d *Diskless) Expect(ctx context.Context, pattern string) string {
	d.t.Helper()
	re := regexp.MustCompile(pattern)
	for {
		d.mu.Lock()
		fresh := d.said.String()[d.read:]
		if at := re.FindStringIndex(fresh); at != nil {
			d.read += at[1]
			d.mu.Unlock()
			return fresh[:at[1]]
		}
		d.mu.Unlock()
		var err error
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case <-d.done:
			err = errors.New("the machine ended")
		case <-time.After(100 * time.Millisecond):
			continue
		}
		d.t.Fatalf("wait for %q on the console: %v; it said:\n%s", pattern, err, tail(fresh, 4000))
	}
}

// Type types on the console.
func (d *Diskless) Type(text string) {
	d.t.Helper()
	if _, err := io.WriteString(d.out, text); err != nil {
		d.t.Fatal(err)
	}
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }
