package squashfs

import (
	"crypto/sha256"
	"fmt"
	"time"
	"unsafe"

	"ltskeeper/internal/mounts"

	"golang.org/x/sys/unix"
)

// A volume is one file system of a tree: the root's own, one that is mounted in it, or a subvolume
// of either.
type volume struct {
	mount   mountID
	device  uint64            // of what is on it, as this build sees it
	id      [sha256.Size]byte // identifies it for good: see identifyFileSystem
	scanned int64             // a change from then on, in nanoseconds since 1970, may leave a ctime as it is
	traits  traits
	old     int // where the previous index has it; noVolume if nowhere
}

const noVolume = -1

// traits say which answers of a file system are believed.
type traits struct {
	// numbers: a device number and an inode number together identify one file.
	numbers bool
	// holes: where SEEK_DATA finds no data there is none.
	holes bool
	// ctimes: whatever changes a file moves its ctime, which nobody can set.
	ctimes bool
}

// openVolume looks at the file system that is open as fd, of which st is the folder's stat.
func openVolume(fd int, st *unix.Statx_t) (*volume, error) {
	v := &volume{mount: findMountID(st), device: newFileStat(st).device, old: noVolume, scanned: readClock(fd)}
	var fs unix.Statfs_t
	if err := retryInterrupted(func() error { return unix.Fstatfs(fd, &fs) }); err != nil {
		return nil, err
	}
	v.traits, v.id = findTraits(uint32(fs.Type), v.mount, maxOverlays), identifyFileSystem(fd, &fs, v.device)
	return v, nil
}

// findTraits knows the kinds of file systems by the numbers that statfs gives them. Overlays may be
// stacked depth times.
func findTraits(kind uint32, mount mountID, depth int) traits {
	const zfsMagic, ntfsMagic, ntfs3Magic, romfsMagic = 0x2fc12fc1, 0x5346544e, 0x7366746e, 0x7275
	switch kind {
	case unix.OVERLAYFS_SUPER_MAGIC:
		return findOverlayTraits(mount, depth)
	case unix.FUSE_SUPER_MAGIC:
		// What a FUSE file system shows is its server's invention. virtiofs has the same number,
		// and the host's ctimes.
		return traits{ctimes: mounts.FindType(mount.number) == "virtiofs"}
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC, unix.TMPFS_MAGIC:
		return traits{numbers: true, holes: true, ctimes: true}
	case zfsMagic: // its holes were wrong before 2.2.2
		return traits{numbers: true, ctimes: true}
	case unix.SQUASHFS_MAGIC, unix.EROFS_SUPER_MAGIC_V1, unix.ISOFS_SUPER_MAGIC, unix.UDF_SUPER_MAGIC,
		unix.CRAMFS_MAGIC, romfsMagic,
		unix.MSDOS_SUPER_MAGIC, unix.EXFAT_SUPER_MAGIC, ntfsMagic, ntfs3Magic,
		unix.SMB_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC:
		return traits{} // their ctime is their mtime, or whatever a server says
	}
	return traits{ctimes: true}
}

// maxOverlays is how many overlays the kernel stacks (FILESYSTEM_MAX_STACK_DEPTH in linux/fs.h).
const maxOverlays = 2

// findOverlayTraits believes of an overlay what is believed of each of its layers, but for numbers,
// which layers repeat. A layer may be an overlay, too. One that lies deeper than the kernel stacks
// them has hidden a layer: it was mounted there.
func findOverlayTraits(mount mountID, depth int) traits {
	layers, known := mounts.ListLayers(mount.number)
	if !known || depth == 0 {
		return traits{}
	}
	all := traits{holes: true, ctimes: true}
	for _, layer := range layers {
		var fs unix.Statfs_t
		var st unix.Statx_t
		if unix.Statfs(layer, &fs) != nil || statAt(unix.AT_FDCWD, layer, &st) != nil {
			return traits{}
		}
		t := findTraits(uint32(fs.Type), findMountID(&st), depth-1)
		all.holes, all.ctimes = all.holes && t.holes, all.ctimes && t.ctimes
	}
	return all
}

// maxUnbelievedHoles is how many bytes more than it takes on the disk a file is read where holes
// are not believed.
const maxUnbelievedHoles = 4 << 30

// checkHoles refuses a file that would have to be read although nearly all of it may be a hole.
func (v *volume) checkHoles(path string, st *unix.Statx_t) error {
	if stored := st.Blocks * 512; !v.traits.holes && st.Size > stored+maxUnbelievedHoles {
		return fmt.Errorf("%s: its %d GB take %d MB on the disk, and this kind of file system does not say reliably "+
			"where the holes are: exclude it, or move the tree to ext4, xfs or btrfs", path, st.Size/1e9, stored/1e6)
	}
	return nil
}

// identifyFileSystem identifies the file system that is open as fd, also when it comes back under
// another device number: by its UUID where the kernel tells that, else by the id that statfs gives,
// which many file systems make of their UUID. One that has neither is identified by its device
// number.
func identifyFileSystem(fd int, fs *unix.Statfs_t, device uint64) [sha256.Size]byte {
	id := appendStruct(nil, int64(fs.Type))
	uuid, ok := readFileSystemUUID(fd)
	if ok {
		id = append(id, uuid...)
	}
	// Subvolumes of one btrfs share a UUID and repeat inode numbers. Only their ids differ.
	if !ok || uint32(fs.Type) == unix.BTRFS_SUPER_MAGIC {
		id = appendStruct(id, fs.Fsid.Val)
	}
	if !ok && fs.Fsid == (unix.Fsid{}) {
		id = appendStruct(id, device)
	}
	return sha256.Sum256(id)
}

// readFileSystemUUID asks for FS_IOC_GETFSUUID, which Linux has since 6.9.
func readFileSystemUUID(fd int) ([]byte, bool) {
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

// readClock returns a time, in nanoseconds since 1970, that no file below the directory that is
// open as fd can get as its ctime for a change that is still to come, unless it is that time or a
// later one. It is the file system's own time: the kernel stamps files with a clock that lags
// behind the one programs read, by a tick or more.
func readClock(fd int) int64 {
	probe, err := unix.Openat(fd, ".", unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err == nil {
		defer unix.Close(probe)
		var st unix.Statx_t
		if err = statAt(probe, "", &st); err == nil {
			return newFileStat(&st).ctime
		}
	}
	return time.Now().Add(-2 * time.Second).UnixNano()
}
