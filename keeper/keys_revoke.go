package keeper

import (
	"errors"
	"os"
	"os/user"
	"slices"
	"time"

	"ltskeeper/keys"
	"ltskeeper/keys/trust"
)

// A Revocation is keys that no server may show any more.
type Revocation struct {
	Keys      []Key `json:"keys"`                // those that were meant; one that was revoked before is not among them
	Offspring []Key `json:"offspring,omitempty"` // trusted keys that they vouched for
	Spared    bool  `json:"spared"`              // Offspring stay trusted
}

// RevokeOptions say which keys RevokeKeys revokes.
type RevokeOptions struct {
	Server       string   // which has the keys, whether they are trusted, pending or rejected
	Fingerprints []string // of the keys

	Keys []keys.Stored // instead of Server: these, which no server needs to have

	SpareOffspring bool // the keys that they vouched for stay trusted
	DryRun         bool // find out and report, write nothing at all
}

// RevokeKeys revokes keys, and with them the keys that they vouched for, unless those are spared.
// From then on no server may show them, whatever its name.
func (k *Keeper) RevokeKeys(o RevokeOptions) (*Revocation, error) {
	if !o.DryRun {
		release, err := k.farm.State.Lock()
		if err != nil {
			return nil, err
		}
		defer release()
	}
	store, err := k.openAnyStore(o.DryRun)
	if err != nil {
		return nil, err
	}
	meant := o.Keys
	if o.Server != "" {
		if meant, err = store.Find(o.Server, o.Fingerprints); err != nil {
			return nil, err
		}
	}
	offspring, unreadable := store.Offspring(keys.PlainKeys(meant))
	before := keys.PlainKeys(store.Revoked())
	already := func(k keys.Stored) bool { return slices.ContainsFunc(before, k.Equal) }
	r := &Revocation{
		Keys:      newKeys(slices.DeleteFunc(slices.Clone(meant), already)),
		Offspring: newKeys(slices.DeleteFunc(slices.Clone(offspring), already)),
		Spared:    o.SpareOffspring,
	}
	if o.DryRun {
		return r, unreadable
	}
	if !o.SpareOffspring {
		meant = append(meant, offspring...)
	}
	_, err = store.Revoke(o.Server, keys.PlainKeys(meant), time.Now())
	return r, errors.Join(err, unreadable)
}

// ReadLog returns every change of trust, oldest first, and the numbers of lines in the log that
// cannot be read.
func (k *Keeper) ReadLog() (entries []trust.Entry, unreadable []int, err error) {
	store, err := k.openAnyStore(true)
	if err != nil {
		return nil, nil, err
	}
	return store.Log()
}

// findOrderer returns who had this program run: under sudo, who called that.
func findOrderer() string {
	if name := os.Getenv("SUDO_USER"); name != "" {
		return name
	}
	if me, err := user.Current(); err == nil {
		return me.Username
	}
	return ""
}
