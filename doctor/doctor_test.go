package doctor

import (
	"cmp"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ltskeeper/farm"
	"ltskeeper/internal/host"
	"ltskeeper/internal/remedy"
	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/dnstest"
	"ltskeeper/internal/testkit/elftest"
	"ltskeeper/internal/testkit/farmtest"
	"ltskeeper/internal/testkit/sshdtest"
	"ltskeeper/keeper"
	"ltskeeper/keys/trust"
	"ltskeeper/ldm"

	"golang.org/x/sys/unix"
)

// A world is a farm of two servers and a chroot in which all is well, on a machine of its own.
type world struct {
	*testing.T
	testkit.Folder        // of the declaration
	root           string // of the chroot
	machine        *host.Machine
	sshd           map[string]*sshdtest.Server
	answer         table[ldm.Answer] // of ldminfod; a server that is not there has none
	zone           *dnstest.Server
}

// A table is what a world's servers answer by, while a test changes it.
type table[V any] struct{ entries sync.Map }

func (t *table[V]) set(name string, v V) { t.entries.Store(name, v) }
func (t *table[V]) forget(name string)   { t.entries.Delete(name) }
func (t *table[V]) get(name string) (V, bool) {
	v, ok := t.entries.Load(name)
	if !ok {
		var none V
		return none, false
	}
	return v.(V), true
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, Folder: testkit.NewFolder(t), sshd: map[string]*sshdtest.Server{}}
	w.root = w.Path("client")
	w.Write("ltskeeper.toml", farmtest.Declaration)
	for _, folder := range []string{"client/bin", "client/sbin", "client/etc/ssh", "client/boot", "tftp", "images",
		"machine/etc/cron.d", "machine/etc/apt/apt.conf.d", "machine/proc/net", "state"} {
		testkit.Must(t, os.MkdirAll(w.Path(folder), 0o755))
	}
	w.WriteProgram("client/bin/sh", string(elftest.Static(elf.EM_X86_64)))
	w.Write("client/boot/vmlinuz-6.1.0-9", "kernel")
	w.Write("client/boot/initrd.img-6.1.0-9", "initrd")
	w.Write("client/lib/modules/6.1.0-9/modules.dep", "kernel/e1000e.ko:\n")
	w.Write("client/lib/modules/6.1.0-9/kernel/e1000e.ko", "")
	w.Write("machine/etc/cron.d/ltskeeper", "17 3 * * * root ltskeeper update-image --quiet\n")
	w.Write("machine/etc/hosts", "127.0.0.1 localhost\n127.0.1.1 primary\n")
	w.Write("machine/proc/net/udp", "  sl  local_address rem_address   st\n  1: 00000000:0045 00000000:0000 07 x\n")
	w.Write("machine/proc/net/tcp", "  sl  local_address rem_address   st\n  1: 00000000:0801 00000000:0000 0A x\n")
	w.zone = dnstest.Start(t)
	for i, name := range []string{"app01", "app02"} {
		s := sshdtest.Start(t, sshdtest.Options{KeyTypes: []string{"ed25519"}})
		w.sshd[name] = s
		w.declare(name, fmt.Sprintf("addresses = [%q]\nport = 2222\n", s.Address))
		w.serve(name, s.Address)
		w.answer.set(name, ldm.Answer{Rating: 50 + i, Logins: -1})
		w.zone.Set(name+".", netip.MustParseAddr(s.Address))
	}
	w.machine = &host.Machine{
		Root: w.Path("machine"), Now: time.Now, Name: "primary", ResolveName: w.resolve,
		IsClockKept: func() (bool, error) { return true, nil },
		Statfs:      func(path string) (st unix.Statfs_t, err error) { return st, unix.Statfs(path, &st) },
	}
	w.machine.DNSPort = w.zone.Port
	w.Write("machine/etc/resolv.conf", "nameserver 127.0.0.1\n")
	w.update()
	return w
}

func (w *world) add(name, text string) {
	w.Helper()
	data, _ := os.ReadFile(w.Path(name))
	w.Write(name, string(data)+text)
}

func (w *world) remove(name string) {
	w.Helper()
	testkit.Must(w, os.RemoveAll(w.Path(name)))
}

func (w *world) declare(name, text string) { w.Write("servers.d/"+name+".toml", text) }

// undeclare takes the addresses of a server out of its file: its name is to be resolved.
func (w *world) undeclare(name string) { w.declare(name, "port = 2222\n") }

func (w *world) farm() *farm.Farm {
	w.Helper()
	f, err := farm.Load(w.Path("ltskeeper.toml"))
	testkit.Must(w, err)
	return f
}

func (w *world) update() {
	w.Helper()
	_, err := keeper.New(w.farm()).Update(w.Context(), keeper.UpdateOptions{})
	testkit.Must(w, err)
}

