// Package durable changes files and folders so that readers, at any moment and also after a crash,
// find a file with the content from before or with the new one.
//
// A file is made beside its place, synced, and renamed. What a killed process leaves of that has a
// name that the next change of the same file, RemoveTemp and Sweep know, and remove. So only one
// process may be at work on a folder at a time.
package durable

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"ltskeeper/internal/regular"
)

// TempPrefix begins the names of what is not finished.
const TempPrefix = ".ltskeeper-"

const tempSuffix = ".tmp"

// TempName returns the name that a file has until it is finished.
func TempName(name string) string { return TempPrefix + name + tempSuffix }

func joinTempName(path string) string {
	return filepath.Join(filepath.Dir(path), TempName(filepath.Base(path)))
}

var plain Disk

// attributes are those of a file that is made. Its owner is set if the process is root's.
type attributes struct {
	perm     fs.FileMode
	mtime    time.Time // zero: now
	uid, gid int
	isKept   bool // the owner is that of the file that is replaced, whoever the process is
	mustOwn  bool // otherwise a file system may refuse the owner, as NFS does where root is nobody
}

// WriteFile gives the file at path this content and these permission bits, whatever was in its
// place, and root as its owner if the process is root's and its file system lets it.
func WriteFile(path string, data []byte, perm fs.FileMode) error {
	return plain.Replace(plain.prepare(path, bytes.NewReader(data), attributes{perm: perm}))
}

// CreateFile is WriteFile for a file that does not exist yet. Otherwise the error is fs.ErrExist.
func CreateFile(path string, data []byte, perm fs.FileMode) error {
	if _, err := plain.prepare(path, bytes.NewReader(data), attributes{perm: perm}); err != nil {
		return err
	}
	temp := joinTempName(path)
	if err := errors.Join(os.Link(temp, path), os.Remove(temp)); err != nil { // a rename might replace a file
		return nameFinishedFile(path, err)
	}
	return plain.SyncFolder(filepath.Dir(path))
}

// WriteShared is WriteFile for a folder in which others are at work. What is in its place is not
// followed. Each call has a name of its own for what is not finished: a dot, the file's name, and
// digits. What a killed process leaves of that is not known to the functions that remove litter.
func WriteShared(path string, data []byte, perm fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path))
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(perm), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// PutFile is WriteFile for the file name in dir, which the caller syncs. The zero mtime is now.
func PutFile(dir *os.Root, name string, data []byte, perm fs.FileMode, mtime time.Time) error {
	return putWith(dir, name, data, attributes{perm: perm, mtime: mtime})
}

// PutOwnedFile is PutFile for a file of another user and group, both called id. It fails where they
// cannot own the file.
func PutOwnedFile(dir *os.Root, name string, data []byte, perm fs.FileMode, mtime time.Time, id int) error {
	return putWith(dir, name, data, attributes{perm: perm, mtime: mtime, uid: id, gid: id, mustOwn: true})
}

// RewriteFile gives the regular file at path, or the one that a symbolic link there leads to,
// another content. It keeps the permission bits and the owner, and fails where it cannot.
func RewriteFile(path string, data []byte) error {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	a, err := readAttributes(path, os.Lstat)
	if err != nil {
		return err
	}
	return plain.Replace(plain.prepare(path, bytes.NewReader(data), a))
}

// RewriteFileIn is RewriteFile for the file name in dir, which the caller syncs. A symbolic link is
// refused.
func RewriteFileIn(dir *os.Root, name string, data []byte) error {
	a, err := readAttributes(name, dir.Lstat)
	if err != nil {
		return err
	}
	return putWith(dir, name, data, a)
}

