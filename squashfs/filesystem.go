package squashfs

import (
	"crypto/sha256"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// fileSystemID identifies the file system that is open as fd, also when it comes back under another device number: by
// its UUID where the kernel tells that, else by the id that statfs gives, which many file systems make of their UUID.
// One that has neither is identified by its device number.
func fileSystemID(fd int) ([sha256.Size]byte, error) {
	var fs unix.Statfs_t
	if err := again(func() error { return unix.Fstatfs(fd, &fs) }); err != nil {
		return [sha256.Size]byte{}, err
	}
	id := appendStruct(nil, int64(fs.Type))
	uuid, ok := fileSystemUUID(fd)
	if ok {
		id = append(id, uuid...)
	}
	// Subvolumes of one btrfs share a UUID and repeat inode numbers. Only their ids differ.
	if !ok || uint32(fs.Type) == unix.BTRFS_SUPER_MAGIC {
		id = appendStruct(id, fs.Fsid.Val)
	}
	if !ok && fs.Fsid == (unix.Fsid{}) {
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return [sha256.Size]byte{}, err
		}
		id = appendStruct(id, uint64(st.Dev))
	}
	return sha256.Sum256(id), nil
}

// fileSystemUUID asks for FS_IOC_GETFSUUID, which Linux has since 6.9.
func fileSystemUUID(fd int) ([]byte, bool) {
	const getUUID = 0x80111500
	var uuid struct { // struct fsuuid2
		length byte
		bytes  [16]byte
	}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), getUUID, uintptr(unsafe.Pointer(&uuid)))
	if errno != 0 || uuid.length == 0 || int(uuid.length) > len(uuid.bytes) {
		return nil, false
	}
	return uuid.bytes[:uuid.length], true
}

// scanTime returns a time, in nanoseconds since 1970, that no file below the directory that is open as fd can get as
// its ctime for a change that is still to come, unless it is that time or a later one. It is the file system's own
// time: the kernel stamps files with a clock that lags behind the one programs read, by a tick or more.
func scanTime(fd int) int64 {
	probe, err := unix.Openat(fd, ".", unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err == nil {
		defer unix.Close(probe)
		var st unix.Statx_t
		if err = statx(probe, "", &st); err == nil {
			return statOf(&st).ctime
		}
	}
	return time.Now().Add(-2 * time.Second).UnixNano()
}
