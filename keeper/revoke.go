package keeper

import (
	"context"
	"errors"
	"os"
	"os/user"
	"slices"
	"time"

	"ltskeeper/farm"
	"ltskeeper/keys"
)

// A Revocation is keys that no server may show any more.
type Revocation struct {
	Keys      []Key `json:"keys"`                // those that were meant; one that was revoked before is not among them
	Offspring []Key `json:"offspring,omitempty"` // trusted keys that they vouched for
	Spared    bool  `json:"spared"`              // Offspring stay trusted
}

// Revoke revokes the keys of a server that have these fingerprints, whether they are trusted,
// pending or rejected, and with them the keys that they vouched for, unless those are spared. From
// then on no server may show them, whatever its name. A dry run only says what would be revoked.
func Revoke(_ context.Context, f *farm.Farm, name string, fingerprints []string, spare, dryRun bool) (*Revocation,
	error) {
	return revoke(f, name, spare, dryRun, func(store *keys.Store) ([]keys.Stored, error) {
		return store.Find(name, fingerprints)
	})
}

// RevokeKeys is Revoke for keys that no server here needs to have.
func RevokeKeys(_ context.Context, f *farm.Farm, list []keys.Stored, spare, dryRun bool) (*Revocation, error) {
	return revoke(f, "", spare, dryRun, func(*keys.Store) ([]keys.Stored, error) { return list, nil })
}

func revoke(f *farm.Farm, name string, spare, dryRun bool, find func(*keys.Store) ([]keys.Stored, error)) (*Revocation,
	error) {
	if !dryRun {
		release, err := f.State.Lock()
		if err != nil {
			return nil, err
		}
		defer release()
	}
	store, err := openRecord(f, dryRun)
	if err != nil {
		return nil, err
	}
	meant, err := find(store)
	if err != nil {
		return nil, err
	}
	offspring, unreadable := store.Offspring(keys.Plain(meant))
	before := keys.Plain(store.Revoked())
	already := func(k keys.Stored) bool { return slices.ContainsFunc(before, k.Equal) }
	r := &Revocation{
		Keys:      reportKeys(slices.DeleteFunc(slices.Clone(meant), already)),
		Offspring: reportKeys(slices.DeleteFunc(slices.Clone(offspring), already)),
		Spared:    spare,
	}
	if dryRun {
		return r, unreadable
	}
	if !spare {
		meant = append(meant, offspring...)
	}
	_, err = store.Revoke(name, keys.Plain(meant), time.Now())
	return r, errors.Join(err, unreadable)
}

// Log returns every change of trust, oldest first, and the numbers of lines in the log that cannot
// be read.
func Log(f *farm.Farm) (entries []keys.Entry, unreadable []int, err error) {
	store, err := openRecord(f, true)
	if err != nil {
		return nil, nil, err
	}
	return store.Log()
}

// whoseOrder is who had this program run: under sudo, who called that.
func whoseOrder() string {
	if name := os.Getenv("SUDO_USER"); name != "" {
		return name
	}
	if me, err := user.Current(); err == nil {
		return me.Username
	}
	return ""
}
