// Command answers measures the two programs that stand between a client and its login: how fast and
// how small get_hosts is, and how ldminfod does when a whole farm asks at once. It builds both,
// runs them on loopback, and changes nothing.
//
//	go run ./bench/answers
//
// As with the other benchmarks, the best of several rounds counts, because others are at work on
// the machine, too, and a bar that is missed is printed, and never an error.
package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "answers:", err)
		os.Exit(1)
	}
}

func run() error {
	dir, err := os.MkdirTemp("", "ltskeeper-answers-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", dir, "ltskeeper/cmd/get_hosts",
		"ltskeeper/cmd/ldminfod")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build get_hosts and ldminfod: %w", err)
	}
	return errors.Join(measureGetHosts(filepath.Join(dir, "get_hosts")),
		measureLdminfod(filepath.Join(dir, "ldminfod")))
}

// printFigure prints a figure beside its bar.
func printFigure[T int64 | time.Duration](what string, got, bar T) {
	verdict := "ok"
	if got > bar {
		verdict = "MISSED"
	}
	fmt.Printf("%-62s %10v   bar %8v   %s\n", what, got, bar, verdict)
}

// measureGetHosts runs get_hosts 100 times where it has nothing to wait for: its one server
// refuses.
func measureGetHosts(program string) error {
	info, err := os.Stat(program)
	if err != nil {
		return err
	}
	printFigure("get_hosts: size of the program, kB", info.Size()>>10, 4<<10)
	var took []time.Duration
	for range 100 {
		start := time.Now()
		exit := (*exec.ExitError)(nil)
		if err := exec.Command(program, "127.0.0.9").Run(); err != nil && !errors.As(err, &exit) {
			return err
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	printFigure("get_hosts: from its start to its end, half of 100 runs", took[49].Round(10*time.Microsecond),
		10*time.Millisecond)
	return nil
}

const clients = 2000

// measureLdminfod has 2,000 clients wait at its socket, while it is stopped, and then lets it go.
func measureLdminfod(program string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	address := l.Addr().String()
	socket, err := l.(*net.TCPListener).File()
	l.Close()
	if err != nil {
		return err
	}
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0"`, program)
	cmd.Env = append(os.Environ(), "LISTEN_FDS=1")
	cmd.ExtraFiles = []*os.File{socket}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	socket.Close()

	best := time.Hour
	for range 5 {
		took, err := measureCrowd(cmd.Process, address)
		if err != nil {
			return err
		}
		best = min(best, took[clients*99/100])
	}
	printFigure("ldminfod: 2,000 connections at once, 99 of 100 answered within", best.Round(100*time.Microsecond),
		50*time.Millisecond)
	kB, err := readPeakMemory(cmd.Process.Pid)
	printFigure("ldminfod: most memory, kB", kB, 30<<10)
	return err
}

// measureCrowd returns how long each client waited for its answer, the shortest time first.
func measureCrowd(server *os.Process, address string) ([]time.Duration, error) {
	if conn, err := net.Dial("tcp", address); err != nil { // it is there, and its cache is full
		return nil, err
	} else if _, err := io.ReadAll(conn); err != nil {
		return nil, err
	}
	if err := server.Signal(syscall.SIGSTOP); err != nil {
		return nil, err
	}
	done, errs := make([]time.Time, clients), make([]error, clients)
	var wg sync.WaitGroup
	for i := range clients {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return nil, errors.Join(err, server.Signal(syscall.SIGCONT))
		}
		defer conn.Close()
		wg.Go(func() {
			answer := make([]byte, 4096)
			if n, err := conn.Read(answer); n == 0 {
				errs[i] = fmt.Errorf("client %d has no answer: %w", i, err)
			}
			done[i] = time.Now()
		})
	}
	time.Sleep(100 * time.Millisecond) // until all of them wait
	start := time.Now()
	if err := server.Signal(syscall.SIGCONT); err != nil {
		return nil, err
	}
	wg.Wait()
	var took []time.Duration
	for _, t := range done {
		took = append(took, t.Sub(start))
	}
	slices.Sort(took)
	return took, errors.Join(errs...)
}

// readPeakMemory returns the most memory that a process has had.
func readPeakMemory(pid int) (kB int64, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	_, err = fmt.Sscan(after, &kB)
	return kB, err
}
