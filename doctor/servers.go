package doctor

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"ltskeeper/keys"
	"ltskeeper/ldm"
)

// silence is an address of a server that showed no key, and why.
func silences(s *server, kinds ...keys.ErrorKind) (found []*keys.ScanError) {
	for _, a := range s.sighting.Addresses {
		var e *keys.ScanError
		if len(a.Keys) > 0 || !errors.As(a.Err, &e) {
			continue
		}
		for _, kind := range kinds {
			if e.Kind == kind {
				found = append(found, e)
			}
		}
	}
	return found
}

func at(e *keys.ScanError) string { return net.JoinHostPort(e.Address, strconv.Itoa(e.Port)) }

func sshClosed(f *facts) (found []Finding) {
	for _, s := range f.servers {
		if len(silences(s, keys.KindThrottled)) > 0 {
			f.couldNotSee("server %s: its sshd turns this machine away for now, as it does with who connects too often", s.Name)
		}
		if s.answered() > 0 || len(silences(s, keys.KindProtocol, keys.KindThrottled)) > 0 {
			continue
		}
		if silent := silences(s, keys.KindUnreachable, keys.KindTimeout); len(silent) > 0 {
			e := silent[0]
			found = append(found, Finding{
				Kind: Server, Subject: s.Name, Message: sentence(fmt.Sprintf("SSH does not answer at %s: %v", at(e), e.Err)),
				Fix:      fmt.Sprintf("See whether it is on, whether its sshd runs, and what its firewall lets in at port %d.", e.Port),
				Commands: []string{fmt.Sprintf("ssh -v -p %d %s", e.Port, e.Address)},
			})
		}
	}
	return found
}

func sshOther(f *facts) (found []Finding) {
	for _, s := range f.servers {
		if other := silences(s, keys.KindProtocol); len(other) > 0 && s.answered() == 0 {
			e := other[0]
			found = append(found, Finding{
				Kind: Server, Subject: s.Name, Message: sentence(fmt.Sprintf("What answers at %s is no SSH server that clients could use: %v", at(e), e.Err)),
				Fix: fmt.Sprintf("See what listens there on %s (ss -tlnp); if its sshd has another port, declare it: port = 22 in %s.", s.Name, f.farm.ServerPath(s.Name)),
			})
		}
	}
	return found
}

func addressSilent(f *facts) (found []Finding) {
	for _, s := range f.servers {
		if s.answered() == 0 {
			continue
		}
		for _, e := range silences(s, keys.KindUnreachable, keys.KindTimeout, keys.KindProtocol) {
			found = append(found, Finding{
				Kind: Server, Subject: s.Name, Message: sentence(fmt.Sprintf("SSH answers at another address of it, and not at %s: %v", at(e), e.Err)),
				Fix: fmt.Sprintf("Have sshd answer there too (ListenAddress, firewall), or take the address out of DNS and of %s.", f.farm.ServerPath(s.Name)),
			})
		}
	}
	return found
}

// clockTolerance is more than what a question takes and an answer is old, and less than what anybody's protocol bears.
const clockTolerance = 30 * time.Second

func clockServer(f *facts) (found []Finding) {
	for _, s := range f.servers {
		told := s.reply.Answer.Time
		if told.IsZero() || s.reply.At.IsZero() {
			continue
		}
		behind := s.reply.At.Sub(told)
		if behind.Abs() <= clockTolerance {
			continue
		}
		how := "behind"
		if behind < 0 {
			how = "ahead of"
		}
		found = append(found, Finding{
			Kind: Server, Subject: s.Name, Message: fmt.Sprintf("Its clock is %s %s this machine's.", span(behind), how),
			Fix:      "Have both synchronise their clocks; look on each:",
			Commands: []string{"timedatectl status"},
		})
	}
	return found
}

func ldminfodClosed(f *facts) (found []Finding) {
	policy := f.farm.Balance.Policy
	if policy == ldm.Random || policy == ldm.Fixed {
		return nil // nobody asks it
	}
	severity := Advice
	if policy == ldm.Best || policy == ldm.Weighted {
		severity = Problem
	}
	for _, s := range f.servers {
		if s.answered() == 0 || s.reply.Err == nil || s.reply.State == ldm.Draining {
			continue // ssh-closed says enough
		}
		found = append(found, Finding{
			Kind: Server, Subject: s.Name, Severity: severity,
			Message:  fmt.Sprintf("No ldminfod answers with a rating on port %d.", ldm.Port),
			Fix:      "Install ldminfod there and let its port through; on the server:",
			Commands: []string{elsewhere(s.Name, "systemctl enable --now ldminfod.socket")},
		})
	}
	return found
}
