package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A measure is what one run took, or the best of several.
type measure struct {
	wall time.Duration // until the output was on the disk
	cpu  time.Duration // of the process itself, user and system
	peak int64         // resident memory, bytes
	size int64         // of the output, bytes
}

// runProcess runs a command to its end, syncs the file it wrote, and returns what that took. The
// output is "" if there is none.
func runProcess(ctx context.Context, output string, name string, args ...string) (measure, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said

	began := time.Now()
	err := cmd.Run()
	if err != nil {
		return measure{}, fmt.Errorf("run %s: %w\n%s", strings.Join(cmd.Args, " "), err, said.Bytes())
	}
	var m measure
	if output != "" {
		if m.size, err = syncFile(output); err != nil {
			return measure{}, err
		}
	}
	m.wall = time.Since(began)
	m.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	m.peak = cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
	return m, nil
}

// syncFile makes a file durable and returns its size.
func syncFile(path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), f.Sync()
}

// A contender is one side of a comparison. run is given the number of the round, from 0, and leaves
// nothing dirty.
type contender struct {
	name string
	run  func(ctx context.Context, round int) (measure, error)
	best measure // the shortest time, the least work, but the highest peak of memory
}

// runContenders lets the contenders take turns, and records the best of each. Each finds the files
// below the paths in warm in memory.
func runContenders(ctx context.Context, rounds int, warm []string, contenders ...*contender) error {
	for round := range rounds {
		for _, c := range contenders {
			if err := readIntoCache(ctx, warm); err != nil {
				return err
			}
			syscall.Sync() // what others left to be written is not this one's
			m, err := c.run(ctx, round)
			if err != nil {
				return err
			}
			if round > 0 {
				m.wall = min(c.best.wall, m.wall)
				m.cpu = min(c.best.cpu, m.cpu)
				m.peak = max(c.best.peak, m.peak)
			}
			c.best = m
		}
	}
	for _, c := range contenders {
		fmt.Printf("  %-44s %s\n", c.name, c.best)
	}
	return nil
}

// readIntoCache reads every file below the paths, so that the kernel has them in memory.
func readIntoCache(ctx context.Context, paths []string) error {
	for _, path := range paths {
		path, err := filepath.EvalSymlinks(path)
		if err != nil {
			return err
		}
		err = filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return errors.Join(err, ctx.Err())
			}
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = io.Copy(io.Discard, f)
			return errors.Join(err, ctx.Err())
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (m measure) String() string {
	s := fmt.Sprintf("%9.2f s", m.wall.Seconds())
	if m.cpu > 0 {
		s += fmt.Sprintf("  %8.2f s of CPU  %6.0f MB of memory", m.cpu.Seconds(), float64(m.peak)/1e6)
	}
	if m.size > 0 {
		s += fmt.Sprintf("  %7.1f MB written", float64(m.size)/1e6)
	}
	return s
}

// printTitle begins what a part prints.
func printTitle(format string, args ...any) { fmt.Printf("\n"+format+"\n", args...) }

// printAtLeast prints a figure beside its lower bar.
func printAtLeast(what string, figure, bar float64) {
	printVerdict(what, figure, "at least", bar, figure >= bar)
}

// printAtMost prints a figure beside its upper bar.
func printAtMost(what string, figure, bar float64) {
	printVerdict(what, figure, "at most", bar, figure <= bar)
}

func printVerdict(what string, figure float64, word string, bar float64, met bool) {
	mark := "met"
	if !met {
		mark = "MISSED"
	}
	fmt.Printf("  = %8.3g %-50s bar: %s %g, %s\n", figure, what, word, bar, mark)
}

// divideTimes returns the best time of a as a multiple of that of b.
func divideTimes(a, b *contender) float64 { return a.best.wall.Seconds() / b.best.wall.Seconds() }
