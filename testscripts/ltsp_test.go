package testscripts

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// LTSP's own commands work on an image that ltskeeper published: `ltsp kernel` finds the same kernel in it, and
// `ltsp initrd` packs beside it. What they put in place of ltskeeper's links, the next update puts right.
func TestLTSP(t *testing.T) {
	build(t)
	t.Parallel()
	ltsp := findLTSP(t)
	if os.Geteuid() != 0 {
		t.Skip("ltsp kernel mounts images, which takes root")
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "ltskeeper.toml"), `
state = "state"
[image]
directory = "srv/images"
[tftp]
directory = "tftp/ltsp"
[[chroot]]
name = "x86_64"
path = "srv/x86_64"
`)
	client := filepath.Join(dir, "srv/x86_64")
	for name, content := range map[string]string{
		"bin/sh": "#!not really\n", "etc/hostname": "client\n", "lib/modules/6.1.0-10-amd64/modules.dep": "",
		"boot/vmlinuz-6.1.0-9-amd64": "kernel 9\n", "boot/initrd.img-6.1.0-9-amd64": "initrd 9\n",
		"boot/vmlinuz-6.1.0-10-amd64": "kernel 10\n", "boot/initrd.img-6.1.0-10-amd64": "initrd 10\n",
	} {
		write(t, filepath.Join(client, name), content)
	}
	// LTSP wants to know the address of the network card, and writes into /etc/ltsp: it gets its own of both.
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
	cmd := exec.Command("unshare", "--mount", "--net", "--propagation", "private", "sh", "-exc", script, "sh", dir, ltsp)
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

// findLTSP returns LTSP's program: installed, or unpacked by scripts/need.
func findLTSP(t *testing.T) string {
	t.Helper()
	cache := os.Getenv("XDG_CACHE_HOME")
	if cache == "" {
		cache = "/var/cache"
	}
	for _, path := range []string{"/usr/share/ltsp/ltsp", filepath.Join(cache, "ltskeeper/ltsp/usr/share/ltsp/ltsp")} {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("there is no LTSP: scripts/need test unpacks it")
	}
	t.Skip("there is no LTSP: scripts/need test unpacks it")
	return ""
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
}
