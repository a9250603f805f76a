package docs

import (
	"context"
	"flag"
	"strings"
	"testing"
	"time"

	"ltskeeper/internal/testkit/machine"
	"ltskeeper/internal/testkit/pages"
)

var boot = flag.Bool("boot", false, "boot a client without a disk from what the tutorial made; takes minutes, and qemu")

// A client without a disk boots from the tutorial's farm: its firmware asks for an address and gets
// iPXE, that gets the kernel and initrd of the current generation over TFTP, LTSP's initrd mounts
// its image over NFS, and alice logs in. Then one of the servers is somebody else. `make boot` does
// it.
func TestBoot(t *testing.T) {
	if !*boot {
		t.Skip("make boot does it")
	}
	f := pages.NewFarm(t, pages.Options{})
	for _, p := range readPages(t) {
		if p.Path == "tutorial.md" {
			f.Tell(p)
		}
	}
	if t.Failed() || !f.HasKept() {
		t.FailNow()
	}
	f.PullPlugs()
	f = f.BootAgain(t)
	primary := f.On("primary")
	serveNFS(primary)
	primary.Write("/etc/ltsp/ltsp.conf",
		"["+machine.MAC(20)+"]\nHOSTNAME=client20\nMENU_TIMEOUT=-1\nKERNEL_PARAMETERS=console=ttyS0\n", 0o660)
	primary.MustRun("ltsp initrd && ltsp ipxe")

	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	client := f.Network.BootDiskless(t, 20)
	client.Expect(ctx, `client20 login: $`)
	t.Logf("a client without a disk booted in %.0f s", time.Since(began).Seconds())

	client.Type("alice\n")
	client.Expect(ctx, `Password: $`)
	client.Type("secret\n")
	client.Expect(ctx, `alice@client20:~\$ $`)
	client.Type("ssh app01 hostname\n")
	if said := client.Expect(ctx, `password: $`); strings.Contains(said, "authenticity") {
		t.Fatalf("the client asks whether to trust app01:\n%s", said)
	}
	client.Type("secret\n")
	client.Expect(ctx, `\napp01\r?\n`)
	client.Expect(ctx, `alice@client20:~\$ $`)

	f.On("app02").MustRun("rm /etc/ssh/ssh_host_*; ssh-keygen -A; systemctl restart ssh")
	client.Type("ssh app02 hostname\n")
	client.Expect(ctx, `Host key verification failed`)
	client.Expect(ctx, `alice@client20:~\$ $`)
	client.Type("logout\n")
	client.Expect(ctx, `client20 login: $`)
}

// serveNFS has a machine serve its images over NFS without the kernel's server, which where the
// tests run may not be: nfs-ganesha is one outside of the kernel. It wants a file system that can
// find a file again by its handle, which a machine's own cannot.
func serveNFS(m *machine.Machine) {
	m.Write("/etc/ganesha/ganesha.conf", `
		NFS_CORE_PARAM { mount_path_pseudo = true; Protocols = 3, 4; }
		EXPORT_DEFAULTS { SecType = sys; }
		EXPORT { Export_Id = 1; Path = /srv/ltsp; Pseudo = /srv/ltsp; Access_Type = RO; Squash = No_Root_Squash; FSAL { Name = VFS; } }
	`, 0o644)
	m.MustRun(`mount -t tmpfs tmpfs /mnt && cp -a /srv/ltsp/images /mnt && mount --move /mnt /srv/ltsp
		rm /etc/systemd/system/rpcbind.service && systemctl daemon-reload && systemctl restart rpcbind
		apt-get install -qq -o Dpkg::Options::=--force-confold nfs-ganesha nfs-ganesha-vfs`)
}
