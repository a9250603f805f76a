package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"

	"ltskeeper/internal/clientfs"
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
	return explainRot(written.Sample(ctx, sampled))
}

// explainRot says of an image that is not read as it was written what a person can do about that. A disk is to blame only if
// it reported an error.
func explainRot(err error) error {
	switch errno := syscall.Errno(0); {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &errno):
		return fmt.Errorf("the disk does not give back what was written; see what the kernel says of it (dmesg): %w", err)
	}
	return fmt.Errorf("the new image is not read as it was written, although the disk reports no error: "+
		"build it anew from nothing; if that fails, too, please report it: %w", err)
}

// initPaths are where the kernel, or an initramfs, looks for the first program.
var initPaths = []string{"sbin/init", "etc/init", "bin/init", "bin/sh"}

// usable refuses the generation in dir if clients could not use it, though they can the current one. With force only what
// cannot be meant is refused.
func (s *Store) usable(current int, g Generation, dir string, force bool) error {
	doubt := s.keepsKernel(current, dir)
	if current != None {
		if old, err := openImage(filepath.Join(s.folder(current), imageFile)); err == nil { // else the new one can only be better
			defer old.Close()
			img, err := openImage(filepath.Join(dir, imageFile))
			if err != nil {
				return err
			}
			defer img.Close()
			if err := startable(old, img); err != nil {
				return err
			}
			doubt = errors.Join(doubt, fit(old, img, s.record(current), g))
		}
	}
	if doubt != nil && !force {
		return fmt.Errorf("%w; if it is meant so: --force", doubt)
	}
	return nil
}

// startable refuses an image without anything that a kernel could start, where the one before had it.
func startable(old, img *openedImage) error {
	if old.hasAny(initPaths) && !img.hasAny(initPaths) {
		return errors.New("the image has lost its init (/sbin/init), without which no client starts, nor does --force help: put it back, or take the exclude away that leaves it out")
	}
	return nil
}

// fit refuses an image that clients could not use though the one before, of the generation was, could be used: it lost the
// modules of the kernel that is published with it, or more than half its size.
func fit(old, img *openedImage, was, is Generation) error {
	if was.Kernel != "" && is.Kernel != "" {
		for _, part := range []string{"", "modules.dep", "kernel"} { // what a package half installed, or half removed, lacks
			if old.hasModules(was.Kernel, part) && !img.hasModules(is.Kernel, part) {
				return fmt.Errorf("the tree lacks the modules of kernel %s in /lib/modules, which clients boot: is its package half installed?", is.Kernel)
			}
		}
	}
	if before := old.Info().Size; img.Info().Size < before/2 {
		return fmt.Errorf("the image would shrink from %d MB to %d MB: is the tree complete?", before>>20, img.Info().Size>>20)
	}
	return nil
}

// hasModules tells whether there is a part of a kernel's folder of modules; "" is the folder.
func (i *openedImage) hasModules(version, part string) bool {
	return i.hasAny([]string{path.Join("lib/modules", version, part), path.Join("usr/lib/modules", version, part)})
}

func (i *openedImage) hasAny(paths []string) bool {
	for _, p := range paths {
		if _, _, err := clientfs.Stat(i.FS(), p); err == nil {
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
			var st unix.Stat_t
			if err := unix.Lstat(filepath.Join(folder, e.Name()), &st); err == nil && st.Mode&unix.S_IFMT == unix.S_IFREG {
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
			return fmt.Errorf("%s has %d MB free, and the next generation needs about %d MB: make room, or set keep and keep-for in [image] lower and run ltskeeper image prune", dir, free>>20, bytes>>20+1)
		}
	}
	return nil
}

func sameFileSystem(a, b string) bool {
	idA, okA := idOf(a)
	idB, okB := idOf(b)
	return okA && okB && idA.device == idB.device
}
