package doctor

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"ltskeeper/image"

	"golang.org/x/sys/unix"
)

// fewInodes is fewer than a night's work may need.
const fewInodes = 1000

// leastSpace is what there should be anywhere, in bytes: keys, log and records may need it, and any image does.
const leastSpace = 16 << 20

func noSpace(f *facts) (found []Finding) {
	need := map[string]int64{}
	add := func(folder string, bytes int64) { need[existing(folder)] += bytes }
	for _, r := range f.chroots {
		for _, g := range r.image.Generations {
			if g.Current && r.image.Current != image.None {
				add(f.farm.Image.Directory, g.Size+g.Size/16)
				add(f.farm.TFTP.Directory, size(filepath.Join(f.farm.TFTP.Directory, r.Name, "current")))
			}
		}
	}
	add(f.farm.Image.Directory, leastSpace)
	add(f.farm.TFTP.Directory, 0)
	add(f.farm.State, leastSpace)

	type disk struct {
		folder string
		need   int64
		stat   unix.Statfs_t
	}
	disks := map[uint64]*disk{}
	var order []uint64
	for _, folder := range []string{f.farm.Image.Directory, f.farm.TFTP.Directory, f.farm.State} {
		folder = existing(folder)
		bytes, wanted := need[folder]
		if !wanted {
			continue
		}
		delete(need, folder) // once
		var info unix.Stat_t
		st, err := f.machine.free(folder)
		if err != nil || unix.Stat(folder, &info) != nil {
			f.couldNotSee("the free space of %s", folder)
			continue
		}
		if d := disks[info.Dev]; d != nil {
			d.need += bytes
			continue
		}
		disks[info.Dev] = &disk{folder, bytes, st}
		order = append(order, info.Dev)
	}
	for _, dev := range order {
		d := disks[dev]
		free := int64(d.stat.Bavail) * d.stat.Bsize
		finding := Finding{Kind: Machine, Subject: d.folder,
			Fix:      fmt.Sprintf("Make room there; older generations go sooner with smaller keep and keep-for under [image] in %s:", f.farm.Path),
			Commands: []string{shell("df -h %s", d.folder), "ltskeeper image list", "ltskeeper image prune"}}
		switch {
		case free < d.need:
			finding.Message = fmt.Sprintf("Its file system has %d MB free, and the next full build needs about %d MB.", free>>20, d.need>>20+1)
		case d.stat.Files > 0 && d.stat.Ffree < fewInodes:
			finding.Message = fmt.Sprintf("Its file system has room for %d more files only.", d.stat.Ffree)
			finding.Commands = []string{shell("df -i %s", d.folder)}
		default:
			continue
		}
		found = append(found, finding)
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
