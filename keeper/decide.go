package keeper

import (
	"time"

	"ltskeeper/farm"
	"ltskeeper/keys"
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

// AcceptKeys makes pending or rejected keys of a server trusted, each in place of the trusted keys
// of its type, and ends the server's quarantine. Without fingerprints it accepts all that are
// pending.
func (k *Keeper) AcceptKeys(server string, fingerprints []string) ([]Key, error) {
	return k.decide(server, func(store *trust.Store, p trust.Policy, now time.Time) ([]keys.Stored, error) {
		accepted, _, err := store.Accept(p, fingerprints, now)
		return accepted, err
	})
}

// RejectKeys ends the wait of pending keys without trusting them, and ends the server's quarantine,
// until it shows something else than a trusted key again. Without fingerprints it rejects all that
// are pending.
func (k *Keeper) RejectKeys(server string, fingerprints []string) ([]Key, error) {
	return k.decide(server, func(store *trust.Store, p trust.Policy, now time.Time) ([]keys.Stored, error) {
		return store.Reject(p.Name, fingerprints, now)
	})
}

// decide carries out a person's decision about keys of a server.
func (k *Keeper) decide(server string,
	decision func(*trust.Store, trust.Policy, time.Time) ([]keys.Stored, error)) ([]Key, error) {
	var decided []keys.Stored
	err := k.changeKeys(server, func(s farm.Server, store *trust.Store) error {
		q, err := loadQuarantine(k.farm.State)
		if err != nil {
			return err
		}
		if decided, err = decision(store, k.policy(s), time.Now()); err != nil {
			return err
		}
		q.release(s.Name)
		return q.save()
	})
	return reportKeys(decided), err
}

// changeKeys changes what is on record of one server's keys, under the lock.
func (k *Keeper) changeKeys(server string, change func(farm.Server, *trust.Store) error) error {
	return k.RunLocked(func() error {
		s, err := k.farm.FindServer(server)
		if err != nil {
			return err
		}
		store, err := k.openStore(false)
		if err != nil {
			return err
		}
		return change(s, store)
	})
}
