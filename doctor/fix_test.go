package doctor

import (
	"context"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ltskeeper/internal/host"
	"ltskeeper/internal/remedy"
	"ltskeeper/internal/testkit"
	"ltskeeper/keeper"
	"ltskeeper/ldm"

	"golang.org/x/sys/unix"
)

// do does what a remedy says to type. It returns how many commands that were.
func (w *world) do(r remedy.Remedy) int {
	w.Helper()
	k := keeper.New(w.farm())
	switch r := r.(type) {
	case remedy.Command:
		switch r[0] + " " + r[min(1, len(r)-1)] {
		case "update-image update-image":
			w.update()
		case "keys forget-line":
			_, err := k.ForgetLines(r[2], r[3:])
			testkit.Must(w, err)
		case "server add-to-hosts":
			_, err := k.AddToHosts(w.machine, r[2], netip.MustParseAddr(r[3]), r[4:])
			testkit.Must(w, err)
		default:
			w.Fatalf("%q is not done here", r)
		}
	case remedy.Program:
		cmd := exec.Command(r[0], r[1:]...)
		cmd.Dir = w.Path("")
		if path := w.Path("bin/" + r[0]); isRegular(path) {
			cmd = exec.Command(path)
			cmd.Dir = w.Path("")
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			w.Fatalf("%q: %v: %s", r, err, out)
		}
	default:
		return 0
	}
	return 1
}

// follow types what a check's findings say, twice, as who is tired may do, and looks again.
func (w *world) follow(check string) *Report {
	w.Helper()
	typed := 0
	for range 2 {
		for _, f := range w.examine().Findings {
			if f.Check != check {
				continue
			}
			for _, c := range append(f.Remedies, f.Remedies...) {
				typed += w.do(c)
			}
		}
	}
	if typed == 0 {
		w.Fatalf("%s says nothing to type", check)
	}
	return w.examine()
}

// What is said to type can be pasted as it is, again and again: the finding is gone, and nothing
// else is.
func TestFixesAreFollowed(t *testing.T) {
	t.Parallel()
	t.Run("known-hosts-local", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		key := w.sshd["app02"].PublicKeys()[0]
		w.Write("known_hosts.local", "# from before\n[app01]:2222 "+oldKey+"\nother "+oldKey+"\n"+
			"[app01]:2222 "+key+"\n[app02]:2222 "+key+"\n")
		w.update()
		if found := ids(w.follow("known-hosts-local").Findings); len(found) > 0 {
			t.Errorf("%q", found)
		}
		left, err := os.ReadFile(w.Path("known_hosts.local"))
		testkit.Must(w, err)
		if want := "# from before\nother " + oldKey + "\n[app02]:2222 " + w.sshd["app02"].PublicKeys()[0] +
			"\n"; string(left) != want {
			t.Errorf("%q, want %q", left, want)
		}
	})
	t.Run("names-client", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.Write("client/etc/hosts", "127.0.0.1 localhost") // without an end
		w.update()
		w.zone.Forget("app01.")
		if found := ids(w.follow("names-client").Findings); len(found) > 0 {
			t.Errorf("%q", found)
		}
		left, err := os.ReadFile(w.Path("client/etc/hosts"))
		testkit.Must(w, err)
		if !strings.HasPrefix(string(left), "127.0.0.1 localhost\n"+w.sshd["app01"].Address+" app01\n") {
			t.Errorf("%q", left)
		}
	})
}

