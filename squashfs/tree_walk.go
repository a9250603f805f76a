package squashfs

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// changedError says that the tree is not any more what it was a moment ago. The build begins again.
type changedError struct{ path string }

func (e *changedError) Error() string {
	return fmt.Sprintf("read %s: it changes while it is read", e.path)
}

// A treeWalker reads a tree's attributes, several directories at a time.
type treeWalker struct {
	options *Options
	old     *oldImage        // may be nil
	hold    map[string]bool  // regular files to read into memory at once, because they keep changing
	mounts  map[string]Mount // what is mounted in the tree, by path; nil if that is not known
	group   *errgroup.Group  // reads directories

	room atomic.Int64 // bytes that hold may still take

	mu        sync.Mutex
	sets      map[string]*xattrSet
	volumes   []*volume
	snapshots []string // folders of snapshots that were left out
}

// maxHeld bounds what treeWalker.hold takes into memory.
const maxHeld = 32 << 20

// walk reads everything below the directory that is open as root.
func (w *treeWalker) walk(ctx context.Context, root int) (*treeEntry, error) {
	w.sets = make(map[string]*xattrSet)
	w.room.Store(maxHeld)
	if w.old != nil {
		for _, set := range w.old.sets {
			w.sets[set.key] = set
		}
	}
	if w.options.Mounts != nil {
		w.mounts = make(map[string]Mount)
		for _, m := range w.options.Mounts {
			w.mounts[m.Path] = m
		}
	}
	var st unix.Statx_t
	if err := statAt(root, "", &st); err != nil {
		return nil, fmt.Errorf("stat the tree's root: %w", err)
	}
	e := &treeEntry{inode: newInode(&st)}
	e.inode.first = e
	if err := w.enterVolume(root, e, &st); err != nil {
		return nil, fmt.Errorf("open the tree's root: %w", err)
	}
	if err := w.readXattrs(root, ".", e.inode); err != nil {
		return nil, fmt.Errorf("read extended attributes of the tree's root: %w", err)
	}
	fd, err := openAt(root, ".", unix.O_DIRECTORY)
	if err != nil {
		return nil, fmt.Errorf("open the tree's root: %w", err)
	}
	w.group, ctx = errgroup.WithContext(ctx)
	w.group.SetLimit(w.options.Jobs)
	w.group.Go(func() error { return w.readDirectory(ctx, fd, e) })
	return e, w.group.Wait()
}

// readDirectory reads the directory that is open as fd, closes it, and goes on with those below.
func (w *treeWalker) readDirectory(ctx context.Context, fd int, dir *treeEntry) error {
	defer unix.Close(fd)
	if err := ctx.Err(); err != nil {
		return err
	}
	if dir.parent != nil && strings.Count(dir.path, "/")+1 >= maxDepth {
		return fmt.Errorf("%.100s...: more than %d directories deep", dir.path, maxDepth)
	}
	if err := w.detectVolume(fd, dir); err != nil {
		return err
	}
	if err := w.listDirectory(fd, dir); err != nil {
		return err
	}
	for _, e := range dir.entries {
		if !e.inode.isDir() || e.inode.mounted {
			continue
		}
		sub, err := openAt(fd, e.name(), unix.O_DIRECTORY)
		if err != nil {
			return wrapVanished(e.path, "open", err)
		}
		read := func() error { return w.readDirectory(ctx, sub, e) }
		if w.group.TryGo(read) {
			continue
		}
		if err := read(); err != nil {
			return err
		}
	}
	return nil
}

// detectVolume finds out which volume a folder begins, if it is on another one than the folder
// above it.
func (w *treeWalker) detectVolume(fd int, dir *treeEntry) error {
	i := dir.inode
	if dir.parent == nil || i.volume.device == i.stat.device && !i.crossed {
		return nil
	}
	var st unix.Statx_t
	if err := statAt(fd, "", &st); err != nil {
		return fmt.Errorf("stat %s: %w", dir.path, err)
	}
	if newFileStat(&st) != i.stat {
		return &changedError{dir.path}
	}
	if err := w.enterVolume(fd, dir, &st); err != nil {
		return fmt.Errorf("open %s: %w", dir.path, err)
	}
	return nil
}

