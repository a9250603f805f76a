// Package clientfs finds in a client root what a client finds in it.
//
// The root is an fs.FS that follows no symbolic links by itself: a folder (see NewFolder), an image
// (squashfs.Reader.FS), or what an image will be made of. For the client an absolute link starts at
// the root, and ".." at the root stays there.
package clientfs

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"
	"syscall"
)

// maxLinks is how many symbolic links one name may lead through, as in the kernel (MAXSYMLINKS in
// linux/namei.h).
const maxLinks = 40

// Resolve returns where a client finds name: a path relative to the root that leads through no
// symbolic link. The last parts of the path need not exist.
func Resolve(fsys fs.FS, name string) (string, error) {
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
		info, err := fs.Lstat(fsys, next)
		if errors.Is(err, fs.ErrNotExist) {
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
		target, err := fs.ReadLink(fsys, next)
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

// ValidPath is fs.ValidPath without its demand for UTF-8, which names in a root need not be.
func ValidPath(name string) bool {
	return name == "." || name != "" && path.Clean("/"+name) == "/"+name
}

// Stat describes what a client finds under name, and says where that is.
func Stat(fsys fs.FS, name string) (place string, info fs.FileInfo, err error) {
	place, err = Resolve(fsys, name)
	if err != nil {
		return "", nil, err
	}
	info, err = fs.Lstat(fsys, place)
	return place, info, err
}

// IsMissing reports whether an error of Stat says that a client finds nothing under the name. A
// file in place of a folder on the way is such an error.
func IsMissing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// ReadStart returns the content of the regular file that a client finds under name, but no more
// than its first limit bytes.
func ReadStart(fsys fs.FS, name string, limit int64) ([]byte, error) {
	place, info, err := Stat(fsys, name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: place, Err: errors.New("it is not a regular file")}
	}
	f, err := fsys.Open(place)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}
