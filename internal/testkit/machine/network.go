package machine

import (
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// A Network is a bridge in a network namespace of its own. Machines reach one another through it,
// and nobody else.
type Network struct {
	process *exec.Cmd // keeps the namespace
	plugged int
}

// NewNetwork makes a network that ends with the test.
func NewNetwork(t testing.TB) *Network {
	t.Helper()
	Needed(t)
	n := &Network{process: exec.Command("cat")}
	n.process.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	hold, err := n.process.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	ended, err := begin(n.process)
	if err != nil {
		t.Fatalf("make a network: %v", err)
	}
	t.Cleanup(func() {
		hold.Close()
		<-ended
	})
	for _, step := range []string{"link set lo up", "link add bridge type bridge", "link set bridge up"} {
		if err := ip(n.process.Process.Pid, step); err != nil {
			t.Fatalf("make a network: %v", err)
		}
	}
	return n
}

// plug gives the machine of a process an interface with an address on the network.
func (n *Network) plug(pid int, address string) error {
	n.plugged++
	port := "port" + strconv.Itoa(n.plugged)
	here := n.process.Process.Pid
	return errors.Join(
		ip(here, fmt.Sprintf("link add %s type veth peer name eth0 address %s netns %d", port, hardware(address), pid)),
		ip(here, fmt.Sprintf("link set %s master bridge up", port)),
		ip(pid, "link set lo up"),
		ip(pid, "addr add "+address+" dev eth0"),
		ip(pid, "link set eth0 up"),
	)
}

// hardware is the hardware address of the machine with some address, the same whenever it boots:
// its neighbours remember it.
func hardware(address string) net.HardwareAddr {
	ip, _, _ := net.ParseCIDR(address)
	return append(net.HardwareAddr{0x02, 0}, ip[len(ip)-4:]...)
}

// Command is a command of the machine that the test runs on, but on this network, where it has no
// address unless it takes one.
func (n *Network) Command(name string, args ...string) *exec.Cmd {
	return exec.Command("nsenter",
		append([]string{"--target", strconv.Itoa(n.process.Process.Pid), "--net", "--", name}, args...)...)
}

// ip runs ip in the network namespace of a process.
func ip(pid int, arguments string) error {
	enter := []string{"--target", strconv.Itoa(pid), "--net", "--", "ip"}
	out, err := exec.Command("nsenter", append(enter, strings.Fields(arguments)...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %v: %s", arguments, err, out)
	}
	return nil
}
