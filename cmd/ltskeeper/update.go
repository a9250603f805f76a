package main

import (
	"context"
	"errors"
	"os"
	"time"

	"ltskeeper/farm"
	"ltskeeper/keeper"

	"github.com/urfave/cli/v2"
)

func (t *tool) defineUpdateImage() *cli.Command {
	return &cli.Command{
		Name:      "update-image",
		Usage:     "make the clients know the farm as it is: the main job",
		ArgsUsage: "[CHROOT]...",
		Description: `Asks every server for its host keys, writes known_hosts, lts.conf and the clients' programs into the chroots,
all of them if none is named, and brings their images up to date. Safe to run at any time: what is current is
replaced in one step, and only by something complete, without private keys in it, and that clients can start
from. Does nothing if nothing changed.

An image is refused if it has no init that clients can start, an owner other than root, no kernel although clients
boot one, no modules for its kernel, a compression that its kernel cannot read, less than half the size of the one
before, or too little room on the disk. --force overrides all of that but the init and the owner.

  ltskeeper update-image
  ltskeeper update-image x86_64 --dry-run
  ltskeeper update-image --cron           prints a line if something changed, and what needs attention`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "dry-run", Aliases: []string{"n"},
				Usage: "say what would change, as a diff, and write nothing"},
			&cli.BoolFlag{Name: "cron",
				Usage: "like --quiet, and one line about what changed; waits for apt in a chroot"},
			fullFlag(),
			forceFlag(),
		},
		Before: t.readCron,
		Action: t.withChroots(t.updateImage),
	}
}

// readCron reads --cron and refuses what excludes it.
func (t *tool) readCron(ctx *cli.Context) error {
	if t.cron = ctx.Bool("cron"); t.cron {
		switch {
		case t.verbose:
			return usagef("--cron and --verbose exclude each other")
		case t.json:
			return usagef("--cron and --json exclude each other: with --json alone everything is in one document")
		case ctx.Bool("dry-run"):
			return usagef("--cron and --dry-run exclude each other: a dry run changes nothing that a line could be about")
		}
		t.quiet = true
	}
	return nil
}

func (t *tool) updateImage(ctx *cli.Context, k *keeper.Keeper, chroots []string) error {
	report, stop := t.watch("scan servers")
	options := keeper.UpdateOptions{
		Chroots: chroots, DryRun: ctx.Bool("dry-run"), Full: ctx.Bool("full"), Force: ctx.Bool("force"),
		Progress: report,
	}
	if t.cron {
		options.Patience = cronPatience
	}
	began := time.Now()
	r, err := k.Update(ctx.Context, options)
	stop()
	f := k.Farm()
	if len(f.Chroots) == 0 && err == nil {
		r.Warnings = append(r.Warnings, missingChrootError(f))
	}
	if problem := keepMetrics(k, r, err, began, time.Now()); problem != nil && r != nil {
		r.Warnings = append(r.Warnings, problem)
	} else if problem != nil {
		printWarning(os.Stderr, problem.Error())
	}
	if err := t.printReport(r, err); err != nil || len(f.Servers) > 0 || !r.SomethingChanged() || t.quiet || t.json {
		return err
	}
	p := t.newPage()
	printNoServer(p)
	return t.write(p.Bytes())
}

// checkChroots refuses names that are not declared, before any work is done.
func checkChroots(f *farm.Farm, typed []string) error {
	for _, name := range typed {
		if _, err := f.FindChroot(name); err != nil {
			return err
		}
	}
	return nil
}

// printReport prints what a run did, even if it failed half-way, and returns what that means for
// the exit code.
func (t *tool) printReport(r *keeper.Report, failure error) error {
	if r == nil || errors.Is(failure, context.Canceled) {
		return failure
	}
	d := newReportDocument(r)
	d.Warnings = t.explainErrors(r.Warnings)
	for _, w := range d.Warnings {
		printWarning(os.Stderr, w)
	}
	d.failed = failure != nil
	if err := t.print(d); err != nil {
		return errors.Join(failure, err)
	}
	if failure != nil {
		return failure
	}
	return decideOutcome(r)
}
