package keeper

import (
	"context"
	"time"

	"ltskeeper/farm"
	"ltskeeper/keys"
)

// AddServer declares a server and returns the farm with it. Keys that an earlier server of that
// name left behind are retired: it has no first use.
func AddServer(_ context.Context, f *farm.Farm, s farm.Server) (*farm.Farm, error) {
	return changeServers(f, func(f *farm.Farm, store *keys.Store) error {
		if err := f.AddServer(s); err != nil {
			return err
		}
		return store.Retire(s.Name, time.Now())
	})
}

// RemoveServer removes a server's declaration, retires its keys and returns the farm without it.
func RemoveServer(_ context.Context, f *farm.Farm, name string) (*farm.Farm, error) {
	return changeServers(f, func(f *farm.Farm, store *keys.Store) error {
		s, err := f.Server(name)
		if err != nil {
			return err
		}
		if err := f.RemoveServer(s.Name); err != nil {
			return err
		}
		if err := store.Retire(s.Name, time.Now()); err != nil {
			return err
		}
		q, err := loadQuarantine(f.State)
		if err != nil {
			return err
		}
		q.release(s.Name)
		seen := openSeen(f)
		seen.Forget(s.Name)
		if err := q.save(); err != nil {
			return err
		}
		return seen.Save()
	})
}

// changeServers does so under the lock, and returns the declaration as it then is.
func changeServers(f *farm.Farm, change func(*farm.Farm, *keys.Store) error) (*farm.Farm, error) {
	f, release, err := begin(f)
	if err != nil {
		return nil, err
	}
	defer release()
	store, err := openStore(f, false)
	if err != nil {
		return nil, err
	}
	if err := change(f, store); err != nil {
		return nil, err
	}
	return farm.Load(f.Path)
}

// Accept makes pending or rejected keys of a server trusted, each in place of the trusted keys of
// its type, and ends the server's quarantine. Without fingerprints it accepts all that are pending.
func Accept(_ context.Context, f *farm.Farm, name string, fingerprints []string) ([]Key, error) {
	return decide(f, name, func(store *keys.Store, p keys.Policy, now time.Time) ([]keys.Stored, error) {
		accepted, _, err := store.Accept(p, fingerprints, now)
		return accepted, err
	})
}

// Reject ends the wait of pending keys without trusting them, and ends the server's quarantine,
// until it shows something else than a trusted key again. Without fingerprints it rejects all that
// are pending.
func Reject(_ context.Context, f *farm.Farm, name string, fingerprints []string) ([]Key, error) {
	return decide(f, name, func(store *keys.Store, p keys.Policy, now time.Time) ([]keys.Stored, error) {
		return store.Reject(p.Name, fingerprints, now)
	})
}

// decide carries out a person's decision about keys of a server.
func decide(f *farm.Farm, name string,
	decision func(*keys.Store, keys.Policy, time.Time) ([]keys.Stored, error)) ([]Key, error) {
	var decided []keys.Stored
	err := atServer(f, name, func(f *farm.Farm, s farm.Server, store *keys.Store) error {
		q, err := loadQuarantine(f.State)
		if err != nil {
			return err
		}
		if decided, err = decision(store, policyOf(f, s), time.Now()); err != nil {
			return err
		}
		q.release(s.Name)
		return q.save()
	})
	return reportKeys(decided), err
}

// atServer works on the keys of one server, under the lock.
func atServer(f *farm.Farm, name string, work func(*farm.Farm, farm.Server, *keys.Store) error) error {
	f, release, err := begin(f)
	if err != nil {
		return err
	}
	defer release()
	s, err := f.Server(name)
	if err != nil {
		return err
	}
	store, err := openStore(f, false)
	if err != nil {
		return err
	}
	return work(f, s, store)
}
