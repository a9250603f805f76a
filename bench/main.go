// Command bench measures ltskeeper against the tools that it stands in for, side by side on the
// machine it runs on, and prints the ratios beside the bars that the project holds itself to. Start
// it with `make bench`, which prepares what it needs.
//
// Every program is measured as an administrator would run it: a whole process, from its start until
// what it wrote is on the disk. The two sides of a comparison take turns, every output is a new
// file, and the best of each side is compared: memory that a shared virtual machine touches for the
// first time, or a neighbour at work, can make one run several times as slow as the next. For the
// same reason a bar that is missed is printed, and never an error.
//
// It needs root, and changes nothing but one folder of its own.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// A bench is one run of the benchmark.
type bench struct {
	ltskeeper string // the programs
	ltsp      string // "" if there is none
	tree      string // the client root; never written to
	work      string // a folder of our own
	pairs     int
	slowPairs int
	copy      string // of the tree, which parts may change
	config    string // the declaration of the copy; "" until both are there and an image is built
	changes   int    // how often two files of the copy were changed
}

// A part measures one thing and prints what it found.
type part struct {
	name string
	run  func(*bench, context.Context) error
}

var parts = []part{
	{"keys", (*bench).measureKeysAlone},
	{"image-clean", (*bench).measureZstd},
	{"image-two-files", (*bench).measureTwoFiles},
	{"image-nothing", (*bench).measureNoChange},
	{"image-package", (*bench).measureOnePackage},
	{"image-gzip", (*bench).measureGzip},
}

func main() {
	var b bench
	flag.StringVar(&b.ltskeeper, "ltskeeper", "bin/ltskeeper", "the ltskeeper to measure")
	flag.StringVar(&b.ltsp, "ltsp", "", "the ltsp to compare it with")
	flag.StringVar(&b.tree, "tree", "", "the client root to image")
	flag.IntVar(&b.pairs, "pairs", 5, "how often each comparison is made")
	flag.IntVar(&b.slowPairs, "slow-pairs", 1, "the same, for those that take minutes; 0 leaves them out")
	work := flag.String("work", "/var/tmp", "where to write")
	only := flag.String("only", "", "only the parts whose name contains this")
	alone := flag.Bool("alone", false, "measure the keys, as bench calls itself in a network of its own")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if *alone {
		parts = []part{{"keys", (*bench).measureKeys}}
	} else {
		fmt.Println(describeMachine())
	}
	err := b.run(ctx, *work, *only)
	switch {
	case err == nil:
		return
	case ctx.Err() == nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
	case !*alone: // otherwise the caller prints it
		fmt.Fprintln(os.Stderr, "bench: interrupted")
	}
	os.Exit(1)
}

func (b *bench) run(ctx context.Context, work, only string) (err error) {
	if b.ltskeeper, err = filepath.Abs(b.ltskeeper); err != nil {
		return err
	}
	if b.work, err = os.MkdirTemp(work, "ltskeeper-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.work)) }()
	b.copy = filepath.Join(b.work, "root")

	chosen := slices.DeleteFunc(parts, func(p part) bool { return !strings.Contains(p.name, only) })
	if len(chosen) == 0 {
		return fmt.Errorf("find part %q: there is none of that name", only)
	}
	for _, p := range chosen {
		if err := p.run(b, ctx); err != nil {
			if ctx.Err() != nil {
				return err
			}
			// The others may have something to say all the same.
			fmt.Printf("  not measured: %v\n", err)
		}
	}
	return nil
}

// describeMachine returns what the figures are from.
func describeMachine() string {
	var uts unix.Utsname
	unix.Uname(&uts)
	model := "processor"
	info, _ := os.ReadFile("/proc/cpuinfo")
	if found := regexp.MustCompile(`(?m)^model name\s*: (.*)$`).FindSubmatch(info); found != nil {
		model = string(found[1])
	}
	return fmt.Sprintf("%d cores of %s, Linux %s", runtime.NumCPU(), model, unix.ByteSliceToString(uts.Release[:]))
}
