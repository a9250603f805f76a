package keeper

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"ltskeeper/internal/remedy"
	"ltskeeper/internal/testkit"
)

// A private key keeps an image from clients, with the path that has it, until it is gone, left out,
// or allowed.
func TestSecretsAreRefused(t *testing.T) {
	t.Parallel()
	p := newTestFarm(t)
	p.update(UpdateOptions{})
	testkit.Must(t, os.MkdirAll(p.path("client/opt/app"), 0o755))
	out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f",
		p.path("client/opt/app/deploy")).CombinedOutput()
	if err != nil {
		t.Fatalf("ssh-keygen: %v\n%s", err, out)
	}
	remedies := []remedy.Remedy{
		remedy.Setting{Section: "chroot", Name: "client", Key: "exclude", Add: `"opt/app/deploy"`},
		remedy.If{
			Condition: "it is meant to be there",
			Then:      remedy.Setting{Section: "image", Key: "allow-secrets", Add: `"opt/app/deploy"`},
		},
	}
	refused := func(what string) {
		t.Helper()
		r, err := p.openFarm().Update(context.Background(), UpdateOptions{})
		if err == nil || !strings.Contains(err.Error(), "\n  opt/app/deploy: ") ||
			!reflect.DeepEqual(remedy.FindIn(err), remedies) {
			t.Errorf("%s: Run: %v, %v, want a refusal that names opt/app/deploy, and %v", what, err, remedy.FindIn(err),
				remedies)
		} else if strings.Contains(err.Error(), "deploy.pub") {
			t.Errorf("%s: the public key is refused, too: %v", what, err)
		}
		if len(r.Images) != 0 {
			t.Errorf("%s: published all the same: %+v", what, r.Images)
		}
	}
	refused("a new key")
	refused("the same key again")

	config := p.read("ltskeeper.toml")
	p.write("ltskeeper.toml", strings.Replace(config, "[image]", "[image]\nallow-secrets = [\"opt/app/deploy\"]", 1))
	if r := p.update(UpdateOptions{}); !r.Images[0].Changed {
		t.Error("allowed, and not published")
	}
	p.write("ltskeeper.toml", config)
	refused("what is not allowed any more, in a file that did not change")

	p.write("ltskeeper.toml", config+"exclude = [\"opt/app/deploy\"]\n")
	if r := p.update(UpdateOptions{}); !r.Images[0].Changed {
		t.Error("left out, and not published")
	}
}

// A key in a file that is too large to be read whole is found, and named, all the same.
func TestSecretInHugeFile(t *testing.T) {
	t.Parallel()
	p := newTestFarm(t)
	key, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", p.path("key")).CombinedOutput()
	if err != nil {
		t.Fatalf("ssh-keygen: %v\n%s", err, key)
	}
	p.write("client/var/disk.img", "")
	const size = 1250 << 30
	if err := os.Truncate(p.path("client/var/disk.img"), size); err != nil {
		t.Skip(err) // the file system has no room for it
	}
	f, err := os.OpenFile(p.path("client/var/disk.img"), os.O_WRONLY|os.O_APPEND, 0)
	testkit.Must(t, err)
	_, err = f.WriteString("\n" + p.read("key"))
	testkit.Must(t, errors.Join(err, f.Close()))
	_, err = p.openFarm().Update(context.Background(), UpdateOptions{})
	if err == nil || !strings.Contains(err.Error(), "\n  var/disk.img: OpenSSH private key") {
		t.Errorf("Run: %v, want a refusal that names var/disk.img", err)
	}
}

// Password hashes and the machine's identity are not in the image, and stay in the tree.
func TestHashesAreNotInTheImage(t *testing.T) {
	t.Parallel()
	p := newTestFarm(t)
	const shadow = "root:$y$j9T$abc$def:19000:0:99999:7:::\nguest::19000:0:99999:7:::\n"
	p.write("client/etc/shadow", shadow)
	testkit.Must(t, os.Chmod(p.path("client/etc/shadow"), 0o640))
	testkit.Must(t, os.Chown(p.path("client/etc/shadow"), 0, 42))
	p.write("client/etc/machine-id", "0123456789abcdef0123456789abcdef\n")
	p.update(UpdateOptions{})
	if got, want := p.readFromImage("etc/shadow"),
		"root:*:19000:0:99999:7:::\nguest::19000:0:99999:7:::\n"; got != want {
		t.Errorf("etc/shadow in the image is\n%s\nwant\n%s", got, want)
	}
	if got := p.readFromImage("etc/machine-id"); got != "" {
		t.Errorf("etc/machine-id in the image is %q", got)
	}
	if got := p.read("client/etc/shadow"); got != shadow {
		t.Errorf("etc/shadow in the tree became\n%s", got)
	}
	out, err := exec.Command("unsquashfs", "-lln", p.path("images/client.img"), "etc/shadow").Output()
	if err != nil || !strings.Contains(string(out), "-rw-r----- 0/42") {
		t.Errorf("its mode and owner in the image (%v):\n%s", err, out)
	}
	if r := p.update(UpdateOptions{}); r.SomethingChanged() {
		t.Errorf("a second run changed something: %+v", r.Images)
	}
}
