package chroot

import (
	"fmt"
	"io/fs"

	"ltskeeper/internal/clientfs"
)

// Resolve returns where a client finds name: a path relative to the root that leads through no
// symbolic link. For the client an absolute link starts at the root, and ".." at the root stays
// there. The last parts of the path need not exist.
func (r *Root) Resolve(name string) (string, error) {
	place, err := r.resolve(name)
	if err != nil {
		return "", fmt.Errorf("resolve %s: %w", r.at(name), bare(err))
	}
	return place, nil
}

func (r *Root) resolve(name string) (string, error) {
	return clientfs.Resolve(r.FS(), name)
}

// stat describes what a client finds under name.
func (r *Root) stat(name string) (fs.FileInfo, error) {
	_, info, err := clientfs.Stat(r.FS(), name)
	if err != nil {
		return nil, bare(err)
	}
	return info, nil
}
