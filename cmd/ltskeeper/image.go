package main

import (
	"ltskeeper/update"

	"github.com/urfave/cli/v2"
)

func (t *tool) imageCommand() *cli.Command {
	return &cli.Command{
		Name:  "image",
		Usage: "make and list client images",
		Subcommands: []*cli.Command{
			{
				Name:      "build",
				Usage:     "make images of the chroots as they stand",
				ArgsUsage: "[CHROOT]...",
				Description: `Brings the images of the chroots, all of them if none is named, up to date. It asks no server and writes
nothing into a chroot.

  ltskeeper image build
  ltskeeper image build x86_64`,
				Action: t.imageBuild,
			},
			{
				Name:   "list",
				Usage:  "list the generations of every image",
				Action: t.imageList,
				Description: `  ltskeeper image list
  ltskeeper image list --json`,
			},
		},
	}
}

func (t *tool) imageBuild(ctx *cli.Context) error {
	f, err := t.farm()
	if err != nil {
		return err
	}
	chroots := ctx.Args().Slice()
	if len(f.Chroots) == 0 {
		return noChroot(f)
	}
	if err := checkChroots(f, chroots); err != nil {
		return err
	}
	report, stop := t.watch("image")
	r, err := update.BuildImages(ctx.Context, f, update.Options{Chroots: chroots, Progress: report})
	stop()
	return t.printReport(r, err)
}

func (t *tool) imageList(ctx *cli.Context) error {
	if _, err := arguments(ctx, 0, 0); err != nil {
		return err
	}
	f, err := t.farm()
	if err != nil {
		return err
	}
	status, err := update.Look(f)
	if err != nil {
		return err
	}
	return t.print(imagesDocument{status.Images})
}

// An imagesDocument is every chroot with the generations of its image.
type imagesDocument struct {
	Images []update.ImageStatus `json:"images"`
}

func (d imagesDocument) text(p *page) {
	rows := [][]any{p.head("CHROOT", "GENERATION", "", "BUILT", "SIZE", "KERNEL")}
	for _, i := range d.Images {
		for _, g := range i.Generations {
			current := p.styled(plain, "")
			if g.Current {
				current = p.styled(green, "current")
			}
			rows = append(rows, []any{
				i.Chroot, g.Number, current, stamp(g.Time), size(g.Size), orElse(g.Kernel, "-"),
			})
		}
	}
	switch {
	case p.quiet:
	case len(rows) == 1:
		p.printf("There is no image yet. To make one: %s\n", p.command("update-image"))
	default:
		p.table(0, rows)
	}
	for _, i := range d.Images {
		if i.Problem != "" {
			p.printf("%s %s: %s\n", p.styled(yellow, "Warning:"), i.Chroot, i.Problem)
		}
	}
}
