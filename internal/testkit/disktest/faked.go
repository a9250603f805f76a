package disktest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// A Fake is what the file system claims about one path instead of the truth. A field that is zero
// is not faked.
type Fake struct {
	Ino          uint64
	Nlink        uint32
	Mode         uint32 // permissions; the type cannot be faked
	Uid, Gid     *int
	Blocks       *int // of 512 bytes
	Mtime, Ctime time.Time

	// Data, if not nil, is where SEEK_DATA and SEEK_HOLE find data: ranges in bytes, from the first
	// offset up to the second, in ascending order. If it is empty, the whole file is a hole. What
	// is read does not change.
	Data [][2]int64

	// Lock is the error of every call that takes or tests a lock, with fcntl or flock.
	Lock syscall.Errno
	// LockHangs makes these calls wait until the path is faked differently or the test ends. A
	// process that waits cannot be killed.
	LockHangs bool
}

// A FakedDisk is a folder on a file system that does not tell the truth. Like a Disk, it is served
// by a process of its own.
type FakedDisk struct {
	t       *testing.T
	mu      sync.Mutex
	orders  *json.Encoder
	reports *json.Decoder
	fakes   map[string]Fake
}

// An order tells the server what to fake from now on; if that is nil, it goes on as before.
type order struct{ Fakes map[string]Fake }

// A report answers an order. It counts the lock calls that hang, by path.
type report struct{ Hanging map[string]int }

// Faked mounts a file system over the folder dir that shows what is there, apart from what Set
// fakes.
func Faked(t *testing.T, dir string) *FakedDisk {
	t.Helper()
	orders, reports, wait := startServer(t, "faked", dir)
	t.Cleanup(func() {
		orders.Close() // which ends the server and its mount, and fails what still waits for it
		wait()
	})
	return &FakedDisk{
		t: t, orders: json.NewEncoder(orders), reports: json.NewDecoder(reports), fakes: map[string]Fake{},
	}
}

// Set replaces what is faked for one path, which is relative to the folder. It takes effect at
// once.
func (d *FakedDisk) Set(path string, fake Fake) {
	d.t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fakes[filepath.Clean(path)] = fake
	d.tell(order{d.fakes})
}

// Mend makes the file system tell the truth again.
func (d *FakedDisk) Mend() {
	d.t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.fakes)
	d.tell(order{d.fakes})
}

// WaitForLock waits until a lock call hangs on the path.
func (d *FakedDisk) WaitForLock(path string) {
	d.t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.tell(order{}).Hanging[filepath.Clean(path)] == 0 {
		time.Sleep(5 * time.Millisecond)
	}
}

func (d *FakedDisk) tell(o order) report {
	d.t.Helper()
	var r report
	if err := errors.Join(d.orders.Encode(o), d.reports.Decode(&r)); err != nil {
		d.t.Fatalf("the file system of the test is gone: %v", err)
	}
	return r
}

// serveFaked mounts the file system and prints a line. Then it reads orders until there are no
// more, and prints a report for each.
func serveFaked(dir string, in io.Reader, out io.Writer) error {
	unix.Umask(0) // the kernel applies the callers'
	root, err := enterBelow(dir)
	if err != nil {
		return err
	}
	top := &fakedNode{LoopbackNode: &fs.LoopbackNode{RootData: root}}
	root.RootNode = top
	s := &fakedServer{changed: make(chan struct{}), hanging: map[string]int{}, held: map[heldLock]bool{},
		nodes: map[uint64]*fakedNode{fuse.FUSE_ROOT_ID: top}, next: fuse.FUSE_ROOT_ID + 1}
	top.server = s
	if errno := top.identify(root.Path, &syscall.Stat_t{}); errno != 0 {
		return errno
	}
	options := mountOptions
	options.EnableLocks = true
	options.AllowOther = true
	options.DisableReadDirPlus = true // attributes come by Lookup alone
	options.MaxBackground = 64
	s.RawFileSystem = fs.NewNodeFS(top, &fs.Options{MountOptions: options, NullPermissions: true, ExternalNodeID: true})
	mounted, err := fuse.NewServer(s, dir, &options)
	if err != nil {
		return err
	}
	go mounted.Serve()
	if err := mounted.WaitMount(); err != nil {
		return err
	}
	fmt.Fprintln(out, "mounted")
	for orders, reports := json.NewDecoder(in), json.NewEncoder(out); ; {
		var o order
		err := orders.Decode(&o)
		if err != nil {
			s.obey(order{map[string]Fake{}}) // so that no lock call hangs any more
			return errors.Join(err, unix.Unmount(dir, unix.MNT_DETACH))
		}
		if err := reports.Encode(s.obey(o)); err != nil {
			return err
		}
	}
}

