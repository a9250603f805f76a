package trust

import (
	"fmt"
	"strings"
	"time"

	"ltskeeper/keys"
)

// reasons says what in a decision needs attention, a sentence each, naming the server. Trusted and
// pending keys are named by their type only.
func (d decision) reasons() []string {
	var reasons []string
	say := func(format string, args ...any) { reasons = append(reasons, fmt.Sprintf(format, args...)) }
	trusted := d.after.trusted
	for _, k := range d.revoked {
		say("%s shows a revoked key, %s", d.server, describeKeys(k))
	}
	for _, k := range d.changed {
		say("%s shows another %s key than the trusted one", d.server, k.Type)
	}
	for _, k := range d.rejected {
		if d.isSuspect() || len(trusted) == 0 {
			say("%s still shows a rejected key, %s", d.server, describeKeys(k.Key))
		}
	}
	for _, k := range d.weak {
		if len(trusted) > 0 && !keys.HasType(trusted, k.Type) {
			continue
		}
		say("%s shows a key that is refused, %s: %v", d.server, describeKeys(k), k.Weakness())
	}
	if d.withheld && len(trusted) == 0 {
		say("%s shows no certificate that clients take, as it did before", d.server)
	} else if d.withheld {
		say("%s shows none of its trusted keys: %s", d.server, describeKeys(keys.PlainKeys(trusted)...))
	}
	if d.conflict != "" {
		say("%s shows different keys at different addresses: %s", d.server, d.conflict)
	}
	reasons = append(reasons, d.certs.notes...)
	for _, refusal := range d.unproven {
		say("%s lists %s as its key and does not prove to have it: %v", d.server, describeKeys(refusal.Key),
			refusal.Err)
	}
	for _, k := range d.leaving {
		say("%s has no %s any more, which is trusted until %s unless it comes back",
			d.server, describeKeys(k.Key), d.retireAt.UTC().Format(time.DateOnly))
	}
	for _, k := range d.after.pending {
		if !keys.Contains(d.changed, k) && d.isUndecided(k) && len(trusted) > 0 {
			say("%s has shown another %s key, and nobody has decided about it", d.server, k.Type)
		}
	}
	if len(trusted)+len(d.after.certs) == 0 && len(d.after.pending) > 0 {
		why := d.refusedFirstUse
		if why == "" {
			why = "nobody has decided about those it showed"
		}
		say("%s has no trusted key: %s", d.server, why)
	}
	return reasons
}

// describeKeys names keys for a person to compare.
func describeKeys(list ...keys.Key) string {
	var all []string
	for _, k := range list {
		all = append(all, k.Type+" "+k.Fingerprint())
	}
	return strings.Join(all, ", ")
}
