package keeper

import (
	"strings"
	"time"
)

// updateQuarantine puts servers into quarantine that showed what they should not, twice, and ends
// the stay of those that are in order again, or not declared any more. Silence changes nothing.
func (t *record) updateQuarantine(judgements []judgement, now time.Time) {
	for _, j := range judgements {
		switch v := j.verdict; {
		case len(v.Trusted)+len(v.Certified) == 0:
			t.quarantine.Release(j.server.Name) // no list has it anyway
		case v.IsSuspect && j.isConfirmed:
			t.quarantine.Add(j.server.Name, now, strings.Join(v.Reasons, "; "))
		case v.IsConfirmed || v.IsFirstUse:
			t.quarantine.Release(j.server.Name)
		}
	}
	for _, name := range t.quarantine.Servers() {
		if _, isDeclared := t.Trusted[name]; !isDeclared {
			t.quarantine.Release(name)
		}
	}
	t.Quarantined = t.quarantine.Servers()
}