// A fakedServer wraps the file system of nodes, which sets inode numbers of its own.
type fakedServer struct {
	fuse.RawFileSystem

	mu      sync.Mutex
	fakes   map[string]Fake
	changed chan struct{} // closed when fakes change
	hanging map[string]int
	held    map[heldLock]bool

	nodes map[uint64]*fakedNode // by the node number that the kernel uses; each is used once
	next  uint64
}

// heldLock is a lock that was taken with fcntl.
type heldLock struct{ file, owner uint64 }

func (s *fakedServer) obey(o order) report {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.Fakes != nil {
		s.fakes = o.Fakes
		close(s.changed)
		s.changed = make(chan struct{})
	}
	return report{maps.Clone(s.hanging)}
}

// fakeOf returns what is faked of a node.
func (s *fakedServer) fakeOf(id uint64) (n *fakedNode, path string, fake Fake) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n = s.nodes[id]
	path = filepath.Clean(n.Path(n.Root()))
	return n, path, s.fakes[path]
}

// fakeEntry fakes the attributes in a reply that names the node.
func (s *fakedServer) fakeEntry(out *fuse.EntryOut, status fuse.Status) fuse.Status {
	return s.fakeAttr(out.NodeId, &out.Attr, status)
}

// fakeAttr fakes the attributes in a reply. It restores the inode number of a file that is not
// faked.
func (s *fakedServer) fakeAttr(id uint64, a *fuse.Attr, status fuse.Status) fuse.Status {
	if status != fuse.OK {
		return status
	}
	n, _, fake := s.fakeOf(id)
	a.Ino = n.identity.Ino
	if fake.Ino != 0 {
		a.Ino = fake.Ino
	}
	if fake.Nlink != 0 {
		a.Nlink = fake.Nlink
	}
	if fake.Mode != 0 {
		a.Mode = a.Mode&^07777 | fake.Mode&07777
	}
	if fake.Uid != nil {
		a.Uid = uint32(*fake.Uid)
	}
	if fake.Gid != nil {
		a.Gid = uint32(*fake.Gid)
	}
	if fake.Blocks != nil {
		a.Blocks = uint64(*fake.Blocks)
	}
	if !fake.Mtime.IsZero() {
		a.Mtime, a.Mtimensec = uint64(fake.Mtime.Unix()), uint32(fake.Mtime.Nanosecond())
	}
	if !fake.Ctime.IsZero() {
		a.Ctime, a.Ctimensec = uint64(fake.Ctime.Unix()), uint32(fake.Ctime.Nanosecond())
	}
	return status
}

func (s *fakedServer) Lookup(cancel <-chan struct{}, in *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	return s.fakeEntry(out, s.RawFileSystem.Lookup(cancel, in, name, out))
}

func (s *fakedServer) GetAttr(cancel <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	return s.fakeAttr(in.NodeId, &out.Attr, s.RawFileSystem.GetAttr(cancel, in, out))
}

func (s *fakedServer) SetAttr(cancel <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	return s.fakeAttr(in.NodeId, &out.Attr, s.RawFileSystem.SetAttr(cancel, in, out))
}

func (s *fakedServer) Mknod(cancel <-chan struct{}, in *fuse.MknodIn, name string, out *fuse.EntryOut) fuse.Status {
	return s.fakeEntry(out, s.RawFileSystem.Mknod(cancel, in, name, out))
}

func (s *fakedServer) Mkdir(cancel <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	return s.fakeEntry(out, s.RawFileSystem.Mkdir(cancel, in, name, out))
}

func (s *fakedServer) Symlink(
	cancel <-chan struct{}, in *fuse.InHeader, to, name string, out *fuse.EntryOut,
) fuse.Status {
	return s.fakeEntry(out, s.RawFileSystem.Symlink(cancel, in, to, name, out))
}

func (s *fakedServer) Link(cancel <-chan struct{}, in *fuse.LinkIn, name string, out *fuse.EntryOut) fuse.Status {
	return s.fakeEntry(out, s.RawFileSystem.Link(cancel, in, name, out))
}

func (s *fakedServer) Create(cancel <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	return s.fakeEntry(&out.EntryOut, s.RawFileSystem.Create(cancel, in, name, out))
}

// Statx is not supported, so that the kernel calls GetAttr.
func (s *fakedServer) Statx(<-chan struct{}, *fuse.StatxIn, *fuse.StatxOut) fuse.Status {
	return fuse.ENOSYS
}

// Tmpfile is not supported, because such a file has no path.
func (s *fakedServer) Tmpfile(<-chan struct{}, *fuse.CreateIn, *fuse.CreateOut) fuse.Status {
	return fuse.ENOSYS
}

