// Package keeper does the main job: it looks at every declared server, judges the keys they show,
// renders what the clients need to know and brings their images up to date.
//
//	declaration -> keys -> known_hosts and lts.conf -> chroot -> image -> published
//
// Run does all of it; Collect, BuildImages, Accept and the others do a part. Each takes the farm's
// lock, reads the declaration again under it, and returns a Report or what it changed. Look,
// KnownHosts and LTSConf only look: they take no lock, ask nobody and write nothing.
//
// The package prints nothing and decides no exit code.
package keeper

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"ltskeeper/chroot"
	"ltskeeper/farm"
)

// Options say how much a run does.
type Options struct {
	Chroots  []string       // names of the chroots to work on; none: all
	DryRun   bool           // find out and report, write nothing at all
	Full     bool           // build images from nothing
	Force    bool           // publish an image also if it looks as if clients could not use it
	Ask      bool           // a first use waits as pending: the caller asks a person, then calls Accept
	Patience time.Duration  // how long to wait for a package manager that is at work in a chroot; zero: some seconds
	Progress func(Progress) // called by one goroutine at a time; may be nil
}

// Progress is how far the present step of a run has come.
type Progress struct {
	Step        string
	Done, Total int64
	Unit        string // "servers", "bytes"
}

// run is one run under the lock.
type run struct {
	farm     *farm.Farm
	started  time.Time
	dryRun   bool
	full     bool
	force    bool
	ask      bool
	patience time.Duration
	locker   *chroot.Locker
	report   *Report
	tell     func(Progress)
}

// run takes the lock and the declaration as it then is,
// and does the work. A dry run takes no lock: making one would write.
func (o Options) run(f *farm.Farm, work func(*run) error) (*Report, error) {
	// Started before the farm is locked: a process that is being started may hold that lock for a
	// moment longer than this one lives.
	locker := chroot.NewLocker()
	defer locker.Close()
	var err error
	if !o.DryRun {
		var release func()
		if f, release, err = begin(f); err != nil {
			return nil, err
		}
		defer release()
	}
	started := time.Now()
	r := &run{
		farm: f, started: started, locker: locker, dryRun: o.DryRun, full: o.Full, force: o.Force, ask: o.Ask,
		tell:     o.Progress,
		patience: cmp.Or(o.Patience, 5*time.Second),
		report:   &Report{Started: started.UTC().Truncate(time.Second), DryRun: o.DryRun},
	}
	err = work(r)
	r.report.Duration = time.Since(started)
	return r.report, err
}

// step begins a part of the work, of a chroot or of all; the function it returns ends it.
func (r *run) step(name, chroot string) func() {
	began := time.Now()
	return func() {
		r.report.Steps = append(r.report.Steps, Step{name, chroot, time.Since(began)})
	}
}

func (r *run) progress(step string, done, total int64, unit string) {
	if r.tell != nil {
		r.tell(Progress{step, done, total, unit})
	}
}

func (r *run) warn(format string, args ...any) {
	r.report.Warnings = append(r.report.Warnings, fmt.Sprintf(format, args...))
}

// Run is the main job. What one chroot's failure leaves undone does not stop the others; the report
// then comes with an error.
func Run(ctx context.Context, f *farm.Farm, o Options) (*Report, error) {
	return o.run(f, func(r *run) error {
		chroots, err := chooseChroots(r.farm, o.Chroots)
		if err != nil {
			return err
		}
		t, err := r.collect(ctx, nil)
		if err != nil {
			return err
		}
		if err := r.updateLTSP(ctx, t); err != nil {
			return err
		}
		err = r.eachChroot(ctx, chroots, func(c farm.Chroot) error { return r.updateChroot(ctx, t, c) })
		r.tellOfLosses(t, chroots)
		if err != nil {
			return err
		}
		r.noteSuccess()
		return nil
	})
}

// BuildImages brings the images up to date with their trees as these stand. It asks no server and
// writes nothing into a root; a chroot that is never written to gets its files from the record, as
// always.
func BuildImages(ctx context.Context, f *farm.Farm, o Options) (*Report, error) {
	return o.run(f, func(r *run) error {
		chroots, err := chooseChroots(r.farm, o.Chroots)
		if err != nil {
			return err
		}
		store, err := openStore(r.farm, true)
		if err != nil {
			return err
		}
		t, err := loadTrust(r.farm, store)
		if err != nil {
			return err
		}
		return r.eachChroot(ctx, chroots, func(c farm.Chroot) error { return r.buildChroot(ctx, t, c) })
	})
}

// eachChroot works on one chroot after another, but for those that are held, and goes on after one
// that fails, but not after ctx ended.
func (r *run) eachChroot(ctx context.Context, chroots []farm.Chroot, work func(farm.Chroot) error) error {
	var failed []error
	for _, c := range chroots {
		if err := ctx.Err(); err != nil {
			return errors.Join(append(failed, err)...)
		}
		held, err := false, imagesAnswer(r.farm)
		if err == nil {
			held, err = r.held(c)
		}
		if err == nil && !held {
			err = work(c)
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("chroot %s: %w", c.Name, err))
		}
	}
	return errors.Join(failed...)
}

func chooseChroots(f *farm.Farm, names []string) ([]farm.Chroot, error) {
	if len(names) == 0 {
		return f.Chroots, nil
	}
	var chosen []farm.Chroot
	for _, name := range names {
		c, err := f.Chroot(name)
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, c)
	}
	return chosen, nil
}
