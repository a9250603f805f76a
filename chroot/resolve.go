package chroot

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
	"syscall"
)

// maxLinks is how many symbolic links one name may lead through, as in the
// kernel (MAXSYMLINKS in linux/namei.h).
const maxLinks = 40

// Resolve returns where a client finds name: a path relative to the root that
// leads through no symbolic link. For the client an absolute link starts at
// the root, and ".." at the root stays there. The last parts of the path need
// not exist.
func (r *Root) Resolve(name string) (string, error) {
	place, err := r.resolve(name)
	if err != nil {
		return "", fmt.Errorf("resolve %s: %w", r.at(name), bare(err))
	}
	return place, nil
}

func (r *Root) resolve(name string) (string, error) {
	place, kind := ".", fs.ModeDir // kind of what is at place
	exists := true                 // whether anything is
	links := 0
	rest := strings.Split(name, "/")
	for len(rest) > 0 {
		part := rest[0]
		rest = rest[1:]
		if !exists {
			if part == ".." {
				return "", fs.ErrNotExist
			}
			place = path.Join(place, part)
			continue
		}
		if kind != fs.ModeDir {
			return "", syscall.ENOTDIR
		}
		if part == "" || part == "." {
			continue
		}
		if part == ".." {
			place = path.Dir(place)
			continue
		}
		next := path.Join(place, part)
		info, err := r.root.Lstat(next)
		if isMissing(err) {
			place, exists = next, false
			continue
		}
		if err != nil {
			return "", err
		}
		if info.Mode().Type() != fs.ModeSymlink {
			place, kind = next, info.Mode().Type()
			continue
		}
		if links++; links > maxLinks {
			return "", syscall.ELOOP
		}
		target, err := r.root.Readlink(next)
		if err != nil {
			return "", err
		}
		if path.IsAbs(target) {
			place = "."
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return place, nil
}

// stat describes what a client finds under name.
func (r *Root) stat(name string) (fs.FileInfo, error) {
	place, err := r.resolve(name)
	if err != nil {
		return nil, bare(err)
	}
	info, err := r.root.Lstat(place)
	if err != nil {
		return nil, bare(err)
	}
	return info, nil
}
