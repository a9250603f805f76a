package doctor

import (
	"io/fs"
	"os"
	"path/filepath"

	"ltskeeper/internal/remedy"

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

func (d *disk) isReadOnly() bool { return d.stat.Flags&unix.ST_RDONLY != 0 }

// listDisks returns the file systems that the next run writes to, with what it is likely to need of
// each: a full build of every chroot.
func (f *facts) listDisks(r *results) (disks []*disk) {
	type mount struct {
		device     uint64
		isReadOnly bool // a folder may be mounted so by itself
	}
	by := map[mount]*disk{}
	add := func(folder string, need int64) {
		folder = findExisting(folder)
		st, err := f.machine.Statfs(folder)
		var info unix.Stat_t
		if err != nil || unix.Stat(folder, &info) != nil {
			r.couldNotSee("the free space of %s", folder)
			return
		}
		found := &disk{folder: folder, stat: st}
		on := mount{info.Dev, found.isReadOnly()}
		if by[on] == nil {
			by[on] = found
			disks = append(disks, found)
		}
		by[on].need += need
	}
	add(f.farm.Image.Directory, leastSpace)
	add(f.farm.TFTP, 0)
	add(f.farm.State.Path(), leastSpace)
	for _, c := range f.chroots {
		if c.opened != nil && c.Write && c.Path != "/" {
			add(c.Path, leastSpace)
		}
		add(f.farm.Image.Directory, c.bytes/firstImage)
		if g, exists := c.currentGeneration(); exists {
			add(f.farm.Image.Directory, g.Size+g.Size/16)
			add(f.farm.TFTP, sumFolder(filepath.Join(f.farm.TFTP, c.Name, "current")))
		}
	}
	return disks
}

func checkNoSpace(f *facts, r *results) {
	for _, d := range f.listDisks(r) {
		free := int64(d.stat.Bavail) * d.stat.Bsize
		switch {
		case d.isReadOnly(): // read-only says it
		case free < d.need:
			lower := func(key string) remedy.Remedy {
				return remedy.Setting{File: f.farm.Path, Section: "image", Key: key, Change: "lower"}
			}
			r.findAt(Machine, d.folder, "Its file system has %d MB free, and the next full build needs about %d MB.",
				free>>20, d.need>>20+1).
				fix("make room there", remedy.Steps{lower("keep"), lower("keep-for")},
					remedy.Program{"df", "-h", d.folder},
					remedy.Command{"image", "list"}, remedy.Command{"image", "prune"})
		case d.stat.Files > 0 && d.stat.Ffree < fewInodes:
			r.findAt(Machine, d.folder, "Its file system has room for %d more files only, however small (inodes).",
				d.stat.Ffree).
				fix("find the folder there in which most of them are, and remove what nobody needs",
					remedy.Program{"df", "-i", d.folder}, remedy.Program{"du", "-x", "--inodes", "-d", "2", d.folder})
		}
	}
}

func checkReadOnly(f *facts, r *results) {
	for _, d := range f.listDisks(r) {
		if d.isReadOnly() {
			r.findAt(Machine, d.folder, "Its file system is mounted read-only.").
				fix("see what the kernel says of the disk: where one fails, it mounts it so by itself. "+
					"If the disk is well, make it writable again", remedy.Shell("dmesg --level err,warn | tail"),
					remedy.Program{"findmnt", "-T", d.folder},
					remedy.Program{"mount", "-o", "remount,rw", findMountPoint(d.folder)})
		}
	}
}

// findExisting returns the folder, or the one above it that exists.
func findExisting(folder string) string {
	for folder != "/" {
		if _, err := os.Stat(folder); err == nil {
			break
		}
		folder = filepath.Dir(folder)
	}
	return folder
}

// findMountPoint returns where the file system of a folder is mounted.
func findMountPoint(folder string) string {
	folder = resolveLinks(folder)
	for folder != "/" && !isMountPoint(folder) {
		folder = filepath.Dir(folder)
	}
	return folder
}

// sumFolder sums up the files in a folder, in bytes.
func sumFolder(folder string) (sum int64) {
	entries, _ := os.ReadDir(folder + "/.")
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().Type() == fs.FileMode(0) {
			sum += info.Size()
		}
	}
	return sum
}
