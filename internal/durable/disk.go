package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"ltskeeper/internal/remedy"

	"golang.org/x/sys/unix"
)

// A Disk changes files and folders, which are readable by everybody, whatever the umask. The zero
// Disk is ready for use.
type Disk struct {
	// Did is told each step when it is done; nil but in tests, which stop there as a crash would.
	Did func(Step)
}

// A Step is one change that a file system makes, or one point from which on changes before it last.
type Step struct {
	Op   string // "create", "sync", "syncdir", "mkdir", "rename", "symlink", "link" or "remove"
	Path string
	From string // of rename and link: the old path; of symlink: the target
}

func (d *Disk) done(op, path, from string) {
	if d.Did != nil {
		d.Did(Step{op, filepath.Clean(path), from})
	}
}

// A Replacement is a file or a link that is ready beside its place. One rename puts it there, which
// takes no room on the disk.
type Replacement struct{ temp, path string }

// Open makes a new file, to be written by the caller and synced with Sync. A file that is there is
// litter.
func (d *Disk) Open(path string) (*os.File, error) {
	if err := d.Remove(path); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	d.done("create", path, "")
	if err := f.Chmod(0o644); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Create makes a new file with that content, and syncs it. A file that is there is litter.
func (d *Disk) Create(path string, content io.Reader) error {
	return workInFolder(path, func(dir *os.Root, name string) error {
		return d.createIn(dir, name, content, attributes{perm: 0o644})
	})
}

// Sync makes last what was written to a file.
func (d *Disk) Sync(f *os.File) error {
	if err := f.Sync(); err != nil {
		return err
	}
	d.done("sync", f.Name(), "")
	return nil
}

// Write replaces a file.
func (d *Disk) Write(path string, content io.Reader) error {
	return d.Replace(d.PrepareFile(path, content))
}

// PrepareFile makes ready to replace a file.
func (d *Disk) PrepareFile(path string, content io.Reader) ([]Replacement, error) {
	return d.prepare(path, content, attributes{perm: 0o644})
}

func (d *Disk) prepare(path string, content io.Reader, a attributes) ([]Replacement, error) {
	err := workInFolder(path, func(dir *os.Root, name string) error { return d.createTemp(dir, name, content, a) })
	return []Replacement{{joinTempName(path), path}}, err
}

// PrepareLink makes ready to point the link at path to target.
func (d *Disk) PrepareLink(target, path string) ([]Replacement, error) {
	temp := joinTempName(path)
	if info, err := os.Lstat(path); err == nil && info.IsDir() {
		return nil, remedy.AttachTo(fmt.Errorf("%s is a folder and not a link", path), remedy.Advice("move it away"))
	}
	if err := d.Remove(temp); err != nil {
		return nil, err
	}
	if err := os.Symlink(target, temp); err != nil {
		return nil, nameFinishedFile(path, err)
	}
	d.done("symlink", temp, target)
	return []Replacement{{temp, path}}, nil
}

// Replace puts what is ready in its place, one after another, each durably before the next. It
// returns the error of what made it ready, if there is one.
func (d *Disk) Replace(ready []Replacement, err error) error {
	if err != nil {
		return err
	}
	for _, r := range ready {
		if err := d.Rename(r.temp, r.path); err != nil {
			return errors.Join(nameFinishedFile(r.path, err), d.Remove(r.temp))
		}
	}
	return nil
}

// Rename renames what is at from, within its folder, durably.
func (d *Disk) Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	d.done("rename", to, from)
	return d.SyncFolder(filepath.Dir(to))
}

// Link gives the file from a second name, in place of a file that is there.
func (d *Disk) Link(from, to string) error {
	if err := d.Remove(to); err != nil {
		return err
	}
	if err := os.Link(from, to); err != nil {
		return err
	}
	d.done("link", to, from)
	return nil
}

// MkdirAll makes a folder and those above it, if they do not exist, durably. One that exists may be
// of a process that was killed before it synced the name.
func (d *Disk) MkdirAll(dir string) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return d.SyncFolder(filepath.Dir(dir))
	}
	if err := d.MkdirAll(filepath.Dir(dir)); err != nil {
		return err
	}
	err := os.Mkdir(dir, 0o755)
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	d.done("mkdir", dir, "")
	return d.SyncFolder(filepath.Dir(dir))
}

// MkdirNew makes a folder in the place of what is there, and those above it.
func (d *Disk) MkdirNew(dir string) error {
	if err := d.RemoveAll(dir); err != nil {
		return err
	}
	return d.MkdirAll(dir)
}

// Remove removes a file or an empty folder, if it exists. It looks first, because removing what
// does not exist fails on a file system that is mounted read-only.
func (d *Disk) Remove(path string) error {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	err := os.Remove(path)
	if err == nil {
		d.done("remove", path, "")
	}
	return err
}

// RemoveAll removes a file, or a folder with all that is in it, if it exists.
func (d *Disk) RemoveAll(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || !info.IsDir() {
		return errors.Join(err, d.Remove(path))
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := d.RemoveAll(filepath.Join(path, e.Name())); err != nil {
			return err
		}
	}
	return d.Remove(path)
}

// SyncFolder makes last what was renamed and removed in a folder.
func (d *Disk) SyncFolder(path string) error {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY, 0) // where a fifo stands, it must not wait for a writer
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return err
	}
	d.done("syncdir", path, "")
	return nil
}
