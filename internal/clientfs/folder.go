package clientfs

import (
	"io/fs"
	"os"
	"syscall"
)

// NewFolder returns a folder on this machine as a file system. Open opens directories and regular
// files; of anything else, including a symbolic link, it gives a file that can only be asked what
// it is, because opening a device or a fifo can block or have an effect. Names need not be UTF-8.
func NewFolder(root *os.Root) fs.ReadLinkFS { return folderFS{root} }

type folderFS struct{ root *os.Root }

func checkPath(op, name string) error {
	if ValidPath(name) {
		return nil
	}
	return &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
}

func (f folderFS) Lstat(name string) (fs.FileInfo, error) {
	if err := checkPath("lstat", name); err != nil {
		return nil, err
	}
	return f.root.Lstat(name)
}

func (f folderFS) ReadLink(name string) (string, error) {
	if err := checkPath("readlink", name); err != nil {
		return "", err
	}
	return f.root.Readlink(name)
}

func (f folderFS) Open(name string) (fs.File, error) {
	info, err := f.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() && !info.Mode().IsRegular() {
		return unopened{info}, nil
	}
	return f.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

// unopened is a file that was not opened.
type unopened struct{ info fs.FileInfo }

func (d unopened) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d unopened) Close() error               { return nil }

func (d unopened) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.info.Name(), Err: syscall.EINVAL}
}

func (d unopened) ReadDir(int) ([]fs.DirEntry, error) {
	return nil, &fs.PathError{Op: "readdir", Path: d.info.Name(), Err: syscall.ENOTDIR}
}
