package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"ltskeeper/squashfs"

	"golang.org/x/sys/unix"
)

// sampled is how many regions of a new image's data are read back before it is published.
const sampled = 256

// sound reads a new image in the folder dir back from the disk, past the page cache: superblock, tables and a sample of
// its data must be what was written.
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
	if err := written.Sample(ctx, sampled); err != nil {
		return fmt.Errorf("the disk gives back something else than was written; see what the kernel says of it (dmesg): %w", err)
	}
	return nil
}

// initPaths are where the kernel, or an initramfs, looks for the first program.
var initPaths = []string{"sbin/init", "etc/init", "bin/init", "bin/sh"}

// fit refuses an image that clients could not use though the one before could be used: it lost its init, the modules of
// the kernel that is published with it, or more than half its size.
func (s *Store) fit(current int, g Generation, dir string) error {
	if current == None {
		return nil
	}
	old, err := openImage(filepath.Join(s.folder(current), imageFile))
	if err != nil {
		return nil // nothing to compare with: the new one can only be better
	}
	defer old.Close()
	img, err := openImage(filepath.Join(dir, imageFile))
	if err != nil {
		return err
	}
	defer img.Close()
	if old.hasAny(initPaths) && !img.hasAny(initPaths) {
		return errors.New("the tree has lost its init (/sbin/init): clients could not start from it")
	}
	if v := s.record(current).Kernel; v != "" && g.Kernel != "" && old.hasModules(v) && !img.hasModules(g.Kernel) {
		return fmt.Errorf("the tree has no modules for kernel %s in /lib/modules, which clients boot: is its package half installed?", g.Kernel)
	}
	if before := old.Info().Size; img.Info().Size < before/2 {
		return fmt.Errorf("the image would shrink from %d MB to %d MB: is the tree complete?", before>>20, img.Info().Size>>20)
	}
	return nil
}

func (i *openedImage) hasModules(version string) bool {
	return i.hasAny([]string{"lib/modules/" + version, "usr/lib/modules/" + version})
}

func (i *openedImage) hasAny(paths []string) bool {
	for _, p := range paths {
		if _, err := i.follow(p); err == nil {
			return true
		}
	}
	return false
}

// room fails if the file systems of images and of TFTP have less free space than the next generation is likely to need,
// going by the one before.
func (s *Store) room(current int) error {
	if current == None {
		return nil
	}
	need := map[string]int64{s.Images: 0, s.TFTP: 0}
	for side, folder := range map[string]string{s.Images: s.folder(current), s.TFTP: s.bootFolder(current)} {
		entries, err := os.ReadDir(folder)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, e := range entries {
			if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
				need[side] += info.Size() + info.Size()/16
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
			return fmt.Errorf("%s has %d MB free, and the next generation needs about %d MB: make room, or prune sooner (keep and keep-for in [image])", dir, free>>20, bytes>>20+1)
		}
	}
	return nil
}

func sameFileSystem(a, b string) bool {
	idA, okA := idOf(a)
	idB, okB := idOf(b)
	return okA && okB && idA.device == idB.device
}
