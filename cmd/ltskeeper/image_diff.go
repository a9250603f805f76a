package main

import (
	"strconv"
	"strings"

	"ltskeeper/keeper"

	"github.com/urfave/cli/v2"
)

func (t *tool) imageDiff(ctx *cli.Context, k *keeper.Keeper) error {
	args := ctx.Args().Slice()
	last := len(args) - 1
	d := diffDocument{}
	var err error
	if d.B, err = parseGeneration(args[last]); err != nil {
		return err
	}
	if d.Chroot, d.A, err = chrootAndNumber(k.Farm(), args[:last]); err != nil {
		return err
	}
	if d.A == keeper.NoGeneration {
		return usagef("which generations? ltskeeper image list shows their numbers")
	}
	_, stop := t.watch("compare")
	d.Changes, err = k.DiffGenerations(ctx.Context, d.Chroot, d.A, d.B)
	stop()
	if err != nil {
		return err
	}
	d.Changes = notNil(d.Changes)
	return t.print(d)
}

func parseGeneration(word string) (int, error) {
	n, err := strconv.Atoi(word)
	if err != nil || n < 0 {
		return 0, usagef("%q is no generation: ltskeeper image list shows their numbers", word)
	}
	return n, nil
}

// A diffDocument is what changed between two generations.
type diffDocument struct {
	Chroot  string          `json:"chroot"`
	A       int             `json:"a"`
	B       int             `json:"b"`
	Changes []keeper.Change `json:"changes"`
}

func (d diffDocument) text(p *page) {
	p.changes(0, d.Changes)
	if len(d.Changes) == 0 && !p.quiet {
		p.printf("Generations %d and %d of %s hold the same files.\n", d.A, d.B, d.Chroot)
	}
}

// changes writes a line for each path: what became of it, its sizes, and what differs.
func (p *page) changes(indent int, changes []keeper.Change) {
	styles := map[string]style{"added": green, "removed": red}
	var t rows
	for _, c := range changes {
		sizes := ""
		switch {
		case c.Change == "added":
			sizes = formatSize(c.NewSize)
		case c.Change == "removed":
			sizes = formatSize(c.OldSize)
		case c.OldSize != c.NewSize:
			sizes = formatSize(c.OldSize) + " -> " + formatSize(c.NewSize)
		}
		t.add(p.paint(styles[c.Change], c.Change), c.Path, sizes, strings.Join(c.What, ", "))
	}
	p.table(indent, t)
}
