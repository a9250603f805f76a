package doctor

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"ltskeeper/keeper"
	"ltskeeper/keys"
	"ltskeeper/keys/scan"
	"ltskeeper/keys/trust"
)

// shown are the keys that a server showed just now.
func (s *server) shown() (shown []keys.Key) {
	for _, a := range s.sighting.Addresses {
		shown = append(shown, a.Keys...)
	}
	return shown
}

func name(k keys.Key) string { return keys.ShortType(k.Type) + " " + k.Fingerprint() }

func keyChanged(f *facts) (found []Finding) {
	for _, s := range f.servers {
		if s.record.Quarantined != nil {
			continue // quarantined says it
		}
		trusted := s.trusted()
		for _, k := range s.shown() {
			same := func(t keys.Key) bool { return t.Type == k.Type }
			if !slices.ContainsFunc(trusted, same) || slices.ContainsFunc(trusted, k.Equal) ||
				slices.ContainsFunc(f.revoked, k.Equal) {
				continue
			}
			found = append(found, Finding{
				Kind: Server, Subject: s.Name, Message: fmt.Sprintf("It shows %s, and another %s key is trusted.",
					name(k), keys.ShortType(k.Type)),
				Fix:      "If it was reinstalled, compare the fingerprint on its own console (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), and accept it; if not, somebody answers in its place.",
				Commands: []string{"ltskeeper keys collect " + s.Name, "ltskeeper keys accept " + s.Name},
			})
		}
	}
	return found
}

func keyRevoked(f *facts) (found []Finding) {
	for _, s := range f.servers {
		for _, k := range s.shown() {
			if slices.ContainsFunc(f.revoked, k.Equal) {
				found = append(found, Finding{
					Kind: Server, Subject: s.Name, Message: fmt.Sprintf("It shows %s, which is revoked.", name(k)),
					Fix:      "Give it new host keys, on its own console, and collect them:",
					Commands: []string{elsewhere(s.Name, newKeys), "ltskeeper keys collect " + s.Name},
				})
			}
		}
	}
	return found
}

// newKeys is how a server gets host keys of its own.
const newKeys = "rm /etc/ssh/ssh_host_*_key* && ssh-keygen -A && systemctl restart ssh"

func sameKey(f *facts) (found []Finding) {
	holders := map[string][]*server{} // by fingerprint
	named := map[string]keys.Key{}
	var order []string
	add := func(s *server, k keys.Key) {
		print := k.Fingerprint()
		if !slices.Contains(holders[print], s) {
			if len(holders[print]) == 0 {
				order = append(order, print)
			}
			holders[print], named[print] = append(holders[print], s), k
		}
	}
	for _, s := range f.all {
		for _, k := range s.trusted() {
			add(s, k)
		}
		for _, k := range s.shown() {
			add(s, k)
		}
	}
	told := map[string]bool{}
	for _, print := range order {
		names := serverNames(holders[print])
		if len(names) < 2 || told[list(names)] || shareAddress(holders[print]) {
			continue
		}
		told[list(names)] = true
		subject := f.subject(names)
		other := names[0]
		if other == subject {
			other = names[1]
		}
		found = append(found, Finding{
			Kind: Server, Subject: subject, Message: fmt.Sprintf("%s have the same host key, %s.", list(names),
				name(named[print])),
			Fix: fmt.Sprintf("If it is one server, remove one of the two and make its name an alias: aliases = [%q] in %s. If one was cloned from the other, give the clone keys of its own, on its own console, and accept them here:",
				other, f.farm.ServerPath(subject)),
			Commands: []string{elsewhere(other, newKeys), "ltskeeper keys collect " + other,
				"ltskeeper keys accept " + other},
		})
	}
	return found
}

// shareAddress tells whether two of the servers are at one address: then they are one, and
// names-same-address says it.
func shareAddress(servers []*server) bool {
	for i, s := range servers {
		for _, t := range servers[:i] {
			for _, a := range s.here() {
				if slices.Contains(t.here(), a) {
					return true
				}
			}
		}
	}
	return false
}

