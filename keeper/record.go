package keeper

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"ltskeeper/derive"
	"ltskeeper/farm"
	"ltskeeper/internal/regular"
	"ltskeeper/internal/remedy"
	"ltskeeper/internal/state"
	"ltskeeper/keys"
	"ltskeeper/keys/trust"
)

// A record is all that is known of the farm's keys without asking anybody.
type record struct {
	derive.Record
	store      *trust.Store
	quarantine *trust.Quarantine
	expires    map[string]time.Time // when the first certificate that clients take of a server ends
	unreadable map[string]error     // by server
}

// loadRecord reads all that is on record, for files to be derived from.
func (k *Keeper) loadRecord(readonly bool) (*record, error) {
	store, err := k.openStore(readonly)
	if err != nil {
		return nil, err
	}
	rec, err := k.readRecord(store)
	if err != nil {
		return nil, err
	}
	for _, s := range k.farm.Servers {
		if err := rec.unreadable[s.Name]; err != nil {
			return nil, err
		}
	}
	if k.farm.HashKnownHosts {
		rec.Secret, err = loadSecret(k.farm.State.KnownHostsSecret())
	}
	return rec, err
}

// readRecord reads what is on record of keys and quarantine. What cannot be read of one server does
// not keep it from reading the rest.
func (k *Keeper) readRecord(store *trust.Store) (*record, error) {
	q, err := trust.OpenQuarantine(k.farm.State.Quarantine())
	if err != nil {
		return nil, err
	}
	rec := &record{
		Record: derive.Record{
			Farm: k.farm, Trusted: map[string][]keys.Stored{}, Certified: map[string]bool{},
			Revoked: store.Revoked(), Quarantined: q.Servers(),
		},
		store: store, quarantine: q, expires: map[string]time.Time{}, unreadable: map[string]error{},
	}
	for _, s := range k.farm.Servers {
		var err error
		if rec.Trusted[s.Name], err = store.Trusted(s.Name, s.Pins); err != nil {
			rec.unreadable[s.Name] = err
		}
		rec.Certified[s.Name], rec.expires[s.Name], err = store.Certified(k.policy(s), time.Now())
		if err != nil {
			rec.unreadable[s.Name] = err
		}
	}
	return rec, nil
}

// listedByDefault returns the servers that clients find in the default LDM_SERVER.
func (rec *record) listedByDefault() map[string]bool {
	in := map[string]bool{}
	for _, s := range rec.ListServers(rec.Farm.Lists()[0]) {
		in[s.Name] = true
	}
	return in
}

// changeTrust changes what is on record of keys, under the lock.
func (k *Keeper) changeTrust(change func(*trust.Store) error) error {
	return k.RunLocked(func() error {
		store, err := k.openStore(false)
		if err != nil {
			return err
		}
		return change(store)
	})
}

// openStore opens the key store, unless revocations were lost: clients would take what they are to
// refuse.
func (k *Keeper) openStore(readonly bool) (*trust.Store, error) {
	store, err := k.openAnyStore(readonly)
	if err == nil {
		err = checkRevocations(store)
	}
	return store, err
}

// openAnyStore opens the key store even if revocations were lost, for reading and for revoking.
func (k *Keeper) openAnyStore(readonly bool) (*trust.Store, error) {
	if err := k.farm.State.Ask(); err != nil {
		return nil, err
	}
	open := trust.Open
	if readonly {
		open = trust.OpenReadOnly
	}
	store, err := open(k.farm.State.KeysPath())
	if err == nil {
		store.OnOrderOf(findOrderer())
	}
	return store, err
}

func checkRevocations(store *trust.Store) error {
	lost := store.Lost()
	if len(lost) == 0 {
		return nil
	}
	return remedy.AttachTo(
		fmt.Errorf("%s lacks what the log says was revoked: %s", store.RevokedPath(), strings.Join(lost, " ")),
		remedy.Advice("bring the file back from a backup"),
		remedy.Command{"keys", "revoke", "NAME", "FINGERPRINT"},
		remedy.Command{"keys", "revoke", "--file", "PUBLIC-KEY"})
}

// policy returns what is declared about a server's keys.
func (k *Keeper) policy(s farm.Server) trust.Policy {
	f := k.farm
	return trust.Policy{
		Name: s.Name, Names: s.Names(), Pins: s.Pins, FirstUse: f.Collect.FirstUse,
		RetireAfter: f.Collect.RetireAfter,
		Authorities: f.Authorities, ClientNames: append([]string{f.ListEntry(s)}, s.Aliases...),
	}
}

const removeSecret = remedy.Advice("remove it: known_hosts is then hashed anew")

// loadSecret reads the secret of hashed names. Where there is none yet and none can be made, as in
// a dry run of the first day, it is another one each time.
func loadSecret(file state.File) ([]byte, error) {
	data, err := file.Read()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		fresh := make([]byte, 32)
		rand.Read(fresh)
		return fresh, nil
	case regular.IsOdd(err):
		return nil, remedy.AttachTo(fmt.Errorf("read the secret of hashed names: %w", err),
			remedy.Advice("restore it from a backup"), removeSecret)
	case err != nil:
		return nil, fmt.Errorf("read the secret of hashed names: %w", err)
	case len(data) < 16:
		return nil,
			remedy.AttachTo(fmt.Errorf("read the secret of hashed names: %s is too short", file.Path()), removeSecret)
	}
	return data, nil
}

// saveSecret writes the secret of hashed names, if it is new.
func (rec *record) saveSecret() error {
	if len(rec.Secret) == 0 {
		return nil
	}
	file := rec.Farm.State.KnownHostsSecret()
	if exists, err := file.Exists(); exists || err != nil {
		return err
	}
	if err := file.Write(rec.Secret); err != nil {
		return fmt.Errorf("write the secret of hashed names: %w", err)
	}
	return nil
}
