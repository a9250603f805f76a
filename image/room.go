package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"ltskeeper/internal/remedy"

	"golang.org/x/sys/unix"
)

// makeRoom is what to do about a disk that is full, or too full for the next generation.
var makeRoom = []remedy.Remedy{
	remedy.Advice("make room"),
	remedy.Steps{
		remedy.Setting{Section: "image", Key: "keep", Change: "lower"},
		remedy.Setting{Section: "image", Key: "keep-for", Change: "lower"},
		remedy.Command{"image", "prune"},
	},
}

// explainFull adds to an error what there is to do about a full disk.
func explainFull(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return remedy.AttachTo(err, makeRoom...)
	}
	return err
}

// checkFreeSpace fails if the file systems of images and of TFTP have less free space than the next
// generation is likely to need, going by the one before.
func (s *Store) checkFreeSpace(current *Generation) error {
	if current == nil {
		return nil
	}
	need := map[string]int64{}
	for side, folder := range map[string]string{
		s.Images: s.folder(current.Number), s.TFTP: s.bootFolder(current.Number),
	} {
		entries, err := os.ReadDir(folder)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, e := range entries {
			var st unix.Stat_t
			if !e.Type().IsRegular() || unix.Lstat(filepath.Join(folder, e.Name()), &st) != nil {
				continue
			}
			size := st.Size
			if e.Name() != imageFile {
				size = min(size, st.Blocks*512) // an index that is one hole needs no room
			}
			need[side] += size + size/16
		}
	}
	if areOnSameFileSystem(s.Images, s.TFTP) {
		need[s.Images] += need[s.TFTP]
		delete(need, s.TFTP)
	}
	for dir, bytes := range need {
		var st unix.Statfs_t
		if err := unix.Statfs(dir, &st); err != nil {
			continue // it is made when it is written to
		}
		if free := int64(st.Bavail) * st.Bsize; free < bytes {
			return remedy.AttachTo(fmt.Errorf("%s has %d MB free, and the next generation needs about %d MB",
				dir, free>>20, bytes>>20+1), makeRoom...)
		}
	}
	return nil
}

func areOnSameFileSystem(a, b string) bool {
	var statA, statB unix.Stat_t
	return unix.Stat(a, &statA) == nil && unix.Stat(b, &statB) == nil && statA.Dev == statB.Dev
}
