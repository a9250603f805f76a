// Package chroot works inside a client root: the root file system of diskless clients as a
// directory tree on the machine that serves it.
//
// Open checks that a directory is one. Read and Put reach the file that a client would reach under
// that name, following symbolic links as the client does, and never leave the tree, whatever links
// it contains. A Locker keeps the package managers out while the tree is worked on.
//
// It does not run anything inside the root, and does not know what its files mean.
package chroot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"ltskeeper/internal/clientfs"
	"ltskeeper/internal/inits"
)

// A Root is an open client root.
type Root struct {
	root   *os.Root
	path   string
	system bool
	mounts []Mount // as TakeMounts has decided on them
	owner  int     // of what Put writes
}

// Open opens the client root at path: a directory that holds a folder etc and a first program that
// can be started (see inits.FindInit). Otherwise the error says what is missing.
func Open(path string) (*Root, error) {
	r, err := openRoot(path)
	if err != nil {
		return nil, &OpenError{path, err}
	}
	return r, nil
}

// OpenError is returned by Open.
type OpenError struct {
	Path string
	Err  error // what is wrong with it, without the path
}

func (e *OpenError) Error() string { return fmt.Sprintf("open client root %s: %v", e.Path, e.Err) }

func (e *OpenError) Unwrap() error { return e.Err }

func openRoot(path string) (*Root, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, trimPath(err)
	}
	if !info.IsDir() {
		return nil, errors.New("it is not a directory")
	}
	system, err := os.Stat("/")
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, trimPath(err)
	}
	r := &Root{root: root, path: path, system: os.SameFile(info, system)}
	if err := r.checkIsClientRoot(); err != nil {
		root.Close()
		return nil, err
	}
	return r, nil
}

// checkIsClientRoot fails if the tree is not a client root.
func (r *Root) checkIsClientRoot() error {
	_, info, err := clientfs.Stat(r.FS(), "etc")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("it is no client root: there is no etc in it")
	case err != nil:
		return fmt.Errorf("etc: %w", trimPath(err))
	case !info.IsDir():
		return errors.New("it is no client root: its etc is not a directory")
	}
	if _, err := inits.FindInit(r.FS()); err != nil {
		return fmt.Errorf("it is no client root: %w", err)
	}
	return nil
}

// Close releases the root.
func (r *Root) Close() error { return r.root.Close() }

// Path returns the absolute path of the root.
func (r *Root) Path() string { return r.path }

// IsSystem reports whether the root is the root file system of the running machine. Put refuses to
// write to it.
func (r *Root) IsSystem() bool { return r.system }

// SetOwner says that the root belongs to a user namespace, in which the user and the group that are
// called id are root's. What Put writes belongs to them.
func (r *Root) SetOwner(id uint32) { r.owner = int(id) }

// FS returns the root as a file system for package clientfs, which follows symbolic links as a
// client does.
func (r *Root) FS() fs.ReadLinkFS { return clientfs.NewFolder(r.root) }

// Resolve returns where a client finds name: a path relative to the root that leads through no
// symbolic link. For the client an absolute link starts at the root, and ".." at the root stays
// there. The last parts of the path need not exist.
func (r *Root) Resolve(name string) (place string, err error) {
	defer r.wrapError("resolve", name, &err)
	return r.findPlace(name)
}

func (r *Root) findPlace(name string) (string, error) { return clientfs.Resolve(r.FS(), name) }

// at returns where name is on this machine.
func (r *Root) at(name string) string { return filepath.Join(r.path, name) }

// wrapError adds to an error what was done to which file.
func (r *Root) wrapError(op, name string, err *error) {
	if *err != nil {
		*err = fmt.Errorf("%s %s: %w", op, r.at(name), trimPath(*err))
	}
}

// trimPath returns what err says beyond the operation and path that it names.
func trimPath(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}