// forSed makes a pattern, between commas, that a text matches alone.
var forSed = strings.NewReplacer(`\`, `\\`, `.`, `\.`, `*`, `\*`, `[`, `\[`, `]`, `\]`, `^`, `\^`, `$`, `\$`, `,`, `\,`)

func knownHostsLocal(f *facts) (found []Finding) {
	for _, s := range f.servers {
		var stale, gone []string
		for _, l := range s.record.Strays {
			stale = append(stale, fmt.Sprint(l.Number))
			// By hosts and key: once a line is gone, its number is that of another.
			blob := base64.StdEncoding.EncodeToString(l.Key.Blob)
			gone = append(gone,
				fmt.Sprintf(`\,^[[:blank:]]*%s[[:blank:]].*%s,d`, forSed.Replace(l.Hosts), blob[max(0, len(blob)-40):]))
		}
		if len(stale) == 0 {
			continue
		}
		path := f.farm.KnownHostsLocalPath()
		line, vouches := "Line "+stale[0], "vouches"
		if len(stale) > 1 {
			line, vouches = "Lines "+list(stale), "vouch"
		}
		found = append(found, Finding{
			Kind: Server, Subject: s.Name, Message: fmt.Sprintf("%s of %s %s for keys of it that are not trusted.",
				line, path, vouches),
			Fix:      "Unless the server still has that key, delete the lines, and make a new image:",
			Commands: []string{shell("sed -i %s %s", strings.Join(gone, ";"), path), "ltskeeper update-image"},
		})
	}
	return found
}

func quarantined(f *facts) (found []Finding) {
	for _, s := range f.servers {
		if since := s.record.Quarantined; since != nil {
			kept := "Clients are kept away from it"
			if s.record.Listed {
				kept = "It ought to be out of the clients' lists, and stays there, for too many others are out,"
			}
			found = append(found, Finding{
				Kind: Server, Subject: s.Name, Message: sentence(fmt.Sprintf("%s since %s: %s", kept, stamp(*since),
					s.record.Message)),
				Fix:      "Compare its fingerprints on its own console, and accept or reject what it shows:",
				Commands: []string{"ltskeeper keys list " + s.Name, "ltskeeper keys accept " + s.Name},
			})
		}
	}
	return found
}

// pendingLong is how long a key may wait beside trusted ones before it is spoken of.
const pendingLong = 14 * 24 * time.Hour

func keyPending(f *facts) (found []Finding) {
	for _, s := range f.servers {
		if len(s.record.Pending) == 0 || s.record.Quarantined != nil {
			continue
		}
		k := s.record.Pending[0]
		since := ""
		if !k.Origin.At.IsZero() && f.now.Sub(k.Origin.At) >= time.Hour {
			since = " for " + span(f.now.Sub(k.Origin.At))
		}
		finding := Finding{
			Kind: Server, Subject: s.Name, Message: fmt.Sprintf("It has no trusted key; %s waits%s.", name(k.Key),
				since),
			Fix:      "Compare the fingerprint on its own console, and accept it or reject it:",
			Commands: []string{"ltskeeper keys list " + s.Name, "ltskeeper keys accept " + s.Name},
		}
		switch {
		case s.record.State == keeper.Pending:
		case s.record.Decision:
			finding.Message = fmt.Sprintf("%s waits%s beside a trusted key of its type.", name(k.Key), since)
		case !k.Origin.At.IsZero() && f.now.Sub(k.Origin.At) > pendingLong:
			finding.Severity, finding.Why = Advice,
				"A key that you have looked at is no surprise when the server shows it alone."
			finding.Message = fmt.Sprintf("%s waits%s beside its trusted keys.", name(k.Key), since)
		default:
			continue
		}
		found = append(found, finding)
	}
	return found
}

func keyUnknown(f *facts) (found []Finding) {
	for _, s := range f.servers {
		// else there is nothing to collect, and others say why
		reached := s.answered() > 0 || len(silences(s, scan.KindThrottled)) > 0
		if s.record.State == keeper.Unscanned && !s.record.Certified && reached {
			found = append(found, Finding{
				Kind: Server, Subject: s.Name, Message: "It is declared, and none of its keys is on record.",
				Fix: "Collect them:", Commands: []string{"ltskeeper keys collect " + s.Name},
			})
		}
	}
	return found
}

func certificate(f *facts) (found []Finding) {
	for _, s := range f.servers {
		certs := s.certs
		var shown []keys.Stored
		for _, a := range s.sighting.Addresses {
			for _, cert := range a.Certificates {
				shown = append(shown, keys.Stored{Key: cert})
			}
		}
		if len(shown) > 0 {
			certs = shown
		}
		policy := trust.Policy{Name: s.Name, Authorities: f.farm.Authorities,
			ClientNames: append([]string{s.entry}, s.Aliases...)}
		sign := func(of keys.Key) []string {
			return []string{elsewhere("the machine of its CA",
				fmt.Sprintf("ssh-keygen -s CA -h -I %s -n %s -V +52w ssh_host_%s_key.pub", s.Name,
					strings.Join(policy.ClientNames, ","), strings.ToLower(keys.ShortType(of.Type))))}
		}
		if plain := s.shown(); len(plain) > 0 && len(shown) == 0 && s.record.Certified && len(s.trusted()) == 0 {
			found = append(found, Finding{
				Kind: Server, Subject: s.Name,
				Message: fmt.Sprintf("It shows %s without a certificate, and clients know it by that alone.",
					name(plain[0])),
				Why:      "Clients refuse it. It was reinstalled, or somebody answers in its place.",
				Fix:      "If it was reinstalled, have its CA sign its new host key, and name the certificate in its sshd_config (HostCertificate):",
				Commands: sign(plain[0]),
			})
			continue
		}
		for _, cert := range certs {
			parsed, err := keys.ParseCertificate(cert.Key)
			if err != nil {
				continue
			}
			begins, ends, of := parsed.Begins, parsed.Ends, parsed.Certified
			finding := Finding{Kind: Server, Subject: s.Name, Fix: "Have its CA sign its host key again:",
				Commands: sign(of)}
			refused := error(nil)
			if f.store != nil {
				refused = f.store.Refused(policy, cert, f.now)
			}
			switch {
			case f.now.Before(begins):
				finding.Message = fmt.Sprintf("Its certificate (of %s) is valid only from %s on, in %s.", name(of),
					begins.Format(time.RFC3339), span(begins.Sub(f.now)))
				finding.Fix,
					finding.Commands = "If the clock of this machine, or that of the CA, is wrong, set it right; else wait, or have it signed again.", []string{"timedatectl status"}
			case !ends.IsZero() && !f.now.Before(ends):
				finding.Message = fmt.Sprintf("Its certificate (of %s) has expired at %s.", name(of),
					ends.Format(time.RFC3339))
			case refused != nil:
				finding.Message = fmt.Sprintf("Its certificate (of %s) %v.", name(of), refused)
				finding.Why = "Clients do not take it."
			case !ends.IsZero() && ends.Sub(f.now) < trust.ExpiresSoon:
				finding.Severity = Advice
				finding.Message = fmt.Sprintf("Its certificate (of %s) expires at %s, in %s.", name(of),
					ends.Format(time.RFC3339), span(ends.Sub(f.now)))
			default:
				continue
			}
			found = append(found, finding)
		}
	}
	return found
}

func weakKey(f *facts) (found []Finding) {
	for _, s := range f.servers {
		for _, k := range s.record.Keys {
			if k.Caution() != "" {
				found = append(found, Finding{
					Kind: Server, Subject: s.Name, Message: fmt.Sprintf("%s is %s.", k.Fingerprint(), k.Caution()),
					Fix: "Give it a longer one, on its own console; where it has other keys, take this one away (HostKey in sshd_config):",
					Commands: []string{elsewhere(s.Name,
						"rm -f /etc/ssh/ssh_host_rsa_key && ssh-keygen -q -t rsa -b 4096 -N '' -f /etc/ssh/ssh_host_rsa_key && systemctl restart ssh")},
				})
			}
		}
	}
	return found
}
