// Package chroot works inside a client root: the root file system of diskless
// clients as a directory tree on the machine that serves it.
//
// Open tells whether a directory is one. Read and Put reach the file that a
// client would reach under that name, following symbolic links as the client
// does, and never leave the tree, whatever links it contains. Lock keeps the
// package managers out while the tree is worked on.
//
// It does not run anything inside the root, and does not know what its files
// mean.
package chroot

import (
	"context"
	"errors"
	"io/fs"
	"os"
)

// A Root is an open client root.
type Root struct {
	root   *os.Root
	path   string
	system bool
}

var errUnwritten = errors.New("not written yet")

// Open opens the client root at path. The error says what is missing if path
// is none: a client root is a directory with an etc inside and a program that
// the kernel can start as init.
func Open(path string) (*Root, error) { return nil, errUnwritten }

// Close releases the root.
func (r *Root) Close() error { return r.root.Close() }

// Path returns the path that the root was opened with.
func (r *Root) Path() string { return r.path }

// System tells whether the root is the root file system of the running
// machine. Put refuses to write to it.
func (r *Root) System() bool { return r.system }

// Resolve returns the path of name inside the root, relative to it and without
// symbolic links: the place that Read and Put reach. The last parts of it need
// not exist.
func (r *Root) Resolve(name string) (string, error) { return "", errUnwritten }

// Read returns the content of the regular file name, such as "etc/lts.conf".
// The error is fs.ErrNotExist if there is none.
func (r *Root) Read(name string) ([]byte, error) { return nil, errUnwritten }

// Put makes data and perm the content and permissions of the regular file
// name, and root its owner if the process is root. Missing folders on the way
// are made. A file that is so already is not touched; else it is replaced by
// one rename, and keeps its modification time if only permissions or owner
// differ. changed tells whether anything was written.
//
// Only one Put may run in a root at a time.
func (r *Root) Put(name string, data []byte, perm fs.FileMode) (changed bool, err error) {
	return false, errUnwritten
}

// A HeldError says that a package manager is at work in a root.
type HeldError struct {
	File    string // the lock file, inside the root
	PID     int    // of the process that holds it, 0 if not known
	Process string // its name, empty if not known
}

func (e *HeldError) Error() string { return "" }

// Lock takes the locks of every package manager that the root has: dpkg, apt,
// rpm, pacman and apk. It waits a few seconds for one that is held, and then
// returns a *HeldError. No lock file is created or changed. release gives the
// locks back; calling it again does nothing.
func (r *Root) Lock(ctx context.Context) (release func(), err error) { return nil, errUnwritten }
