package chroot

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"ltskeeper/internal/mounts"
	"ltskeeper/internal/remedy"

	"golang.org/x/sys/unix"
)

// A Mount is a file system that is mounted in a root.
type Mount struct {
	mounts.Mount
	IsTaken bool // its files are the client's; otherwise clients find an empty folder

	device uint64 // as stat has it, 0 if it was not asked
}

// MountRules say which file systems that are mounted in a root hold files of the client.
type MountRules struct {
	// Declared are the paths of [[chroot]] mounts, as clients have them. They are taken in addition
	// to those that TakeMounts takes by itself.
	Declared []string
	// None takes no mount except declared ones.
	None bool
	// Apart are folders of this machine, absolute. They are never taken, and nothing below them.
	Apart []string
	// Empties reports whether a folder is empty for clients whatever is in it.
	Empties func(folder string) bool
}

// systemFolders are where a distribution installs itself: what is mounted there, or below, belongs
// to the root.
var systemFolders = []string{"usr", "boot", "efi", "etc", "opt", "bin", "sbin", "var"}

// stateFolders hold what the machine itself has gathered, or other systems.
var stateFolders = []string{
	"var/lib/docker", "var/lib/containers", "var/lib/containerd", "var/lib/libvirt", "var/lib/lxc", "var/lib/lxd",
	"var/lib/machines", "var/lib/snapd", "var/lib/flatpak", "var/tmp", "var/cache", "var/log",
}

// systemTypes are the kinds of file systems that a distribution is installed on.
var systemTypes = []string{"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs", "erofs", "squashfs"}

// TakeMounts reads what is mounted in the root and decides which mounts hold files of the client.
// From then on Put writes into those, too, and Read finds nothing in the others. Nothing may be
// mounted or unmounted while the root is worked on.
func (r *Root) TakeMounts(rules MountRules) (all []Mount, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("take what is mounted in client root %s: %w", r.path, err)
		}
	}()
	table, err := mounts.ReadTable(r.path)
	if err != nil {
		return nil, err
	}
	own, err := findMountPlace(r.root)
	if err != nil {
		return nil, err
	}
	var declared []string
	for _, name := range rules.Declared {
		place, err := r.Resolve(name) // /lib/modules may be mounted at /usr/lib/modules
		if err != nil {
			return nil, err
		}
		declared = append(declared, place)
	}
	for _, mounted := range table.Mounts {
		all = append(all, Mount{Mount: mounted})
	}
	var taken []Mount
	for _, n := range orderMounts(all) {
		m := &all[n]
		isDeclared := slices.Contains(declared, m.Path)
		isWanted := isDeclared || !rules.None && isSystemMount(*m) && !rules.Empties(m.Path)
		if !isWanted || !isReachable(m.Path, all) || r.isApart(m.Path, rules.Apart) {
			continue
		}
		var st unix.Stat_t
		if err := unix.Stat(r.at(m.Path), &st); err != nil {
			return nil, fmt.Errorf("look at %s: %w", r.at(m.Path), err)
		}
		m.device = st.Dev
		isShown := m.device == own.device || table.IsShown(m.Mount) || slices.ContainsFunc(taken, m.shows)
		if m.IsTaken = isDeclared || !isShown; m.IsTaken {
			taken = append(taken, *m)
		}
	}
	for n, place := range declared {
		if err := checkDeclared(rules.Declared[n], place, all); err != nil {
			return nil, err
		}
	}
	r.mounts = all
	return all, nil
}

// orderMounts lists the mounts as they are decided on: one after those that it is mounted in,
// otherwise one of a whole file system before those of its parts.
func orderMounts(all []Mount) (order []int) {
	byDepth := make([]int, len(all))
	for n := range byDepth {
		byDepth[n] = n
	}
	slices.SortStableFunc(byDepth, func(a, b int) int { return cmp.Compare(all[a].Depth(), all[b].Depth()) })
	isListed := make([]bool, len(all))
	for _, n := range byDepth {
		for outer := range n + 1 { // mounts come by path, the outer one first
			if !isListed[outer] && mounts.IsWithin(all[n].Path, all[outer].Path) {
				isListed[outer] = true
				order = append(order, outer)
			}
		}
	}
	return order
}

