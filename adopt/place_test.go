package adopt

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"testing"

	"ltskeeper/farm"
	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/farmtest"
	"ltskeeper/keeper"
)

// place is a folder of a test, with files by their paths in it.
type place struct {
	testkit.Folder
	t *testing.T
}

func newPlace(t *testing.T, files map[string]string) *place {
	t.Helper()
	p := &place{testkit.NewFolder(t), t}
	for name, text := range files {
		p.Write(name, text)
	}
	return p
}

// newFarm makes a farm with one chroot and no server.
func newFarm(t *testing.T) *place {
	t.Helper()
	return &place{farmtest.New(t), t}
}

func (p *place) farm() *farm.Farm {
	p.t.Helper()
	f, err := farm.Load(p.Path("ltskeeper.toml"))
	testkit.Must(p.t, err)
	return f
}

func (p *place) keeper() *keeper.Keeper { return keeper.New(p.farm()) }

// list returns what there is of files, with their times.
func (p *place) list() (all []string) {
	p.t.Helper()
	testkit.Must(p.t, filepath.WalkDir(p.Path(""), func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		all = append(all, fmt.Sprint(path, " ", info.Mode(), info.Size(), info.ModTime().UnixNano()))
		return err
	}))
	return all
}
