package keeper

import (
	"time"

	"ltskeeper/farm"
	"ltskeeper/keys"
	"ltskeeper/keys/trust"
)

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
	return newKeys(decided), err
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
