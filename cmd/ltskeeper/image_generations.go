package main

import (
	"slices"

	"ltskeeper/farm"
	"ltskeeper/keeper"

	"github.com/urfave/cli/v2"
)

// defineGenerations defines the commands that say which generations clients boot and which are
// kept.
func (t *tool) defineGenerations() []*cli.Command {
	return []*cli.Command{
		{
			Name:      "rollback",
			Usage:     "go back to an earlier generation, and hold it",
			ArgsUsage: "[CHROOT] [N]",
			Description: `Makes generation N current again, or the one before the current, at once and without building. The chroot may
be left out where there is only one. It is held: until image release, updates build and publish nothing for
it, and end with exit code 3.

  ltskeeper image rollback
  ltskeeper image rollback x86_64 11`,
			Flags: []cli.Flag{&cli.BoolFlag{Name: "force",
				Usage: "also to one that trusts a key which is revoked now, or that has no kernel"}},
			Action: t.withKeeper(t.imageRollback),
		},
		{
			Name:      "release",
			Usage:     "end the hold of a rollback",
			ArgsUsage: "[CHROOT]",
			Description: `The next update builds and publishes again.

  ltskeeper image release x86_64`,
			Action: t.withChroots(t.imageRelease),
		},
		{
			Name:      "pin",
			Usage:     "keep a generation from being pruned",
			ArgsUsage: "[CHROOT] N",
			Description: `  ltskeeper image pin 11
  ltskeeper image pin x86_64 11`,
			Action: t.withKeeper(t.imagePin),
		},
		{
			Name:        "unpin",
			Usage:       "let a generation be pruned again",
			ArgsUsage:   "[CHROOT] N",
			Description: `  ltskeeper image unpin x86_64 11`,
			Action:      t.withKeeper(t.imageUnpin),
		},
		{
			Name:      "prune",
			Usage:     "delete generations that nobody needs any more",
			ArgsUsage: "[CHROOT]...",
			Description: `Deletes what is beyond keep and was replaced longer than keep-for ago, but never the current generation, a pinned
one, or one that this machine sees in use. Readers over NFSv3 it cannot see: keep-for is for them. Every update
ends with it.

  ltskeeper image prune`,
			Action: t.withChroots(t.imagePrune),
		},
		{
			Name:  "repair",
			Usage: "put right what a crash left apart",
			Description: `Brings what clients fetch over TFTP to the generation of the image, and removes the litter of unfinished runs.
Every command that changes something does so first; this one is for the boot of the machine.

  ltskeeper image repair`,
			Action: t.withKeeper(t.imageRepair),
		},
	}
}

// chrootAndNumber reads "[CHROOT] [N]". The chroot may be left out where there is only one.
func chrootAndNumber(f *farm.Farm, args []string) (chroot string, number int, err error) {
	number = keeper.NoGeneration
	declared := func(name string) bool {
		return slices.ContainsFunc(f.Chroots, func(c farm.Chroot) bool { return c.Name == name })
	}
	switch {
	case len(args) > 0 && (declared(args[0]) || len(args) > 1):
		if err := checkChroots(f, args[:1]); err != nil {
			return "", number, err
		}
		chroot, args = args[0], args[1:]
	case len(f.Chroots) == 1:
		chroot = f.Chroots[0].Name
	case len(f.Chroots) == 0:
		return "", number, missingChrootError(f)
	default:
		return "", number, usagef("there are several chroots, so name one: %s", oneOf(f.ChrootNames()))
	}
	if len(args) > 0 {
		number, err = parseGeneration(args[0])
	}
	return chroot, number, err
}

func (t *tool) imageRollback(ctx *cli.Context, k *keeper.Keeper) error {
	chroot, number, err := chrootAndNumber(k.Farm(), ctx.Args().Slice())
	if err != nil {
		return err
	}
	g, err := k.RollBack(chroot, keeper.RollBackOptions{Generation: number, Force: ctx.Bool("force")})
	if err != nil {
		return err
	}
	return t.announceFields(map[string]any{"chroot": chroot, "generation": g}, func(p *page) {
		p.printf("%s is at generation %d, built %s, and held there.\n", chroot, g.Number, formatTime(g.Time))
		p.printf("To build from its tree again: %s\n", p.commandLine("image release", chroot))
	})
}

func (t *tool) imageRelease(ctx *cli.Context, k *keeper.Keeper, chroots []string) error {
	chroot, _, err := chrootAndNumber(k.Farm(), chroots)
	if err != nil {
		return err
	}
	if err := k.Release(chroot); err != nil {
		return err
	}
	return t.announceFields(map[string]any{"released": chroot}, func(p *page) {
		p.printf("%s is held no more. To bring its image up to date: %s\n", chroot,
			p.commandLine("update-image", chroot))
	})
}

func (t *tool) imagePin(ctx *cli.Context, k *keeper.Keeper) error { return t.changePin(ctx, k, true) }

func (t *tool) imageUnpin(ctx *cli.Context, k *keeper.Keeper) error {
	return t.changePin(ctx, k, false)
}

func (t *tool) changePin(ctx *cli.Context, k *keeper.Keeper, pinned bool) error {
	chroot, number, err := chrootAndNumber(k.Farm(), ctx.Args().Slice())
	if err != nil {
		return err
	}
	if number == keeper.NoGeneration {
		return usagef("which generation? ltskeeper image list shows their numbers")
	}
	change, until := k.Unpin, "as long as the others"
	if pinned {
		change, until = k.Pin, "until it is unpinned"
	}
	if err := change(chroot, number); err != nil {
		return err
	}
	fields := map[string]any{"chroot": chroot, "generation": number, "pinned": pinned}
	return t.announceFields(fields, func(p *page) {
		p.printf("Generation %d of %s is kept %s.\n", number, chroot, until)
	})
}

func (t *tool) imagePrune(ctx *cli.Context, k *keeper.Keeper, chroots []string) error {
	pruned, err := k.Prune(chroots)
	if err != nil {
		return err
	}
	return t.announceFields(map[string]any{"pruned": notNil(pruned)}, func(p *page) {
		for _, c := range pruned {
			p.printf("%s: deleted %s\n", c.Chroot, joinNumbers(c.Generations))
		}
		if len(pruned) == 0 {
			p.printf("Nothing to do: every generation is still needed.\n")
		}
	})
}

func (t *tool) imageRepair(ctx *cli.Context, k *keeper.Keeper) error {
	return k.Repair()
}
