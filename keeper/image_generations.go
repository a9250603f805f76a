package keeper

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"ltskeeper/derive"
	"ltskeeper/farm"
	"ltskeeper/image"
	"ltskeeper/internal/remedy"
	"ltskeeper/keys"
)

// RollBackOptions say how RollBack works.
type RollBackOptions struct {
	Generation int  // its number; NoGeneration: the one before the current
	Force      bool // roll back also to one that it refuses otherwise
}

// RollBack makes an earlier generation of a chroot's image current again, and holds it until
// Release. Refused, unless forced, is one whose known_hosts trusts a key that has been revoked
// since, and one without a kernel where clients fetch one now.
func (k *Keeper) RollBack(chroot string, o RollBackOptions) (image.Generation, error) {
	var g image.Generation
	err := k.changeImages([]string{chroot}, func(store *image.Store) error {
		number := o.Generation
		if number == NoGeneration {
			var err error
			if number, err = store.Before(); err != nil {
				return err
			}
		}
		revoked, err := k.findRevoked(store, number)
		if err != nil {
			return err
		}
		if len(revoked) > 0 && !o.Force {
			err := fmt.Errorf("generation %d of %s still trusts %s, revoked since: clients that boot it would too",
				number, chroot, joinFingerprints(revoked))
			return remedy.AttachTo(err, remedy.If{Condition: "it has to be", Then: remedy.Option("force")})
		}
		missed, err := store.Missed(number)
		if err != nil {
			return err
		}
		if len(missed) > 0 && !o.Force {
			err := fmt.Errorf("generation %d of %s has none of what clients boot by now (%s): they would not start",
				number, chroot, strings.Join(missed, ", "))
			return remedy.AttachTo(err, remedy.If{Condition: "yours boot another kernel", Then: remedy.Option("force")})
		}
		g, err = store.Rollback(number, time.Now())
		return err
	})
	return g, err
}

// Release ends the hold that a rollback put on a chroot: the next update builds from its tree
// again.
func (k *Keeper) Release(chroot string) error {
	return k.changeImages([]string{chroot}, (*image.Store).Release)
}

// Pin keeps a generation from being pruned.
func (k *Keeper) Pin(chroot string, number int) error {
	return k.changeImages([]string{chroot}, func(store *image.Store) error { return store.Pin(number) })
}

// Unpin lets a generation be pruned again.
func (k *Keeper) Unpin(chroot string, number int) error {
	return k.changeImages([]string{chroot}, func(store *image.Store) error { return store.Unpin(number) })
}

// Pruned is what Prune deleted of a chroot.
type Pruned struct {
	Chroot      string `json:"chroot"`
	Generations []int  `json:"generations"`
}

// Prune deletes the generations that are old enough, of all chroots if none is named.
func (k *Keeper) Prune(chroots []string) ([]Pruned, error) {
	var all []Pruned
	err := k.changeImages(chroots, func(store *image.Store) error {
		gone, err := store.Prune(k.farm.Image.Keep, k.farm.Image.KeepFor, time.Now())
		if len(gone) > 0 {
			all = append(all, Pruned{store.Name, gone})
		}
		return err
	})
	return all, err
}

// Repair brings what clients fetch over TFTP to the generation of the image, where a crash left
// them apart, and removes the litter of unfinished runs. Every command that changes something does
// so first; at boot nothing else does.
func (k *Keeper) Repair() error {
	return k.changeImages(nil, func(*image.Store) error { return nil })
}

// changeImages repairs what is there of the images of the named chroots, all of them if none is
// named, and changes it, under the lock.
func (k *Keeper) changeImages(chroots []string, change func(*image.Store) error) error {
	return k.RunLocked(func() error {
		chosen, err := k.chooseChroots(chroots)
		if err == nil {
			err = k.checkImagesAnswer()
		}
		if err != nil {
			return err
		}
		var failed []error
		for _, c := range chosen {
			store := k.imageStore(c)
			err := store.Repair(time.Now())
			if err == nil {
				err = change(store)
			}
			failed = append(failed, err)
		}
		return errors.Join(failed...)
	})
}

// repairHeld does what an update may do for a chroot that is held: nothing is built or published.
func (r *run) repairHeld(c farm.Chroot, since time.Time) error {
	store := r.imageStore(c)
	if !r.DryRun {
		if err := store.Repair(r.started); err != nil {
			return err
		}
	}
	current, err := store.Current()
	if err != nil {
		return err
	}
	report := Image{Chroot: c.Name, Path: store.Link(), Generation: numberOf(current), Held: &since}
	if report.Problem, err = r.describeHeldProblem(store, current); err != nil {
		return err
	}
	r.report.Images = append(r.report.Images, report)
	return nil
}

// describeHeldProblem says that a generation which is held trusts a revoked key, or "".
func (k *Keeper) describeHeldProblem(store *image.Store, current *image.Generation) (string, error) {
	if current == nil {
		return "", nil
	}
	revoked, err := k.findRevoked(store, current.Number)
	if err != nil || len(revoked) == 0 {
		return "", err
	}
	return fmt.Sprintf("clients boot generation %d, which still trusts %s, revoked since", current.Number,
		joinFingerprints(revoked)), nil
}

// findRevoked lists the revoked keys that a generation's known_hosts still trusts.
func (k *Keeper) findRevoked(images *image.Store, number int) ([]keys.Key, error) {
	store, err := k.openStore(true)
	if err != nil {
		return nil, err
	}
	revoked := store.Revoked()
	if len(revoked) == 0 {
		return nil, nil
	}
	knownHosts, err := images.ReadFileOf(number, derive.KnownHostsPath)
	if err != nil {
		return nil, err
	}
	return keys.FindTrusted(knownHosts, keys.PlainKeys(revoked)), nil
}

func joinFingerprints(list []keys.Key) string {
	var names []string
	for _, k := range list {
		names = append(names, k.Type+" "+k.Fingerprint())
	}
	return strings.Join(names, ", ")
}