// LTSP since 2019 writes its clients' hosts file when they boot: what the chroot's has is of no use
// to them, and what ltsp.conf sets is.
func TestFixesOfLTSP(t *testing.T) {
	t.Parallel()
	for name, conf := range map[string]string{
		"none":       "",
		"other":      "[server]\nNAT=1",
		"of clients": "[server]\nNAT=1\n[ Clients ] # all\nHOSTS_A=\"192.0.2.1 app02\"\n[00:11:22:33:44:55]\nHOSTNAME=pc01\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.ltsp("[[alias]]\nname = \"server\"\n")
			w.Write("client/etc/hosts", "127.0.0.1 localhost\n"+w.sshd["app01"].Address+" app01\n")
			w.update()
			w.zone.Forget("app01.")
			w.zone.Forget("app02.")
			w.program("ltsp", "touch tftp/ltsp.img")
			if w.Write("machine/etc/ltsp/ltsp.conf", conf); conf == "" {
				w.remove("machine/etc/ltsp/ltsp.conf")
				testkit.Must(w, os.MkdirAll(w.Path("machine/etc/ltsp"), 0o755))
			}
			w.sh("touch tftp/ltsp.img")
			if found := w.examine("app01").Findings; len(found) != 1 || found[0].Check != "names-client" {
				t.Fatalf("%+v", found)
			}
			if found := w.follow("names-client").Findings; name == "of clients" &&
				(len(found) != 1 || found[0].Check != "names-client-differ") || name != "of clients" && len(found) > 0 {
				t.Errorf("%+v", found)
			}
			if text := w.Read("machine/etc/ltsp/ltsp.conf"); strings.Count(strings.ToLower(text), "clients") != 1 {
				t.Error(text)
			}
			read, err := w.machine.ReadLTSPConf()
			testkit.Must(w, err)
			last := read.Evaluate("clients")
			if text := w.sshd["app01"].Address + " app01"; !slices.ContainsFunc(last, func(s host.LTSPSetting) bool {
				return s.Key == "HOSTS_app01" && s.Value == text
			}) {
				t.Errorf("%+v", last)
			}
		})
	}
}

// What only a shell can tell of ltsp.conf is not guessed at.
func TestHostsOfAShell(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ltsp("[[alias]]\nname = \"server\"\n")
	w.Write("machine/etc/ltsp/ltsp.conf", "[clients]\nHOSTS_A=\"$SERVER app01\"\n")
	w.sh("touch tftp/ltsp.img")
	w.zone.Forget("app01.")
	r := w.examine()
	if len(r.Findings) > 0 || !strings.Contains(strings.Join(r.Unseen, " "), "which hosts line 2 of ") {
		t.Errorf("%+v %q", r.Findings, r.Unseen)
	}
}

// A chroot of LTSP 5 boots by itself.
func TestLTSP5BesideANewOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ltsp("[[alias]]\nname = \"server\"\n")
	w.Write("client/usr/share/ltsp/ltsp_config", "")
	w.Write("client/etc/hosts", w.sshd["app01"].Address+" app01\n")
	w.update()
	w.sh("touch tftp/ltsp.img")
	w.zone.Forget("app01.")
	if found := w.examine().Findings; len(found) > 0 {
		t.Errorf("%+v", found)
	}
}

// program makes a command that sh finds.
func (w *world) program(name, script string) {
	w.WriteProgram("bin/"+name, "#!/bin/sh\n"+script+"\n")
}

// A file system that is mounted read-only can be written to after what is said was typed, and one
// that is only the client root's counts.
func TestReadOnlyChroot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	testkit.NeedRoot(t)
	testkit.Must(w, unix.Mount(w.root, w.root, "", unix.MS_BIND, ""))
	t.Cleanup(func() { unix.Unmount(w.root, unix.MNT_DETACH) })
	testkit.Must(w, unix.Mount("", w.root, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	found := w.examine().Findings
	if len(found) != 1 || found[0].Check != "read-only" || found[0].Subject != w.root {
		t.Fatalf("%+v", found)
	}
	w.do(found[0].Remedies[len(found[0].Remedies)-1])
	if found := w.examine().Findings; len(found) > 0 {
		t.Errorf("%+v", found)
	}
	w.Write("client/new", "")
}

// Of two clocks, the one that a time server keeps is right.
func TestWhichClockIsWrong(t *testing.T) {
	t.Parallel()
	there := remedy.Elsewhere{On: "app01", Do: keepTime}
	for synchronised, want := range map[bool][]remedy.Remedy{true: {there}, false: {keepTime, there}} {
		w := newWorld(t)
		w.answer.set("app01", ldm.Answer{Rating: 1, Time: time.Now().Add(-time.Hour)})
		w.machine.IsClockKept = func() (bool, error) { return synchronised, nil }
		if found := w.examine("app01").Findings; len(found) != 1 || !slices.Equal(found[0].Remedies[1:], want) {
			t.Errorf("%+v", found)
		}
	}
}

// Where nobody knows the server's address, none is made up for clients.
func TestNoAddressIsMadeUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.undeclare("app01")
	w.Write("machine/etc/hosts", "127.0.1.1 app01\n")
	w.zone.Forget("app01.")
	for _, f := range w.examine("app01").Findings {
		if f.Check == "names-client" && len(f.Remedies) != 2 { // DNS, or addresses in the list
			t.Errorf("%+v", f.Remedies)
		}
	}
}

