package doctor

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"ltskeeper/chroot"
	"ltskeeper/farm"
	"ltskeeper/image"
	"ltskeeper/internal/packages"
	"ltskeeper/internal/regular"
	"ltskeeper/keeper"

	"golang.org/x/sys/unix"
)

// A root is a chroot that is looked at.
type root struct {
	farm.Chroot
	opened   *chroot.Root // nil if it is not a client root, or cannot be read
	openErr  error
	image    keeper.ImageStatus
	files    []keeper.FileStatus
	filesErr error  // why some of them are not there
	apart    string // a file under TFTP that is not the current generation's, or ""
	bytes    int64  // of its files, where no image tells how large the next will be
	isStale  bool   // its next image would differ from the current one
	treeErr  error  // why nobody knows
}

// enterChroot looks into a chroot.
func (f *facts) enterChroot(ctx context.Context, r *root) {
	if r.openErr = f.silent[r.Path]; r.openErr == nil {
		r.opened, r.openErr = chroot.Open(r.Path)
	}
	var isOnRecord bool
	if r.image, isOnRecord = f.imageStatus(r.Chroot); !isOnRecord {
		r.image.Current = keeper.NoGeneration
	}
	if r.openErr != nil || len(f.mistakes) > 0 || f.statusErr != nil {
		return
	}
	r.files, r.filesErr = f.keeper.ReadFileStatus(r.Chroot)
	r.apart = f.findApart(r)
	if r.image.Held != nil {
		return // it is known to differ
	}
	if r.opened.IsSystem() {
		if g, exists := r.currentGeneration(); exists { // a machine at work writes all the time
			r.isStale = packages.FindLastChange(r.opened.FS()).After(g.Time)
		}
		return
	}
	ctx, cancel := context.WithTimeout(ctx, treePatience)
	defer cancel()
	if r.image.Current == keeper.NoGeneration {
		mounted, _ := f.keeper.ListMounts(r.Chroot, r.opened) // update-image says what is wrong with them
		r.bytes = sumTree(ctx, r.Path, mounted)
		return
	}
	r.isStale, r.treeErr = f.record.isStale(ctx, r.Chroot)
}

// noteUnseen notes what could not be seen of a chroot.
func (f *facts) noteUnseen(r *root) {
	switch {
	case errors.Is(r.openErr, fs.ErrPermission):
		f.couldNotSee("chroot %s: %v", r.Name, r.openErr)
	case len(f.mistakes) > 0:
		f.couldNotSee("chroot %s: whether its files are as declared, for the declaration is not sound", r.Name)
	}
	for _, err := range []error{r.filesErr, r.treeErr} {
		if err != nil {
			f.couldNotSee("chroot %s: %v", r.Name, err)
		}
	}
}

// servedConf returns the path of the lts.conf that the clients of a chroot fetch.
func (f *facts) servedConf(r *root) string {
	return filepath.Join(f.farm.TFTP, r.Name, "lts.conf")
}

// findHidingConf returns the path of the lts.conf that hides the one in the image of a chroot, or
// "".
func (f *facts) findHidingConf(r *root) string {
	if r.image.Current == keeper.NoGeneration {
		return "" // the next run takes it over, or file-foreign says it
	}
	path := f.servedConf(r)
	info, err := os.Lstat(path)
	if err != nil {
		return ""
	}
	target, _ := os.Readlink(path)
	if info.Mode().IsRegular() || info.Mode()&fs.ModeSymlink != 0 && target != filepath.Join("current", "lts.conf") {
		return path
	}
	return ""
}

// findApart returns the path of a file that clients fetch over TFTP and that is not what the
// current generation has, or "".
func (f *facts) findApart(r *root) (apart string) {
	folder, err := filepath.EvalSymlinks(r.image.Path)
	if err != nil || r.image.Current <= 0 {
		return ""
	}
	for _, file := range []string{"kernel", "initrd"} {
		served := filepath.Join(f.farm.TFTP, r.Name, "current", file)
		own := filepath.Join(filepath.Dir(folder), file)
		if same, err := regular.HaveSameContent(own, served); err == nil && !same {
			apart = served
		}
	}
	return apart
}

// currentGeneration returns the generation that clients boot.
func (r *root) currentGeneration() (g image.Generation, exists bool) {
	i := slices.IndexFunc(r.image.Generations, func(g image.Generation) bool { return g.Current })
	if i < 0 {
		return g, false
	}
	return r.image.Generations[i], true
}

// sumTree sums up the files of a tree, in bytes, until ctx ends. A mount that is not taken into the
// image is passed over: /proc has files without a size that means anything, and a dead server keeps
// callers waiting.
func sumTree(ctx context.Context, path string, mounted []chroot.Mount) (sum int64) {
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
		case e.IsDir() && at != root && isMountPoint(at) && !isTaken(at):
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

// isMountPoint reports whether something is mounted at a folder, or autofs would mount it for
// somebody who looks. It does not look itself.
func isMountPoint(folder string) bool {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, folder, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT|unix.AT_STATX_DONT_SYNC,
		unix.STATX_TYPE, &st)
	return err == nil && st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
}
