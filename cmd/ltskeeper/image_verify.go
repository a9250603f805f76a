package main

import (
	"errors"
	"fmt"
	"strings"

	"ltskeeper/keeper"

	"github.com/urfave/cli/v2"
)

func (t *tool) imageVerify(ctx *cli.Context, k *keeper.Keeper, chroots []string) error {
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

// reportUnsound returns an error if images are not what they should be, with what to do about each.
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
