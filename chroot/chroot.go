// Package chroot works inside a client root: the root file system of diskless clients as a
// directory tree on the machine that serves it.
//
// Open tells whether a directory is one. Read and Put reach the file that a client would reach
// under that name, following symbolic links as the client does, and never leave the tree, whatever
// links it contains. A Locker keeps the package managers out while the tree is worked on.
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

// Open opens the client root at path. If path is none, the error says what is missing: a client
// root is a directory that holds a folder etc and a first program that can be started (see
// inits.FindInit).
func Open(path string) (*Root, error) {
	r, err := open(path)
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

func open(path string) (*Root, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, bare(err)
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
		return nil, bare(err)
	}
	r := &Root{root: root, path: path, system: os.SameFile(info, system)}
	if err := r.check(); err != nil {
		root.Close()
		return nil, err
	}
	return r, nil
}

// check says what keeps the tree from being a client root.
func (r *Root) check() error {
	if info, err := r.stat("etc"); errors.Is(err, fs.ErrNotExist) {
		return errors.New("it is no client root: there is no etc in it")
	} else if err != nil {
		return fmt.Errorf("etc: %w", err)
	} else if !info.IsDir() {
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

// System tells whether the root is the root file system of the running machine. Put refuses to
// write to it.
func (r *Root) System() bool { return r.system }

// BelongsTo says that the root belongs to a user namespace, in which the user and the group that
// are called id are root's. What Put writes belongs to them.
func (r *Root) BelongsTo(id uint32) { r.owner = int(id) }

// FS returns the root as a file system for package clientfs, which follows symbolic links as a
// client does.
func (r *Root) FS() fs.ReadLinkFS { return clientfs.NewFolder(r.root) }

// at returns where name is on this machine.
func (r *Root) at(name string) string { return filepath.Join(r.path, name) }

// bare returns what err says beyond the operation and path that it names.
func bare(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
