package disktest

import (
	"bytes"
	"encoding/binary"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// Requests of the kernel to a FUSE file system, as include/uapi/linux/fuse.h has them.
const (
	opForget    = 2
	opGetattr   = 3
	opOpen      = 14
	opRead      = 15
	opRelease   = 18
	opFlush     = 25
	opInit      = 26
	opInterrupt = 36
)

// Unreadable makes reading the file at path fail as a failing disk does, while its size is what it was, until mend is called.
func Unreadable(t *testing.T, path string) (mend func()) {
	t.Helper()
	info, err := os.Stat(path)
	need(t, err)
	fuse := mountFUSE(t, path, unix.S_IFREG)
	go func() {
		for request := make([]byte, 64<<10); ; {
			if n, err := unix.Read(fuse, request); err == unix.EINTR || err == unix.EAGAIN {
				continue
			} else if err != nil || n < 40 {
				return // unmounted
			}
			if reply := answer(request, uint64(info.Size())); reply != nil {
				unix.Write(fuse, reply)
			}
		}
	}()
	return func() {
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
			t.Fatal(err)
		}
	}
}

// answer is the reply to a request, nil if it wants none.
func answer(request []byte, size uint64) []byte {
	order := binary.NativeEndian
	var errno unix.Errno
	var body []byte
	switch order.Uint32(request[4:]) {
	case opInit: // version 7.31, and nothing special
		body = make([]byte, 64)
		order.PutUint32(body[0:], 7)
		order.PutUint32(body[4:], 31)
		order.PutUint32(body[20:], 4096) // the longest write
	case opGetattr:
		body = make([]byte, 104)
		order.PutUint64(body[16:], 1) // inode
		order.PutUint64(body[24:], size)
		order.PutUint32(body[76:], unix.S_IFREG|0o644)
		order.PutUint32(body[80:], 1) // links
	case opOpen:
		body = make([]byte, 16)
		order.PutUint32(body[8:], 1) // past the page cache
	case opRead:
		errno = unix.EIO
	case opFlush, opRelease:
	case opForget, opInterrupt:
		return nil
	default:
		errno = unix.ENOSYS
	}
	var reply bytes.Buffer
	binary.Write(&reply, order, struct {
		length uint32
		err    int32
	}{uint32(16 + len(body)), -int32(errno)})
	reply.Write(request[8:16]) // which request this is about
	reply.Write(body)
	return reply.Bytes()
}
