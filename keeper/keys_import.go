package keeper

import (
	"time"

	"ltskeeper/keys"
	"ltskeeper/keys/trust"
)

// An Import is what became of keys that a person brought from elsewhere.
type Import struct {
	Server    string `json:"server"`
	New       []Key  `json:"new,omitempty"`       // trusted from now on
	Known     []Key  `json:"known,omitempty"`     // trusted before
	Conflicts []Key  `json:"conflicts,omitempty"` // of a type of which another key is trusted: they wait
	Refused   []Key  `json:"refused,omitempty"`   // never trusted: each says why
	Skipped   int    `json:"skipped"`             // lines about other servers, or with a marker
}

// ImportKeys trusts the keys that lines say a server has. Those that would replace a trusted one
// wait for a decision.
func (k *Keeper) ImportKeys(server string, lines []keys.Line) (done *Import, err error) {
	err = k.changeTrust(func(store *trust.Store) error {
		s, err := k.farm.FindServer(server)
		if err != nil {
			return err
		}
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
		done.New, done.Known, done.Conflicts = newKeys(imported.New), newKeys(imported.Known),
			newKeys(imported.Conflicts)
		for _, r := range imported.Refused {
			done.Refused = append(done.Refused, Key{Stored: r.Stored, Reason: r.Err.Error()})
		}
		return err
	})
	return done, err
}
