package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"ltskeeper/internal/clientfs"
	"ltskeeper/internal/inits"
	"ltskeeper/internal/kernels"
	"ltskeeper/internal/remedy"
	"ltskeeper/squashfs"
)

// checkTree returns which kernel the image of a tree will have, nil if none, and refuses an image
// that clients could not use, before anything is written. Without an init it is always refused;
// unless the source forces it, also without a kernel if clients boot one now, without that kernel's
// modules, or in a compression that the kernel cannot read. What is wrong with the current
// generation already is not held against the next one.
func (s *Store) checkTree(current *Generation, from Source) (*kernels.Kernel, error) {
	root, err := os.OpenRoot(from.Root)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	tree := clientfs.NewFolder(root)
	image := newContents(tree, from.Options)
	init, err := checkInit(tree, image)
	if err != nil {
		return nil, err
	}
	if err := checkOwners(image, init, from.Options.IDOffset); err != nil {
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
		if err := checkModules(image, *kernel); err != nil && !s.readFindings(current).lacksModules {
			doubts = errors.Join(doubts, err)
		}
		if err := checkCompression(image, *kernel, from.Options.Compression); err != nil &&
			!s.readFindings(current).isUnreadable {
			doubts = errors.Join(doubts, err)
		}
	}
	return kernel, adviseForce(doubts)
}

// adviseForce says of an error, if there is one, that Source.Force overrides it.
func adviseForce(err error) error {
	return remedy.AttachTo(err, remedy.If{Condition: "it is meant so", Then: remedy.Option("force")})
}

// CheckSource fails if Build would refuse the source before it writes anything, with the same
// error. It is for callers that write something themselves before they call Build.
func (s *Store) CheckSource(from Source) error {
	current, err := s.Current()
	if err == nil {
		_, err = s.checkTree(current, from)
	}
	if err != nil {
		return fmt.Errorf("build image: %w", err)
	}
	return nil
}

// checkInit returns the path of the init in an image, and refuses an image without an init that a
// client could start. The fault is in the tree already, or comes from what is left out.
func checkInit(tree, image fs.FS) (string, error) {
	init, err := inits.FindInit(image)
	if err == nil {
		return init, nil
	}
	err = fmt.Errorf("the image would have no init that clients could start, which nothing overrides: %w", err)
	if name, treeErr := inits.FindInit(tree); treeErr == nil {
		return "", remedy.AttachTo(fmt.Errorf("%w: the tree has /%s", err, name),
			remedy.Advice("remove the exclude, or take in the mount, that leaves it or a file it needs out of the image"))
	}
	return "", remedy.AttachTo(err, remedy.Advice("put it into the tree"))
}

// checkOwners refuses an image in which root on a client would not own what root has to own,
// because the tree belongs to a user namespace, or to somebody who has copied it. Other users than
// root cannot make such trees, and may image their own.
func checkOwners(image fs.FS, init string, offset uint32) error {
	for _, name := range []string{".", "etc", "usr", init} {
		place, info, err := clientfs.Stat(image, name)
		if clientfs.IsMissing(err) {
			continue
		}
		if err != nil {
			return err
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok || st.Uid == offset || os.Geteuid() != 0 && int(st.Uid) == os.Geteuid() {
			continue
		}
		path := "/" + strings.TrimPrefix(place, ".")
		if offset != 0 {
			err := fmt.Errorf("%s belongs to user %d, and root is user %d by the tree's id offset, "+
				"which nothing overrides", path, st.Uid, offset)
			return remedy.AttachTo(err, remedy.Setting{Section: "chroot", Key: "id-offset", Change: "right"})
		}
		err = fmt.Errorf("%s belongs to user %d and not to root, so clients could not use it, "+
			"which nothing overrides", path, st.Uid)
		offset := remedy.Setting{Section: "chroot", Key: "id-offset", Value: fmt.Sprint(st.Uid)}
		return remedy.AttachTo(err, remedy.If{Condition: "the tree belongs to a user namespace", Then: offset},
			remedy.Advice("change the owner"))
	}
	return nil
}

// checkModules refuses an image without the modules of the kernel that clients boot.
func checkModules(image fs.FS, k kernels.Kernel) error {
	if err := kernels.CheckModules(image, k); err != nil {
		return fmt.Errorf("the image would lack the modules of %s, which clients boot "+
			"(its package may be only half installed): %w", describeKernel(k), err)
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
	err = fmt.Errorf("%s, which clients boot, cannot read an image compressed with %v: %w", describeKernel(k), c, err)
	if kernels.CheckSquashfs(image, k, squashfs.Gzip.String()) == nil {
		return remedy.AttachTo(err, remedy.Setting{Section: "image", Key: "compression", Value: `"gzip"`})
	}
	return err
}

func describeKernel(k kernels.Kernel) string {
	if k.Version == "" {
		return "/" + k.Path
	}
	return "kernel " + k.Version
}

// findings are the faults of a generation that are not held against the next one.
type findings struct{ lacksModules, isUnreadable bool }

// readFindings looks at the kernel of a generation. One that does not exist, or cannot be read, or
// has none, has no findings.
func (s *Store) readFindings(g *Generation) (f findings) {
	if g == nil {
		return f
	}
	old, err := s.open(g.Number)
	if err != nil {
		return f
	}
	defer old.Close()
	kernel, err := kernels.Choose(old.FS())
	if err != nil || kernel == nil {
		return f
	}
	f.lacksModules = kernels.CheckModules(old.FS(), *kernel) != nil
	f.isUnreadable = checkCompression(old.FS(), *kernel, old.Compressor()) != nil
	return f
}

// checkKeepsKernel refuses an image without a kernel if clients boot the one of the generation
// before.
func (s *Store) checkKeepsKernel(current *Generation, kernel *kernels.Kernel) error {
	served, err := os.Readlink(filepath.Join(s.bootSide(), "vmlinuz"))
	if err != nil || served != filepath.Join("current", kernelFile) || kernel != nil {
		return nil
	}
	from := "an earlier generation" // its link is gone
	if current != nil {
		from = fmt.Sprintf("generation %d", current.Number)
	}
	return remedy.AttachTo(
		fmt.Errorf("the tree no longer has a kernel and initrd in /boot, but clients boot those of %s", from),
		remedy.Advice("install a kernel in it"))
}

// checkNotShrunk refuses the image in the folder dir if it is less than half as large as the
// current one.
func (s *Store) checkNotShrunk(current *Generation, dir string) error {
	if current == nil {
		return nil
	}
	old, err := s.open(current.Number)
	if err != nil {
		return nil // the new one can only be better
	}
	defer old.Close()
	img, err := openImage(filepath.Join(dir, imageFile))
	if err != nil {
		return err
	}
	defer img.Close()
	if before := old.Size(); img.Size() < before/2 {
		return fmt.Errorf("the image would shrink from %d MB to %d MB: is the tree complete?", before>>20,
			img.Size()>>20)
	}
	return nil
}
