package disktest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// A Fault is asked before each operation that can fail, and says with what error it does; 0 if it
// does not. The operations are "read" and "write" of files, "sync" of files and folders, and
// "rename", with the new path. Paths are relative to what Failing was given. It is called once at a
// time.
type Fault func(op, path string) syscall.Errno

// A Disk is a folder on a file system that can fail.
//
// A process of its own serves that, and asks the test's. One that waits for its own file system
// cannot be killed, and now and then waits for ever: Go's scheduler stands still for it while a
// file is registered for polling, or a child made.
type Disk struct {
	mu    sync.Mutex
	fault Fault
	short map[string]syscall.Errno // files of which a write was cut short, and how the next one fails
}

// A question is what the server asks the test: whether an operation is to fail.
type question struct {
	Op, Path string
	Size     int // of a write, in bytes
}

type answer struct {
	Errno syscall.Errno
	Size  int // how much of a write is to be written
}

// Failing mounts a file system over the folder dir that holds what is there, and does what it is
// told until Fail.
func Failing(t *testing.T, dir string) *Disk {
	t.Helper()
	answers, questions, end := startServer(t, "failing", dir)
	d := &Disk{}
	var talk sync.WaitGroup
	talk.Go(func() { d.talk(questions, answers) })
	t.Cleanup(func() {
		answers.Close() // which ends the server and its mount, and fails what still waits for it
		talk.Wait()
		end()
	})
	return d
}

// talk answers questions until there are no more.
func (d *Disk) talk(questions io.Reader, answers io.Writer) {
	for in, out := json.NewDecoder(questions), json.NewEncoder(answers); ; {
		var q question
		if in.Decode(&q) != nil || out.Encode(d.decide(q)) != nil {
			return
		}
	}
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

func (d *Disk) decide(q question) answer {
	d.mu.Lock()
	defer d.mu.Unlock()
	if errno := d.short[q.Path]; errno != 0 && q.Op == "write" {
		delete(d.short, q.Path)
		return answer{Errno: errno}
	}
	if d.fault == nil {
		return answer{Size: q.Size}
	}
	errno := d.fault(q.Op, q.Path)
	if errno != 0 && q.Size > 1 {
		d.short[q.Path] = errno
		return answer{Size: q.Size / 2}
	}
	return answer{Errno: errno, Size: q.Size}
}

// A server is the file system over one folder, in a process of its own.
type server struct {
	mu        sync.Mutex
	questions *json.Encoder
	answers   <-chan answer
}

// serveFailing mounts the file system, prints a line, and then questions, to which it reads
// answers. When these end, so does it.
func serveFailing(dir string, in io.Reader, out io.Writer) error {
	root, err := enterBelow(dir)
	if err != nil {
		return err
	}
	answers := make(chan answer)
	s := &server{questions: json.NewEncoder(out), answers: answers}
	top := &node{&fs.LoopbackNode{RootData: root}, s}
	root.RootNode = top
	if _, err := fs.Mount(dir, top, &fs.Options{MountOptions: mountOptions}); err != nil {
		return err
	}
	fmt.Fprintln(out, "mounted")
	for decoder := json.NewDecoder(in); ; {
		var a answer
		if err := decoder.Decode(&a); err != nil {
			return errors.Join(err, unix.Unmount(dir, unix.MNT_DETACH))
		}
		answers <- a
	}
}

// ask says with what error an operation is to fail, and how much of a write is to be written.
func (s *server) ask(q question) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.questions.Encode(q) != nil {
		return answer{Errno: syscall.EIO} // the test is over
	}
	return <-s.answers
}

// node is a file or a folder of a server's.
type node struct {
	*fs.LoopbackNode
	server *server
}

func (n *node) WrapChild(_ context.Context, child fs.InodeEmbedder) fs.InodeEmbedder {
	return &node{child.(*fs.LoopbackNode), n.server}
}

func (n *node) path() string { return n.Path(n.Root()) }

func (n *node) ask(op, path string) syscall.Errno {
	return n.server.ask(question{Op: op, Path: path}).Errno
}

func (n *node) Read(ctx context.Context, f fs.FileHandle, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	if errno := n.ask("read", n.path()); errno != 0 {
		return nil, errno
	}
	return f.(fs.FileReader).Read(ctx, dest, off)
}

func (n *node) Write(ctx context.Context, f fs.FileHandle, data []byte, off int64) (uint32, syscall.Errno) {
	a := n.server.ask(question{"write", n.path(), len(data)})
	if a.Errno != 0 {
		return 0, a.Errno
	}
	return f.(fs.FileWriter).Write(ctx, data[:a.Size], off)
}

// Writev is not there, so that Write is asked.
func (n *node) Writev(context.Context, fs.FileHandle, [][]byte, int64) (uint32, syscall.Errno) {
	return 0, syscall.ENOSYS
}

// CopyFileRange is not there, so that Read and Write are asked.
func (n *node) CopyFileRange(context.Context, fs.FileHandle, uint64, *fs.Inode, fs.FileHandle, uint64, uint64,
	uint64) (uint32, syscall.Errno) {
	return 0, syscall.ENOSYS
}

// Fsync does nothing else: the machine does not stop in the middle of a test.
func (n *node) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	return n.ask("sync", n.path())
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

func (n *node) Rename(ctx context.Context, name string, parent fs.InodeEmbedder, to string,
	flags uint32) syscall.Errno {
	if errno := n.ask("rename", filepath.Join(parent.(*node).path(), to)); errno != 0 {
		return errno
	}
	return n.LoopbackNode.Rename(ctx, name, parent, to, flags)
}