// resolve is the machine's resolver: its hosts file, then DNS.
func (w *world) resolve(_ context.Context, name string) (found []netip.Addr, err error) {
	data, _ := os.ReadFile(w.Path("machine/etc/hosts"))
	for _, line := range host.ParseHosts(host.File{Data: data}).Find(name) {
		found = append(found, line.Address)
	}
	if address, ok := w.zone.Find(name + "."); ok && len(found) == 0 {
		found = append(found, address)
	}
	if len(found) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return found, nil
}

// serve answers in a server's place on ldminfod's port.
func (w *world) serve(name, address string) {
	w.greet(fmt.Sprintf("%s:%d", address, ldm.Port), func() []byte {
		a, ok := w.answer.get(name)
		if !ok {
			return nil
		}
		text, _ := a.Encode()
		return text
	})
}

// greet says something to whoever connects, and closes.
func (w *world) greet(address string, text func() []byte) {
	w.Helper()
	l, err := net.Listen("tcp", address)
	testkit.Must(w, err)
	w.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Write(text())
			conn.Close()
		}
	}()
}

func (w *world) examine(names ...string) *Report {
	w.Helper()
	r, err := examineOn(w.Context(), w.machine, w.Path("ltskeeper.toml"), names)
	testkit.Must(w, err)
	return r
}

// sh runs a command in the declaration's folder.
func (w *world) sh(line string, args ...any) {
	w.Helper()
	cmd := exec.Command("sh", "-c", fmt.Sprintf(line, args...))
	cmd.Dir = w.Path("")
	cmd.Env = append(os.Environ(), "PATH="+w.Path("bin")+":"+os.Getenv("PATH"))
	if out, err := cmd.CombinedOutput(); err != nil {
		w.Fatalf("%s: %v\n%s", line, err, out)
	}
}

func ids(findings []Finding) []string {
	var ids []string
	for _, f := range findings {
		if !slices.Contains(ids, f.Check) {
			ids = append(ids, f.Check)
		}
	}
	return ids
}

