package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"ltskeeper/ldm"
)

// maxOutput is more than any list of servers needs, in bytes.
const maxOutput = 64 << 10

// farewell is how long the program's output may take to end after it.
const farewell = 100 * time.Millisecond

// rankByScript lets the admin's own program rank the candidates. It reads them from standard input,
// one per line: name, state (up, draining, alive, down) and rating, or - without one. It prints
// those to try, in order, separated by white space. rankByScript fails if the program exits with
// another code than 0, has not ended shortly before the end, or prints nothing, anything else than
// candidates, or one of them twice.
func rankByScript(ctx context.Context, end time.Time, script string, candidates []ldm.Candidate) ([]string, error) {
	ctx, cancel := context.WithDeadline(ctx, end.Add(-farewell))
	defer cancel()
	var in strings.Builder
	for _, c := range candidates {
		rating := "-"
		if c.State == ldm.Rated {
			rating = fmt.Sprint(c.Rating)
		}
		fmt.Fprintln(&in, c.Name, c.State, rating)
	}
	var out capped
	cmd := exec.CommandContext(ctx, script)
	cmd.Stdin, cmd.Stdout = strings.NewReader(in.String()), &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // with all it has started
	cmd.WaitDelay = farewell
	if err := cmd.Run(); err != nil && !errors.Is(err, exec.ErrWaitDelay) { // its own child still has the output
		return nil, fmt.Errorf("run %s: %w", script, err)
	}
	order := strings.Fields(string(out.text))
	for i, name := range order {
		known := slices.ContainsFunc(candidates, func(c ldm.Candidate) bool { return c.Name == name })
		if !known || slices.Contains(order[:i], name) {
			return nil, fmt.Errorf("run %s: it prints %q, which is none of the servers that are left", script, name)
		}
	}
	if len(order) == 0 {
		return nil, fmt.Errorf("run %s: it prints no server", script)
	}
	return order, nil
}

// A capped buffer refuses to exceed maxOutput.
type capped struct{ text []byte }

func (c *capped) Write(p []byte) (int, error) {
	if len(c.text)+len(p) > maxOutput {
		return 0, errors.New("too much output")
	}
	c.text = append(c.text, p...)
	return len(p), nil
}
