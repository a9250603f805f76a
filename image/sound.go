package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"ltskeeper/internal/remedy"
	"ltskeeper/squashfs"

	"golang.org/x/sys/unix"
)

// sampled is how many regions of a new image's data are read back before it is published.
const sampled = 256

// sound reads a new image in the folder dir back from the disk, past the page cache: superblock,
// tables and a sample of its data must be what was written.
func (s *Store) sound(ctx context.Context, dir string) error {
	var opened [2]*os.File
	for i, name := range []string{imageFile, indexFile} {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		defer f.Close()
		if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
			return fmt.Errorf("read %s back: %w", name, err)
		}
		opened[i] = f
	}
	written := squashfs.Previous{Image: opened[0], Index: opened[1]}
	return explainRot(written.Sample(ctx, sampled))
}

// explainRot says of an image that is not read as it was written what a person can do about that. A
// disk is to blame only if it reported an error.
func explainRot(err error) error {
	switch errno := syscall.Errno(0); {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &errno):
		return fmt.Errorf("the disk does not give back what was written; see what the kernel says of it (dmesg): %w",
			err)
	}
	return fmt.Errorf("the new image is not read as it was written, although the disk reports no error: "+
		"build it anew from nothing; if that fails, too, please report it: %w", err)
}

// room fails if the file systems of images and of TFTP have less free space than the next
// generation is likely to need, going by the one before.
func (s *Store) room(current *Generation) error {
	if current == nil {
		return nil
	}
	need := map[string]int64{s.Images: 0, s.TFTP: 0}
	for side, folder := range map[string]string{s.Images: s.folder(current.Number),
		s.TFTP: s.bootFolder(current.Number)} {
		entries, err := os.ReadDir(folder)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, e := range entries {
			var st unix.Stat_t
			if err := unix.Lstat(filepath.Join(folder, e.Name()), &st); err == nil &&
				st.Mode&unix.S_IFMT == unix.S_IFREG {
				size := st.Size
				if e.Name() != imageFile {
					size = min(size, st.Blocks*512) // an index that is one hole needs no room
				}
				need[side] += size + size/16
			}
		}
	}
	if sameFileSystem(s.Images, s.TFTP) {
		need[s.Images] += need[s.TFTP]
		delete(need, s.TFTP)
	}
	for dir, bytes := range need {
		var st unix.Statfs_t
		if err := unix.Statfs(dir, &st); err != nil {
			continue // it is made when it is written to
		}
		if free := int64(st.Bavail) * st.Bsize; free < bytes {
			err := fmt.Errorf("%s has %d MB free, and the next generation needs about %d MB", dir, free>>20,
				bytes>>20+1)
			return remedy.AttachTo(err, makeRoom...)
		}
	}
	return nil
}

func sameFileSystem(a, b string) bool {
	idA, okA := idOf(a)
	idB, okB := idOf(b)
	return okA && okB && idA.device == idB.device
}
