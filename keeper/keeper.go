// Package keeper holds what ltskeeper does, as the methods of a Keeper. Its main job is Update: it
// asks every declared server for its keys, judges what they show, renders what the clients need to
// know and brings their images up to date.
//
//	declaration -> keys -> known_hosts and lts.conf -> chroot -> image -> published
//
// CollectKeys, BuildImages, AcceptKeys and others do a part. A method that changes something takes
// the farm's lock, reads the declaration again under it, and returns what it changed. Methods that
// only read, such as ReadStatus, KnownHosts, LTSConf and ReadFileStatus, take no lock, ask no
// server and write nothing.
//
// The package prints nothing and decides no exit code.
package keeper

import (
	"fmt"
	"path/filepath"
	"slices"

	"ltskeeper/farm"
	"ltskeeper/image"
	"ltskeeper/internal/durable"
	"ltskeeper/internal/mounts"
)

// A Keeper keeps one farm. It holds the declaration as it was when it was opened, or when the last
// method that changes something took the lock. Methods that only read may be called at the same
// time.
type Keeper struct {
	farm *farm.Farm
}

// Open loads the declaration whose ltskeeper.toml is at path. If anything in it is wrong, the error
// is farm.Mistakes.
func Open(path string) (*Keeper, error) {
	f, err := farm.Load(path)
	if err != nil {
		return nil, err
	}
	return New(f), nil
}

// New returns a Keeper of a declaration that is loaded already. It may be an unsound one that
// farm.Salvage returned, for methods that only read.
func New(f *farm.Farm) *Keeper { return &Keeper{f} }

// Farm returns the declaration, which is not to be changed.
func (k *Keeper) Farm() *farm.Farm { return k.farm }

// RunLocked takes the lock of the farm, reads the declaration again, because it may have changed
// while nobody held the lock, and does the work.
func (k *Keeper) RunLocked(work func() error) error {
	release, err := k.farm.State.Lock()
	if err != nil {
		return err
	}
	defer release()
	f, err := farm.Load(k.farm.Path)
	if err != nil {
		return err
	}
	k.farm = f
	if err := k.sweep(); err != nil {
		return err
	}
	return work()
}

// sweep removes what killed runs have left of files beside the declaration, in the state and in
// LTSP's folder. The key store, chroots and images see to their own.
func (k *Keeper) sweep() error {
	f := k.farm
	folders := []string{f.Dir, f.ServersDir(), f.AdoptedFolder()}
	if f.LTSP.KnownHosts != "" {
		folders = append(folders, filepath.Dir(f.LTSP.KnownHosts))
	}
	if err := mounts.CheckAnswer(mounts.Patience, folders...); err != nil {
		return err
	}
	if err := f.State.Sweep(); err != nil {
		return err
	}
	for _, folder := range folders {
		if err := durable.SweepFolder(folder); err != nil {
			return fmt.Errorf("remove what an unfinished run left: %w", err)
		}
	}
	return nil
}

// chooseServers returns the named servers, or all of them, in the farm's order.
func (k *Keeper) chooseServers(names []string) ([]farm.Server, error) {
	if len(names) == 0 {
		return k.farm.Servers, nil
	}
	chosen := map[string]bool{}
	for _, name := range names {
		s, err := k.farm.FindServer(name)
		if err != nil {
			return nil, err
		}
		chosen[s.Name] = true
	}
	return slices.DeleteFunc(slices.Clone(k.farm.Servers), func(s farm.Server) bool { return !chosen[s.Name] }), nil
}

// chooseChroots returns the chroots with these names, or all of them.
func (k *Keeper) chooseChroots(names []string) ([]farm.Chroot, error) {
	if len(names) == 0 {
		return k.farm.Chroots, nil
	}
	var chosen []farm.Chroot
	for _, name := range names {
		c, err := k.farm.FindChroot(name)
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, c)
	}
	return chosen, nil
}

// imageStore returns the place of a chroot's generations.
func (k *Keeper) imageStore(c farm.Chroot) *image.Store {
	return &image.Store{Name: c.Name, Images: k.farm.Image.Directory, TFTP: k.farm.TFTP}
}
