// Package durable writes small files whole: whoever reads one, at any moment and also after a
// crash, has the content from before or the new one.
//
// A file is made beside its place, synced, and renamed. What a killed process leaves of that has a
// name that Put and Tidy of the same file and Sweep of the folder know, and remove. So only one
// process may be at work on a folder at a time.
package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"ltskeeper/internal/regular"
)

// Names of files that are not finished.
const (
	prefix = ".ltskeeper-"
	suffix = ".tmp"
)

// Write gives the file at path this content and these permission bits, whatever stood there, and
// root as its owner if the process is root's and its file system lets it.
func Write(path string, data []byte, perm fs.FileMode) error {
	return in(path, func(dir *os.Root, name string) error {
		return Put(dir, name, data, perm, time.Time{})
	})
}

// Create does so where nothing stands yet. Otherwise the error is fs.ErrExist.
func Create(path string, data []byte, perm fs.FileMode) error {
	return in(path, func(dir *os.Root, name string) error {
		temp, err := ready(dir, name, data, perm, time.Time{}, owner{})
		if err == nil {
			err = errors.Join(dir.Link(temp, name), dir.Remove(temp)) // unlike a rename, it replaces nothing
		}
		return named(dir, name, err)
	})
}

// in works on the file at path in its folder, and syncs that.
func in(path string, work func(dir *os.Root, name string) error) error {
	dir, err := regular.OpenRoot(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := work(dir, filepath.Base(path)); err != nil {
		return err
	}
	return Sync(dir)
}

// Put is Write for the file name in dir, which the caller syncs. The zero mtime is now.
func Put(dir *os.Root, name string, data []byte, perm fs.FileMode, mtime time.Time) error {
	return put(dir, name, data, perm, mtime, owner{})
}

// PutOwned is Put for a file of another user and group, both called id. It fails where they cannot
// own the file.
func PutOwned(dir *os.Root, name string, data []byte, perm fs.FileMode, mtime time.Time, id int) error {
	return put(dir, name, data, perm, mtime, owner{id: id, mustOwn: true})
}

// An owner is the user and group of a file that is made by root.
type owner struct {
	id      int
	mustOwn bool // otherwise a file system may refuse, as NFS does where root is nobody
}

func put(dir *os.Root, name string, data []byte, perm fs.FileMode, mtime time.Time, by owner) error {
	temp, err := ready(dir, name, data, perm, mtime, by)
	if err == nil {
		if err = dir.Rename(temp, name); err != nil {
			dir.Remove(temp)
		}
	}
	return named(dir, name, err)
}

// Perm returns the permission bits of the file at path, which somebody may have chosen, and
// otherwise if there is none.
func Perm(path string, otherwise fs.FileMode) fs.FileMode {
	if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() {
		return info.Mode().Perm()
	}
	return otherwise
}

// named says of an error which file it is about, and not what that is called until it is finished.
func named(dir *os.Root, name string, err error) error {
	if cause := syscall.Errno(0); errors.As(err, &cause) {
		return &fs.PathError{Op: "write", Path: filepath.Join(dir.Name(), name), Err: cause}
	}
	return err
}

// ready makes the file under the name that it has until it is finished, and syncs it.
func ready(dir *os.Root, name string, data []byte, perm fs.FileMode, mtime time.Time, by owner) (temp string,
	err error) {
	if err := Tidy(dir, name); err != nil {
		return "", err
	}
	temp = prefix + name + suffix
	f, err := dir.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	_, err = f.Write(data)
	if err == nil && os.Geteuid() == 0 {
		err = f.Chown(by.id, by.id) // also in a folder that gives its group to what is made in it
		if !by.mustOwn && errors.Is(err, fs.ErrPermission) {
			err = nil
		}
	}
	if err == nil {
		err = f.Chmod(perm) // whatever the umask
	}
	if err == nil {
		err = dir.Chtimes(temp, time.Time{}, mtime)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		dir.Remove(temp)
	}
	return temp, err
}

// Tidy removes what a killed Put of the file name has left in dir. It looks first, because removing
// what is not there fails on a file system that is mounted read-only.
func Tidy(dir *os.Root, name string) error {
	temp := prefix + name + suffix
	if _, err := dir.Lstat(temp); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return dir.Remove(temp)
}

// Sweep removes what killed processes have left in the folder at path, if there is one.
func Sweep(path string) error {
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if name := e.Name(); e.Type().IsRegular() && strings.HasPrefix(name, prefix) &&
			strings.HasSuffix(name, suffix) {
			if err := os.Remove(filepath.Join(path, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// SyncFolder makes last what was renamed and removed in the folder at path.
func SyncFolder(path string) error {
	dir, err := regular.OpenRoot(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return Sync(dir)
}

// Sync is SyncFolder for one that is open.
func Sync(dir *os.Root) error {
	f, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
