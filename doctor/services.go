package doctor

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"ltskeeper/internal/host"
	"ltskeeper/keeper"
)

const (
	timer   = "ltskeeper-update.timer"
	service = "ltskeeper-update.service"

	thisOne = "this machine"
)

func runFailed(f *facts) []Finding {
	if f.result == "" || f.result == "success" {
		return nil
	}
	return []Finding{{
		Kind: Machine, Subject: service, Message: fmt.Sprintf("Its last run did not succeed (%s).", f.result),
		Fix: "See what it said, mend that, and have it run again:", Commands: []string{"journalctl -u " + service +
			" -n 30", "systemctl start " + service},
	}}
}

func noSchedule(f *facts) []Finding {
	if f.missing {
		return nil
	}
	if f.timer == "enabled" {
		return nil
	}
	if err := f.machine.CheckListsCrontabs(); err != nil {
		f.couldNotSee("whether a crontab runs update-image: %v", err)
		return nil
	}
	for _, file := range f.readAll(host.JobFiles...) {
		for _, line := range file.Lines() {
			if strings.Contains(line, "ltskeeper") && strings.Contains(line, "update-image") {
				return nil
			}
		}
	}
	finding := Finding{Kind: Machine, Subject: thisOne, Message: "No timer and no cron job runs update-image.",
		Fix: "Have it run every night:", Commands: []string{"systemctl enable --now " + timer}}
	if f.timer == "" || f.timer == "not-found" { // cron looks for programs in fewer places than a person does
		line := "17 3 * * *  root  " + shell("%s --config %s update-image --cron", f.machine.Program, f.farm.Path)
		finding.Commands = []string{shell("echo %s >/etc/cron.d/ltskeeper", line)}
	}
	return []Finding{finding}
}

// overdue is how long after the last look at servers somebody should look why there was none.
const overdue = 3 * 24 * time.Hour

func runOverdue(f *facts) []Finding {
	var last time.Time
	if f.status != nil {
		for _, s := range f.status.Servers {
			if s.Seen != nil && s.Seen.After(last) {
				last = *s.Seen
			}
		}
	}
	if last.IsZero() || f.now.Sub(last) < overdue {
		return nil
	}
	return []Finding{{
		Kind: Machine, Subject: thisOne, Message: fmt.Sprintf("No key of any server has been seen for %s.",
			span(f.now.Sub(last))),
		Fix: "Run it, and see why it does not run by itself:", Commands: []string{"ltskeeper update-image"},
	}}
}

// rivals are the commands that write what ltskeeper writes.
var rivals = regexp.MustCompile(`\bltsp-update-(sshkeys|image|kernels)\b|\bltsp\s+(image|kernel)\b|\bssh-keyscan\b.*ssh_known_hosts|\bmksquashfs\b.*\.img\b`)

// ownScript is the path of a program that no package of the distribution's brings.
var ownScript = regexp.MustCompile(`/(usr/local|opt|root|home|srv|etc)/[^\s"';&|<>()]+`)

func undone(f *facts) (found []Finding) {
	if f.missing {
		return nil
	}
	patterns := append([]string{"etc/apt/apt.conf.d/*", "etc/kernel/*.d/*", "etc/systemd/system/*.service"},
		host.JobFiles...)
	for _, file := range f.readAll(patterns...) {
		for n, line := range file.Lines() {
			if what := f.rival(line); what != "" {
				found = append(found, Finding{
					Kind: Machine, Subject: file.Path, Message: fmt.Sprintf("Line %d runs %s.", n, what),
					Fix: "Have it run ltskeeper update-image instead, or take the line out.",
				})
				break
			}
		}
	}
	return found
}

// rival is what a line runs that writes what ltskeeper writes, be it in a script; "" if nothing is
// known of that.
func (f *facts) rival(line string) string {
	if what := command(line); what != "" {
		return what
	}
	for _, path := range ownScript.FindAllString(line, -1) {
		for _, file := range f.readAll(path) {
			for n, line := range file.Lines() {
				if what := command(line); what != "" {
					return fmt.Sprintf("%s, which runs %s (line %d)", file.Path, what, n)
				}
			}
		}
	}
	return ""
}