// checkDeclared fails if a mount that is declared, and should be at a place, is not there or cannot
// be taken.
func checkDeclared(declared, place string, all []Mount) error {
	n := slices.IndexFunc(all, func(m Mount) bool { return m.Path == place })
	undeclare := remedy.Setting{Section: "chroot", Key: "mounts", Remove: strconv.Quote("/" + declared)}
	switch {
	case n < 0:
		return remedy.AttachTo(fmt.Errorf("nothing is mounted at /%s, which is declared as a mount", declared),
			remedy.Advice("mount it"), undeclare)
	case !all[n].IsTaken:
		err := fmt.Errorf("/%s, which is declared as a mount, is in a mount that is not taken, "+
			"or where ltskeeper keeps images, TFTP files or its state", declared)
		return remedy.AttachTo(err, undeclare,
			remedy.Setting{Section: "chroot", Key: "mounts", Add: "the mount that it is in"})
	}
	return nil
}

// shows reports whether two mounts are of the same file system: one was made by mount --bind.
func (m Mount) shows(other Mount) bool { return m.device == other.device || m.Overlaps(other.Mount) }

// isSystemMount reports whether a mount looks like a part of an installed system.
func isSystemMount(m Mount) bool {
	first, _, _ := strings.Cut(m.Path, "/")
	isBoot := first == "boot" || first == "efi"
	if !slices.Contains(systemFolders, first) && !strings.HasPrefix(first, "lib") {
		return false
	}
	if !slices.Contains(systemTypes, m.Type) && !(isBoot && m.Type == "vfat") {
		return false
	}
	return !slices.ContainsFunc(stateFolders, func(folder string) bool { return mounts.IsWithin(m.Path, folder) })
}

// isReachable reports whether a mount is not below one that was left out.
func isReachable(place string, all []Mount) bool {
	return !slices.ContainsFunc(all, func(m Mount) bool {
		return !m.IsTaken && place != m.Path && mounts.IsWithin(place, m.Path)
	})
}

// isLeftOut reports whether a path, which leads through no symbolic link, is in a mount that
// clients do not have.
func (r *Root) isLeftOut(place string) bool {
	return slices.ContainsFunc(r.mounts, func(m Mount) bool { return !m.IsTaken && mounts.IsWithin(place, m.Path) })
}

// isApart reports whether a path is in one of these folders of the machine.
func (r *Root) isApart(place string, folders []string) bool {
	at := filepath.Join(followLinks(r.path), place)
	return slices.ContainsFunc(folders, func(f string) bool { return mounts.IsWithin(at, followLinks(f)) })
}

// followLinks returns a path without symbolic links, or the same if that cannot be found.
func followLinks(path string) string {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		return target
	}
	return path
}

// checkMount fails if a folder is neither in the root's own mount nor in one that was taken, so
// that what is put there would not be part of the client's root.
func (r *Root) checkMount(dir *os.Root) error {
	want, err := findMountPlace(r.root)
	if err != nil {
		return err
	}
	got, err := findMountPlace(dir)
	if err != nil {
		return err
	}
	isTaken := func(m Mount) bool {
		return m.IsTaken && (got.hasMount && m.ID == got.mount || !got.hasMount && m.device == got.device)
	}
	if got.isIn(want) || slices.ContainsFunc(r.mounts, isTaken) {
		return nil
	}
	return remedy.AttachTo(errors.New("another file system is mounted there"),
		remedy.Advice("unmount it"), remedy.Setting{Section: "chroot", Key: "mounts", Add: "it"})
}

// A mountPlace is where a folder is: in which mount if the kernel tells (from Linux 5.8 on), and on
// which device.
type mountPlace struct {
	mount    uint64
	hasMount bool
	device   uint64
}

// isIn reports whether two folders are in one mount.
func (p mountPlace) isIn(other mountPlace) bool {
	if p.hasMount {
		return p.mount == other.mount
	}
	return p.device == other.device
}

func findMountPlace(dir *os.Root) (mountPlace, error) {
	f, err := dir.Open(".")
	if err != nil {
		return mountPlace{}, err
	}
	defer f.Close()
	var st unix.Statx_t
	err = unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_BASIC_STATS|unix.STATX_MNT_ID, &st)
	return mountPlace{
		mount: st.Mnt_id, hasMount: st.Mask&unix.STATX_MNT_ID != 0,
		device: unix.Mkdev(st.Dev_major, st.Dev_minor),
	}, err
}