func (s *fakedServer) Lseek(cancel <-chan struct{}, in *fuse.LseekIn, out *fuse.LseekOut) fuse.Status {
	n, _, fake := s.fakeOf(in.NodeId)
	if fake.Data == nil {
		return s.RawFileSystem.Lseek(cancel, in, out)
	}
	var st unix.Stat_t
	offset := int64(in.Offset)
	if err := unix.Lstat(n.below(""), &st); err != nil {
		return fuse.ToStatus(err)
	} else if offset >= st.Size {
		return fuse.Status(syscall.ENXIO)
	}
	out.Offset = in.Offset
	for _, data := range fake.Data {
		switch isBefore := offset < data[0]; {
		case offset >= data[1]:
		case in.Whence == unix.SEEK_DATA && isBefore:
			out.Offset = uint64(data[0])
			return fuse.OK
		case in.Whence == unix.SEEK_DATA || isBefore:
			return fuse.OK
		default: // the hole starts here, unless more data follows directly
			offset = data[1]
			out.Offset = uint64(offset)
		}
	}
	if in.Whence == unix.SEEK_DATA {
		return fuse.Status(syscall.ENXIO)
	}
	return fuse.OK
}

// lockError waits while lock calls hang and returns the error that is faked, or OK.
func (s *fakedServer) lockError(in *fuse.LkIn) fuse.Status {
	if in.Lk.Typ == unix.F_UNLCK {
		return fuse.OK
	}
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		_, path, fake := s.fakeOf(in.NodeId)
		if !fake.LockHangs {
			return fuse.Status(fake.Lock)
		}
		s.countHanging(path, 1)
		<-changed
		s.countHanging(path, -1)
	}
}

func (s *fakedServer) countHanging(path string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hanging[path] += n
}

// patience is how often the server tries to get a lock before it reports that it is held. The
// kernel does not wait for the server to close a file, so the locks of a file that was just closed
// may still be there.
const patience = 10

