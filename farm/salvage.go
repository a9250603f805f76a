package farm

import (
	"fmt"
	"path/filepath"
	"slices"

	"ltskeeper/keys"
)

// Salvage returns what is sound of a declaration, and what is not: for those who only look. Of a
// file with mistakes nothing is used but what ltskeeper.toml says without one; where a setting is
// wrong, its default stands in. Nothing may be derived for clients from such a farm.
func Salvage(path string) (*Farm, Mistakes, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, nil, fmt.Errorf("load declaration: %w", err)
	}
	l := read(path, nil)
	if len(l.mistakes) == 0 {
		return l.farm, nil, nil
	}
	f := l.farm
	wrong := map[string]bool{} // files
	for _, m := range l.mistakes {
		wrong[m.File] = true
	}
	f.Servers = slices.DeleteFunc(f.Servers, func(s Server) bool { return wrong[f.ServerPath(s.Name)] })
	names := map[string]bool{}
	f.Chroots = slices.DeleteFunc(f.Chroots, func(c Chroot) bool {
		bad := c.Path == "" || chrootNameProblem(c.Name) != "" || names[c.Name]
		names[c.Name] = true
		return bad
	})
	f.Aliases = slices.DeleteFunc(f.Aliases, func(a Alias) bool { return a.Name == "" })
	f.Authorities = slices.DeleteFunc(f.Authorities, func(a keys.Authority) bool { return len(a.Key.Blob) == 0 })
	for file := range f.ltsConf {
		if wrong[file] {
			delete(f.ltsConf, file)
		}
	}
	if wrong[f.KnownHostsLocalPath()] {
		f.KnownHostsLocal = nil
	}
	return f, l.mistakes, nil
}
