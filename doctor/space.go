package doctor

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"ltskeeper/chroot"

	"golang.org/x/sys/unix"
)

// fewInodes is fewer than a night's work may need.
const fewInodes = 1000

// leastSpace is what there should be anywhere, in bytes: keys, log and records may need it, and any
// image does.
const leastSpace = 16 << 20

// firstImage is how many times smaller than its tree a first image will be, at best.
const firstImage = 4

// A disk is a file system that update-image writes to.
type disk struct {
	folder string // the first of those that are on it
	need   int64  // bytes, for the next run
	stat   unix.Statfs_t
}

func (d *disk) readOnly() bool { return d.stat.Flags&unix.ST_RDONLY != 0 }

// disks are those that the next run writes to, with what it is likely to need of each: a full build
// of every chroot.
func (f *facts) disks() (disks []*disk) {
	type mount struct {
		device   uint64
		readOnly bool // a folder may be mounted so by itself
	}
	by := map[mount]*disk{}
	add := func(folder string, need int64) {
		folder = existing(folder)
		st, err := f.machine.Statfs(folder)
		var info unix.Stat_t
		if err != nil || unix.Stat(folder, &info) != nil {
			f.couldNotSee("the free space of %s", folder)
			return
		}
		found := &disk{folder: folder, stat: st}
		on := mount{info.Dev, found.readOnly()}
		if by[on] == nil {
			by[on] = found
			disks = append(disks, found)
		}
		by[on].need += need
	}
	add(f.farm.Image.Directory, leastSpace)
	add(f.farm.TFTP.Directory, 0)
	add(f.farm.State.Path(), leastSpace)
	for _, r := range f.chroots {
		if r.opened != nil && r.Write && r.Path != "/" {
			add(r.Path, leastSpace)
		}
		add(f.farm.Image.Directory, r.bytes/firstImage)
		for _, g := range r.image.Generations {
			if g.Current {
				add(f.farm.Image.Directory, g.Size+g.Size/16)
				add(f.farm.TFTP.Directory, size(filepath.Join(f.farm.TFTP.Directory, r.Name, "current")))
			}
		}
	}
	return disks
}

func noSpace(f *facts) (found []Finding) {
	for _, d := range f.disks() {
		free := int64(d.stat.Bavail) * d.stat.Bsize
		finding := Finding{Kind: Machine, Subject: d.folder}
		switch {
		case d.readOnly():
			continue // read-only says it
		case free < d.need:
			finding.Message = fmt.Sprintf("Its file system has %d MB free, and the next full build needs about %d MB.",
				free>>20, d.need>>20+1)
			finding.Fix = fmt.Sprintf("Make room there; older generations go sooner with smaller keep and keep-for under [image] in %s:", f.farm.Path)
			finding.Commands = []string{shell("df -h %s", d.folder), "ltskeeper image list", "ltskeeper image prune"}
		case d.stat.Files > 0 && d.stat.Ffree < fewInodes:
			finding.Message = fmt.Sprintf("Its file system has room for %d more files only, however small (inodes).",
				d.stat.Ffree)
			finding.Fix = "Find the folder there in which most of them are, and remove what nobody needs:"
			finding.Commands = []string{shell("df -i %s", d.folder),
				shell("du -x --inodes %s | sort -n | tail", d.folder)}
		default:
			continue
		}
		found = append(found, finding)
	}
	return found
}

func readOnly(f *facts) (found []Finding) {
	for _, d := range f.disks() {
		if d.readOnly() {
			found = append(found, Finding{
				Kind: Machine, Subject: d.folder, Message: "Its file system is mounted read-only.",
				Fix: "See what the kernel says of the disk: where one fails, it mounts it so by itself. If the disk is well, make it writable again:",
				Commands: []string{"dmesg --level err,warn | tail", shell("findmnt -T %s", d.folder),
					shell(`mount -o remount,rw "$(findmnt -no TARGET -T %s)"`, d.folder)},
			})
		}
	}
	return found
}

// existing is the folder, or the one above it that is there.
func existing(folder string) string {
	for folder != "/" {
		if _, err := os.Stat(folder); err == nil {
			break
		}
		folder = filepath.Dir(folder)
	}
	return folder
}

// treeSize sums up the files of a tree, in bytes, until ctx ends. A mount that is not taken into
// the image is passed over: /proc has files without a size that means anything, and a dead server
// keeps callers waiting.
func treeSize(ctx context.Context, path string, mounted []chroot.Mount) (sum int64) {
	root, err := filepath.EvalSymlinks(path)
	if err != nil {
		return 0
	}
	isTaken := func(at string) bool {
		return slices.ContainsFunc(mounted, func(m chroot.Mount) bool {
			return m.IsTaken && filepath.Join(root, m.Path) == at
		})
	}
	filepath.WalkDir(root, func(at string, e fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return fs.SkipAll
		case err != nil:
		case e.IsDir() && at != root && isMount(at) && !isTaken(at):
			return fs.SkipDir
		case e.Type().IsRegular():
			if info, err := e.Info(); err == nil {
				sum += info.Size()
			}
		}
		return nil
	})
	return sum
}

// isMount tells whether something is mounted at a folder, be it by autofs as soon as somebody
// looks, and looks at none of it.
func isMount(folder string) bool {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, folder, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT|unix.AT_STATX_DONT_SYNC,
		unix.STATX_TYPE, &st)
	return err == nil && st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
}

// size sums up the files in a folder, in bytes.
func size(folder string) (sum int64) {
	entries, _ := os.ReadDir(folder + "/.")
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().Type() == fs.FileMode(0) {
			sum += info.Size()
		}
	}
	return sum
}
