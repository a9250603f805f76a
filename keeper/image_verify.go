package keeper

import (
	"context"
	"errors"
	"fmt"

	"ltskeeper/chroot"
	"ltskeeper/farm"
	"ltskeeper/image"
	"ltskeeper/internal/remedy"
	"ltskeeper/squashfs"
)

// Verified is what was found of one chroot's current image.
type Verified struct {
	Chroot     string          `json:"chroot"`
	Path       string          `json:"path"`
	Generation int             `json:"generation"`
	Problem    string          `json:"problem,omitempty"` // why it is not what was built; one problem a line
	Remedies   []remedy.Remedy `json:"-"`
	Tree       []Change        `json:"tree,omitempty"` // where the chroot is not what the image has any more
}

// A Change is a path that differs between two images, or between an image and a tree.
type Change struct {
	Path    string   `json:"path"`
	Change  string   `json:"change"`         // "added", "removed" or "changed"
	What    []string `json:"what,omitempty"` // of a changed path: "content", "mode", "owner" and so on
	OldSize int64    `json:"old_size"`
	NewSize int64    `json:"new_size"`
}

// VerifyOptions say how VerifyImages works.
type VerifyOptions struct {
	Chroots []string // names of the chroots whose images to verify; none: all
	Tree    bool     // compare also with what would be built of the chroots now
}

// VerifyImages reads the current images of chroots back, and compares them with what was built. It
// takes no lock and writes nothing.
func (k *Keeper) VerifyImages(ctx context.Context, o VerifyOptions) ([]Verified, error) {
	chroots, err := k.chooseChroots(o.Chroots)
	if err == nil {
		err = k.checkImagesAnswer()
	}
	if err != nil {
		return nil, err
	}
	var all []Verified
	for _, c := range chroots {
		store := k.imageStore(c)
		v := Verified{Chroot: c.Name, Path: store.Link()}
		g, err := store.Verify(ctx)
		v.Generation = numberOf(g)
		switch {
		case ctx.Err() != nil:
			return all, ctx.Err()
		case errors.Is(err, image.ErrNone):
			return all, fmt.Errorf("chroot %s: %w", c.Name, err)
		case err != nil:
			v.Problem, v.Remedies = err.Error(), remedy.FindIn(err)
		}
		if o.Tree {
			if v.Tree, err = k.compareTree(ctx, c, store); err != nil {
				return all, fmt.Errorf("chroot %s: %w", c.Name, err)
			}
		}
		all = append(all, v)
	}
	return all, nil
}

// compareTree compares the current image of a chroot with what would be built of it now.
func (k *Keeper) compareTree(ctx context.Context, c farm.Chroot, store *image.Store) ([]Change, error) {
	r := &run{Keeper: k, locker: chroot.NewLocker(), report: new(Report)}
	defer r.locker.Close()
	var differences []squashfs.Difference
	err := r.withRoot(ctx, c, func(root *clientRoot) error {
		options, err := k.currentOptions(root)
		if err == nil {
			differences, err = store.DiffTree(ctx, image.Source{Root: root.Path(), Options: options})
		}
		return err
	})
	return reportChanges(differences), err
}

// DiffGenerations returns what changed between two generations of a chroot's image.
func (k *Keeper) DiffGenerations(ctx context.Context, name string, a, b int) ([]Change, error) {
	c, err := k.farm.FindChroot(name)
	if err == nil {
		err = k.checkImagesAnswer()
	}
	if err != nil {
		return nil, err
	}
	differences, err := k.imageStore(c).Diff(ctx, a, b)
	return reportChanges(differences), err
}

func reportChanges(differences []squashfs.Difference) []Change {
	var list []Change
	for _, d := range differences {
		c := Change{Path: d.Path, Change: "changed", What: d.What}
		if d.Old != nil {
			c.OldSize = d.Old.Size
		} else {
			c.Change = "added"
		}
		if d.New != nil {
			c.NewSize = d.New.Size
		} else {
			c.Change = "removed"
		}
		list = append(list, c)
	}
	return list
}