// Each check says nothing of a farm in which all is well, and finds what it is for, which alone was
// broken.
func TestChecks(t *testing.T) {
	t.Parallel()
	cases := []struct {
		check    string
		severity Severity
		says     string   // in its message
		also     []string // checks that find something in it, too
		breaks   func(*world)
	}{
		{"declaration", Problem, "Line 10, column 12, collect.parallel: 0 is out of range.", nil, func(w *world) {
			w.Write("ltskeeper.toml", farmtest.Declaration+"[collect]\nparallel = 0\n")
		}},
		{"record", Problem, "app01.pub", nil, func(w *world) { w.Write("state/keys/app01.pub", "nonsense\n") }},
		{"permissions", Problem, "Everybody may write to it (mode 0666)", nil, func(w *world) {
			w.sh("chmod 666 servers.d/app01.toml")
		}},

		{"key-changed", Problem, "and another ED25519 key is trusted", nil, func(w *world) {
			testkit.Must(w, w.sshd["app01"].ChangeKeys())
		}},
		{"key-revoked", Problem, "which is revoked", []string{"key-unknown", "files-behind"}, func(w *world) {
			_, err := keeper.New(w.farm()).RevokeKeys(keeper.RevokeOptions{Server: "app01",
				Fingerprints: w.fingerprints("app01")})
			testkit.Must(w, err)
		}},
		{"same-key", Problem, "app01 and app02 have the same host key, ED25519 SHA256:", []string{"key-changed"},
			func(w *world) {
				w.sshd["app02"].Stop()
				w.sh("cp %s/host_*key* %s/ || cp %[1]s/*ed25519* %[2]s/", w.sshd["app01"].Dir, w.sshd["app02"].Dir)
				testkit.Must(w, w.sshd["app02"].Restart())
			}},
		{"known-hosts-local", Problem, "Line 2 of ", nil, func(w *world) {
			w.Write("known_hosts.local", "# from before\n[app01]:2222 "+oldKey+"\nother "+oldKey+"\n"+
				"[app01]:2222 "+w.sshd["app01"].PublicKeys()[0]+"\n")
			w.update()
		}},
		{"quarantined", Problem, "Clients are kept away", []string{}, func(w *world) {
			testkit.Must(w, w.sshd["app01"].ChangeKeys())
			w.update()
		}},
		{"key-pending", Problem, "It has no trusted key; ED25519 SHA256:", nil, func(w *world) {
			w.Write("ltskeeper.toml", farmtest.Declaration+"[collect]\nfirst-use = \"refuse\"\n")
			w.another("app03")
			w.update()
		}},
		{"key-unknown", Problem, "none of its keys is on record", nil, func(w *world) { w.another("app03") }},
		{"certificate", Problem, "has expired at", nil, func(w *world) { w.certify("-5w:-1w") }},
		{"certificate", Problem, "is valid only from", nil, func(w *world) { w.certify("+1w:+9w") }},
		{"certificate", Problem, "is not for this name: its principals are \"app01.example.org\" (for the name app01)",
			nil, func(w *world) { w.certify("-1d:+52w", "app01.example.org") }},
		{"certificate", Problem, "without a certificate, and clients know it by that alone", nil, func(w *world) {
			w.certify("-1d:+52w")
			w.remove("state") // of app01 it knew a key before
			w.update()
			testkit.Must(w, w.sshd["app01"].ChangeKeys())
		}},
		{"certificate", Advice, "expires at", nil, func(w *world) { w.certify("-1w:+1w") }},

		{"names-loopback", Problem, "app01 resolves to 127.0.1.1 here, which is this machine itself (line 3 of ",
			[]string{"ssh-closed", "files-behind"}, func(w *world) {
				w.undeclare("app01")
				w.add("machine/etc/hosts", "127.0.1.1 app01\n")
			}},
		{"names-loopback", Problem, "On clients of client, app01 is 127.0.1.1, the client itself (line 1 of ",
			[]string{"ssh-closed", "files-behind", "image-old"}, func(w *world) {
				w.undeclare("app01")
				w.zone.Set("app01.", netip.MustParseAddr("127.0.1.1"))
				w.Write("client/etc/hosts", "127.0.1.1 app01\n")
			}},
		{"names-unresolved", Problem, "app01 does not resolve here.", []string{"files-behind"}, func(w *world) {
			w.undeclare("app01")
			w.zone.Forget("app01.")
		}},
		{"names-differ", Problem, "app01 resolves to 127.0.0.9 (line 3 of ", nil, func(w *world) {
			w.add("machine/etc/hosts", "127.0.0.9 app01\n")
		}},
		{"names-differ", Advice, "app01 resolves to 127.0.0.9 (line 3 of ", nil, func(w *world) {
			w.add("machine/etc/hosts", "127.0.0.9 app01\n"+w.sshd["app01"].Address+" app01\n")
		}},
		{"names-client", Problem,
			"Clients of client cannot resolve app01: their /etc/hosts does not hold it, nor does DNS. This machine knows it from its own file (line 3 of ",
			nil, func(w *world) {
				w.zone.Forget("app01.")
				w.add("machine/etc/hosts", w.sshd["app01"].Address+" app01\n")
			}},
		{"names-client", Problem, "nor does DNS", nil, func(w *world) {
			w.zone.Forget("app01.")
			w.zone.Refuses.Store(true)
			// two are silent
			w.Write("machine/etc/resolv.conf", "nameserver 127.0.0.8\nnameserver 127.0.0.1\nnameserver 127.0.0.9\n")
		}},
		{"names-client-differ", Problem, "Clients of client find app01 at 127.0.0.9 (DNS), and keys are collected at ",
			nil, func(w *world) {
				w.zone.Set("app01.", netip.MustParseAddr("127.0.0.9"))
				w.add("machine/etc/hosts", w.sshd["app01"].Address+" app01\n")
			}},
		{"names-same-address", Problem, "app01 and app02 have the same address, 127.",
			[]string{"key-changed", "files-behind"}, func(w *world) {
				w.declare("app02", fmt.Sprintf("addresses = [%q, \"other\"]\nport = 2222\n", w.sshd["app02"].Address))
				w.add("machine/etc/hosts", w.sshd["app01"].Address+" other\n")
			}},
		{"alias-unresolved", Advice, "The alias gone does not resolve here.", []string{"files-behind"}, func(w *world) {
			w.add("servers.d/app02.toml", "aliases = [\"gone\"]\n")
		}},

		{"ssh-closed", Problem, ":2222: connection refused.", nil, func(w *world) { w.sshd["app01"].Stop() }},
		{"ssh-other", Problem, "is no SSH server that clients could use: no SSH server: it says \"220 ftp\"", nil,
			func(w *world) {
				w.sshd["app01"].Stop()
				w.greet(w.sshd["app01"].Address+":2222", func() []byte { return []byte("220 ftp\r\n") })
			}},
		{"address-silent", Problem, "SSH answers at another address of it, and not at 127.0.0.9:2222",
			[]string{"files-behind"}, func(w *world) {
				w.declare("app01",
					fmt.Sprintf("addresses = [%q, \"127.0.0.9\"]\nport = 2222\n", w.sshd["app01"].Address))
			}},
		{"clock-server", Problem, "Its clock is 10 minutes behind this machine's.", nil, func(w *world) {
			w.answer.set("app01", ldm.Answer{Rating: 1, Time: time.Now().Add(-10 * time.Minute)})
		}},
		{"clock-server", Problem, "Its clock is 2 hours ahead of this machine's.", nil, func(w *world) {
			w.answer.set("app01", ldm.Answer{Rating: 1, Time: time.Now().Add(2*time.Hour + time.Minute)})
		}},
		{"clock-server", Problem, "Its clock is more than 100 years ahead of this machine's.", nil, func(w *world) {
			w.answer.set("app01", ldm.Answer{Rating: 1, Time: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)})
		}},

		{"lts-conf-hidden", Problem, "tftp/client/lts.conf is a file of somebody else's", nil, func(w *world) {
			w.remove("tftp/client/lts.conf")
			w.Write("tftp/client/lts.conf", "[default]\nX = y\n")
		}},
		{"lts-conf-hidden", Advice, "Another lts.conf is under TFTP", nil, func(w *world) {
			w.Write("tftp/i386/lts.conf", "[default]\nX = y\n")
		}},
		{"tftp-root", Problem, "The TFTP server serves /nowhere (", nil, func(w *world) {
			w.Write("machine/etc/dnsmasq.d/ltsp.conf", "enable-tftp\ntftp-root=/nowhere\n")
		}},
		{"file-edited", Problem,
			"Its /etc/ssh/ssh_known_hosts was edited by hand, or by another program: 1 line in it is not ltskeeper's, the first: mine ssh-rsa",
			[]string{"image-old"},
			func(w *world) { w.add("client/etc/ssh/ssh_known_hosts", "mine ssh-rsa AAAA\n") }},
		{"file-foreign", Problem, "client/etc/lts.conf was not written by ltskeeper.", []string{"image-old"},
			func(w *world) { w.Write("client/etc/lts.conf", "[default]\nX = y\n") }},
		{"lts-conf-wrong", Advice, "warning: A again in [default]", []string{"files-behind"}, func(w *world) {
			w.Write("lts.conf", "[default]\nA = b\nA = c\n")
		}},
		{"lts-conf-wrong", Problem, ":4:5: error: ", []string{"declaration"}, func(w *world) {
			w.Write("lts.conf", "[default]\nA = b\nA = c\nB = \"$(reboot)\"\nC = \"$(reboot)\"\n")
		}},
		{"lts-conf-wrong", Problem, "error: ", []string{"image-apart"}, func(w *world) {
			w.Write("tftp/client/current/lts.conf", "# Written by ltskeeper\n[default]\nA = \"$(reboot)\"\n")
		}},
		{"files-behind", Advice, "Its clients have an older /etc/ssh/ssh_known_hosts and /etc/lts.conf than", nil,
			func(w *world) { w.remove("servers.d/app02.toml") }},
		{"get-hosts-foreign", Advice, "get_hosts is not ltskeeper's, and stays.", []string{"image-old"},
			func(w *world) { w.Write("client/usr/share/ltsp/get_hosts", "#!/bin/sh\n") }},

		{"no-image", Problem, "It has no image yet.", nil, func(w *world) { w.sh("rm -rf images/* tftp/*") }},
		{"no-image", Problem, "there is no program to start in it", []string{}, func(w *world) {
			w.remove("client/bin/sh")
		}},
		{"image-replaced", Problem, "client.img is a file, and no link", []string{}, func(w *world) {
			w.remove("images/client.img")
			w.Write("images/client.img", "hsqs")
		}},
		{"image-replaced", Problem, "is a link to elsewhere.img, which is no generation", []string{}, func(w *world) {
			w.sh("ln -sfn elsewhere.img images/client.img")
		}},
		{"image-apart", Problem, "tftp/client/current/kernel is not that of generation 1.", nil, func(w *world) {
			w.Write("tftp/client/current/kernel", "kerneL")
		}},
		{"image-apart", Problem, "is not at generation 1 as the image is", nil, func(w *world) {
			w.sh("ln -sfn 7 tftp/client/current")
		}},
		{"image-held", Problem, "It is held at generation 1 since 20", nil, func(w *world) {
			w.Write("client/new", "")
			w.update()
			_, err := keeper.New(w.farm()).RollBack("client", keeper.RollBackOptions{Generation: 1})
			testkit.Must(w, err)
		}},
		{"no-space", Problem, "has 0 MB free, and the next full build needs about ", nil, func(w *world) {
			w.machine.Statfs = func(string) (unix.Statfs_t, error) {
				return unix.Statfs_t{Bsize: 4096, Bavail: 10}, nil
			}
		}},
		{"no-space", Problem, "has room for 7 more files only", nil, func(w *world) {
			w.machine.Statfs = func(string) (unix.Statfs_t, error) {
				return unix.Statfs_t{Bsize: 4096, Bavail: 1 << 40, Files: 1000, Ffree: 7}, nil
			}
		}},
		{"no-space", Problem, "has 60 MB free, and the next full build needs about 65 MB", []string{"no-image"},
			func(w *world) {
				w.remove("images") // a first build
				w.remove("tftp")
				w.sh("mkdir images tftp && truncate -s 64M client/big")
				w.machine.Statfs = func(string) (unix.Statfs_t, error) {
					return unix.Statfs_t{Bsize: 1 << 20, Bavail: 60}, nil
				}
			}},
		{"read-only", Problem, "Its file system is mounted read-only.", nil, func(w *world) {
			w.machine.Statfs = func(string) (unix.Statfs_t, error) {
				return unix.Statfs_t{Bsize: 4096, Bavail: 1 << 40, Flags: unix.ST_RDONLY}, nil
			}
		}},
		{"kernel-modules", Problem, "there are no modules for it: /lib/modules/6.1.0-9 does not exist",
			[]string{"image-old"}, func(w *world) { w.remove("client/lib/modules") }},
		{"kernel-modules", Problem, "/lib/modules/6.1.0-9 has no modules.dep", []string{"image-old"}, func(w *world) {
			w.remove("client/lib/modules/6.1.0-9/modules.dep")
		}},
		{"kernel-modules", Problem, "/lib/modules/6.1.0-9 lists modules, and its folder kernel is empty",
			[]string{"image-old"}, func(w *world) { w.remove("client/lib/modules/6.1.0-9/kernel/e1000e.ko") }},
		{"kernel-gone", Problem,
			"There is no kernel in its /boot any more, and its clients boot that of generation 1, 6.1.0-9.",
			[]string{"image-old"}, func(w *world) { w.sh("rm client/boot/*") }},
		{"kernel-gone", Problem, "There is no kernel in its /boot any more", []string{"image-old"}, func(w *world) {
			w.sh("cd client && ln -s boot/vmlinuz-6.1.0-9 vmlinuz && ln -s boot/initrd.img-6.1.0-9 initrd.img && rm boot/vmlinuz-*")
		}},
		{"kernel-initrd", Problem, "The initrd of its newest kernel, 6.1.0-9, is empty", []string{"image-old"},
			func(w *world) { w.Write("client/boot/initrd.img-6.1.0-9", "") }},
		{"kernel-initrd", Problem, "Its newest kernel, 6.1.0-10, has no initrd.", []string{"image-old"},
			func(w *world) { w.Write("client/boot/vmlinuz-6.1.0-10", "kernel") }},
		{"kernel-initrd", Problem, "The initrd of its newest kernel, 6.1.0-9, is older than the kernel.",
			[]string{"image-old"}, func(w *world) { w.sh("touch -d 2020-01-01 client/boot/initrd.img-6.1.0-9") }},
		{"image-old", Advice, "is not as generation 1 has it", nil, func(w *world) { w.Write("client/new", "") }},
		{"modules-alone", Advice, "There is /lib/modules/6.0.0-1, and no kernel 6.0.0-1.", []string{"image-old"},
			func(w *world) { w.Write("client/lib/modules/6.0.0-1/kernel/x.ko", "") }},

		{"ltsp-initrd", Problem, "It is older than ", nil, func(w *world) {
			w.ltsp("[[alias]]\nname = \"server\"\n")
			w.sh("touch -d 2020-01-01 tftp/ltsp.img")
		}},
		{"ltsp-initrd", Problem, "ltsp/ltsp.conf.", nil, func(w *world) {
			w.ltsp("[[alias]]\nname = \"server\"\n")
			w.Write("machine/etc/ltsp/ltsp.conf", "[clients]\n")
			w.sh("touch -d tomorrow machine/etc/ltsp/ltsp.conf")
		}},
		{"ltsp-server", Problem, "It holds no key of server, by which", nil, func(w *world) { w.ltsp("") }},
		{"ltsp-server", Problem, "It holds no key of app09, which line 2 of ", nil, func(w *world) {
			w.ltsp("[[alias]]\nname = \"server\"\n")
			w.Write("machine/etc/ltsp/ltsp.conf", "[clients]\nSSH_SERVER=app09\n# SSH_SERVER=app10\n")
			w.sh("touch tftp/ltsp.img")
		}},

		{"run-failed", Problem, "Its last run did not succeed (exit-code).", nil, func(w *world) {
			w.systemd("exit-code", "enabled")
		}},
		{"clock-future", Problem, "There is an entry of the key log about app01 of 20", nil, func(w *world) {
			w.machine.Now = func() time.Time { return time.Now().Add(-time.Hour) }
		}},
		{"undone", Problem, "Line 2 runs ltsp image.", nil, func(w *world) {
			w.Write("machine/etc/apt/apt.conf.d/99ltsp", "# ltsp image\nDPkg::Post-Invoke { \"ltsp image /\"; };\n")
		}},
		{"undone", Problem, "Line 1 runs ssh-keyscan.", nil, func(w *world) {
			w.Write("machine/etc/cron.d/keys",
				"0 3 * * * root ssh-keyscan -f hosts >/srv/ltsp/x86_64/etc/ssh/ssh_known_hosts\n")
		}},
		{"undone", Problem, "/usr/local/sbin/nightly, which runs ltsp image (line 3).", nil, func(w *world) {
			w.Write("machine/usr/local/sbin/nightly", "#!/bin/sh\n# ltsp image\nltsp image x86_64\n")
			w.Write("machine/etc/cron.d/nightly", "0 3 * * * root /usr/local/sbin/nightly --quiet\n")
		}},
		{"no-schedule", Advice, "No timer and no cron job brings the clients up to date.", nil, func(w *world) {
			w.remove("machine/etc/cron.d/ltskeeper")
		}},
		{"no-schedule", Advice, "No timer and no cron job brings the clients up to date.", nil, func(w *world) {
			w.remove("machine/etc/cron.d/ltskeeper")
			w.systemd("success", "disabled")
		}},
		{"run-overdue", Advice, "No key of any server has been seen for 10 days.", nil, func(w *world) {
			w.machine.Now = func() time.Time { return time.Now().Add(10*24*time.Hour + time.Minute) }
		}},
		{"clock-unsynchronised", Advice, "no time server", nil, func(w *world) {
			w.machine.IsClockKept = func() (bool, error) { return false, nil }
		}},
		{"weak-key", Advice, "RSA of 2048 bits", nil, func(w *world) {
			testkit.Must(w, w.sshd["app01"].ChangeKeys("rsa"))
			w.remove("state")
			w.update()
		}},
		{"ldminfod-closed", Advice, "No ldminfod answers with a rating on port 9571.", nil, func(w *world) {
			w.answer.forget("app01")
		}},
		{"ldminfod-closed", Problem, "No ldminfod answers with a rating on port 9571.", nil, func(w *world) {
			w.answer.forget("app01")
			w.Write("ltskeeper.toml", farmtest.Declaration+"[balance]\npolicy = \"best\"\n")
			w.update()
		}},
		{"tftp-closed", Advice, "Nothing listens on UDP port 69.", nil, func(w *world) {
			w.Write("machine/proc/net/udp", "")
		}},
		{"images-unserved", Advice, "Nothing listens on the ports of NFS", nil, func(w *world) {
			w.Write("machine/proc/net/tcp", "")
		}},
	}
	covered := map[string]bool{}
	for _, c := range cases {
		covered[c.check] = true
		t.Run(c.check, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if r := w.examine(); len(r.Findings) > 0 || len(r.Unseen) > 0 {
				t.Fatalf("all is well, and yet: %+v, %q", r.Findings, r.Unseen)
			}
			c.breaks(w)
			r := w.examine()
			i := slices.IndexFunc(r.Findings, func(f Finding) bool {
				return f.Check == c.check && strings.Contains(f.Message, c.says)
			})
			if i < 0 {
				t.Fatalf("not found, but: %+v", r.Findings)
			}
			f := r.Findings[i]
			if f.Severity != c.severity || f.Why == "" || len(f.Remedies) == 0 || f.Subject == "" || f.Kind == "" {
				t.Errorf("%+v", f)
			}
			want := append([]string{c.check}, c.also...)
			for _, got := range ids(r.Findings) {
				if !slices.Contains(want, got) {
					t.Errorf("%s finds something, too: %+v", got, r.Findings)
				}
			}
			for _, id := range want {
				if !slices.Contains(ids(r.Findings), id) {
					t.Errorf("%s finds nothing", id)
				}
			}
		})
	}
	for _, c := range checks {
		if !covered[c.name] {
			t.Errorf("no case for %s", c.name)
		}
	}
}

