package keeper

import (
	"time"

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
// until it shows something other than a trusted key again. Without fingerprints it rejects all that
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
	err := k.changeTrust(func(store *trust.Store) error {
		s, err := k.farm.FindServer(server)
		if err != nil {
			return err
		}
		q, err := trust.OpenQuarantine(k.farm.State.Quarantine())
		if err != nil {
			return err
		}
		if decided, err = decision(store, k.policy(s), time.Now()); err != nil {
			return err
		}
		q.Release(s.Name)
		return q.Save()
	})
	return newKeys(decided), err
}
