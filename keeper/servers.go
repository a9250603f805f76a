package keeper

import (
	"time"

	"ltskeeper/farm"
	"ltskeeper/keys/trust"
)

// AddServer declares a server. Keys that an earlier server of that name left behind are retired: it
// has no first use.
func (k *Keeper) AddServer(s farm.Server) error {
	return k.changeServers(func(store *trust.Store) error {
		if err := k.farm.AddServer(s); err != nil {
			return err
		}
		return store.Retire(s.Name, time.Now())
	})
}

// RemoveServer removes a server's declaration and retires its keys.
func (k *Keeper) RemoveServer(name string) error {
	return k.changeServers(func(store *trust.Store) error {
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
		q, err := loadQuarantine(k.farm.State)
		if err != nil {
			return err
		}
		q.release(s.Name)
		seen := trust.OpenSeen(k.farm.State.Seen())
		seen.Forget(s.Name)
		if err := q.save(); err != nil {
			return err
		}
		return seen.Save()
	})
}

// changeServers changes the declared servers and the record of their keys, under the lock.
func (k *Keeper) changeServers(change func(*trust.Store) error) error {
	return k.RunLocked(func() error {
		store, err := k.openStore(false)
		if err != nil {
			return err
		}
		return change(store)
	})
}
