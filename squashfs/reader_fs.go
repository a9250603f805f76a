package squashfs

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"time"

	"golang.org/x/sys/unix"

	"ltskeeper/internal/clientfs"
)

// FS returns the image as a file system. It follows no symbolic link: a name that leads through one
// does not exist, and Open of a link gives a file that can only be asked what it is. Names need not
// be UTF-8.
func (r *Reader) FS() fs.ReadLinkFS { return imageFS{r} }

// imageFS is fs.ReadLinkFS. Sys of what it describes is the *Entry.
type imageFS struct{ r *Reader }

// find returns the entry at name.
func (f imageFS) find(op, name string) (*Entry, error) {
	if !clientfs.ValidPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	e, err := f.r.Lookup(name)
	if errors.Is(err, fs.ErrNotExist) {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: err}
	}
	return e, nil
}

func (f imageFS) Lstat(name string) (fs.FileInfo, error) {
	e, err := f.find("lstat", name)
	if err != nil {
		return nil, err
	}
	return fsInfo{e}, nil
}

func (f imageFS) ReadLink(name string) (string, error) {
	e, err := f.find("readlink", name)
	if err != nil {
		return "", err
	}
	if e.kind() != unix.S_IFLNK {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	return e.Target, nil
}

func (f imageFS) Open(name string) (fs.File, error) {
	e, err := f.find("open", name)
	if err != nil {
		return nil, err
	}
	o := &fsEntry{r: f.r, entry: e}
	if !e.IsRegular() {
		return o, nil
	}
	content, err := f.r.OpenFile(e)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &fsFile{o, content}, nil
}

// fsEntry is an entry that Open gave. What is not a directory has nothing to read.
type fsEntry struct {
	r     *Reader
	entry *Entry
	at    *directoryReader // of a directory that is being read
}

func (o *fsEntry) Stat() (fs.FileInfo, error) { return fsInfo{o.entry}, nil }
func (o *fsEntry) Close() error               { return nil }

func (o *fsEntry) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: o.entry.Path, Err: errors.New("not a regular file")}
}

// ReadDir is fs.ReadDirFile's.
func (o *fsEntry) ReadDir(n int) ([]fs.DirEntry, error) {
	if !o.entry.IsDir() {
		return nil, &fs.PathError{Op: "readdir", Path: o.entry.Path, Err: unix.ENOTDIR}
	}
	if o.at == nil {
		o.at = o.r.newDirectoryReader(o.entry)
	}
	var list []fs.DirEntry
	for n <= 0 || len(list) < n {
		d, err := o.at.next()
		if err != nil {
			return list, &fs.PathError{Op: "readdir", Path: o.entry.Path, Err: err}
		}
		if d == nil {
			if n > 0 && len(list) == 0 {
				return nil, io.EOF
			}
			break
		}
		e, err := o.at.readEntry(d)
		if err != nil {
			return list, &fs.PathError{Op: "readdir", Path: o.entry.Path, Err: err}
		}
		list = append(list, fs.FileInfoToDirEntry(fsInfo{e}))
	}
	return list, nil
}

// fsFile is a regular file that Open gave.
type fsFile struct {
	*fsEntry
	*io.SectionReader
}

func (o *fsFile) Read(p []byte) (int, error) { return o.SectionReader.Read(p) }

// fsInfo describes an entry as fs.FileInfo.
type fsInfo struct{ entry *Entry }

func (i fsInfo) Name() string       { return path.Base(i.entry.Path) }
func (i fsInfo) Size() int64        { return i.entry.Size }
func (i fsInfo) ModTime() time.Time { return time.Unix(int64(i.entry.Mtime), 0) }
func (i fsInfo) IsDir() bool        { return i.entry.IsDir() }
func (i fsInfo) Sys() any           { return i.entry }

// modeBits are bits of st_mode above the permission bits, and fileModes its kinds, as package fs
// has them.
var (
	modeBits = map[uint32]fs.FileMode{
		unix.S_ISUID: fs.ModeSetuid, unix.S_ISGID: fs.ModeSetgid, unix.S_ISVTX: fs.ModeSticky,
	}
	fileModes = map[uint32]fs.FileMode{
		unix.S_IFDIR: fs.ModeDir, unix.S_IFLNK: fs.ModeSymlink, unix.S_IFBLK: fs.ModeDevice,
		unix.S_IFCHR: fs.ModeDevice | fs.ModeCharDevice, unix.S_IFIFO: fs.ModeNamedPipe, unix.S_IFSOCK: fs.ModeSocket,
	}
)

func (i fsInfo) Mode() fs.FileMode {
	mode := fs.FileMode(i.entry.Mode&0o777) | fileModes[i.entry.kind()]
	for bit, flag := range modeBits {
		if i.entry.Mode&bit != 0 {
			mode |= flag
		}
	}
	return mode
}
