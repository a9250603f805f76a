package doctor

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"syscall"
	"time"

	"ltskeeper/internal/remedy"
	"ltskeeper/keys/scan"
	"ltskeeper/ldm"
)

// listSilences returns why addresses of a server showed no key, where it is for one of these kinds
// of reasons.
func (s *serverFacts) listSilences(kinds ...scan.ErrorKind) (found []*scan.AddressError) {
	for _, a := range s.sighting.Addresses {
		var e *scan.AddressError
		if len(a.Keys) == 0 && errors.As(a.Err, &e) && slices.Contains(kinds, e.Kind) {
			found = append(found, e)
		}
	}
	return found
}

// describeAddress describes where a scan failed.
func describeAddress(e *scan.AddressError) string {
	return net.JoinHostPort(e.Address, strconv.Itoa(e.Port))
}

func checkSSHClosed(_ *facts, s *serverFacts, r *results) {
	if len(s.listSilences(scan.KindThrottled)) > 0 {
		r.couldNotSee("server %s: its sshd turns this machine away, as it does for a while with who connects "+
			"too often, or for good with whom /etc/hosts.deny names there", s.Name)
	}
	if s.countAnswers() > 0 || len(s.listSilences(scan.KindProtocol, scan.KindThrottled)) > 0 {
		return
	}
	if silent := s.listSilences(scan.KindUnreachable, scan.KindTimeout); len(silent) > 0 {
		addSilence(s.Name, silent[0], r)
	}
}

// addSilence tells of an address by the way in which it does not answer: each has another cause.
func addSilence(name string, e *scan.AddressError, r *results) {
	there := func(words ...string) remedy.Remedy {
		return remedy.Elsewhere{On: name, Do: remedy.Program(words)}
	}
	finding := r.find("%s", toSentence(fmt.Sprintf("SSH does not answer at %s: %v", describeAddress(e), e.Err)))
	var errno syscall.Errno
	switch {
	case errors.Is(e.Err, syscall.ECONNREFUSED):
		finding.Cause = "refused"
		finding.fix(fmt.Sprintf("it is on, and nothing listens at port %d there, or its firewall refuses. "+
			"See whether its sshd runs, and on which port; on the server", e.Port),
			there("systemctl", "status", "ssh"), there("ss", "-tlnp"))
	case errors.As(e.Err, &errno):
		finding.Cause = "unreachable"
		finding.fix("see whether it is on, and has that address; if so, which way this machine takes to it, "+
			"and whether a firewall forbids it", remedy.Program{"ip", "route", "get", e.Address})
	case e.Kind == scan.KindTimeout:
		finding.Cause = "hangs"
		finding.fix("it takes the connection and says nothing: see how busy it is, and why its sshd hangs; "+
			"on the server", there("uptime"), there("systemctl", "restart", "ssh"))
	default:
		finding.Cause = "silent"
		finding.fix(fmt.Sprintf("see whether it is on, and has that address; if so, a firewall on it, or on the way, "+
			"drops what comes to port %d", e.Port), remedy.Program{"ping", "-c", "3", e.Address})
	}
}

func checkSSHOther(f *facts, s *serverFacts, r *results) {
	other := s.listSilences(scan.KindProtocol)
	if len(other) == 0 || s.countAnswers() > 0 {
		return
	}
	r.find("%s", toSentence(fmt.Sprintf("What answers at %s is no SSH server that clients could use: %v",
		describeAddress(other[0]), other[0].Err))).
		fix(fmt.Sprintf("see what listens there on %s (ss -tlnp)", s.Name),
			remedy.If{Condition: "its sshd has another port", Then: f.serverSetting(s.Name, "port", "22")})
}

func checkAddressSilent(f *facts, s *serverFacts, r *results) {
	if s.countAnswers() == 0 {
		return
	}
	for _, e := range s.listSilences(scan.KindUnreachable, scan.KindTimeout, scan.KindProtocol) {
		r.find("%s", toSentence(fmt.Sprintf("SSH answers at another address of it, and not at %s: %v",
			describeAddress(e), e.Err))).
			fix("have sshd answer there too (ListenAddress, firewall)",
				remedy.Advice("take the address out of DNS and of "+f.farm.ServerPath(s.Name)))
	}
}

// clockTolerance is more than what a question takes and an answer is old, and less than what
// anybody's protocol bears.
const clockTolerance = 30 * time.Second

// keepTime has a machine's clock synchronised, by what is installed for that or by systemd's own.
const keepTime = remedy.Shell("timedatectl set-ntp true || apt-get install systemd-timesyncd")

func checkClockServer(f *facts, s *serverFacts, r *results) {
	told := s.reply.Answer.Time
	if told.IsZero() || s.reply.At.IsZero() {
		return
	}
	behind := s.reply.At.Sub(told)
	if behind.Abs() <= clockTolerance {
		return
	}
	how := "behind"
	if behind < 0 {
		how = "ahead of"
	}
	finding := r.find("Its clock is %s %s this machine's.", describeSpan(behind), how)
	there := remedy.Elsewhere{On: s.Name, Do: keepTime}
	if isKept, err := f.machine.IsClockKept(); err != nil || !isKept {
		finding.fix("neither may be right. Have a time server keep both; here, and on the server", keepTime, there)
	} else {
		finding.fix("a time server keeps this machine's right; have one keep the server's, too", there)
	}
}

func checkLdminfodClosed(f *facts, s *serverFacts, r *results) {
	policy := f.farm.Balance.Policy
	switch {
	case policy == ldm.Random, policy == ldm.Fixed:
		return // nobody asks it
	case s.countAnswers() == 0, s.reply.Err == nil, s.reply.State == ldm.Draining:
		return // ssh-closed says enough
	}
	finding := r.find("No ldminfod answers with a rating on port %d.", ldm.Port).
		fix("install ldminfod there, from its package, and let its port through; on the server",
			remedy.Elsewhere{On: s.Name, Do: remedy.Shell("apt-get install ./ltskeeper-ldminfod_*.deb")},
			remedy.Elsewhere{On: s.Name, Do: remedy.Program{"systemctl", "enable", "--now", "ldminfod.socket"}})
	if policy == ldm.Best || policy == ldm.Weighted {
		finding.as(Problem)
	}
}
