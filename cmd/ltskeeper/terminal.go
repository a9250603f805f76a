package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ltskeeper/keeper"

	"golang.org/x/term"
)

// This is the only file that talks to the terminal. Its rules:
//
//   - A person is there if standard input is a terminal. Cron, pipes and "</dev/null" have none:
//     nothing is asked then.
//   - Questions and answers go through /dev/tty, so that a person sees the question wherever the
//     output goes. Only "yes" and "y" are yes, the end of input is no.
//   - Progress is one line on standard error, if that is a terminal which can erase it. It appears
//     when something takes longer than a second, and is gone when that is done.
//   - Colour only on a terminal, not if NO_COLOR is set to anything or TERM is dumb.

// A terminal is what ltskeeper was started on.
type terminal struct {
	person   bool // is there to be asked
	output   bool // standard output is a terminal
	color    bool
	progress bool
}

func openTerminal() *terminal {
	output := term.IsTerminal(int(os.Stdout.Fd()))
	capable := os.Getenv("TERM") != "dumb" && os.Getenv("TERM") != ""
	return &terminal{
		person:   term.IsTerminal(int(os.Stdin.Fd())),
		output:   output,
		color:    output && capable && os.Getenv("NO_COLOR") == "",
		progress: capable && term.IsTerminal(int(os.Stderr.Fd())),
	}
}

// ask shows a page and puts a question below it. The error is ctx's, or that there is no terminal.
func (t *terminal) ask(ctx context.Context, p *page, question string) (yes bool, err error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return false, fmt.Errorf("ask on the terminal: %w", err)
	}
	defer tty.Close()
	defer context.AfterFunc(ctx, func() { tty.SetReadDeadline(time.Unix(1, 0)) })()

	tty.Write(p.Bytes())
	answers := bufio.NewReader(tty)
	for {
		fmt.Fprintf(tty, "%s (yes/no) ", question)
		line, err := answers.ReadString('\n')
		if err != nil {
			fmt.Fprintln(tty)
			return false, ctx.Err()
		}
		switch strings.ToLower(strings.TrimSpace(line)) {
		case "yes", "y":
			return true, nil
		case "no", "n":
			return false, nil
		}
		fmt.Fprint(tty, "Please type yes or no. ")
	}
}

// confirm asks a question, and returns the refusal if the answer is no.
func (t *terminal) confirm(ctx context.Context, p *page, question string, refusal error) error {
	yes, err := t.ask(ctx, p, question)
	if err == nil && !yes {
		return refusal
	}
	return err
}

// patience is how long something may take before its progress is shown.
const patience = time.Second

// watch shows how far something has come, until stop is called. What it begins with is said until
// report is called for the first time. Without a terminal, report is nil.
func (t *tool) watch(begin string) (report func(keeper.Progress), stop func()) {
	if !t.term.progress || t.quiet {
		return nil, func() {}
	}
	var last atomic.Pointer[keeper.Progress]
	last.Store(&keeper.Progress{Step: begin})
	began, done := time.Now(), make(chan struct{})
	var drawing sync.WaitGroup
	drawing.Go(func() {
		tick := time.NewTicker(patience / 8)
		defer tick.Stop()
		drawn := false
		for {
			select {
			case <-tick.C:
				if elapsed := time.Since(began); elapsed >= patience {
					drawProgress(progressLine(*last.Load(), elapsed))
					drawn = true
				}
			case <-done:
				if drawn {
					drawProgress("")
				}
				return
			}
		}
	})
	return func(p keeper.Progress) { last.Store(&p) }, func() { close(done); drawing.Wait() }
}

// drawProgress replaces the progress line. It never wraps: a wrapped line could not be erased.
func drawProgress(line string) {
	if width, _, err := term.GetSize(int(os.Stderr.Fd())); err == nil && width > 0 && len(line) >= width {
		line = line[:width-1]
	}
	fmt.Fprintf(os.Stderr, "\r%s\x1b[K", line)
}

// progressLine returns a line like "scan servers  180 of 200  90 %  4 s".
func progressLine(p keeper.Progress, elapsed time.Duration) string {
	line := makeVisible(p.Step)
	switch {
	case p.Total > 0 && p.Unit == "bytes":
		line += fmt.Sprintf("  %s of %s", formatSize(p.Done), formatSize(p.Total))
	case p.Total > 0:
		line += fmt.Sprintf("  %d of %d", p.Done, p.Total)
	case p.Done > 0 && p.Unit == "bytes":
		line += "  " + formatSize(p.Done)
	}
	if p.Total > 0 {
		line += fmt.Sprintf("  %d %%", 100*p.Done/p.Total)
	}
	return line + fmt.Sprintf("  %d s", int(elapsed.Seconds()))
}
