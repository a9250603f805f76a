package doctor

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"ltskeeper/internal/host"
	"ltskeeper/internal/remedy"
)

// The units that run update-image by themselves.
const (
	timer   = "ltskeeper-update.timer"
	service = "ltskeeper-update.service"
)

func checkRunFailed(f *facts, r *results) {
	if f.result != "" && f.result != "success" {
		r.findAt(Machine, service, "Its last run did not succeed (%s).", f.result).
			fix("see what it said, mend that, and have it run again",
				remedy.Program{"journalctl", "-u", service, "-n", "30"}, remedy.Program{"systemctl", "start", service})
	}
}

// ownJob is a line of a crontab or a script that brings the clients up to date.
var ownJob = regexp.MustCompile(`ltskeeper.*\bupdate-image`)

func checkNoSchedule(f *facts, r *results) {
	if f.isMissing || f.timer == "enabled" {
		return
	}
	if err := f.machine.CheckListsCrontabs(); err != nil {
		r.couldNotSee("whether a crontab brings the clients up to date: %v", err)
		return
	}
	for _, file := range r.readAll(f.machine, host.JobFiles...) {
		for _, line := range file.Lines() {
			if ownJob.MatchString(line) {
				return
			}
		}
	}
	var schedule remedy.Remedy = remedy.Program{"systemctl", "enable", "--now", timer}
	if f.timer == "" || f.timer == "not-found" {
		schedule = remedy.CronJob{File: "/etc/cron.d/ltskeeper", Schedule: "17 3 * * *",
			Do: remedy.Command{"update-image", "--cron"}}
	}
	r.find("No timer and no cron job brings the clients up to date.").fix("have it run every night", schedule)
}

// overdue is how long after the last look at servers somebody should see why there was none since.
const overdue = 3 * 24 * time.Hour

func checkRunOverdue(f *facts, r *results) {
	var last time.Time
	if f.status != nil {
		for _, s := range f.status.Servers {
			if s.Seen != nil && s.Seen.After(last) {
				last = *s.Seen
			}
		}
	}
	if !last.IsZero() && f.now.Sub(last) >= overdue {
		r.find("No key of any server has been seen for %s.", describeSpan(f.now.Sub(last))).
			fix("run it, and see why it does not run by itself", remedy.Command{"update-image"})
	}
}

// rivals are the commands that write what ltskeeper writes.
var rivals = regexp.MustCompile(`\bltsp-update-(sshkeys|image|kernels)\b|\bltsp\s+(image|kernel)\b|` +
	`\bssh-keyscan\b.*ssh_known_hosts|\bmksquashfs\b.*\.img\b`)

// ownScript is the path of a program that no package of the distribution's brings.
var ownScript = regexp.MustCompile(`/(usr/local|opt|root|home|srv|etc)/[^\s"';&|<>()]+`)

func checkUndone(f *facts, r *results) {
	if f.isMissing {
		return
	}
	patterns := append([]string{"etc/apt/apt.conf.d/*", "etc/kernel/*.d/*", "etc/systemd/system/*.service"},
		host.JobFiles...)
	for _, file := range r.readAll(f.machine, patterns...) {
		for n, line := range file.Lines() {
			if rival := findRival(f.machine, line, r); rival != "" {
				r.findAt(Machine, file.Path, "Line %d runs %s.", n, rival).
					fix("have it run this instead, or take the line out", remedy.Command{"update-image"})
				break
			}
		}
	}
}

// findRival returns what a line runs that writes what ltskeeper writes, itself or in a script; ""
// if nothing is known of that.
func findRival(m *host.Machine, line string, r *results) string {
	if rival := matchRival(line); rival != "" {
		return rival
	}
	for _, path := range ownScript.FindAllString(line, -1) {
		for _, file := range r.readAll(m, path) {
			for n, line := range file.Lines() {
				if rival := matchRival(line); rival != "" {
					return fmt.Sprintf("%s, which runs %s (line %d)", file.Path, rival, n)
				}
			}
		}
	}
	return ""
}

// matchRival returns the one of rivals that a line runs, without its arguments, or "".
func matchRival(line string) string {
	words := strings.Fields(rivals.FindString(line))
	if len(words) > 1 && words[0] != "ltsp" {
		words = words[:1]
	}
	return strings.Join(words, " ")
}

func checkClockUnsynchronised(f *facts, r *results) {
	isKept, err := f.machine.IsClockKept()
	switch {
	case err != nil:
		r.couldNotSee("whether this machine's clock is synchronised: %v", err)
	case !isKept:
		r.find("Its kernel says that no time server keeps the clock right.").
			fix("have one do it; if nothing is installed for that, systemd-timesyncd will do. A minute later, look",
				keepTime, remedy.Program{"timedatectl", "status"})
	}
}

// future is how far ahead a time must be to be none of ours.
const future = 5 * time.Minute

func checkClockFuture(f *facts, r *results) {
	if f.status == nil {
		return
	}
	var what []string
	note := func(at *time.Time, format string, args ...any) {
		if at != nil && at.Sub(f.now) > future {
			what = append(what, fmt.Sprintf(format, args...)+" of "+at.UTC().Format(time.RFC3339))
		}
	}
	for _, e := range f.log {
		note(&e.Time, "an entry of the key log about %s", e.Server)
	}
	for _, s := range f.status.Servers {
		note(s.Seen, "a sighting of %s", s.Name)
		note(s.Quarantined, "a quarantine of %s", s.Name)
		for _, k := range s.Keys {
			note(&k.Origin.Gone, "a note that %s gave up a key", s.Name)
		}
	}
	note(&f.lastRun, "a good run")
	for _, i := range f.status.Images {
		for _, g := range i.Generations {
			note(&g.Time, "generation %d of %s", g.Number, i.Chroot)
		}
		note(i.Held, "a rollback of %s", i.Chroot)
	}
	if len(what) == 0 {
		return
	}
	more := ""
	if len(what) > 1 {
		more = fmt.Sprintf(", and %d more", len(what)-1)
	}
	r.find("There is %s%s; its clock says %s.", what[0], more, f.now.UTC().Format(time.RFC3339)).
		fix("see which of the two is right; if it is the clock that is wrong, set it",
			remedy.Program{"timedatectl", "status"})
}

func checkTFTPClosed(f *facts, r *results) {
	if is, isKnown := f.machine.IsListening("udp", 69); isKnown && !is && len(f.farm.Chroots) > 0 {
		r.find("Nothing listens on UDP port 69.").
			fix("see why the TFTP server does not run, dnsmasq mostly",
				remedy.Program{"systemctl", "status", "dnsmasq", "tftpd-hpa"})
	}
}

func checkImagesUnserved(f *facts, r *results) {
	if len(f.farm.Chroots) == 0 {
		return
	}
	for _, port := range []int{2049, 80, 443, 10809} { // NFS, HTTP, NBD
		if is, isKnown := f.machine.IsListening("tcp", port); is || !isKnown {
			return
		}
	}
	r.find("Nothing listens on the ports of NFS (2049), HTTP (80, 443) or NBD (10809).").
		fix("see why the NFS server does not run, and what it exports",
			remedy.Program{"systemctl", "status", "nfs-server"}, remedy.Program{"exportfs", "-v"})
}
