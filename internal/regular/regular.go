// Package regular reads regular files. It refuses what would block the reader, never end or fill
// the memory in their place: a fifo, a device, a socket, a folder, a link to one of these, and a
// file that is larger than it can rightly be.
//
// Where a function takes a limit, a file of more bytes is refused before anything of it is read.
// One that grows while it is read is refused when it exceeds the limit.
package regular

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Limits in bytes, for callers that do not know a better one.
const (
	MaxRecord = 1 << 20  // of what describes one thing: a key, a generation
	MaxText   = 64 << 20 // of lists and declarations; a known_hosts with 10,000 servers has some 5 MB
)

// An OddError says that something else than an ordinary file of ordinary size is in its place.
type OddError struct{ what string }

// Error says what is in the file's place, as the end of a sentence.
func (e *OddError) Error() string { return e.what }

// IsOdd reports whether err says that a file was not read because of what it is, because of its
// size, or because of a symbolic link that leads round in a circle. What a disk or a permission
// refuses is not odd, nor is a file that does not exist.
func IsOdd(err error) bool {
	var odd *OddError
	return errors.As(err, &odd) || errors.Is(err, unix.ELOOP)
}

// CheckKind returns an *OddError that names what a file is, nil if it is a regular one.
func CheckKind(mode fs.FileMode) error {
	if mode.IsRegular() {
		return nil
	}
	return &OddError{"it is " + describeKind(mode) + " and not a regular file"}
}

// CheckSize returns an *OddError if size, in bytes, exceeds the limit.
func CheckSize(size, limit int64) error {
	if size <= limit {
		return nil
	}
	return &OddError{fmt.Sprintf("it has %d bytes, and no more than %d are read", size, limit)}
}

// describeKind names a kind of file for a sentence.
func describeKind(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeSymlink != 0:
		return "a symbolic link"
	case mode&fs.ModeNamedPipe != 0:
		return "a fifo"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	default:
		return "a device"
	}
}

// Stat is os.Stat, and fails with an *OddError for what is not a regular file.
func Stat(path string) (fs.FileInfo, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	return info, wrapAtPath("stat", path, CheckKind(info.Mode()))
}

// Open is os.Open for regular files. It follows symbolic links, and fails with an *OddError for
// what is not a regular file.
func Open(path string) (*os.File, error) {
	if err := checkKindAt(path, os.Stat); err != nil {
		return nil, err
	}
	return checkOpened(os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0))
}

// OpenIn is Open for the file name in dir. A symbolic link in its place is odd, too.
func OpenIn(dir *os.Root, name string) (*os.File, error) {
	if err := checkKindAt(name, dir.Lstat); err != nil {
		return nil, err
	}
	return checkOpened(dir.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0))
}

// OpenOwn is os.OpenFile for a file of the program's own that is written where it is. A symbolic
// link in its place is odd, too: it leads to a file that may be somebody else's.
func OpenOwn(path string, flag int, perm fs.FileMode) (*os.File, error) {
	if err := checkKindAt(path, os.Lstat); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return checkOpened(os.OpenFile(path, flag|unix.O_NOFOLLOW|unix.O_NONBLOCK, perm))
}

// checkKindAt fails with an *OddError for what is not a regular file: merely to open a device may
// do something.
func checkKindAt(path string, stat func(string) (fs.FileInfo, error)) error {
	info, err := stat(path)
	if err != nil {
		return err
	}
	return wrapAtPath("open", path, CheckKind(info.Mode()))
}

// checkOpened makes sure that nothing else has taken the file's place since it was looked at.
func checkOpened(f *os.File, err error) (*os.File, error) {
	if err != nil {
		return nil, err
	}
	if err := checkKindAt(f.Name(), func(string) (fs.FileInfo, error) { return f.Stat() }); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Read is os.ReadFile for regular files of up to limit bytes.
func Read(path string, limit int64) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadOpened(f, limit)
}

// ReadOpened reads an opened file from where it stands to its end, if that is no more than limit
// bytes.
func ReadOpened(f fs.File, limit int64) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	path := info.Name()
	if named, ok := f.(*os.File); ok {
		path = named.Name()
	}
	if err := CheckSize(info.Size(), limit); err != nil {
		return nil, wrapAtPath("read", path, err)
	}
	data, err := ReadUpTo(f, info.Size(), limit)
	if IsOdd(err) {
		err = wrapAtPath("read", path, err)
	}
	return data, err
}

// ReadUpTo reads r to its end, and fails with an *OddError if there are more than limit bytes. Room
// for the expected number of bytes is made at once.
func ReadUpTo(r io.Reader, expected, limit int64) ([]byte, error) {
	b := bytes.NewBuffer(make([]byte, 0, min(expected, limit)+bytes.MinRead))
	if n, err := b.ReadFrom(io.LimitReader(r, limit+1)); err != nil {
		return nil, err
	} else if n > limit {
		return nil, &OddError{fmt.Sprintf("it has more than %d bytes", limit)}
	}
	return b.Bytes(), nil
}

// OpenFS is Open for a file of fsys, which must be an fs.StatFS if opening a file can block.
func OpenFS(fsys fs.FS, name string) (fs.File, error) {
	if err := checkKindAt(name, func(name string) (fs.FileInfo, error) { return fs.Stat(fsys, name) }); err != nil {
		return nil, err
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	if err := checkKindAt(name, func(string) (fs.FileInfo, error) { return f.Stat() }); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// ReadFS is fs.ReadFile for regular files of up to limit bytes.
func ReadFS(fsys fs.FS, name string, limit int64) ([]byte, error) {
	f, err := OpenFS(fsys, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadOpened(f, limit)
}

// wrapAtPath says of an error what was done, and to which file; nil stays nil.
func wrapAtPath(op, path string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: path, Err: err}
}

// OpenRoot is like os.OpenRoot, but fails instead of waiting for a writer if a fifo is in the
// folder's place.
func OpenRoot(path string) (*os.Root, error) {
	root, err := os.OpenRoot(path + "/.")
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		failed.Path = path
	}
	return root, err
}
