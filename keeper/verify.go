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

// Verify reads the current images of chroots back, all of them if none is named, and compares them
// with what was built; with tree, also with what would be built of the chroot now. It takes no lock
// and writes nothing.
func Verify(ctx context.Context, f *farm.Farm, names []string, tree bool) ([]Verified, error) {
	chroots, err := chooseChroots(f, names)
	if err == nil {
		err = imagesAnswer(f)
	}
	if err != nil {
		return nil, err
	}
	var all []Verified
	for _, c := range chroots {
		store := storeOf(f, c)
		v := Verified{Chroot: c.Name, Path: store.Link()}
		v.Generation, err = store.Verify(ctx)
		switch {
		case ctx.Err() != nil:
			return all, ctx.Err()
		case errors.Is(err, image.ErrNone):
			return all, fmt.Errorf("chroot %s: %w", c.Name, err)
		case err != nil:
			v.Problem, v.Remedies = err.Error(), remedy.FindIn(err)
		}
		if tree {
			if v.Tree, err = compareTree(ctx, f, c, store); err != nil {
				return all, fmt.Errorf("chroot %s: %w", c.Name, err)
			}
		}
		all = append(all, v)
	}
	return all, nil
}

func compareTree(ctx context.Context, f *farm.Farm, c farm.Chroot, store *image.Store) ([]Change, error) {
	locker := chroot.NewLocker()
	defer locker.Close()
	r := &run{farm: f, locker: locker, report: new(Report), dryRun: true}
	root, err := r.open(ctx, c)
	if err != nil {
		return nil, err
	}
	defer root.close()
	var overlay []derived
	if !root.writable() {
		t, err := trustOnRecord(f)
		if err != nil {
			return nil, err
		}
		if overlay, err = t.derive(c); err != nil {
			return nil, err
		}
		programs, err := r.programs(root)
		if err != nil {
			return nil, err
		}
		overlay = append(overlay, programs...)
	}
	options, err := r.imageOptions(root, overlay)
	if err != nil {
		return nil, err
	}
	_, differences, err := store.DiffTree(ctx, image.Source{Root: root.Path(), Options: options})
	return changes(differences), err
}

// Diff says what changed between two generations of a chroot's image.
func Diff(ctx context.Context, f *farm.Farm, chroot string, a, b int) ([]Change, error) {
	c, err := f.Chroot(chroot)
	if err == nil {
		err = imagesAnswer(f)
	}
	if err != nil {
		return nil, err
	}
	differences, err := storeOf(f, c).Diff(ctx, a, b)
	return changes(differences), err
}

func changes(differences []squashfs.Difference) []Change {
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
