package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/programs"
)

// The whole exchange, in a network of its own: 30 servers, of which some answer as they should,
// some refuse, some are black holes, from which nothing ever comes back, and some are hostile.
func TestExchange(t *testing.T) {
	path := programs.Path(t, "get_hosts")
	ownNetwork(t)
	flood := []byte("rating:" + strings.Repeat("9", 1<<16))
	var best, names []string // best first
	for i := range 15 {
		name := fmt.Sprint("127.0.1.", 1+i)
		best = append(best, name)
		serve(t, name+":9571", fmt.Sprintf("rating:%d\nlanguage:en_US.UTF-8\nsession:/usr/bin/startxfce4\n", 95-5*i))
	}
	hostile := "127.0.2.1"
	best = slices.Insert(best, 4, hostile) // 95 90 85 80, 77, 75
	serve(t, hostile+":9571",
		"\x1b[2J\x00\x07\nserver:127.0.1.1\n127.0.1.15 rating:100\nrating:100\x9b\nrating:77\nlanguage:\x1b]0;x\x07\n")
	drip, endless := "127.0.2.2", "127.0.2.3"
	serveWith(t, drip+":9571", func(c net.Conn) {
		for _, b := range []byte(strings.Repeat("rating:99\n", 100)) {
			if _, err := c.Write([]byte{b}); err != nil {
				return
			}
			time.Sleep(time.Second)
		}
	})
	serveWith(t, endless+":9571", func(c net.Conn) {
		for {
			if _, err := c.Write(flood); err != nil {
				return
			}
		}
	})
	alive, down := []string{endless, "127.0.3.1", "127.0.3.2"}, []string{drip}
	for _, name := range alive {
		serve(t, name+":22", "SSH-2.0-OpenSSH_9.2\r\n")
	}
	for i := 3; i <= 6; i++ {
		down = append(down, fmt.Sprint("127.0.3.", i)) // they refuse
	}
	for i := range 6 {
		down = append(down, fmt.Sprint("10.99.0.", 1+i)) // the black holes
	}
	names = slices.Concat(down, alive, best)
	if len(names) != 30 {
		t.Fatalf("%d servers", len(names))
	}

	info := filepath.Join(t.TempDir(), "ldm")
	cmd := exec.Command(path, "--timeout=3s", "--info-dir", info) // not 700 ms: the machine may be busy
	cmd.Env = []string{"LDM_SERVER=" + strings.Join(names, " "), "LDM_BALANCE=best"}
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	start := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	memory := watch(cmd.Process.Pid)
	err := cmd.Wait()
	took, kB := time.Since(start), <-memory
	t.Logf("%v, %d kB at most", took, kB)
	if err != nil || errs.Len() > 0 {
		t.Errorf("%v: %s", err, errs.String())
	}
	if took < 2900*time.Millisecond || took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
	if kB == 0 || kB > 10<<10 {
		t.Errorf("it took %d kB", kB)
	}

	got := strings.Fields(out.String())
	if strings.Count(out.String(), "\n") != 1 || len(got) != 30 {
		t.Fatalf("%q", out.String())
	}
	for _, part := range []struct{ got, want []string }{
		{got[:16], best}, {sorted(got[16:19]), sorted(alive)}, {sorted(got[19:]), sorted(down)},
	} {
		if !slices.Equal(part.got, part.want) {
			t.Errorf("%q, want %q", part.got, part.want)
		}
	}
	entries, err := os.ReadDir(info)
	if err != nil || len(entries) != 16+3 {
		t.Errorf("%d answers, %v", len(entries), err)
	}
	if text, err := os.ReadFile(filepath.Join(info, hostile)); string(text) != "rating:77\n" {
		t.Errorf("%q, %v", text, err)
	}
}

func sorted(names []string) []string { return slices.Sorted(slices.Values(names)) }

// ownNetwork moves the test and what it starts into a network of its own, in which 10.99.0.0/16 are
// black holes: sent through the loopback device, packets for them come back to a machine that does
// not forward, and are dropped. It ends with the test, whose thread Go throws away.
func ownNetwork(t *testing.T) {
	testkit.NeedRoot(t)
	runtime.LockOSThread()
	testkit.Need(t, syscall.Unshare(syscall.CLONE_NEWNET))
	for _, args := range []string{"link set lo up", "address add 10.98.0.1/32 dev lo",
		"route add 10.99.0.0/16 dev lo"} {
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			testkit.Need(t, fmt.Errorf("ip %s: %w\n%s", args, err, out))
		}
	}
}

// watch returns the most memory that a process was seen to have before it ended, in kB.
func watch(pid int) <-chan int {
	most := make(chan int, 1)
	go func() {
		kB := 0
		for seen := true; seen; time.Sleep(5 * time.Millisecond) {
			seen = false
			f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
			if err != nil {
				break
			}
			for s := bufio.NewScanner(io.LimitReader(f, 1<<16)); s.Scan(); {
				if n, _ := fmt.Sscanf(s.Text(), "VmHWM: %d kB", &kB); n == 1 {
					seen = true // one that has ended has no memory
				}
			}
			f.Close()
		}
		most <- kB
	}()
	return most
}
