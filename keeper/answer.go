package keeper

import (
	"path/filepath"
	"slices"
	"time"

	"ltskeeper/farm"
	"ltskeeper/internal/mounts"
)

// imagesAnswer fails if the folders of all images do not answer.
func imagesAnswer(f *farm.Farm) error {
	return mounts.CheckAnswer(mounts.Patience, f.Image.Directory, f.TFTP.Directory)
}

// AskRoot fails, with mounts.ErrSilent, if the tree of a chroot does not answer, or something that
// is mounted in it where an image of it is looked at.
func (k *Keeper) AskRoot(c farm.Chroot, patience time.Duration) error {
	if err := mounts.CheckAnswer(patience, c.Path); err != nil {
		return err
	}
	places, err := mounts.ListBelow(c.Path)
	if err != nil {
		return nil // to be found missing, or without /proc
	}
	exclude, err := parseExcludes(k.farm, c)
	if err != nil {
		return err
	}
	places = slices.DeleteFunc(places, exclude.Match)
	for i, place := range places {
		places[i] = filepath.Join(c.Path, place)
	}
	return mounts.CheckAnswer(patience, places...)
}