// enterVolume has a folder begin a volume. What a previous index has of that is found by what
// identifies it for good.
func (w *treeWalker) enterVolume(fd int, dir *treeEntry, st *unix.Statx_t) error {
	v, err := openVolume(fd, st)
	if err != nil {
		return err
	}
	if w.old != nil && v.traits.ctimes {
		v.old = w.old.findVolume(v.id)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, known := range w.volumes {
		if known.mount == v.mount && known.device == v.device {
			dir.inode.volume = known // a subvolume may begin at several folders
			return nil
		}
	}
	w.volumes = append(w.volumes, v)
	dir.inode.volume = v
	return nil
}

// listTries is how often a directory is listed until it holds still.
const listTries = 5

// listDirectory reads a directory's names and what they stand for, all as they were at one moment:
// when the directory's own times say that it has not changed since.
func (w *treeWalker) listDirectory(fd int, dir *treeEntry) error {
	for range listTries {
		err := w.listOnce(fd, dir)
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
		var st unix.Statx_t
		if err := statAt(fd, "", &st); err != nil {
			return fmt.Errorf("stat %s: %w", dir.path, err)
		}
		now, was := newFileStat(&st), dir.inode.stat
		if now == was && err == nil {
			return nil
		}
		if now.ino != was.ino || findMountID(&st) != dir.inode.volume.mount {
			break // another one has taken its place
		}
		dir.inode.refresh(&st)
		if err := w.readXattrs(fd, ".", dir.inode); err != nil {
			return fmt.Errorf("read extended attributes of %s: %w", dir.path, err)
		}
	}
	return &changedError{dir.path}
}

// listOnce reads a directory's names and what they stand for. The error is ENOENT if one of them
// has gone meanwhile.
func (w *treeWalker) listOnce(fd int, dir *treeEntry) error {
	names, err := readNames(fd)
	if err != nil {
		return fmt.Errorf("list %s: %w", dir.path, err)
	}
	slices.Sort(names)
	dir.entries = make([]*treeEntry, 0, len(names))
	dir.inode.borrowed = w.options.Exclude.Empties(dir.path)
	for _, name := range names {
		e := &treeEntry{path: path.Join(dir.path, name), parent: dir}
		if w.options.Exclude.Match(e.path) {
			dir.inode.borrowed = true
			continue
		}
		var st unix.Statx_t
		if err := statAt(fd, name, &st); err != nil {
			return fmt.Errorf("stat %s: %w", e.path, err)
		}
		if w.options.SkipSnapshots && holdsSnapshots(dir, name, &st) {
			w.mu.Lock()
			w.snapshots = append(w.snapshots, e.path)
			w.mu.Unlock()
			dir.inode.borrowed = true
			continue
		}
		e.inode = newInode(&st)
		e.inode.first, e.inode.volume = e, dir.inode.volume
		isTaken, err := w.crossMount(fd, e, &st)
		if err != nil {
			return err
		}
		if !isTaken {
			e.inode.makeMountPoint()
		} else if err := w.fillInode(fd, name, e, &st); err != nil {
			return err
		}
		dir.entries = append(dir.entries, e)
	}
	return nil
}

// fillInode reads what a stat does not tell.
func (w *treeWalker) fillInode(dirfd int, name string, e *treeEntry, st *unix.Statx_t) error {
	i := e.inode
	if _, err := chooseInodeType(i.mode); err != nil {
		return fmt.Errorf("%s: %w", e.path, err)
	}
	if i.mode&unix.S_IFMT == unix.S_IFLNK {
		var err error
		if i.target, err = readTarget(dirfd, name, int(i.stat.size)); err != nil {
			return fmt.Errorf("read link %s: %w", e.path, err)
		}
	}
	if i.isRegular() {
		if err := i.volume.checkHoles(e.path, st); err != nil {
			return err
		}
		if w.hold[e.path] {
			if err := w.holdFile(dirfd, name, e); err != nil {
				return err
			}
		}
	}
	if err := w.readXattrs(dirfd, name, i); err != nil {
		return fmt.Errorf("read extended attributes of %s: %w", e.path, err)
	}
	return nil
}

// holdFile reads a file that keeps changing into memory, as it is at one moment.
func (w *treeWalker) holdFile(dirfd int, name string, e *treeEntry) error {
	fd, err := openAt(dirfd, name, 0)
	if err != nil {
		return wrapVanished(e.path, "open", err)
	}
	defer unix.Close(fd)
	for range listTries {
		var before, after unix.Statx_t
		if err := statAt(fd, "", &before); err != nil {
			return fmt.Errorf("stat %s: %w", e.path, err)
		}
		if before.Mode&unix.S_IFMT != unix.S_IFREG {
			return &changedError{e.path}
		}
		if w.room.Add(-int64(before.Size)) < 0 {
			w.room.Add(int64(before.Size))
			return nil // read later, and perhaps it holds still then
		}
		data := make([]byte, before.Size)
		n, err := readFull(fd, data, 0)
		if err != nil {
			return fmt.Errorf("read %s: %w", e.path, err)
		}
		if err := statAt(fd, "", &after); err != nil {
			return fmt.Errorf("stat %s: %w", e.path, err)
		}
		if n == len(data) && newFileStat(&before) == newFileStat(&after) {
			e.inode.refresh(&after)
			e.inode.held, e.inode.data = true, data
			return nil
		}
		w.room.Add(int64(before.Size))
	}
	return &changedError{e.path}
}

// statAt looks at a name below dirfd, never through a symbolic link; at dirfd itself if name is
// empty.
func statAt(dirfd int, name string, st *unix.Statx_t) error {
	flags := unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT
	if name == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	return retryInterrupted(func() error {
		return unix.Statx(dirfd, name, flags, unix.STATX_BASIC_STATS|unix.STATX_MNT_ID, st)
	})
}

// openAt opens a name below dirfd for reading, never through a symbolic link, and never waits for a
// fifo's writer.
func openAt(dirfd int, name string, flags int) (fd int, err error) {
	err = retryInterrupted(func() error {
		fd, err = unix.Openat(dirfd, name, flags|unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		return err
	})
	return fd, err
}

// readFull reads into buf from offset on until buf is full or the file ends.
func readFull(fd int, buf []byte, offset int64) (n int, err error) {
	for n < len(buf) {
		var k int
		err := retryInterrupted(func() (err error) {
			k, err = unix.Pread(fd, buf[n:], offset+int64(n))
			return err
		})
		if err != nil || k == 0 {
			return n, err
		}
		n += k
	}
	return n, nil
}

func readTarget(dirfd int, name string, size int) (string, error) {
	buf := make([]byte, size+1)
	n, err := unix.Readlinkat(dirfd, name, buf)
	if err != nil {
		return "", err
	}
	if n != size {
		return "", unix.ENOENT // replaced since the stat: the directory is listed again
	}
	return string(buf[:n]), nil
}

func readNames(fd int) ([]string, error) {
	if _, err := unix.Seek(fd, 0, unix.SEEK_SET); err != nil {
		return nil, err
	}
	var names []string
	buf := make([]byte, 32<<10)
	for {
		n, err := unix.ReadDirent(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if n <= 0 || err != nil {
			return names, err
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names)
	}
}

// retryInterrupted repeats a system call that a signal interrupted.
func retryInterrupted(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

// wrapVanished turns the absence of something that was there a moment ago into a changedError.
func wrapVanished(place, verb string, err error) error {
	switch err {
	case unix.ENOENT, unix.ENOTDIR, unix.ELOOP, unix.ENXIO, unix.ESTALE:
		return &changedError{place}
	}
	return fmt.Errorf("%s %s: %w", verb, place, err)
}