// readAttributes returns the permission bits and the owner of a regular file, to be kept.
func readAttributes(path string, lstat func(string) (fs.FileInfo, error)) (a attributes, err error) {
	info, err := lstat(path)
	if err == nil {
		err = regular.CheckKind(info.Mode())
	}
	if err != nil {
		return a, fmt.Errorf("write %s: %w", path, err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	return attributes{perm: info.Mode().Perm(), uid: int(stat.Uid), gid: int(stat.Gid), isKept: true, mustOwn: true},
		nil
}

func putWith(dir *os.Root, name string, data []byte, a attributes) error {
	err := plain.createTemp(dir, name, bytes.NewReader(data), a)
	if err == nil {
		if err = dir.Rename(TempName(name), name); err != nil {
			dir.Remove(TempName(name))
		}
	}
	return nameFinishedFile(filepath.Join(dir.Name(), name), err)
}

// ReadPerm returns the permission bits of the file at path, which somebody may have chosen, and
// otherwise if there is none.
func ReadPerm(path string, otherwise fs.FileMode) fs.FileMode {
	if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() {
		return info.Mode().Perm()
	}
	return otherwise
}

// workInFolder works on the file at path in its folder.
func workInFolder(path string, work func(dir *os.Root, name string) error) error {
	dir, err := regular.OpenRoot(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return nameFinishedFile(path, work(dir, filepath.Base(path)))
}

// nameFinishedFile says of an error about a file that is being made which file it is about, and not
// what that is called until it is finished.
func nameFinishedFile(path string, err error) error {
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return &fs.PathError{Op: "write", Path: path, Err: e.Err}
	}
	names := []string{path, joinTempName(path), filepath.Base(path), TempName(filepath.Base(path))}
	e, ok := errors.AsType[*fs.PathError](err)
	if ok && slices.Contains(names, filepath.Clean(e.Path)) { // and not what the content is read from
		return &fs.PathError{Op: "write", Path: path, Err: e.Err}
	}
	return err
}

// createTemp makes the file name in dir, under the name that it has until it is finished.
func (d *Disk) createTemp(dir *os.Root, name string, content io.Reader, a attributes) error {
	err := d.createIn(dir, TempName(name), content, a)
	if err != nil {
		d.removeIn(dir, TempName(name))
	}
	return err
}

// createIn makes the file name in dir, in place of litter, and syncs it.
func (d *Disk) createIn(dir *os.Root, name string, content io.Reader, a attributes) error {
	if err := d.removeIn(dir, name); err != nil {
		return err
	}
	f, err := dir.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	d.done("create", f.Name(), "")
	_, err = io.Copy(f, content)
	if err == nil && (os.Geteuid() == 0 || a.isKept) {
		err = f.Chown(a.uid, a.gid) // also in a folder that gives its group to what is made in it
		if !a.mustOwn && errors.Is(err, fs.ErrPermission) {
			err = nil
		}
	}
	if err == nil {
		err = f.Chmod(a.perm) // whatever the umask
	}
	if err == nil {
		err = dir.Chtimes(name, time.Time{}, a.mtime)
	}
	if err == nil {
		err = d.Sync(f)
	}
	return errors.Join(err, f.Close())
}

// RemoveTemp removes what a killed PutFile of the file name has left in dir.
func RemoveTemp(dir *os.Root, name string) error { return plain.removeIn(dir, TempName(name)) }

// removeIn is Remove for what is in dir.
func (d *Disk) removeIn(dir *os.Root, name string) error {
	if _, err := dir.Lstat(name); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	err := dir.Remove(name)
	if err == nil {
		d.done("remove", filepath.Join(dir.Name(), name), "")
	}
	return err
}

// SweepFolder removes the files that killed processes have left in the folder at path, if there is
// one.
func SweepFolder(path string) error {
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if name := e.Name(); e.Type().IsRegular() && strings.HasPrefix(name, TempPrefix) &&
			strings.HasSuffix(name, tempSuffix) {
			if err := os.Remove(filepath.Join(path, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// SyncFolder makes last what was renamed and removed in the folder at path.
func SyncFolder(path string) error { return plain.SyncFolder(path) }

// SyncRoot is SyncFolder for one that is open.
func SyncRoot(dir *os.Root) error {
	f, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
