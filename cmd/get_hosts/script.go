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

// maxOutput is more than any list of servers takes, in bytes.
const maxOutput = 64 << 10

// farewell is how long the program's output may take to end behind it.
const farewell = 100 * time.Millisecond

// rankedBy lets a program of the admin's own rank the candidates. It finds them on its standard
// input, a line each: name, state (up, draining, alive, down) and rating, which is - where there is
// none. It prints those to try, in order, separated by white space. It fails if it exits with
// another code than 0, is not done shortly before the end, or prints nothing, or something else
// than candidates, or one of them twice.
func rankedBy(ctx context.Context, end time.Time, script string, candidates []ldm.Candidate) ([]string, error) {
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
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // it, and all it has started
	cmd.WaitDelay = farewell
	if err := cmd.Run(); err != nil && !errors.Is(err, exec.ErrWaitDelay) { // which it left to a child of its own
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

// A capped buffer refuses to grow without end.
type capped struct{ text []byte }

func (c *capped) Write(p []byte) (int, error) {
	if len(c.text)+len(p) > maxOutput {
		return 0, errors.New("too much output")
	}
	c.text = append(c.text, p...)
	return len(p), nil
}
