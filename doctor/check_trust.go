package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"ltskeeper/internal/remedy"
	"ltskeeper/keeper"
	"ltskeeper/keys"
	"ltskeeper/keys/scan"
	"ltskeeper/keys/trust"
)

// describeKey names a key as ssh-keygen does.
func describeKey(k keys.Key) string { return keys.ShortType(k.Type) + " " + k.Fingerprint() }

func checkKeyChanged(f *facts, s *serverFacts, r *results) {
	if s.record.Quarantined != nil {
		return // quarantined says it
	}
	trusted := s.trustedKeys()
	for _, k := range s.shownKeys() {
		isSameType := func(t keys.Key) bool { return t.Type == k.Type }
		if !slices.ContainsFunc(trusted, isSameType) || slices.ContainsFunc(trusted, k.Equal) ||
			slices.ContainsFunc(f.revoked, k.Equal) {
			continue
		}
		r.find("It shows %s, and another %s key is trusted.", describeKey(k), keys.ShortType(k.Type)).
			fix("if it was reinstalled, compare the fingerprint on its own console "+
				"(ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), and accept it; "+
				"if not, somebody answers in its place",
				remedy.Command{"keys", "collect", s.Name}, remedy.Command{"keys", "accept", s.Name})
	}
}

func checkKeyRevoked(f *facts, s *serverFacts, r *results) {
	for _, k := range s.shownKeys() {
		if slices.ContainsFunc(f.revoked, k.Equal) {
			r.find("It shows %s, which is revoked.", describeKey(k)).
				fix("give it new host keys, on its own console, and collect them",
					remedy.Elsewhere{On: s.Name, Do: newHostKeys}, remedy.Command{"keys", "collect", s.Name})
		}
	}
}

// newHostKeys is how a server gets host keys of its own.
const newHostKeys = remedy.Shell("rm /etc/ssh/ssh_host_*_key* && ssh-keygen -A && systemctl restart ssh")

func checkSameKey(f *facts, r *results) {
	holders := map[string][]*serverFacts{} // by fingerprint
	named := map[string]keys.Key{}
	var order []string
	for _, s := range f.all {
		for _, k := range slices.Concat(s.trustedKeys(), s.shownKeys()) {
			fingerprint := k.Fingerprint()
			if slices.Contains(holders[fingerprint], s) {
				continue
			}
			if len(holders[fingerprint]) == 0 {
				order = append(order, fingerprint)
			}
			holders[fingerprint], named[fingerprint] = append(holders[fingerprint], s), k
		}
	}
	told := map[string]bool{}
	for _, fingerprint := range order {
		names := namesOf(holders[fingerprint])
		if len(names) < 2 || told[joinWords(names)] || haveOneAddress(holders[fingerprint]) {
			continue
		}
		told[joinWords(names)] = true
		subject := f.chooseSubject(names)
		other := names[0]
		if other == subject {
			other = names[1]
		}
		r.findAt(Server, subject, "%s have the same host key, %s.", joinWords(names), describeKey(named[fingerprint])).
			fixBy(remedy.If{Condition: "it is one server", Then: remedy.Steps{remedy.Advice("remove one of the two"),
				f.serverSetting(subject, "aliases", fmt.Sprintf("[%q]", other))}},
				remedy.If{Condition: "one was cloned from the other",
					Then: remedy.Advice("give the clone keys of its own, on its own console, and accept them here")},
				remedy.Elsewhere{On: other, Do: newHostKeys},
				remedy.Command{"keys", "collect", other}, remedy.Command{"keys", "accept", other})
	}
}

// haveOneAddress reports whether two of the servers are at one address: then they are one, and
// names-same-address says it.
func haveOneAddress(servers []*serverFacts) bool {
	for i, s := range servers {
		for _, t := range servers[:i] {
			for _, a := range s.addressesHere() {
				if slices.Contains(t.addressesHere(), a) {
					return true
				}
			}
		}
	}
	return false
}

func checkKnownHostsLocal(f *facts, s *serverFacts, r *results) {
	if len(s.record.Strays) == 0 {
		return
	}
	var numbers []string
	forget := remedy.Command{"keys", "forget-line", s.Name}
	for _, l := range s.record.Strays {
		numbers = append(numbers, fmt.Sprint(l.Number))
		if fingerprint := l.Key.Fingerprint(); !slices.Contains(forget, fingerprint) {
			forget = append(forget, fingerprint)
		}
	}
	line, vouches := "Line "+numbers[0], "vouches"
	if len(numbers) > 1 {
		line, vouches = "Lines "+joinWords(numbers), "vouch"
	}
	r.find("%s of %s %s for keys of it that are not trusted.", line, f.farm.KnownHostsLocalPath(), vouches).
		fix("unless the server still has that key, delete the lines, and make a new image",
			forget, remedy.Command{"update-image"})
}