func (s *fakedServer) GetLk(cancel <-chan struct{}, in *fuse.LkIn, out *fuse.LkOut) fuse.Status {
	if status := s.lockError(in); status != fuse.OK {
		return status
	}
	for range patience {
		if status := s.RawFileSystem.GetLk(cancel, in, out); status != fuse.OK || out.Lk.Typ == unix.F_UNLCK {
			return status
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fuse.OK
}

func (s *fakedServer) SetLk(cancel <-chan struct{}, in *fuse.LkIn) fuse.Status {
	if status := s.lockError(in); status != fuse.OK {
		return status
	}
	return s.takeLock(cancel, in)
}

func (s *fakedServer) SetLkw(cancel <-chan struct{}, in *fuse.LkIn) fuse.Status {
	if status := s.lockError(in); status != fuse.OK {
		return status
	}
	for {
		if status := s.takeLock(cancel, in); status != fuse.EAGAIN {
			return status
		}
		select {
		case <-cancel:
			return fuse.EINTR
		default:
		}
	}
}

func (s *fakedServer) takeLock(cancel <-chan struct{}, in *fuse.LkIn) fuse.Status {
	for range patience {
		status := s.RawFileSystem.SetLk(cancel, in)
		if status == fuse.OK && in.LkFlags&fuse.LK_FLOCK == 0 {
			s.mu.Lock()
			s.held[heldLock{in.Fh, in.Owner}] = true
			s.mu.Unlock()
		}
		if status != fuse.EAGAIN {
			return status
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fuse.EAGAIN
}

// Flush releases the locks of the process that closes the file. The node layer takes them as locks
// of the open file.
func (s *fakedServer) Flush(cancel <-chan struct{}, in *fuse.FlushIn) fuse.Status {
	lock := heldLock{in.Fh, in.LockOwner}
	s.mu.Lock()
	isHeld := s.held[lock]
	delete(s.held, lock)
	s.mu.Unlock()
	if isHeld {
		s.RawFileSystem.SetLk(cancel, &fuse.LkIn{InHeader: in.InHeader, Fh: in.Fh, Owner: in.LockOwner,
			Lk: fuse.FileLock{End: 1<<63 - 1, Typ: unix.F_UNLCK}})
	}
	return s.RawFileSystem.Flush(cancel, in)
}

func (s *fakedServer) Release(cancel <-chan struct{}, in *fuse.ReleaseIn) {
	s.mu.Lock()
	maps.DeleteFunc(s.held, func(lock heldLock, _ bool) bool { return lock.file == in.Fh })
	s.mu.Unlock()
	s.RawFileSystem.Release(cancel, in)
}

// A fakedNode is one path. Hard links to one file are separate nodes, so that each of them can be
// faked.
type fakedNode struct {
	*fs.LoopbackNode
	server   *fakedServer
	identity identity
}

type identity struct {
	Dev, Ino uint64
	Type     uint32
}

func (n *fakedNode) identify(path string, st *syscall.Stat_t) syscall.Errno {
	if err := syscall.Lstat(path, st); err != nil {
		return fs.ToErrno(err)
	}
	n.identity = identity{st.Dev, st.Ino, st.Mode & unix.S_IFMT}
	return 0
}

// below returns the path below the mount of the node itself, or of a name in it.
func (n *fakedNode) below(name string) string {
	return filepath.Join(n.RootData.Path, n.Path(n.Root()), name)
}

// Lookup returns the node that the name already has if it is still the same file, so that the
// kernel keeps it.
func (n *fakedNode) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	s := n.server
	node := &fakedNode{LoopbackNode: &fs.LoopbackNode{RootData: n.RootData}, server: s}
	var st syscall.Stat_t
	if errno := node.identify(n.below(name), &st); errno != 0 {
		return nil, errno
	}
	out.Attr.FromStat(&st)
	if child := n.GetChild(name); child != nil && child.Operations().(*fakedNode).identity == node.identity {
		return child, 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.next
	s.next++
	s.nodes[id] = node
	return n.NewInode(ctx, node, fs.StableAttr{Mode: st.Mode & unix.S_IFMT, Ino: id, Gen: 1}), 0
}

func (n *fakedNode) Mknod(
	ctx context.Context, name string, mode, dev uint32, out *fuse.EntryOut,
) (*fs.Inode, syscall.Errno) {
	if _, errno := n.LoopbackNode.Mknod(ctx, name, mode, dev, out); errno != 0 {
		return nil, errno
	}
	return n.Lookup(ctx, name, out)
}

func (n *fakedNode) Mkdir(
	ctx context.Context, name string, mode uint32, out *fuse.EntryOut,
) (*fs.Inode, syscall.Errno) {
	if _, errno := n.LoopbackNode.Mkdir(ctx, name, mode, out); errno != 0 {
		return nil, errno
	}
	return n.Lookup(ctx, name, out)
}

func (n *fakedNode) Symlink(
	ctx context.Context, to, name string, out *fuse.EntryOut,
) (*fs.Inode, syscall.Errno) {
	if _, errno := n.LoopbackNode.Symlink(ctx, to, name, out); errno != 0 {
		return nil, errno
	}
	return n.Lookup(ctx, name, out)
}

func (n *fakedNode) Link(
	ctx context.Context, to fs.InodeEmbedder, name string, out *fuse.EntryOut,
) (*fs.Inode, syscall.Errno) {
	if _, errno := n.LoopbackNode.Link(ctx, to, name, out); errno != 0 {
		return nil, errno
	}
	return n.Lookup(ctx, name, out)
}

func (n *fakedNode) Create(
	ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut,
) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	_, file, flags, errno := n.LoopbackNode.Create(ctx, name, flags, mode, out)
	if errno != 0 {
		return nil, nil, 0, errno
	}
	child, errno := n.Lookup(ctx, name, out)
	return child, file, flags, errno
}

func (n *fakedNode) Rename(
	_ context.Context, name string, parent fs.InodeEmbedder, to string, flags uint32,
) syscall.Errno {
	path := parent.(*fakedNode).below(to)
	return fs.ToErrno(unix.Renameat2(unix.AT_FDCWD, n.below(name), unix.AT_FDCWD, path, uint(flags)))
}

// Fsync does nothing: the machine does not stop in the middle of a test.
func (n *fakedNode) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno { return 0 }

func (n *fakedNode) OpendirHandle(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	h, flags, errno := n.LoopbackNode.OpendirHandle(ctx, flags)
	if errno != 0 {
		return nil, 0, errno
	}
	return &fakedFolder{h.(openFolder), n}, flags, 0
}

// A fakedFolder is an open folder.
type fakedFolder struct {
	openFolder
	node *fakedNode
}

// Readdirent returns the next entry with the inode number that is faked for it.
func (f *fakedFolder) Readdirent(ctx context.Context) (*fuse.DirEntry, syscall.Errno) {
	e, errno := f.openFolder.Readdirent(ctx)
	if e != nil && e.Name != ".." {
		f.node.server.mu.Lock()
		defer f.node.server.mu.Unlock()
		if ino := f.node.server.fakes[filepath.Join(f.node.Path(f.node.Root()), e.Name)].Ino; ino != 0 {
			e.Ino = ino
		}
	}
	return e, errno
}
