package trust

import (
	"fmt"
	"strings"
	"time"

	"ltskeeper/keys"
)

// Reasons says what in the verdict needs attention, a sentence each, naming the server. Trusted and
// pending keys are named by their type only: they stand in the verdict. It is empty for a server in
// order. Addresses that did not answer are not in it: they stand in the sighting.
func (v Verdict) Reasons() []string {
	var reasons []string
	say := func(format string, args ...any) { reasons = append(reasons, fmt.Sprintf(format, args...)) }
	if v.Err != nil {
		say("%s: %v", v.Name, v.Err)
	}
	for _, k := range v.Revoked {
		say("%s shows a revoked key, %s", v.Name, describe(k))
	}
	for _, k := range v.Changed {
		say("%s shows another %s key than the trusted one", v.Name, k.Type)
	}
	for _, k := range v.Rejected {
		if v.Suspect || len(v.Trusted) == 0 {
			say("%s still shows a rejected key, %s", v.Name, describe(k.Key))
		}
	}
	for _, k := range v.Weak {
		if len(v.Trusted) > 0 && !keys.HasType(v.Trusted, k.Type) {
			continue
		}
		say("%s shows a key that is refused, %s: %v", v.Name, describe(k), k.Weakness())
	}
	if v.Withheld && len(v.Trusted) == 0 {
		say("%s shows no certificate that clients take, as it did before", v.Name)
	} else if v.Withheld {
		say("%s shows none of its trusted keys: %s", v.Name, describe(keys.Plain(v.Trusted)...))
	}
	if v.Conflict {
		say("%s shows different keys at different addresses: %s", v.Name, v.atAddresses())
	}
	reasons = append(reasons, v.CertNotes...)
	for _, refusal := range v.Unproven {
		say("%s lists %s as its key and does not prove to have it: %v", v.Name, describe(refusal.Key), refusal.Err)
	}
	for _, k := range v.Leaving {
		say("%s has no %s any more, which is trusted until %s unless it comes back",
			v.Name, describe(k.Key), v.at.Add(v.policy.RetireAfter).UTC().Format(time.DateOnly))
	}
	for _, k := range v.Pending {
		if !keys.Contains(v.Changed, k) && v.undecided([]keys.Stored{k}) && len(v.Trusted) > 0 {
			say("%s has shown another %s key, and nobody has decided about it", v.Name, k.Type)
		}
	}
	if len(v.Trusted)+len(v.Certified) == 0 && len(v.Pending) > 0 {
		why := v.NoFirstUse
		if why == "" {
			why = "nobody has decided about those it showed"
		}
		say("%s has no trusted key: %s", v.Name, why)
	}
	return reasons
}

func (v *Verdict) atAddresses() string {
	var at []string
	for _, a := range v.seen.Addresses {
		if len(a.Keys) > 0 {
			at = append(at, a.Address+" "+describe(a.Keys...))
		}
	}
	return strings.Join(at, "; ")
}

// describe names keys for a person to compare.
func describe(list ...keys.Key) string {
	var all []string
	for _, k := range list {
		all = append(all, k.Type+" "+k.Fingerprint())
	}
	return strings.Join(all, ", ")
}
