package keeper

import (
	"errors"
	"time"

	"ltskeeper/farm"
	"ltskeeper/keys/trust"
)

// AddServer declares a server. Keys that an earlier server of that name left behind are retired: it
// has no first use.
func (k *Keeper) AddServer(s farm.Server) error {
	return k.changeTrust(func(store *trust.Store) error {
		if err := k.farm.AddServer(s); err != nil {
			return err
		}
		return store.Retire(s.Name, time.Now())
	})
}

// RemoveServer removes a server's declaration and retires its keys.
func (k *Keeper) RemoveServer(name string) error {
	return k.changeTrust(func(store *trust.Store) error {
		s, err := k.farm.FindServer(name)
		if err != nil {
			return err
		}
		if err := k.farm.RemoveServer(s.Name); err != nil {
			return err
		}
		if err := store.Retire(s.Name, time.Now()); err != nil {
			return err
		}
		q, err := trust.OpenQuarantine(k.farm.State.Quarantine())
		if err != nil {
			return err
		}
		q.Release(s.Name)
		seen := trust.OpenSeen(k.farm.State.Seen())
		seen.Forget(s.Name)
		return errors.Join(q.Save(), seen.Save())
	})
}
