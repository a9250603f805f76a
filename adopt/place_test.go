package adopt

import (
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
	"ltskeeper/keeper"
)

// place is a folder of a test, with files by their paths in it.
type place struct {
	t   *testing.T
	dir string
}

func newPlace(t *testing.T, files map[string]string) *place {
	t.Helper()
	p := &place{t, t.TempDir()}
	for name, text := range files {
		p.write(name, text)
	}
	return p
}

// newFarm makes a farm with one chroot and no server.
func newFarm(t *testing.T) *place {
	t.Helper()
	p := newPlace(t, map[string]string{
		"ltskeeper.toml": "state = \"state\"\n[image]\ndirectory = \"images\"\n[tftp]\ndirectory = \"tftp\"\n" +
			"[[chroot]]\nname = \"client\"\npath = \"client\"\n",
		"client/etc/hostname": "client\n",
	})
	p.makeRoot("client")
	return p
}

// makeRoot makes a folder that is a client root.
func (p *place) makeRoot(name string) {
	p.t.Helper()
	testkit.Must(p.t, os.MkdirAll(p.path(name+"/etc"), 0o755))
	p.write(name+"/bin/sh", string(elftest.Static(elf.EM_X86_64)))
	testkit.Must(p.t, os.Chmod(p.path(name+"/bin/sh"), 0o755))
}

func (p *place) path(name string) string { return filepath.Join(p.dir, name) }

func (p *place) write(name, text string) {
	p.t.Helper()
	testkit.WriteFile(p.t, p.path(name), text, 0o644)
}

func (p *place) read(name string) string {
	p.t.Helper()
	return testkit.ReadFile(p.t, p.path(name))
}

func (p *place) farm() *farm.Farm {
	p.t.Helper()
	f, err := farm.Load(p.path("ltskeeper.toml"))
	testkit.Must(p.t, err)
	return f
}

func (p *place) keeper() *keeper.Keeper { return keeper.New(p.farm()) }

// list returns what there is of files, with their times.
func (p *place) list() (all []string) {
	p.t.Helper()
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

func wantContains(t *testing.T, what, text, want string) {
	t.Helper()
	if !strings.Contains(text, want) {
		t.Errorf("%s is %q, want %q in it", what, text, want)
	}
}
