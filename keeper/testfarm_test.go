package keeper

import (
	"context"
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ltskeeper/farm"
	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/elftest"
)

// A testFarm is a farm in a test's own folder.
type testFarm struct {
	t   *testing.T
	dir string
}

// newTestFarm makes a farm with one chroot and no server.
func newTestFarm(t *testing.T) *testFarm {
	t.Helper()
	p := &testFarm{t, t.TempDir()}
	p.write("ltskeeper.toml", `
state = "state"
[image]
directory = "images"
[tftp]
directory = "tftp"
[[chroot]]
name = "client"
path = "client"
`)
	p.write("client/etc/hostname", "client\n")
	p.write("client/sbin/init", "#!/bin/sh\n")
	p.write("client/bin/sh", string(elftest.Static(elf.EM_X86_64)))
	for _, program := range []string{"client/sbin/init", "client/bin/sh"} {
		testkit.Must(t, os.Chmod(p.path(program), 0o755))
	}
	return p
}

// addSecondChroot adds a second one.
func (p *testFarm) addSecondChroot() {
	p.t.Helper()
	p.write("ltskeeper.toml", p.read("ltskeeper.toml")+"[[chroot]]\nname = \"other\"\npath = \"other\"\n")
	testkit.Must(p.t, os.CopyFS(p.path("other"), os.DirFS(p.path("client"))))
}

func (p *testFarm) path(name string) string { return filepath.Join(p.dir, name) }

func (p *testFarm) write(name, content string) {
	p.t.Helper()
	testkit.WriteFile(p.t, p.path(name), content, 0o644)
}

func (p *testFarm) read(name string) string {
	p.t.Helper()
	return testkit.ReadFile(p.t, p.path(name))
}

func (p *testFarm) farm() *farm.Farm {
	p.t.Helper()
	f, err := farm.Load(p.path("ltskeeper.toml"))
	testkit.Must(p.t, err)
	return f
}

// openFarm opens the farm.
func (p *testFarm) openFarm() *Keeper {
	p.t.Helper()
	k, err := Open(p.path("ltskeeper.toml"))
	testkit.Must(p.t, err)
	return k
}

func (p *testFarm) update(o UpdateOptions) *Report {
	p.t.Helper()
	r, err := p.openFarm().Update(context.Background(), o)
	testkit.Must(p.t, err)
	return r
}

// readFromImage reads a file of the current image.
func (p *testFarm) readFromImage(name string) string {
	p.t.Helper()
	f := p.farm()
	data, err := New(f).imageStore(f.Chroots[0]).ReadFile(name)
	testkit.Must(p.t, err)
	return string(data)
}

func expectContains(t *testing.T, what, text, want string) {
	t.Helper()
	if !strings.Contains(text, want) {
		t.Errorf("%s is %q, want %q in it", what, text, want)
	}
}

// listFiles names all files with size, mode and time.
func (p *testFarm) listFiles() []string {
	p.t.Helper()
	var all []string
	testkit.Must(p.t, filepath.WalkDir(p.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		all = append(all, fmt.Sprint(path, " ", info.Mode(), info.Size(), info.ModTime().UnixNano()))
		return err
	}))
	return all
}
