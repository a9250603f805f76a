package main

import (
	"cmp"

	"ltskeeper/keeper"
	"ltskeeper/ldm"

	"github.com/urfave/cli/v2"
)

func (t *tool) defineStatus() *cli.Command {
	return &cli.Command{
		Name:  "status",
		Usage: "show servers, keys and images on one screen",
		Description: `Shows what is on record: it asks no server and changes nothing. Of many servers only those that are not in
order are shown, unless --verbose is given. With --live it asks each server how it is now.

  ltskeeper status
  ltskeeper status --json | jq '.servers[] | select(.state != "trusted")'`,
		Flags:  []cli.Flag{liveFlag()},
		Action: t.withKeeper(t.status),
	}
}

func (t *tool) status(ctx *cli.Context, k *keeper.Keeper) error {
	s, err := k.ReadStatus()
	if err != nil {
		return err
	}
	s.Servers, s.Images = notNil(s.Servers), t.explainImages(s.Images)
	d := statusDocument{Status: s, Warnings: t.explainErrors(s.Warnings)}
	if ctx.Bool("live") {
		d.Live = askLive(ctx.Context, k.Farm())
	}
	return t.print(d)
}

// A statusDocument is the farm on one screen.
type statusDocument struct {
	*keeper.Status
	Warnings []string         `json:"warnings,omitempty"`
	Live     map[string]*live `json:"live,omitempty"` // by server
}

// screenful is how many servers fit on a screen beside the rest.
const screenful = 16

func (d statusDocument) text(p *page) {
	heads := []string{"SERVER", "STATE", "LISTED", "SEEN", "KEYS"}
	if d.Live != nil {
		heads = append(heads, liveHeads...)
	}
	t := rows{p.head(heads...)}
	for _, s := range d.Servers {
		now := d.Live[s.Name]
		fine := s.State == keeper.Trusted && !s.Decision && (now == nil || now.State == ldm.Rated.String())
		if fine && (p.quiet || len(d.Servers) > screenful && !p.verbose) {
			continue
		}
		seen := "never"
		if s.Seen != nil {
			seen = formatAge(p.now, *s.Seen)
		}
		listed := "yes"
		if !s.Listed {
			listed = "no"
		}
		row := []any{s.Name, p.state(s.State), listed, seen, cmp.Or(joinTypes(s.Keys), "-")}
		if now != nil {
			row = append(row, p.liveCells(now)...)
		}
		t.add(append(row, describeServer(s))...)
	}
	shown := len(t) - 1
	if shown > 0 {
		p.table(0, t)
	}
	if !p.quiet {
		d.totals(p, len(d.Servers)-shown)
		p.images(d.Images)
	}
	for _, i := range d.Images {
		if i.Held != nil {
			p.printf("%s is held since %s; to build from its tree again: %s\n", i.Chroot, formatTime(*i.Held),
				p.commandLine("image release", i.Chroot))
		}
		if i.Problem != "" {
			p.printWarning(i.Chroot + ": " + i.Problem)
		}
	}
	for _, w := range d.Warnings {
		p.printWarning(w)
	}
	d.decisions(p)
}

// decisions writes the commands that decide about pending keys.
func (d statusDocument) decisions(p *page) {
	var names []string
	for _, s := range d.Servers {
		if s.Decision && len(s.Pending) > 0 {
			names = append(names, s.Name)
		}
	}
	if len(names) > screenful && !p.verbose {
		p.printf("%s a decision: %s\n", countNoun(len(names), "server needs", "servers need"),
			p.commandLine("keys accept NAME"))
		return
	}
	for _, name := range names {
		p.printf("%s needs a decision: %s\n", name, p.commandLine("keys accept", name))
	}
}

// totals writes how many servers the table leaves out.
func (d statusDocument) totals(p *page, left int) {
	switch {
	case len(d.Servers) == 0:
		printNoServer(p)
	case left > 0:
		p.printf("%s in order.\n", countNoun(left, "server is", "servers are"))
	}
}

// images writes a line for each chroot and its current generation.
func (p *page) images(images []keeper.ImageStatus) {
	if len(images) == 0 {
		return
	}
	t := rows{p.head("CHROOT", "GENERATION", "BUILT", "SIZE", "KERNEL", "IMAGE")}
	for _, i := range images {
		row := []any{i.Chroot, "none", "-", "-", "-", i.Path}
		for _, g := range i.Generations {
			if g.Current {
				row = []any{i.Chroot, g.Number, formatAge(p.now, g.Time), formatSize(g.Size), cmp.Or(g.Kernel, "-"),
					i.Path}
			}
		}
		t.add(row...)
	}
	if p.Len() > 0 {
		p.printf("\n")
	}
	p.table(0, t)
}