// Only what was asked for is told of, and what is not declared is named.
func TestSubjects(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sshd["app01"].Stop()
	w.Write("client/new", "")
	w.remove("machine/etc/cron.d/ltskeeper")
	for _, c := range []struct{ names, want []string }{
		{nil, []string{"ssh-closed", "image-old", "no-schedule"}},
		{[]string{"app01"}, []string{"ssh-closed"}},
		{[]string{"APP01"}, []string{"ssh-closed"}},
		{[]string{"app02"}, nil},
		{[]string{"client"}, []string{"image-old"}},
		{[]string{"client", "app01"}, []string{"ssh-closed", "image-old"}},
	} {
		r := w.examine(c.names...)
		if got := ids(r.Findings); !slices.Equal(got, c.want) || r.Machine != (c.names == nil) {
			t.Errorf("%v: %v, want %v", c.names, got, c.want)
		}
	}
	_, err := examineOn(t.Context(), w.machine, w.Path("ltskeeper.toml"), []string{"app1"})
	if err == nil || err.Error() != `there is no server or chroot "app1"; did you mean app01?` {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := examineOn(ctx, w.machine, w.Path("ltskeeper.toml"), nil); !errors.Is(err,
		context.Canceled) {
		t.Error(err)
	}
}

// With a declaration that is broken or gone, what can be looked at still is.
func TestBrokenDeclaration(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sshd["app01"].Stop()
	w.remove("client/lib/modules")
	w.declare("app02", "adresses = []\n")
	w.add("lts.conf", "STRAY\n")
	r := w.examine()
	if got := ids(r.Findings); !slices.Equal(got,
		[]string{"declaration", "ssh-closed", "lts-conf-wrong", "kernel-modules"}) {
		t.Errorf("%v", r.Findings)
	}
	if f := r.Findings[0]; !strings.HasSuffix(f.Subject, "lts.conf") ||
		!strings.HasPrefix(f.Message, "Line 1, column 1: ") {
		t.Errorf("%+v", f)
	}
	if !slices.ContainsFunc(r.Unseen, func(s string) bool {
		return strings.Contains(s, "the declaration is not sound")
	}) {
		t.Errorf("%q", r.Unseen)
	}
	if r := w.examine("app02"); !slices.Contains(ids(r.Findings), "declaration") {
		t.Errorf("%v", r.Findings)
	}

	w.Write("ltskeeper.toml", "state = state\n")
	w.remove("lts.conf")
	r = w.examine()
	// where the record is, nobody knows
	if got := ids(r.Findings); !slices.Equal(got, []string{"declaration", "ssh-closed"}) {
		t.Errorf("%v", r.Findings)
	}

	w.remove("ltskeeper.toml")
	w.remove("servers.d")
	w.sh("mkdir -p machine/srv/ltsp && cp -a client machine/srv/ltsp/x86_64")
	r = w.examine()
	if got := ids(r.Findings); !slices.Equal(got, []string{"declaration", "kernel-modules"}) ||
		r.Findings[1].Subject != "x86_64" {
		t.Errorf("%v", r.Findings)
	}
}

// A client looks where its nsswitch.conf says, and asks no mDNS that it does not have.
func TestClientsResolve(t *testing.T) {
	t.Parallel()
	here := netip.MustParseAddr("127.0.0.9")
	known := &serverFacts{entry: "app01", inDNS: lookup{addresses: []netip.Addr{here}}}
	unknown := &serverFacts{entry: "app01", inDNS: lookup{err: host.ErrNoName}}
	local := &serverFacts{entry: "app01.local", inDNS: lookup{err: host.ErrNoName}}
	dead := &serverFacts{entry: "app01", inDNS: lookup{err: errors.New("no answer")}}
	const inHosts = "# comment\n127.0.0.9\tother APP01 # here\n::1 app01x\n"
	for _, c := range []struct {
		name, nsswitch, hosts string
		server                *serverFacts
		found, certain        bool
	}{
		{"DNS", "", "", known, true, true},
		{"nowhere", "", "", unknown, false, true},
		{"its hosts file", "", inHosts, unknown, true, true},
		{"its hosts file, which it does not read", "hosts: dns", inHosts, unknown, false, true},
		{"DNS, which it does not ask", "hosts: files", "", known, false, true},
		{"DNS, past mDNS", "hosts:  files mdns4_minimal [NOTFOUND=return] dns", "", known, true, true},
		{"mDNS", "hosts: files mdns4_minimal [NOTFOUND=return] dns", "", local, false, false},
		{"mDNS, which it does not have", "hosts: files dns", "", local, false, true},
		{"dead name servers", "", "", dead, false, false},
		{"dead name servers, and its hosts file", "", inHosts, dead, true, true},
	} {
		r := resolver{sources: host.ParseNameSources(host.File{Data: []byte(c.nsswitch)}),
			hosts: host.ParseHosts(host.File{Data: []byte(c.hosts)})}
		l, err := r.resolve(c.server, true)
		if found := slices.Equal(l.addresses, []netip.Addr{here}); found != c.found || l.isKnown != c.certain ||
			(err != nil) != (c.name == "dead name servers") {
			t.Errorf("%s: %v, %t, %v", c.name, l.addresses, l.isKnown, err)
		}
	}
}

// docs/doctor.md has a section for each check, in order, with its severity and why its findings
// matter.
func TestDocs(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := strings.Split(string(data), "\n### ")[1:]
	if len(sections) != len(checks) {
		t.Errorf("%d sections, %d checks", len(sections), len(checks))
	}
	for i, section := range sections[:min(len(sections), len(checks))] {
		c := checks[i]
		heading, text, _ := strings.Cut(section, "\n")
		if want := fmt.Sprintf("%s (%s)", c.name, c.severity); heading != want {
			t.Errorf("section %q, want %q", heading, want)
		}
		text = strings.Join(strings.Fields(text), " ")
		for _, want := range []string{" " + c.why, "**Fix:** "} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: the text does not say: %s", c.name, want)
			}
		}
	}
}

