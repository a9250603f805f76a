package keeper

import (
	"strings"
	"time"
)

// updateQuarantine puts servers into quarantine that showed what they should not, twice, and ends
// the stay of those that are in order again, or not declared any more. Silence changes nothing.
func (rec *record) updateQuarantine(judgements []judgement, now time.Time) {
	for _, j := range judgements {
		switch v := j.verdict; {
		case len(v.Trusted)+len(v.Certified) == 0:
			rec.quarantine.Release(j.server.Name) // no list has it anyway
		case v.IsSuspect && j.isConfirmed:
			rec.quarantine.Add(j.server.Name, now, strings.Join(v.Reasons, "; "))
		case v.IsConfirmed || v.IsFirstUse:
			rec.quarantine.Release(j.server.Name)
		}
	}
	for _, name := range rec.quarantine.Servers() {
		if _, isDeclared := rec.Trusted[name]; !isDeclared {
			rec.quarantine.Release(name)
		}
	}
	rec.Quarantined = rec.quarantine.Servers()
}