// command is the one of rivals that a line runs, without its arguments, or "".
func command(line string) string {
	words := strings.Fields(rivals.FindString(line))
	if len(words) > 1 && words[0] != "ltsp" {
		words = words[:1]
	}
	return strings.Join(words, " ")
}

func clockUnsynchronised(f *facts) []Finding {
	synchronised, err := f.machine.IsClockKept()
	if err != nil {
		f.couldNotSee("whether this machine's clock is synchronised: %v", err)
		return nil
	}
	if synchronised {
		return nil
	}
	return []Finding{{
		Kind: Machine, Subject: thisOne, Message: "Its kernel says that no time server keeps the clock right.",
		Fix:      "Have one do it; if nothing is installed for that, systemd-timesyncd will do. A minute later, look:",
		Commands: []string{keepTime, "timedatectl status"},
	}}
}

// future is how far ahead a time must be to be none of ours.
const future = 5 * time.Minute

func clockFuture(f *facts) []Finding {
	var what []string
	note := func(at time.Time, format string, args ...any) {
		if at.Sub(f.now) > future {
			what = append(what, fmt.Sprintf(format, args...)+" of "+at.UTC().Format(time.RFC3339))
		}
	}
	if f.status != nil {
		if f.store != nil {
			entries, _, _ := f.store.Log()
			for _, e := range entries {
				note(e.Time, "an entry of the key log about %s", e.Server)
			}
		}
		for _, s := range f.status.Servers {
			if s.Seen != nil {
				note(*s.Seen, "a sighting of %s", s.Name)
			}
			if s.Quarantined != nil {
				note(*s.Quarantined, "a quarantine of %s", s.Name)
			}
			for _, k := range s.Keys {
				if !k.Origin.Gone.IsZero() {
					note(k.Origin.Gone, "a note that %s gave up a key", s.Name)
				}
			}
		}
		note(keeper.New(f.farm).LastSuccess(), "a good run")
		for _, i := range f.status.Images {
			for _, g := range i.Generations {
				note(g.Time, "generation %d of %s", g.Number, i.Chroot)
			}
			if i.Held != nil {
				note(*i.Held, "a rollback of %s", i.Chroot)
			}
		}
	}
	if len(what) == 0 {
		return nil
	}
	more := ""
	if len(what) > 1 {
		more = fmt.Sprintf(", and %d more", len(what)-1)
	}
	return []Finding{{
		Kind: Machine, Subject: thisOne, Message: fmt.Sprintf("There is %s%s; its clock says %s.", what[0], more,
			f.now.UTC().Format(time.RFC3339)),
		Fix:      "See which of the two is right; if it is the clock that is wrong, set it:",
		Commands: []string{"timedatectl status"},
	}}
}

func tftpClosed(f *facts) []Finding {
	if is, known := f.machine.IsListening("udp", 69); is || !known || len(f.farm.Chroots) == 0 {
		return nil
	}
	return []Finding{{
		Kind: Machine, Subject: thisOne, Message: "Nothing listens on UDP port 69.",
		Fix:      "See why the TFTP server does not run, dnsmasq mostly:",
		Commands: []string{"systemctl status dnsmasq tftpd-hpa"},
	}}
}

func imagesUnserved(f *facts) []Finding {
	if len(f.farm.Chroots) == 0 {
		return nil
	}
	for _, port := range []int{2049, 80, 443, 10809} { // NFS, HTTP, NBD
		if is, known := f.machine.IsListening("tcp", port); is || !known {
			return nil
		}
	}
	return []Finding{{
		Kind: Machine, Subject: thisOne,
		Message:  "Nothing listens on the ports of NFS (2049), HTTP (80, 443) or NBD (10809).",
		Fix:      "See why the NFS server does not run, and what it exports:",
		Commands: []string{"systemctl status nfs-server", "exportfs -v"},
	}}
}
