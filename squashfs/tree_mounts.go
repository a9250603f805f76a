package squashfs

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// A Mount is something that is mounted below a tree's root.
type Mount struct {
	Path    string // from the root, without a slash in front
	ID      uint64 // as in /proc/self/mountinfo and in statx
	IsTaken bool   // its files belong to the image; otherwise the folder is empty there
}

// mountID tells mounts apart: by the mount's own number where the kernel gives it, which also finds
// a mount of the same file system, otherwise by the device.
type mountID struct{ number, device uint64 }

func findMountID(st *unix.Statx_t) mountID {
	if st.Mask&unix.STATX_MNT_ID != 0 {
		return mountID{number: st.Mnt_id}
	}
	return mountID{device: unix.Mkdev(st.Dev_major, st.Dev_minor)}
}

// crossMount compares where an entry is mounted with the table of mounts, which was read before. It
// reports whether what is there belongs to the tree. The error says that something was mounted or
// unmounted since.
func (w *treeWalker) crossMount(dirfd int, e *treeEntry, st *unix.Statx_t) (isTaken bool, err error) {
	mount, above := findMountID(st), e.parent.inode.volume.mount
	listed, isListed := w.mounts[e.path]
	switch {
	case mount == above && isListed:
		return false, fmt.Errorf("%s was unmounted while the tree was read: run it again", e.path)
	case mount == above:
		return true, nil
	case w.mounts == nil:
		return false, nil
	case !isListed || mount.number != 0 && mount.number != listed.ID:
		return false, fmt.Errorf("something was mounted at %s while the tree was read: run it again", e.path)
	case !listed.IsTaken:
		return false, nil
	}
	e.inode.crossed = true
	if !e.inode.isDir() { // a folder is looked at when it is opened
		fd, err := unix.Openat(dirfd, e.name(), unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return false, wrapVanished(e.path, "open", err)
		}
		defer unix.Close(fd)
		if err := w.enterVolume(fd, e, st); err != nil {
			return false, fmt.Errorf("open %s: %w", e.path, err)
		}
	}
	return true, nil
}

// snapshotFolders are where snapper, timeshift and ZFS show snapshots, at the top of a file system
// or subvolume.
var snapshotFolders = map[string]bool{".snapshots": true, "timeshift": true, "timeshift-btrfs": true, ".zfs": true}

// holdsSnapshots reports whether an entry of a folder is one that holds snapshots of the file
// system that begins there.
func holdsSnapshots(dir *treeEntry, name string, st *unix.Statx_t) bool {
	isTop := dir.parent == nil || dir.inode.volume != dir.parent.inode.volume
	return isTop && snapshotFolders[name] && uint32(st.Mode)&unix.S_IFMT == unix.S_IFDIR
}
