package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"ltskeeper/keeper"

	"github.com/urfave/cli/v2"
)

func (t *tool) imageVerify(ctx *cli.Context, k *keeper.Keeper) error {
	chroots, err := chooseChroots(ctx, k)
	if err != nil {
		return err
	}
	if len(k.Farm().Chroots) == 0 {
		return missingChrootError(k.Farm())
	}
	_, stop := t.watch("verify")
	all, err := k.VerifyImages(ctx.Context, keeper.VerifyOptions{Chroots: chroots, Tree: ctx.Bool("tree")})
	stop()
	if err != nil {
		return err
	}
	for i, v := range all {
		all[i].Problem = t.withRemedies(v.Problem, v.Remedies)
	}
	if err := t.print(verifiedDocument{Images: notNil(all), tree: ctx.Bool("tree")}); err != nil {
		return err
	}
	return t.reportUnsound(all)
}

// reportUnsound is the error for images that are not what they should be, with what to do about each.
func (t *tool) reportUnsound(all []keeper.Verified) error {
	var found []error
	for _, v := range all {
		switch {
		case v.Problem != "":
			found = append(found, fmt.Errorf("the image of %s is not what was built; to make it anew: %s",
				v.Chroot, t.commandLine("image build --full", v.Chroot)))
		case len(v.Tree) > 0:
			found = append(found,
				fmt.Errorf("chroot %s has changed since its image was made; to bring it up to date: %s",
					v.Chroot, t.commandLine("update-image", v.Chroot)))
		}
	}
	return errors.Join(found...)
}

// A verifiedDocument is what was found of images that were read back.
type verifiedDocument struct {
	Images []keeper.Verified `json:"images"`
	tree   bool
}

func (d verifiedDocument) text(p *page) {
	for _, v := range d.Images {
		switch {
		case v.Problem != "":
			what := fmt.Sprintf("generation %d", v.Generation)
			if v.Generation < 0 { // nobody can say which
				what = "the image"
			}
			p.printf("%s: %s is damaged:\n", v.Chroot, what)
			for line := range strings.Lines(v.Problem) {
				p.printf("  %s\n", strings.TrimSuffix(line, "\n"))
			}
		case p.quiet:
		case d.tree && len(v.Tree) == 0:
			p.printf("%s: generation %d is what was built, and what the chroot is.\n", v.Chroot, v.Generation)
		default:
			p.printf("%s: generation %d is what was built.\n", v.Chroot, v.Generation)
		}
		if len(v.Tree) > 0 {
			p.printf("%s: the chroot has changed since:\n", v.Chroot)
			p.changes(2, v.Tree)
		}
	}
}

// changes is a line for each path: what became of it, its sizes, and in what it changed.
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
