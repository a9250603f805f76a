package testscripts

import (
	"debug/elf"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/elftest"
)

// LTSP's own commands work on an image that ltskeeper published: `ltsp kernel` finds the same
// kernel in it, and `ltsp initrd` packs beside it. What they put in place of ltskeeper's links, the
// next update puts right.
func TestLTSP(t *testing.T) {
	build(t)
	t.Parallel()
	ltsp := findLTSP(t)
	testkit.NeedRoot(t)
	dir := testkit.NewFolder(t)
	dir.Write("ltskeeper.toml", `
state = "state"
[image]
directory = "srv/images"
[tftp]
directory = "tftp/ltsp"
[[chroot]]
name = "x86_64"
path = "srv/x86_64"
`)
	for name, content := range map[string]string{
		"bin/sh": string(elftest.Static(elf.EM_X86_64)), "etc/hostname": "client\n",
		"lib/modules/6.1.0-10-amd64/modules.dep": "", "lib/modules/6.1.0-10-amd64/kernel/e1000e.ko": "",
		"boot/vmlinuz-6.1.0-9-amd64": "kernel 9\n", "boot/initrd.img-6.1.0-9-amd64": "initrd 9\n",
		"boot/vmlinuz-6.1.0-10-amd64": "kernel 10\n", "boot/initrd.img-6.1.0-10-amd64": "initrd 10\n",
	} {
		dir.WriteProgram("srv/x86_64/"+name, content)
	}
	// LTSP wants to know the address of the network card, and writes into /etc/ltsp: it gets its
	// own of both.
	script := `
ip link add eth0 type veth peer name wire
ip link set wire up
ip address add 192.168.67.1/24 dev eth0
ip link set eth0 up
ip route add default via 192.168.67.2
mount -t tmpfs none /run
mount -t tmpfs none /etc/ssh && : >/etc/ssh/ssh_host_ed25519_key.pub
cd "$1"
ltskeeper --config ltskeeper.toml update-image
cat tftp/ltsp/x86_64/vmlinuz tftp/ltsp/x86_64/initrd.img
sh "$2" --base-dir="$1/srv" --tftp-dir="$1/tftp" kernel x86_64
cat tftp/ltsp/x86_64/vmlinuz tftp/ltsp/x86_64/initrd.img
sh "$2" --base-dir="$1/srv" --tftp-dir="$1/tftp" initrd
test -s tftp/ltsp/ltsp.img
ltskeeper --config ltskeeper.toml update-image
readlink tftp/ltsp/x86_64/vmlinuz
`
	cmd := exec.Command("unshare", "--mount", "--net", "--propagation", "private", "sh", "-exc", script, "sh",
		dir.Path(""),
		ltsp)
	cmd.Env = append(os.Environ(), "PATH="+binary+string(os.PathListSeparator)+os.Getenv("PATH")+":/usr/sbin:/sbin")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if n := strings.Count(string(out), "\nkernel 10\ninitrd 10\n"); n != 2 {
		t.Errorf("the newest kernel and initrd were served %d times, want before and after ltsp kernel:\n%s", n, out)
	}
	if !strings.HasSuffix(string(out), "\ncurrent/kernel\n") {
		t.Errorf("the last update left something else in place of its link:\n%s", out)
	}
}

// The first day on a machine where LTSP has worked until now: its own image, kernel, settings and
// known_hosts. An admin who types what init says comes through, and LTSP's clients trust whom they
// did.
func TestFirstDayWithLTSP(t *testing.T) {
	t.Parallel()
	script := ltspMachine + `
ssh-keygen -q -t ed25519 -N '' -f "$1/host"
echo 127.0.1.11 app01 >>/etc/hosts
/usr/sbin/sshd -f /dev/null -h "$1/host" -o ListenAddress=127.0.1.11 -o PidFile="$1/pid"
trap 'kill $(cat "$1/pid")' EXIT

mkdir -p $root/var/big
echo large >$root/var/big/file
printf '[server]\nADD_IMAGE_EXCLUDES="var/big/*"\n[clients]\nSSH_SERVER=app01\n' >/etc/ltsp/ltsp.conf
sed 's/^/app01 /' "$1/host.pub" >/etc/ltsp/ssh_known_hosts
ltsp image x86_64 >/dev/null 2>&1
ltsp image x86_64 >/dev/null 2>&1
test -f /srv/ltsp/images/x86_64.img.old

ltskeeper init | tee "$1/said"
sed -n 's/^Next: //p' "$1/said" >"$1/next"
grep -x 'ltskeeper server add app01' "$1/next"
sh -ex "$1/next"
ltskeeper update-image --dry-run >/dev/null
ltskeeper update-image
ltskeeper update-image
ltskeeper status
unsquashfs -lc /srv/ltsp/images/x86_64.img
for list in /etc/ltsp/ssh_known_hosts $root/etc/ssh/ssh_known_hosts; do
	echo "$list: $(ssh-keygen -F app01 -f $list | grep -c "$(cut -d ' ' -f 2 "$1/host.pub")")"
done
`
	out := runWithLTSP(t, script)
	for _, want := range []string{
		"these keys of it are trusted, as known_hosts.local has them",
		"made generation 1 of /srv/ltsp/images/x86_64.img",
		"\nNothing to do: 1 server trusted, x86_64 at generation 1.\n", "\nsquashfs-root/etc/lts.conf\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("there is no %q in\n%s", want, out)
		}
	}
	for _, not := range []string{"squashfs-root/var/big/file", "warning", ": 0\n"} {
		if strings.Contains(out, not) {
			t.Errorf("there is %q in\n%s", not, out)
		}
	}
}