func checkQuarantined(_ *facts, s *serverFacts, r *results) {
	since := s.record.Quarantined
	if since == nil {
		return
	}
	kept := "Clients are kept away from it"
	if s.record.Listed {
		kept = "It ought to be out of the clients' lists, and stays there, for too many others are out,"
	}
	r.find("%s", toSentence(fmt.Sprintf("%s since %s: %s", kept, describeMinute(*since), s.record.Message))).
		fix("compare its fingerprints on its own console, and accept or reject what it shows",
			remedy.Command{"keys", "list", s.Name}, remedy.Command{"keys", "accept", s.Name})
}

// pendingLong is how long a key may be pending beside trusted ones before that is told.
const pendingLong = 14 * 24 * time.Hour

func checkKeyPending(f *facts, s *serverFacts, r *results) {
	if len(s.record.Pending) == 0 || s.record.Quarantined != nil {
		return
	}
	k := s.record.Pending[0]
	var since time.Duration
	if !k.Origin.At.IsZero() {
		since = f.now.Sub(k.Origin.At)
	}
	waits := describeKey(k.Key) + " waits"
	if since >= time.Hour {
		waits += " for " + describeSpan(since)
	}
	var finding *Finding
	switch {
	case s.record.State == keeper.Pending:
		finding = r.find("It has no trusted key; %s.", waits)
	case s.record.Decision:
		finding = r.find("%s beside a trusted key of its type.", waits)
	case since > pendingLong:
		finding = r.find("%s beside its trusted keys.", waits).as(Advice).
			because("A key that you have looked at is no surprise when the server shows it alone.")
	default:
		return
	}
	finding.fix("compare the fingerprint on its own console, and accept it or reject it",
		remedy.Command{"keys", "list", s.Name}, remedy.Command{"keys", "accept", s.Name})
}

func checkKeyUnknown(_ *facts, s *serverFacts, r *results) {
	// otherwise there is nothing to collect, and others say why
	isReached := s.countAnswers() > 0 || len(s.listSilences(scan.KindThrottled)) > 0
	if s.record.State == keeper.Unscanned && !s.record.Certified && isReached {
		r.find("It is declared, and none of its keys is on record.").
			fix("collect them", remedy.Command{"keys", "collect", s.Name})
	}
}

func checkCertificate(f *facts, s *serverFacts, r *results) {
	sign := func(k keys.Key) remedy.Remedy {
		return remedy.Elsewhere{On: "the machine of its CA", Do: remedy.Program{"ssh-keygen", "-s", "CA", "-h",
			"-I", s.Name, "-n", strings.Join(s.listedNames(), ","), "-V", "+52w",
			fmt.Sprintf("ssh_host_%s_key.pub", strings.ToLower(keys.ShortType(k.Type)))}}
	}
	plain := s.shownKeys()
	if len(plain) > 0 && len(s.shownCertificates()) == 0 && s.record.Certified && len(s.trustedKeys()) == 0 {
		r.find("It shows %s without a certificate, and clients know it by that alone.", describeKey(plain[0])).
			because("Clients refuse it. It was reinstalled, or somebody answers in its place.").
			fix("if it was reinstalled, have its CA sign its new host key, and name the certificate "+
				"in its sshd_config (HostCertificate)", sign(plain[0]))
		return
	}
	for _, c := range s.certificates {
		its := fmt.Sprintf("Its certificate (of %s)", describeKey(c.key))
		var finding *Finding
		switch {
		case f.now.Before(c.begins):
			r.find("%s is valid only from %s on, in %s.", its, c.begins.Format(time.RFC3339),
				describeSpan(c.begins.Sub(f.now))).
				fix("if the clock of this machine, or that of the CA, is wrong, set it right; "+
					"otherwise wait, or have it signed again", remedy.Program{"timedatectl", "status"})
			continue
		case !c.ends.IsZero() && !f.now.Before(c.ends):
			finding = r.find("%s has expired at %s.", its, c.ends.Format(time.RFC3339))
		case c.refusal != nil:
			finding = r.find("%s %v.", its, c.refusal).because("Clients do not take it.")
		case !c.ends.IsZero() && c.ends.Sub(f.now) < trust.ExpiresSoon:
			finding = r.find("%s expires at %s, in %s.", its, c.ends.Format(time.RFC3339),
				describeSpan(c.ends.Sub(f.now))).as(Advice)
		default:
			continue
		}
		finding.fix("have its CA sign its host key again", sign(c.key))
	}
}

func checkWeakKey(_ *facts, s *serverFacts, r *results) {
	for _, k := range s.record.Keys {
		if k.Caution() != "" {
			r.find("%s is %s.", k.Fingerprint(), k.Caution()).
				fix("give it a longer one, on its own console; where it has other keys, take this one away "+
					"(HostKey in sshd_config)", remedy.Elsewhere{On: s.Name, Do: remedy.Shell(
					"rm -f /etc/ssh/ssh_host_rsa_key && ssh-keygen -q -t rsa -b 4096 -N '' " +
						"-f /etc/ssh/ssh_host_rsa_key && systemctl restart ssh")})
		}
	}
}