// What to do about a record that cannot be read is what its error says.
func TestRemediesOfRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.remove("state/quarantine")
	testkit.Must(t, os.Mkdir(w.Path("state/quarantine"), 0o755))
	_, err := keeper.New(w.farm()).ReadStatus()
	want := remedy.FindIn(err)
	for _, f := range w.examine().Findings {
		if f.Check == "record" && len(want) > 0 && reflect.DeepEqual(f.Remedies, want) {
			return
		}
	}
	t.Errorf("%v has %+v, and doctor says something else", err, want)
}

// Generations are no clients' folders, whatever the chroot is called.
func TestChrootCalledLTSP(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sh("rm -rf images tftp state")
	w.Write("ltskeeper.toml", strings.ReplaceAll(farmtest.Declaration, `name = "client"`, `name = "ltsp"`))
	w.update()
	if r := w.examine(); len(r.Findings) > 0 {
		t.Errorf("%+v", r.Findings)
	}
}

// What a file is called is no part of a shell's line.
func TestProgramsOfOddNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Write("servers.d/$(touch x)'.toml", "")
	w.sh("chmod 666 servers.d/*x*; mkdir -p client/lib/modules/'$(touch x)'/kernel")
	var words []string
	for _, f := range w.examine().Findings {
		if f.Check == "permissions" || f.Check == "modules-alone" {
			words = append(words, f.Remedies[1].(remedy.Program)...)
		}
	}
	want := []string{"chmod", "go-w", w.Path("") + "/servers.d/$(touch x)'.toml", "chroot", w.root, "apt-get", "purge",
		"linux-image-$(touch x)"}
	if !slices.Equal(words, want) {
		t.Errorf("%q", words)
	}
}

const oldKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJZt4bQCAxfyjdZzJZ0F1rrDnNKKs8wVQzTzgc1wMzXH"

// another declares one more server, which nobody has asked yet.
func (w *world) another(name string) {
	s := sshdtest.Start(w.T, sshdtest.Options{KeyTypes: []string{"ed25519"}})
	w.declare(name, fmt.Sprintf("addresses = [%q]\nport = 2222\n", s.Address))
	w.zone.Set(name+".", netip.MustParseAddr(s.Address))
	w.answer.set(name, ldm.Answer{Rating: 1, Logins: -1})
	w.serve(name, s.Address)
}

func (w *world) fingerprints(server string) []string {
	store, err := trust.OpenReadOnly(w.Path("state/keys"))
	testkit.Must(w, err)
	trusted, err := store.Trusted(server, nil)
	testkit.Must(w, err)
	var prints []string
	for _, k := range trusted {
		prints = append(prints, k.Fingerprint())
	}
	return prints
}

// certify gives app01 a certificate that is valid for a time, as ssh-keygen -V takes it, and for
// its name or others.
func (w *world) certify(valid string, principals ...string) {
	w.Helper()
	w.sh("ssh-keygen -q -t ed25519 -N '' -f ca")
	public, err := os.ReadFile(w.Path("ca.pub"))
	testkit.Must(w, err)
	w.Write("ltskeeper.toml",
		farmtest.Declaration+fmt.Sprintf("[[ca]]\nhosts = [\"app01\"]\nkey = %q\n", strings.TrimSpace(string(public))))
	testkit.Must(w, w.sshd["app01"].Certify(w.Path("ca"), "-n", cmp.Or(strings.Join(principals, ","), "app01"),
		"-V", valid))
	w.update()
}

// ltsp has LTSP's known_hosts kept as well, and packed.
func (w *world) ltsp(also string) {
	w.Write("ltskeeper.toml", farmtest.Declaration+"[ltsp]\nknown-hosts = \"ltsp/ssh_known_hosts\"\n"+also)
	w.update()
	w.Write("tftp/ltsp.img", "")
}

// systemd has the machine run it.
func (w *world) systemd(result, enabled string) {
	w.machine.Systemctl = func(_ context.Context, args ...string) (string, error) {
		switch args[0] {
		case "show":
			return result, nil
		case "is-enabled":
			return enabled, nil
		}
		return "", fmt.Errorf("systemctl %q", args)
	}
}
