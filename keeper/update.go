package keeper

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ltskeeper/chroot"
	"ltskeeper/farm"
)

// UpdateOptions say how much Update does.
type UpdateOptions struct {
	Chroots  []string       // names of the chroots to work on; none: all
	DryRun   bool           // find out and report, write nothing at all
	Full     bool           // build images from nothing
	Force    bool           // publish an image also if it looks as if clients could not use it
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
	*Keeper
	UpdateOptions
	holdFirstUse bool
	started      time.Time
	locker       *chroot.Locker
	report       *Report
}

// carryOut does the work of a run under the lock, with the declaration as it then is. A dry run
// takes no lock: making one would write.
func (k *Keeper) carryOut(r *run, work func() error) (*Report, error) {
	// The locker is started before the farm is locked: a process that is being started may hold
	// that lock for a moment longer than this one lives.
	r.Keeper, r.locker = k, chroot.NewLocker()
	defer r.locker.Close()
	lockAnd := k.RunLocked
	if r.DryRun {
		lockAnd = func(do func() error) error { return do() }
	}
	err := lockAnd(func() error {
		r.started = time.Now()
		r.report = &Report{Started: r.started.UTC().Truncate(time.Second), DryRun: r.DryRun}
		defer func() { r.report.Duration = time.Since(r.started) }()
		return work()
	})
	return r.report, err
}

// beginStep begins a part of the work, of a chroot or of all; the function it returns ends it.
func (r *run) beginStep(name, root string) func() {
	began := time.Now()
	return func() {
		r.report.Steps = append(r.report.Steps, Step{name, root, time.Since(began)})
	}
}

func (r *run) tellProgress(step string, done, total int64, unit string) {
	if r.Progress != nil {
		r.Progress(Progress{step, done, total, unit})
	}
}

// Update is the main job. What one chroot's failure leaves undone does not stop the others; the
// report then comes with an error.
func (k *Keeper) Update(ctx context.Context, o UpdateOptions) (*Report, error) {
	r := &run{UpdateOptions: o}
	return k.carryOut(r, func() error {
		chroots, err := k.chooseChroots(o.Chroots)
		if err != nil {
			return err
		}
		rec, err := r.collectKeys(ctx, nil)
		if err != nil {
			return err
		}
		if err := r.updateLTSP(ctx, rec); err != nil {
			return err
		}
		err = r.eachChroot(ctx, chroots, func(root *clientRoot) error { return r.updateChroot(ctx, rec, root) })
		r.warnOfLosses(rec, chroots)
		if err != nil {
			return err
		}
		r.recordSuccess()
		return nil
	})
}

// eachChroot works on one chroot after another, while their package managers are kept out, and goes
// on after one that fails, but not after ctx ended. Those that are held are only repaired.
func (r *run) eachChroot(ctx context.Context, chroots []farm.Chroot, work func(*clientRoot) error) error {
	var failed []error
	for _, c := range chroots {
		if err := ctx.Err(); err != nil {
			return errors.Join(append(failed, err)...)
		}
		err := r.checkImagesAnswer()
		var held time.Time
		if err == nil {
			held, err = r.imageStore(c).HeldSince()
		}
		switch {
		case err != nil:
		case held.IsZero():
			err = r.withRoot(ctx, c, work)
		default:
			err = r.repairHeld(c, held)
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("chroot %s: %w", c.Name, err))
		}
	}
	return errors.Join(failed...)
}

// updateChroot puts the derived files into a chroot and brings its image up to date.
func (r *run) updateChroot(ctx context.Context, rec *record, root *clientRoot) error {
	overlay, conf, err := r.writeFiles(rec, root)
	if err != nil {
		return err
	}
	return r.updateImage(ctx, root, overlay, conf)
}
