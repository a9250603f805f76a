package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"ltskeeper/internal/clientfs"
	"ltskeeper/internal/inits"
	"ltskeeper/internal/kernels"
	"ltskeeper/squashfs"
)

// judge says before anything is written which kernel the image of a tree will have, nil if none, and refuses an image that
// clients could not use: without an init whatever the source says, and without a kernel that clients boot now, without that
// kernel's modules or in a compression that it cannot read unless the source forces it. What is wrong with the current
// generation already is not held against the next one.
func (s *Store) judge(current int, from Source) (*kernels.Kernel, error) {
	root, err := os.OpenRoot(from.Root)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	covered := from.LeftOut
	if covered == nil {
		if covered, err = findMounts(from.Root); err != nil {
			return nil, err
		}
	}
	tree := clientfs.Folder(root)
	image := newContents(tree, from.Options, covered)
	if err := checkInit(tree, image); err != nil {
		return nil, err
	}
	kernel, err := kernels.Choose(image)
	if err != nil {
		return nil, err
	}
	if from.Force {
		return kernel, nil
	}
	doubts := s.checkKeepsKernel(current, kernel)
	if kernel != nil {
		was := s.readFindings(current)
		if err := checkModules(image, *kernel); err != nil && !was.lacksModules {
			doubts = errors.Join(doubts, err)
		}
		if err := checkCompression(image, *kernel, from.Options.Compression); err != nil && !was.isUnreadable {
			doubts = errors.Join(doubts, err)
		}
	}
	return kernel, forceable(doubts)
}

// forceable says of an error, if there is one, that --force overrides it.
func forceable(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w; if it is meant so: --force", err)
}

// checkInit refuses an image without an init that a client could start. What is wrong is found in the tree already, or comes
// of what is left out.
func checkInit(tree, image fs.FS) error {
	_, err := inits.Find(image)
	if err == nil {
		return nil
	}
	remedy := "put it into the tree"
	if name, err := inits.Find(tree); err == nil {
		remedy = fmt.Sprintf("the tree has /%s: take away the exclude, or unmount what is mounted there, that leaves it or what it needs out", name)
	}
	return fmt.Errorf("the image would have no init that clients could start, which --force does not override: %w: %s", err, remedy)
}

// checkModules refuses an image without the modules of the kernel that clients boot.
func checkModules(image fs.FS, k kernels.Kernel) error {
	if err := kernels.CheckModules(image, k); err != nil {
		return fmt.Errorf("the image would lack the modules of %s, which clients boot: %w: is its package half installed?", describe(k), err)
	}
	return nil
}

// checkCompression refuses an image that the kernel which clients boot cannot read.
func checkCompression(image fs.FS, k kernels.Kernel, c squashfs.Compression) error {
	if c == 0 {
		c = squashfs.Zstd
	}
	err := kernels.CheckSquashfs(image, k, c.String())
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%s, which clients boot, cannot read an image compressed with %v: %w", describe(k), c, err)
	if kernels.CheckSquashfs(image, k, squashfs.Gzip.String()) == nil {
		err = fmt.Errorf(`%w: write compression = "gzip" in [image]`, err)
	}
	return err
}

func describe(k kernels.Kernel) string {
	if k.Version == "" {
		return "/" + k.Path
	}
	return "kernel " + k.Version
}

// findings are what is wrong with a generation.
type findings struct{ lacksModules, isUnreadable bool }

// readFindings looks at the kernel of a generation. One that does not exist, or cannot be read, or has none, has no findings.
func (s *Store) readFindings(n int) (f findings) {
	if n == None {
		return f
	}
	old, err := openImage(filepath.Join(s.folder(n), imageFile))
	if err != nil {
		return f
	}
	defer old.Close()
	kernel, err := kernels.Choose(old.FS())
	if err != nil || kernel == nil {
		return f
	}
	f.lacksModules = kernels.CheckModules(old.FS(), *kernel) != nil
	f.isUnreadable = checkCompression(old.FS(), *kernel, old.Info().Compression) != nil
	return f
}

// checkKeepsKernel refuses an image without a kernel where clients boot the one of the generation before.
func (s *Store) checkKeepsKernel(current int, kernel *kernels.Kernel) error {
	served, err := os.Readlink(filepath.Join(s.boot(), "vmlinuz"))
	if err != nil || served != filepath.Join("current", kernelFile) || kernel != nil {
		return nil
	}
	return fmt.Errorf("the tree has no kernel and initrd in /boot any more, but clients boot those of generation %d: install a kernel in it", current)
}

// checkSize refuses the image in the folder dir if it is less than half as large as the current one.
func (s *Store) checkSize(current int, dir string) error {
	if current == None {
		return nil
	}
	old, err := openImage(filepath.Join(s.folder(current), imageFile))
	if err != nil {
		return nil // the new one can only be better
	}
	defer old.Close()
	img, err := openImage(filepath.Join(dir, imageFile))
	if err != nil {
		return err
	}
	defer img.Close()
	if before := old.Info().Size; img.Info().Size < before/2 {
		return fmt.Errorf("the image would shrink from %d MB to %d MB: is the tree complete?", before>>20, img.Info().Size>>20)
	}
	return nil
}
