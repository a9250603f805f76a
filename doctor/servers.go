package doctor

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"syscall"
	"time"

	"ltskeeper/keys/scan"
	"ltskeeper/ldm"
)

// silences are the addresses of a server that showed no key, and why.
func silences(s *server, kinds ...scan.ErrorKind) (found []*scan.AddressError) {
	for _, a := range s.sighting.Addresses {
		var e *scan.AddressError
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

func at(e *scan.AddressError) string { return net.JoinHostPort(e.Address, strconv.Itoa(e.Port)) }

func sshClosed(f *facts) (found []Finding) {
	for _, s := range f.servers {
		if len(silences(s, scan.KindThrottled)) > 0 {
			f.couldNotSee("server %s: its sshd turns this machine away, as it does for a while with who connects too often, or for good with whom /etc/hosts.deny names there", s.Name)
		}
		if s.answered() > 0 || len(silences(s, scan.KindProtocol, scan.KindThrottled)) > 0 {
			continue
		}
		if silent := silences(s, scan.KindUnreachable, scan.KindTimeout); len(silent) > 0 {
			found = append(found, closed(s, silent[0]))
		}
	}
	return found
}

// closed tells of an address by the way in which it does not answer, for each has another cause.
func closed(s *server, e *scan.AddressError) Finding {
	finding := Finding{Kind: Server, Subject: s.Name,
		Message: sentence(fmt.Sprintf("SSH does not answer at %s: %v", at(e), e.Err))}
	var errno syscall.Errno
	switch {
	case errors.Is(e.Err, syscall.ECONNREFUSED):
		finding.Cause = "refused"
		finding.Fix = fmt.Sprintf("The machine is on, and nothing listens at port %d there, or its firewall refuses. See whether its sshd runs, and on which port; on the server:", e.Port)
		finding.Commands = []string{elsewhere(s.Name, "systemctl status ssh"), elsewhere(s.Name, "ss -tlnp")}
	case errors.As(e.Err, &errno):
		finding.Cause = "unreachable"
		finding.Fix = "See whether it is on, and has that address; if so, which way this machine takes to it, and whether a firewall forbids it:"
		finding.Commands = []string{"ip route get " + e.Address}
	case e.Kind == scan.KindTimeout:
		finding.Cause = "hangs"
		finding.Fix = "The machine takes the connection and says nothing: see how busy it is, and why its sshd hangs; on the server:"
		finding.Commands = []string{elsewhere(s.Name, "uptime"), elsewhere(s.Name, "systemctl restart ssh")}
	default:
		finding.Cause = "silent"
		finding.Fix = fmt.Sprintf("See whether it is on, and has that address; if so, a firewall on it, or on the way, drops what comes to port %d:", e.Port)
		finding.Commands = []string{"ping -c 3 " + e.Address}
	}
	return finding
}

func sshOther(f *facts) (found []Finding) {
	for _, s := range f.servers {
		if other := silences(s, scan.KindProtocol); len(other) > 0 && s.answered() == 0 {
			e := other[0]
			found = append(found, Finding{
				Kind: Server, Subject: s.Name,
				Message: sentence(fmt.Sprintf("What answers at %s is no SSH server that clients could use: %v",
					at(e), e.Err)),
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
		for _, e := range silences(s, scan.KindUnreachable, scan.KindTimeout, scan.KindProtocol) {
			found = append(found, Finding{
				Kind: Server, Subject: s.Name,
				Message: sentence(fmt.Sprintf("SSH answers at another address of it, and not at %s: %v", at(e),
					e.Err)),
				Fix: fmt.Sprintf("Have sshd answer there too (ListenAddress, firewall), or take the address out of DNS and of %s.", f.farm.ServerPath(s.Name)),
			})
		}
	}
	return found
}

// clockTolerance is more than what a question takes and an answer is old, and less than what
// anybody's protocol bears.
const clockTolerance = 30 * time.Second

// keepTime has a machine's clock synchronised, by what is installed for that or by systemd's own.
const keepTime = "timedatectl set-ntp true || apt-get install systemd-timesyncd"

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
		finding := Finding{
			Kind: Server, Subject: s.Name, Message: fmt.Sprintf("Its clock is %s %s this machine's.", span(behind),
				how),
			Fix:      "A time server keeps this machine's right; have one keep the server's, too:",
			Commands: []string{elsewhere(s.Name, keepTime)},
		}
		if right, err := f.machine.IsClockKept(); err != nil || !right {
			finding.Fix = "Neither may be right. Have a time server keep both; here, and on the server:"
			finding.Commands = slices.Insert(finding.Commands, 0, keepTime)
		}
		found = append(found, finding)
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
			Message: fmt.Sprintf("No ldminfod answers with a rating on port %d.", ldm.Port),
			Fix:     "Install ldminfod there, from its package, and let its port through; on the server:",
			Commands: []string{elsewhere(s.Name, "apt-get install ./ltskeeper-ldminfod_*.deb"),
				elsewhere(s.Name, "systemctl enable --now ldminfod.socket")},
		})
	}
	return found
}
