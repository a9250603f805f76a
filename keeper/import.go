package keeper

import (
	"time"

	"ltskeeper/farm"
	"ltskeeper/keys"
	"ltskeeper/keys/trust"
)

// An Import is what became of keys that a person brought from elsewhere.
type Import struct {
	Server    string    `json:"server"`
	New       []Key     `json:"new,omitempty"`       // trusted from now on
	Known     []Key     `json:"known,omitempty"`     // trusted before
	Conflicts []Key     `json:"conflicts,omitempty"` // of a type of which another key is trusted: they wait
	Refused   []Refused `json:"refused,omitempty"`
	Skipped   int       `json:"skipped"` // lines about other servers, or with a marker
}

// A Refused key is one that cannot be trusted.
type Refused struct {
	Key
	Reason string `json:"reason"`
}

// ImportKeys trusts the keys that lines say a server has, as far as they replace none.
func (k *Keeper) ImportKeys(server string, lines []keys.Line) (done *Import, err error) {
	err = k.changeKeys(server, func(s farm.Server, store *trust.Store) error {
		done = &Import{Server: s.Name}
		var offered []keys.Stored
		for _, l := range lines {
			if l.Marker == "" && l.For(s.Names(), s.Port) {
				offered = append(offered, l.KeyWithOrigin())
			} else {
				done.Skipped++
			}
		}
		imported, err := store.Import(k.policy(s), offered, time.Now())
		done.New, done.Known, done.Conflicts = reportKeys(imported.New), reportKeys(imported.Known),
			reportKeys(imported.Conflicts)
		for _, r := range imported.Refused {
			done.Refused = append(done.Refused, Refused{reportKey(r.Stored), r.Err.Error()})
		}
		return err
	})
	return done, err
}