// What belongs on another machine is a comment in this one's shell.
func TestCommandsForElsewhere(t *testing.T) {
	t.Parallel()
	for check, breaks := range map[string]func(*world){
		"key-revoked": func(w *world) {
			_, err := keeper.New(w.farm()).RevokeKeys(keeper.RevokeOptions{Server: "app01",
				Fingerprints: w.fingerprints("app01")})
			testkit.Must(w, err)
		},
		"same-key": func(w *world) {
			w.sshd["app02"].Stop()
			w.sh("cp %s/host_*key* %s/ || cp %[1]s/*ed25519* %[2]s/", w.sshd["app01"].Dir, w.sshd["app02"].Dir)
			testkit.Must(w, w.sshd["app02"].Restart())
		},
		"weak-key": func(w *world) {
			testkit.Must(w, w.sshd["app01"].ChangeKeys("rsa"))
			w.remove("state")
			w.update()
		},
		"certificate":     func(w *world) { w.certify("-5w:-1w") },
		"ldminfod-closed": func(w *world) { w.answer.forget("app01") },
	} {
		t.Run(check, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			breaks(w)
			n := 0
			for _, f := range w.examine().Findings {
				for _, r := range f.Remedies {
					switch r.(type) {
					case remedy.Elsewhere:
						n++
					case remedy.Program, remedy.Shell:
						if f.Check == check {
							t.Errorf("%q", r)
						}
					}
				}
			}
			if n == 0 {
				t.Error("nothing is for the server")
			}
		})
	}
}

// A server that leaves no room in quarantine stays in the lists, and that is what is said.
func TestQuarantineIsFull(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	testkit.Must(w, w.sshd["app01"].ChangeKeys())
	testkit.Must(w, w.sshd["app02"].ChangeKeys())
	w.update()
	out, in := 0, 0
	for _, f := range w.examine().Findings {
		switch {
		case strings.HasPrefix(f.Message, "Clients are kept away from it"):
			out++
		case strings.HasPrefix(f.Message, "It ought to be out of the clients' lists"):
			in++
		}
	}
	if out != 1 || in != 1 {
		t.Errorf("%d are out, and %d stay", out, in)
	}
}

// A machine without the timer gets a job for cron, with which there is nothing more to say.
func TestCronJob(t *testing.T) {
	t.Parallel()
	for _, timer := range []string{"", "not-found"} {
		w := newWorld(t)
		w.systemd("", timer)
		w.remove("machine/etc/cron.d/ltskeeper")
		r := w.examine()
		if len(r.Findings) != 1 || len(r.Findings[0].Remedies) != 2 {
			t.Fatalf("%+v", r.Findings)
		}
		job := r.Findings[0].Remedies[1].(remedy.CronJob)
		w.Write("machine"+job.File, job.Schedule+" root ltskeeper "+strings.Join(job.Do, " ")+"\n")
		if found := w.examine().Findings; len(found) > 0 {
			t.Errorf("%+v", found)
		}
	}
}

// What is not a regular file is not read: it might never end.
func TestPipes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, name := range []string{"machine/etc/hosts", "machine/etc/default/tftpd-hpa", "machine/etc/crontab",
		"machine/etc/resolv.conf"} {
		w.remove(name)
		testkit.Must(w, os.MkdirAll(filepath.Dir(w.Path(name)), 0o755))
		testkit.Must(w, unix.Mkfifo(w.Path(name), 0o644))
	}
	// the real one waits, too
	w.machine.ResolveName = func(context.Context, string) ([]netip.Addr, error) { return nil, host.ErrNoName }
	done := make(chan *Report)
	go func() { done <- w.examine() }()
	select {
	case r := <-done:
		if !strings.Contains(strings.Join(r.Unseen, " "), "machine/etc/hosts: it is a fifo and not a regular file") {
			t.Errorf("%q", r.Unseen)
		}
	case <-time.After(time.Minute):
		t.Fatal("it waits for a pipe")
	}
}
