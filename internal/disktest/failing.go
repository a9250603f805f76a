package disktest

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// A Fault is asked before each operation that can fail, and says with what error it does; 0 if it does not. The operations
// are "read" and "write" of files, "sync" of files and folders, and "rename", with the new path. Paths are relative to what
// Failing was given. It is called once at a time.
type Fault func(op, path string) syscall.Errno

// A Disk is a folder on a file system that can fail.
type Disk struct {
	mu    sync.Mutex
	fault Fault
	short map[string]syscall.Errno // files of which a write was cut short, and how the next one fails
}

// Failing mounts a file system over the folder dir that holds what is there, and does what it is told until Fail.
func Failing(t *testing.T, dir string) *Disk {
	t.Helper()
	below, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0) // leads below the mount when that is there
	need(t, err)
	t.Cleanup(func() { unix.Close(below) })
	var st unix.Stat_t
	need(t, unix.Fstat(below, &st))
	d := &Disk{}
	root := &fs.LoopbackRoot{Path: fmt.Sprintf("/proc/self/fd/%d", below), Dev: st.Dev}
	top := &node{&fs.LoopbackNode{RootData: root}, d}
	root.RootNode = top
	options := fuse.MountOptions{
		FsName: "disktest", DirectMountStrict: true, // there is no fusermount
		DisabledCapabilities: fuse.CAP_PASSTHROUGH, // reads and writes are to come by here
	}
	if _, err := fs.Mount(dir, top, &fs.Options{MountOptions: options}); err != nil {
		need(t, fmt.Errorf("mount a file system at %s: %w", dir, err))
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return d
}

// Fail makes operations fail from now on. A write that fails has written half of its bytes before.
func (d *Disk) Fail(fault Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault, d.short = fault, map[string]syscall.Errno{}
}

// FailAt makes those of one kind fail, on paths that hold this text.
func (d *Disk) FailAt(op, text string, errno syscall.Errno) {
	d.Fail(func(o, path string) syscall.Errno {
		if o == op && strings.Contains(path, text) {
			return errno
		}
		return 0
	})
}

// Mend makes everything succeed again.
func (d *Disk) Mend() { d.Fail(nil) }

func (d *Disk) ask(op, path string) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fault == nil {
		return 0
	}
	return d.fault(op, path)
}

// cut returns what can be written of data: half of it where the next write fails.
func (d *Disk) cut(path string, data []byte) ([]byte, syscall.Errno) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if errno := d.short[path]; errno != 0 {
		delete(d.short, path)
		return nil, errno
	}
	if d.fault == nil {
		return data, 0
	}
	errno := d.fault("write", path)
	if errno == 0 || len(data) < 2 {
		return data, errno
	}
	d.short[path] = errno
	return data[:len(data)/2], 0
}

// node is a file or a folder of a Disk.
type node struct {
	*fs.LoopbackNode
	disk *Disk
}

func (n *node) WrapChild(_ context.Context, child fs.InodeEmbedder) fs.InodeEmbedder {
	return &node{child.(*fs.LoopbackNode), n.disk}
}

func (n *node) path() string { return n.Path(n.Root()) }

func (n *node) Read(ctx context.Context, f fs.FileHandle, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	if errno := n.disk.ask("read", n.path()); errno != 0 {
		return nil, errno
	}
	return f.(fs.FileReader).Read(ctx, dest, off)
}

func (n *node) Write(ctx context.Context, f fs.FileHandle, data []byte, off int64) (uint32, syscall.Errno) {
	data, errno := n.disk.cut(n.path(), data)
	if errno != 0 {
		return 0, errno
	}
	return f.(fs.FileWriter).Write(ctx, data, off)
}

// Writev is not there, so that Write is asked.
func (n *node) Writev(context.Context, fs.FileHandle, [][]byte, int64) (uint32, syscall.Errno) {
	return 0, syscall.ENOSYS
}

// CopyFileRange is not there, so that Read and Write are asked.
func (n *node) CopyFileRange(context.Context, fs.FileHandle, uint64, *fs.Inode, fs.FileHandle, uint64, uint64, uint64) (uint32, syscall.Errno) {
	return 0, syscall.ENOSYS
}

// Fsync does nothing else: the machine does not stop in the middle of a test.
func (n *node) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	return n.disk.ask("sync", n.path())
}

func (n *node) OpendirHandle(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	h, flags, errno := n.LoopbackNode.OpendirHandle(ctx, flags)
	if errno != 0 {
		return nil, 0, errno
	}
	return &folder{h.(openFolder), n}, flags, 0
}

// folder is one that is open.
type folder struct {
	openFolder
	node *node
}

type openFolder interface {
	fs.FileReaddirenter
	fs.FileSeekdirer
	fs.FileReleasedirer
}

func (f *folder) Fsyncdir(ctx context.Context, flags uint32) syscall.Errno {
	return f.node.Fsync(ctx, nil, flags)
}

func (n *node) Rename(ctx context.Context, name string, parent fs.InodeEmbedder, to string, flags uint32) syscall.Errno {
	if errno := n.disk.ask("rename", filepath.Join(parent.(*node).path(), to)); errno != 0 {
		return errno
	}
	return n.LoopbackNode.Rename(ctx, name, parent, to, flags)
}
