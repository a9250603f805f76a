package main

import (
	"cmp"
	"strings"

	"ltskeeper/image"
	"ltskeeper/keeper"

	"github.com/urfave/cli/v2"
)

func (t *tool) defineImage() *cli.Command {
	return &cli.Command{
		Name:  "image",
		Usage: "make and list client images",
		Subcommands: append([]*cli.Command{
			{
				Name:      "build",
				Usage:     "make images of the chroots as they stand",
				ArgsUsage: "[CHROOT]...",
				Description: `Brings the images of the chroots, all of them if none is named, up to date. It asks no server and writes
nothing into a chroot.

  ltskeeper image build
  ltskeeper image build x86_64
  ltskeeper image build --full             read and compress all of it anew`,
				Flags:  []cli.Flag{fullFlag(), forceFlag()},
				Action: t.withChroots(t.imageBuild),
			},
			{
				Name:   "list",
				Usage:  "list the generations of every image",
				Action: t.withKeeper(t.imageList),
				Description: `  ltskeeper image list
  ltskeeper image list --json`,
			},
			{
				Name:      "verify",
				Usage:     "read images back and say whether they are what was built",
				ArgsUsage: "[CHROOT]...",
				Description: `Reads every block of the current images. What is not as it was built is exit code 1; so is, with --tree, a
chroot that is not what its image has any more.

  ltskeeper image verify
  ltskeeper image verify x86_64 --tree`,
				Flags: []cli.Flag{&cli.BoolFlag{Name: "tree",
					Usage: "compare the images with the chroots as they are now, too"}},
				Action: t.withChroots(t.imageVerify),
			},
			{
				Name:      "diff",
				Usage:     "say what changed between two generations",
				ArgsUsage: "[CHROOT] A B",
				Description: `Lists the paths that were added, removed or changed from generation A to B. The chroot may be left out where
there is only one.

  ltskeeper image diff 11 12
  ltskeeper image diff x86_64 11 12`,
				Action: t.withKeeper(t.imageDiff),
			},
		}, t.defineGenerations()...),
	}
}

func fullFlag() cli.Flag {
	return &cli.BoolFlag{Name: "full", Usage: "take nothing from the previous image"}
}

func forceFlag() cli.Flag {
	return &cli.BoolFlag{Name: "force",
		Usage: "publish an image also if it looks as if clients could not use it, but never one without an init"}
}

func (t *tool) imageBuild(ctx *cli.Context, k *keeper.Keeper, chroots []string) error {
	if len(k.Farm().Chroots) == 0 {
		return missingChrootError(k.Farm())
	}
	report, stop := t.watch("image")
	r, err := k.BuildImages(ctx.Context,
		keeper.BuildOptions{Chroots: chroots, Full: ctx.Bool("full"), Force: ctx.Bool("force"), Progress: report})
	stop()
	return t.printReport(r, err)
}

func (t *tool) imageList(ctx *cli.Context, k *keeper.Keeper) error {
	status, err := k.ReadStatus()
	if err != nil {
		return err
	}
	return t.print(imagesDocument{t.explainImages(status.Images)})
}

// An imagesDocument is every chroot with the generations of its image.
type imagesDocument struct {
	Images []keeper.ImageStatus `json:"images"`
}

func (d imagesDocument) text(p *page) {
	t := rows{p.head("CHROOT", "GENERATION", "", "BUILT", "SIZE", "FILES", "READ", "REUSED", "KERNEL")}
	for _, i := range d.Images {
		for _, g := range i.Generations {
			t.add(i.Chroot, g.Number, p.standing(i, g), formatTime(g.Time), formatSize(g.Size),
				g.Files, formatSize(g.Read), formatSize(g.Reused), cmp.Or(g.Kernel, "-"))
		}
	}
	switch {
	case p.quiet:
	case len(t) == 1:
		p.printf("There is no image yet. To make one: %s\n", p.commandLine("update-image"))
	default:
		p.table(0, t)
	}
	for _, i := range d.Images {
		if i.Problem != "" {
			p.printWarning(i.Chroot + ": " + i.Problem)
		}
	}
}

// standing says what is special about a generation: "current held pinned".
func (p *page) standing(i keeper.ImageStatus, g image.Generation) styled {
	var words []string
	if g.Current {
		words = append(words, "current")
	}
	if g.Current && i.Held != nil {
		words = append(words, "held")
	}
	if g.Pinned {
		words = append(words, "pinned")
	}
	return p.paint(green, strings.Join(words, " "))
}
