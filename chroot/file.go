package chroot

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"time"

	"ltskeeper/internal/durable"
	"ltskeeper/internal/regular"
)

// Read returns the content of the regular file that a client finds under name, such as
// "etc/lts.conf". Without one the error is fs.ErrNotExist, and one that is larger than
// regular.MaxText is not read. What is mounted in the root is not read if TakeMounts has left it
// out: clients do not have it.
func (r *Root) Read(name string) (data []byte, err error) {
	defer r.wrapError("read", name, &err)
	place, err := r.findPlace(name)
	if err != nil {
		return nil, err
	}
	if r.isLeftOut(place) {
		return nil, fs.ErrNotExist
	}
	f, err := regular.OpenIn(r.root, place)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return regular.ReadOpened(f, regular.MaxText)
}

// errSystem refuses to write to the system that is running.
var errSystem = errors.New("it belongs to the running system, which is never written to")

// Put gives the file that a client finds under name this content and these permission bits, and if
// the process is root's, the root's own root user (see SetOwner) as its owner. Missing folders on
// the way are made, with mode 0755.
//
// A file that is so already is left alone. Any other is replaced by one rename, and keeps its
// modification time if its content stays the same. What is not a regular file is never replaced,
// and nothing is written to the running system's own root or to another file system that is mounted
// inside the root, unless TakeMounts has taken it.
//
// Only one Put may be at work on a name at a time: it removes what an interrupted one left behind.
func (r *Root) Put(name string, data []byte, perm fs.FileMode) (changed bool, err error) {
	defer r.wrapError("put", name, &err)
	if r.system {
		return false, errSystem
	}
	place, err := r.findPlace(name)
	if err != nil {
		return false, err
	}
	if place == "." {
		return false, syscall.EISDIR
	}
	dir, err := r.makeFolders(path.Dir(place))
	if err != nil {
		return false, err
	}
	defer dir.Close()
	return replaceFile(dir, path.Base(place), data, perm.Perm(), r.owner)
}

// Rewrite gives the regular file that a client finds under name another content, and keeps its
// permission bits and its owner. Nothing is written where Put writes nothing.
func (r *Root) Rewrite(name string, data []byte) (err error) {
	defer r.wrapError("rewrite", name, &err)
	if r.system {
		return errSystem
	}
	place, err := r.findPlace(name)
	if err != nil {
		return err
	}
	dir, err := r.makeFolders(path.Dir(place))
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := durable.RewriteFileIn(dir, path.Base(place), data); err != nil {
		return err
	}
	return durable.SyncRoot(dir)
}

// makeFolders opens the folder place, a path without symbolic links, and makes what is missing of
// it.
func (r *Root) makeFolders(place string) (*os.Root, error) {
	dir, err := r.root.OpenRoot(".")
	if err != nil {
		return nil, err
	}
	for part := range strings.SplitSeq(place, "/") {
		next, err := dir.OpenRoot(part + "/.") // without the dot, a fifo there would be waited for
		if isMissing(err) {
			next, err = makeFolder(dir, part, r.owner)
		}
		dir.Close()
		if err != nil {
			return nil, fmt.Errorf("open folder %s: %w", r.at(place), trimPath(err))
		}
		dir = next
		if err := r.checkMount(dir); err != nil {
			dir.Close()
			return nil, fmt.Errorf("open folder %s: %w", r.at(place), err)
		}
	}
	return dir, nil
}

// makeFolder makes the folder name in dir, durably, and opens it.
func makeFolder(dir *os.Root, name string, owner int) (*os.Root, error) {
	if err := dir.Mkdir(name, 0o755); err != nil {
		return nil, err
	}
	made, err := dir.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	err = made.Chmod(".", 0o755) // whatever the umask
	if err == nil && owner != 0 && os.Geteuid() == 0 {
		err = made.Chown(".", owner, owner)
	}
	if err := errors.Join(err, durable.SyncRoot(dir)); err != nil {
		made.Close()
		return nil, err
	}
	return made, nil
}

// replaceFile is Put for the file name in dir.
func replaceFile(dir *os.Root, name string, data []byte, perm fs.FileMode, owner int) (bool, error) {
	if err := durable.RemoveTemp(dir, name); err != nil {
		return false, err
	}
	old, content, err := readExisting(dir, name)
	if err != nil {
		return false, err
	}
	sameContent := old != nil && bytes.Equal(content, data)
	if sameContent && old.Mode() == perm && isOwnedBy(old, owner) {
		return false, nil
	}
	var mtime time.Time // zero: now
	if sameContent {
		mtime = old.ModTime()
	}
	if err := durable.PutOwnedFile(dir, name, data, perm, mtime, owner); err != nil {
		return false, err
	}
	return true, durable.SyncRoot(dir)
}

// readExisting returns the regular file name in dir, and nil if there is none.
func readExisting(dir *os.Root, name string) (fs.FileInfo, []byte, error) {
	f, err := regular.OpenIn(dir, name)
	if isMissing(err) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	data, err := regular.ReadOpened(f, regular.MaxText)
	return info, data, err
}

// isOwnedBy reports whether a file belongs to a user and a group of the same number, or this
// process cannot change that.
func isOwnedBy(info fs.FileInfo, owner int) bool {
	stat := info.Sys().(*syscall.Stat_t)
	return os.Geteuid() != 0 || int(stat.Uid) == owner && int(stat.Gid) == owner
}

func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
