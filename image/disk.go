package image

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

// A disk is the one way by which a Store changes files and folders, so that a test can stop it
// after any single step, as a crash would.
type disk struct {
	// did is told each step when it is done; nil but in tests.
	did func(step)
}

// A step is one change that a file system makes, or one point from which on changes before it last.
type step struct {
	op   string // "create", "sync", "syncdir", "mkdir", "rename", "symlink", "link" or "remove"
	path string
	from string // of rename and link: the old path; of symlink: the target
}

// makeRoom is what to do about a disk that is full, or too full for the next generation.
var makeRoom = []remedy.Remedy{
	remedy.Advice("make room"),
	remedy.Steps{
		remedy.Setting{Section: "image", Key: "keep", Change: "lower"},
		remedy.Setting{Section: "image", Key: "keep-for", Change: "lower"},
		remedy.Command{"image", "prune"},
	},
}

// explain adds to an error what there is to do about a full disk.
func explain(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return remedy.AttachTo(err, makeRoom...)
	}
	return err
}

func (d *disk) done(op, path, from string) {
	if d.did != nil {
		d.did(step{op, path, from})
	}
}

// create makes a new world-readable file with that content, and syncs it. A file that is there is
// litter.
func (d *disk) create(path string, content io.Reader) error {
	f, err := d.open(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	if err == nil {
		err = d.sync(f)
	}
	return errors.Join(err, f.Close())
}

// open makes a new world-readable file, to be written and synced by the caller.
func (d *disk) open(path string) (*os.File, error) {
	if err := d.remove(path); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	d.done("create", path, "")
	if err := f.Chmod(0o644); err != nil { // whatever the umask
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (d *disk) sync(f *os.File) error {
	if err := f.Sync(); err != nil {
		return err
	}
	d.done("sync", f.Name(), "")
	return nil
}

// A swap is a file or a link that stands ready beside its place, under a name that a later run
// knows as litter. To put it there is one rename, which takes no room on the disk.
type swap struct{ temp, path string }

// readyFile makes ready to replace a small file.
func (d *disk) readyFile(path string, content io.Reader) (swap, error) {
	s := swap{filepath.Join(filepath.Dir(path), tempPrefix+filepath.Base(path)), path}
	if err := d.create(s.temp, content); err != nil {
		return s, errors.Join(err, d.remove(s.temp))
	}
	return s, nil
}

// readyLink makes ready to point the link at path to target.
func (d *disk) readyLink(target, path string) (swap, error) {
	s := swap{filepath.Join(filepath.Dir(path), tempPrefix+"link-"+filepath.Base(path)), path}
	if isFolder(path) {
		return s, remedy.AttachTo(fmt.Errorf("%s is a folder and not a link", path), remedy.Advice("move it away"))
	}
	if err := d.remove(s.temp); err != nil {
		return s, err
	}
	if err := os.Symlink(target, s.temp); err != nil {
		return s, err
	}
	d.done("symlink", s.temp, target)
	return s, nil
}

// put puts what is ready in its place, one after another, each durably before the next.
func (d *disk) put(ready ...swap) error {
	for _, s := range ready {
		if err := d.rename(s.temp, s.path); err != nil {
			return errors.Join(err, d.remove(s.temp))
		}
		if err := d.syncDir(filepath.Dir(s.path)); err != nil {
			return err
		}
	}
	return nil
}

// write replaces a small file by one rename, durably.
func (d *disk) write(path string, content io.Reader) error {
	s, err := d.readyFile(path, content)
	if err != nil {
		return err
	}
	return d.put(s)
}

// relink points the link at path to target by one rename, durably.
func (d *disk) relink(target, path string) error {
	s, err := d.readyLink(target, path)
	if err != nil {
		return err
	}
	return d.put(s)
}

func (d *disk) rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	d.done("rename", to, from)
	return nil
}

// link gives the file from a second name, in place of a file that is there.
func (d *disk) link(from, to string) error {
	if err := d.remove(to); err != nil {
		return err
	}
	if err := os.Link(from, to); err != nil {
		return err
	}
	d.done("link", to, from)
	return nil
}

// mkdirAll makes a folder and those above it, as far as they are not there, durably, for all to
// read whatever the umask. One that is there may be of a run that was killed before it synced the
// name.
func (d *disk) mkdirAll(dir string) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return d.syncDir(filepath.Dir(dir))
	}
	if err := d.mkdirAll(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err == nil {
		err = os.Chmod(dir, 0o755)
		if err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrExist) {
		return err
	}
	d.done("mkdir", dir, "")
	return d.syncDir(filepath.Dir(dir))
}

// remove removes a file or an empty folder, if it is there. It looks first: on a file system that
// is mounted read-only there is no telling otherwise.
func (d *disk) remove(path string) error {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	err := os.Remove(path)
	if err == nil {
		d.done("remove", path, "")
	}
	return err
}

// removeAll removes a folder with all that is in it, if it is there.
func (d *disk) removeAll(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || !info.IsDir() {
		return errors.Join(err, d.remove(path))
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := d.removeAll(filepath.Join(path, e.Name())); err != nil {
			return err
		}
	}
	return d.remove(path)
}

// syncDir makes the names in a folder durable.
func (d *disk) syncDir(dir string) error {
	f, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY, 0) // where a fifo stands, it must not wait for a writer
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return err
	}
	d.done("syncdir", dir, "")
	return nil
}
