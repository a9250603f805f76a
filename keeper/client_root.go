package keeper

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ltskeeper/chroot"
	"ltskeeper/farm"
	"ltskeeper/image"
	"ltskeeper/internal/excludes"
	"ltskeeper/internal/mounts"
	"ltskeeper/internal/remedy"
)

// A clientRoot is a declared chroot that is open.
type clientRoot struct {
	*chroot.Root
	declared farm.Chroot
	store    *image.Store
	exclude  *excludes.Patterns // what stays out of its image
	mounts   []chroot.Mount
	locks    *chroot.Locks // nil if nobody is kept out
}

// CheckRootAnswers fails, with mounts.ErrSilent, if the tree of a chroot does not answer, or
// something that is mounted in it where an image of it is looked at.
func (k *Keeper) CheckRootAnswers(c farm.Chroot, patience time.Duration) error {
	if err := mounts.CheckAnswer(patience, c.Path); err != nil {
		return err
	}
	places, err := mounts.ListBelow(c.Path)
	if err != nil {
		return nil // to be found missing, or without /proc
	}
	exclude, err := k.parseExcludes(c)
	if err != nil {
		return err
	}
	places = slices.DeleteFunc(places, exclude.Match)
	for i, place := range places {
		places[i] = filepath.Join(c.Path, place)
	}
	return mounts.CheckAnswer(patience, places...)
}

// checkImagesAnswer fails if the folders of all images do not answer.
func (k *Keeper) checkImagesAnswer() error {
	return mounts.CheckAnswer(mounts.Patience, k.farm.Image.Directory, k.farm.TFTP)
}

// OpenChroot opens the root of a declared chroot. None is forced: a folder that is no root may be
// one where nothing is mounted, and must not become an image.
func (k *Keeper) OpenChroot(c farm.Chroot) (*chroot.Root, error) {
	if err := k.CheckRootAnswers(c, mounts.Patience); err != nil {
		return nil, err
	}
	root, err := chroot.Open(c.Path)
	if err != nil {
		return nil, remedy.AttachTo(err, remedy.Advice("mount it"),
			remedy.Setting{Section: "chroot", Name: c.Name, Key: "path", Change: "to where it is"})
	}
	return root, nil
}

// openRoot opens a chroot for reading. A package may be half installed in it.
func (k *Keeper) openRoot(c farm.Chroot) (*clientRoot, error) {
	opened, err := k.OpenChroot(c)
	if err != nil {
		return nil, err
	}
	opened.SetOwner(c.IDOffset)
	root := &clientRoot{Root: opened, declared: c, store: k.imageStore(c)}
	if root.exclude, err = k.parseRealExcludes(c); err == nil {
		root.mounts, err = root.TakeMounts(k.mountRules(c, root.exclude))
	}
	if err != nil {
		opened.Close()
		return nil, err
	}
	return root, nil
}

// lockRoot opens a chroot and keeps its package managers out. It waits for one that is at work.
func (r *run) lockRoot(ctx context.Context, c farm.Chroot) (*clientRoot, error) {
	defer r.beginStep("open", c.Name)()
	root, err := r.openRoot(c)
	if err != nil {
		return nil, err
	}
	root.locks, err = r.locker.Lock(ctx, root.Root, cmp.Or(r.Patience, 5*time.Second))
	if err == nil { // anew: it may have waited for long
		root.mounts, err = root.TakeMounts(r.mountRules(c, root.exclude))
	}
	if err != nil {
		root.close()
		return nil, err
	}
	r.warnOfUnlockable(c, root.locks.Unlockable)
	return root, nil
}

// withRoot does work on a chroot, whose package managers are kept out meanwhile.
func (r *run) withRoot(ctx context.Context, c farm.Chroot, work func(*clientRoot) error) error {
	root, err := r.lockRoot(ctx, c)
	if err != nil {
		return err
	}
	defer root.close()
	return work(root)
}

func (root *clientRoot) close() {
	if root.locks != nil {
		root.locks.Release()
	}
	root.Root.Close()
}

// isWritable reports whether files may be put into the tree; otherwise they go into the image only.
func (root *clientRoot) isWritable() bool { return root.declared.Write && !root.IsSystem() }

// ListMounts returns what is mounted in a declared chroot, and what of it belongs to its image.
func (k *Keeper) ListMounts(c farm.Chroot, root *chroot.Root) ([]chroot.Mount, error) {
	exclude, err := k.parseExcludes(c)
	if err != nil {
		return nil, err
	}
	return root.TakeMounts(k.mountRules(c, exclude))
}

func (k *Keeper) mountRules(c farm.Chroot, exclude *excludes.Patterns) chroot.MountRules {
	return chroot.MountRules{Declared: c.Mounts, None: c.NoMounts, Empties: exclude.Empties, Apart: k.ownFolders()}
}

// warnOfUnlockable warns of a chroot whose package managers cannot be kept out.
func (r *run) warnOfUnlockable(c farm.Chroot, unlockable []*chroot.UnlockableError) {
	if len(unlockable) == 0 {
		return
	}
	var managers []string
	for _, u := range unlockable {
		managers = append(managers, u.Manager)
	}
	warning := fmt.Errorf("chroot %s: %w: its file system cannot lock files, so nothing keeps %s from changing the "+
		"chroot meanwhile", c.Name, unlockable[0], strings.Join(slices.Compact(managers), " and "))
	r.warn(remedy.AttachTo(warning, remedy.Advice("start rpc.statd here and the lock service on the NFS server"),
		remedy.If{Condition: "nobody else changes it", Then: remedy.Advice("mount it with local_lock=all")}))
}