// Somebody goes on with LTSP's own commands. One `ltsp image` by mistake is put right by the next
// update, and kept, for clients have it open. Whoever goes back to LTSP for good has all that
// clients need in plain files, and may come back.
func TestBackToLTSP(t *testing.T) {
	t.Parallel()
	out := runWithLTSP(t, ltspMachine+`
exec 2>&1
ltskeeper init >/dev/null
ltskeeper update-image
cd /srv/ltsp/images

echo == by mistake
ltsp image x86_64 >/dev/null 2>&1
test -f x86_64.img && ! test -L x86_64.img
theirs=$(stat -c %i x86_64.img)
ltskeeper status
ltskeeper update-image
readlink x86_64.img
test "$(stat -c %i x86_64/2/root.img)" = "$theirs"
ltskeeper image rollback 2 >/dev/null
ltskeeper image release x86_64 >/dev/null
ltskeeper update-image

echo == for good
cp x86_64.img x86_64.img.new
mv x86_64.img.new x86_64.img
cd /srv/tftp/ltsp/x86_64
for f in vmlinuz initrd.img lts.conf; do cp $f $f.new && mv $f.new $f; done
rm -r current [0-9]*
cd /srv/ltsp/images
rm -r x86_64 x86_64.img.old
find /srv/ltsp/images /srv/tftp/ltsp -mindepth 1 -printf '%y %P\n' | sort
cat /srv/tftp/ltsp/x86_64/vmlinuz /srv/tftp/ltsp/x86_64/initrd.img
unsquashfs -cat x86_64.img etc/ssh/ssh_known_hosts | head -n 1
ltsp image x86_64 >/dev/null 2>&1

echo == and again
ltskeeper update-image
ltskeeper update-image
`)
	for _, want := range []string{
		"== by mistake\n", "\nx86_64  none ", "x86_64: made generation 3 of", "\nx86_64/3/root.img\n",
		"== for good\nd x86_64\nf ltsp.img\nf x86_64.img\nf x86_64/initrd.img\nf x86_64/lts.conf\nf x86_64/vmlinuz\nkernel\ninitrd\n# Written by ltskeeper",
		"== and again\nx86_64: made generation 1 of", "\nNothing to do: x86_64 at generation 1.\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("there is no %q in\n%s", want, out)
		}
	}
}

// ltspMachine makes a machine of its own for the rest of a script: folders of this one with others
// over them, a network card, LTSP (its share is $2) and a client root. What it needs is below $1.
const ltspMachine = `
mount -t tmpfs none "$1"
over() { mkdir -p "$1/$2.up" "$1/$2.work" && mount -t overlay none -o "lowerdir=$4/$3,upperdir=$1/$2.up,workdir=$1/$2.work" "/$3"; }
over "$1" etc etc ""
over "$1" lib var/lib ""
mkdir -p "$1/share.up" "$1/share.work" "$1/bin"
mount -t overlay none -o "lowerdir=$2:/usr/share,upperdir=$1/share.up,workdir=$1/share.work" /usr/share
mount -t tmpfs none /srv
mount -t tmpfs none /run
mkdir -p /run/sshd
ip link set lo up
ip link add eth0 type veth peer name wire
ip link set wire up
ip address add 192.168.67.1/24 dev eth0
ip link set eth0 up
ip route add default via 192.168.67.2
printf '#!/bin/sh\nexec sh /usr/share/ltsp/ltsp "$@"\n' >"$1/bin/ltsp"
chmod 755 "$1/bin/ltsp"
PATH=$1/bin:$PATH
rm -rf /etc/ltskeeper /var/lib/ltskeeper /etc/ltsp /etc/dnsmasq.d

root=/srv/ltsp/x86_64
mkdir -p $root/bin $root/etc $root/boot $root/proc $root/tmp $root/lib/modules/6.1.0-9-amd64/kernel /etc/ltsp /srv/tftp
cp /bin/busybox $root/bin/sh
echo root:x:0:0:root:/root:/bin/sh >$root/etc/passwd
echo root:x:0: >$root/etc/group
echo 'root:*:19000:0:99999:7:::' >$root/etc/shadow
echo 'root:*::' >$root/etc/gshadow
: >$root/lib/modules/6.1.0-9-amd64/modules.dep
echo kernel >$root/boot/vmlinuz-6.1.0-9-amd64
echo initrd >$root/boot/initrd.img-6.1.0-9-amd64
`

// runWithLTSP runs a script that begins with ltspMachine, and returns what it printed.
func runWithLTSP(t *testing.T, script string) string {
	t.Helper()
	ltsp := findLTSP(t)
	testkit.NeedRoot(t)
	build(t)
	share := filepath.Dir(filepath.Dir(ltsp)) // with ltsp/ in it
	cmd := exec.Command("unshare", "--mount", "--net", "--propagation", "private", "sh", "-ec", script, "sh",
		t.TempDir(), share)
	cmd.Env = append(os.Environ(), "LTSKEEPER_CONFIG=",
		"PATH="+binary+string(os.PathListSeparator)+os.Getenv("PATH")+":/usr/sbin:/sbin")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// findLTSP returns LTSP's program: installed, or unpacked by scripts/need.
func findLTSP(t *testing.T) string {
	t.Helper()
	for _, path := range []string{"/usr/share/ltsp/ltsp", testkit.Cached("ltsp/usr/share/ltsp/ltsp")} {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	testkit.Need(t, errors.New("there is no LTSP: scripts/need test unpacks it"))
	return ""
}
