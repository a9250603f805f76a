package squashfs

import (
	"bytes"
	"fmt"

	"golang.org/x/sys/unix"
)

// A treeOpener opens files of a tree one after the other, each from its directory, so that a tree
// that changes meanwhile leads nowhere else. Files asked for in the tree's order cost it one call
// each. It is not for concurrent use.
type treeOpener struct {
	root    int
	path    []openTreeDir // from the root's entry on
	inspect *inspection
}

type openTreeDir struct {
	dir *treeEntry
	fd  int
}

func (o *treeOpener) close() { o.leave(0) }

// hasChanged says whether a file is not any more what the walk has seen.
func (o *treeOpener) hasChanged(i *inode) bool {
	var st unix.Statx_t
	dir, err := o.enter(i.first.parent)
	if err == nil {
		err = statAt(dir, i.first.name(), &st)
	}
	return err != nil || newFileStat(&st) != i.stat
}

// A treeFile is a content that is open for reading.
type treeFile struct {
	inode  *inode
	size   int64
	fd     int   // -1 for a content in memory
	sparse bool  // the file system stores less than its size
	data   int64 // of a sparse file: up to here there may be data behind the offset last read

	inspectors []ContentInspector
}

// open opens a content and makes sure that it is the one that the walk has seen.
func (o *treeOpener) open(c *content) (*treeFile, error) {
	i := c.inode
	f := &treeFile{inode: i, size: c.size, fd: -1, inspectors: o.inspect.start(i)}
	if i.held {
		return f, nil
	}
	dir, err := o.enter(i.first.parent)
	if err != nil {
		return nil, err
	}
	if f.fd, err = openAt(dir, i.first.name(), 0); err != nil {
		return nil, wrapVanished(i.first.path, "open", err)
	}
	if err := f.checkUnchanged(); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func (f *treeFile) close() {
	if f.fd >= 0 {
		unix.Close(f.fd)
	}
	for _, i := range f.inspectors {
		i.Close()
	}
}

// checkUnchanged compares the file with what the walk has seen.
func (f *treeFile) checkUnchanged() error {
	if f.fd < 0 {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(f.fd, &st); err != nil {
		return fmt.Errorf("stat %s: %w", f.inode.first.path, err)
	}
	now := fileStat{device: uint64(st.Dev), ino: st.Ino, size: st.Size, mtime: st.Mtim.Nano(), ctime: st.Ctim.Nano()}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || now != f.inode.stat {
		return &changedError{f.inode.first.path}
	}
	f.sparse = f.inode.volume.traits.holes && st.Blocks*512 < st.Size
	return nil
}

// readNext reads the block at an offset, which must not be in front of where the call before ended,
// into b. It returns how many bytes it has passed, and whether they are all zeros. If they are, b
// may be left as it was, and where they are in a hole they are all whole blocks of it, and the
// shorter one at the end of the file.
func (f *treeFile) readNext(b []byte, offset int64) (n int64, zero bool, err error) {
	n = int64(len(b))
	if hole, _ := f.countZeros(offset); hole >= n {
		if zero = true; offset+hole < f.size {
			hole -= hole % n
		}
		n = hole
	} else if zero, err = f.read(b, offset); err != nil {
		return 0, false, err
	}
	f.inode.inspected = f.inode.inspected || len(f.inspectors) > 0 && offset+n == f.size
	for _, i := range f.inspectors {
		if zero {
			i.WriteZeros(n)
		} else {
			i.Write(b)
		}
	}
	return n, zero, nil
}

// countZeros returns how many bytes from the offset on the file system does not store. It does not
// fail.
func (f *treeFile) countZeros(offset int64) (int64, error) {
	if f.fd < 0 || !f.sparse {
		return 0, nil
	}
	if offset >= f.data {
		var err error
		if f.data, err = unix.Seek(f.fd, offset, unix.SEEK_DATA); err == unix.ENXIO {
			f.data = f.size // a hole up to the end
		} else if err != nil {
			f.sparse = false // the file system does not tell
			return 0, nil
		}
	}
	return min(f.data, f.size) - offset, nil
}

// ReadAt is io.ReaderAt's, made for reading forward. Inspectors see nothing of it.
func (f *treeFile) ReadAt(b []byte, offset int64) (int, error) {
	if _, err := f.read(b, offset); err != nil {
		return 0, err
	}
	return len(b), nil
}

// read fills b from the offset on and says whether it is all zeros.
func (f *treeFile) read(b []byte, offset int64) (zero bool, err error) {
	if f.fd < 0 {
		return allZero(b[:copy(b, f.inode.data[offset:])]), nil
	}
	n, err := readFull(f.fd, b, offset)
	if err != nil {
		return false, fmt.Errorf("read %s: %w", f.inode.first.path, err)
	}
	if n < len(b) {
		return false, &changedError{f.inode.first.path}
	}
	return allZero(b), nil
}

var zeros [maxBlockSize]byte

func allZero(b []byte) bool { return bytes.Equal(b, zeros[:len(b)]) }

// enter returns the open directory of an entry. It stays open until another one is entered.
func (o *treeOpener) enter(dir *treeEntry) (int, error) {
	if dir.parent == nil {
		o.leave(0)
		return o.root, nil
	}
	for n := len(o.path) - 1; n >= 0; n-- {
		if o.path[n].dir == dir {
			o.leave(n + 1)
			return o.path[n].fd, nil
		}
	}
	above, err := o.enter(dir.parent)
	if err != nil {
		return -1, err
	}
	fd, err := openAt(above, dir.name(), unix.O_DIRECTORY)
	if err != nil {
		return -1, wrapVanished(dir.path, "open", err)
	}
	o.path = append(o.path, openTreeDir{dir, fd})
	return fd, nil
}

// leave closes all but the first n directories.
func (o *treeOpener) leave(n int) {
	for _, d := range o.path[n:] {
		unix.Close(d.fd)
	}
	o.path = o.path[:n]
}
