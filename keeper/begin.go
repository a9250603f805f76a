package keeper

import (
	"fmt"
	"path/filepath"

	"ltskeeper/farm"
	"ltskeeper/internal/durable"
	"ltskeeper/internal/mounts"
)

// begin takes the lock of a farm and reads its declaration again, because it may have changed while
// nobody held the lock.
func begin(f *farm.Farm) (now *farm.Farm, release func(), err error) {
	release, err = f.State.Lock()
	if err != nil {
		return nil, nil, err
	}
	if now, err = farm.Load(f.Path); err == nil {
		err = sweep(now)
	}
	if err != nil {
		release()
		return nil, nil, err
	}
	return now, release, nil
}

// sweep removes what killed runs have left of files beside the declaration, in the state and in
// LTSP's folder. The key store, chroots and images see to their own.
func sweep(f *farm.Farm) error {
	folders := []string{f.Dir, f.ServersDir(), adoptedFolder(f)}
	if f.LTSP.KnownHosts != "" {
		folders = append(folders, filepath.Dir(f.LTSP.KnownHosts))
	}
	if err := mounts.Ask(mounts.Patience, folders...); err != nil {
		return err
	}
	if err := f.State.Sweep(); err != nil {
		return err
	}
	for _, folder := range folders {
		if err := durable.Sweep(folder); err != nil {
			return fmt.Errorf("remove what an unfinished run left: %w", err)
		}
	}
	return nil
}
