// Package kernels chooses the kernel that clients boot from a client root, and says what that
// kernel needs and supports.
//
// It works on an fs.FS as package clientfs does: a tree on disk, an image, or what an image will be
// made of. It reads names, sizes and the kernel's configuration, and never the kernel itself.
package kernels

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"ltskeeper/internal/clientfs"
)

// A Kernel is a kernel with the initrd that was made for it.
type Kernel struct {
	Path    string // where a client finds it, through no symbolic link
	Initrd  string // likewise
	Version string // as `uname -r` prints it, from the file's name; empty if the name has none
}

// A pair of paths where a kernel and its initrd may be.
type pair struct{ kernel, initrd string }

// Choose returns the kernel that clients boot, as `ltsp kernel` chooses it: what the links vmlinuz
// and initrd.img name, in / or in /boot, otherwise the pair with the newest version. It is nil if
// there is no pair. An empty file, as a full disk leaves it, is not a kernel or an initrd.
func Choose(root fs.FS) (*Kernel, error) {
	pairs := []pair{{"vmlinuz", "initrd.img"}, {"boot/vmlinuz", "boot/initrd.img"}}
	versions, err := ListVersions(root)
	if err != nil {
		return nil, err
	}
	for _, v := range versions {
		for _, initrd := range initrdNames(v) {
			pairs = append(pairs, pair{kernelName(v), initrd})
		}
	}
	for _, p := range pairs {
		kernel, err := findBootable(root, p.kernel)
		if err != nil {
			return nil, err
		}
		if kernel == "" {
			continue
		}
		initrd, err := findBootable(root, p.initrd)
		if err != nil {
			return nil, err
		}
		if initrd != "" {
			return &Kernel{Path: kernel, Initrd: initrd, Version: parseVersion(kernel)}, nil
		}
	}
	return nil, nil
}

// kernelName returns where the kernel of a version is.
func kernelName(version string) string { return "boot/vmlinuz-" + version }

// initrdNames returns where the initrd of a kernel may be: as Debian names it, and as Fedora does.
func initrdNames(version string) []string {
	return []string{"boot/initrd.img-" + version, "boot/initramfs-" + version + ".img"}
}

// CheckInitrd checks the initrd of a kernel in /boot. The error is what goes on after "the initrd":
// ErrNoInitrd, or that it is empty or older than the kernel. It is nil without such a kernel.
func CheckInitrd(root fs.FS, version string) error {
	_, kernel, err := findRegular(root, kernelName(version))
	if kernel == nil {
		return err
	}
	var initrd fs.FileInfo
	for _, name := range initrdNames(version) {
		if _, info, _ := findRegular(root, name); initrd == nil {
			initrd = info
		}
	}
	switch {
	case initrd == nil:
		return ErrNoInitrd
	case initrd.Size() == 0:
		return errors.New("is empty, as a full disk leaves it")
	case initrd.ModTime().Before(kernel.ModTime()):
		return errors.New("is older than the kernel")
	}
	return nil
}

// ErrNoInitrd means that a kernel has no initrd.
var ErrNoInitrd = errors.New("does not exist")

// ListVersions lists the versions of which /boot has a kernel, the newest first.
func ListVersions(root fs.FS) ([]string, error) {
	entries, _, err := listFolder(root, "boot")
	if err != nil {
		return nil, err
	}
	var versions []string
	for _, e := range entries {
		if version, ok := strings.CutPrefix(e.Name(), "vmlinuz-"); ok {
			versions = append(versions, version)
		}
	}
	slices.SortFunc(versions, func(a, b string) int { return CompareVersions(b, a) })
	return versions, nil
}

// findBootable returns where a client finds a file with something in it, empty if it does not.
func findBootable(root fs.FS, name string) (string, error) {
	place, info, err := findRegular(root, name)
	if info == nil || info.Size() == 0 {
		return "", err
	}
	return place, nil
}

// parseVersion returns the version in the name of a kernel's file, empty if there is none: every
// version begins with a digit, and vmlinuz-linux (Arch) or vmlinuz-lts (Alpine) says only which
// package the kernel is of.
func parseVersion(kernel string) string {
	_, version, _ := strings.Cut(path.Base(kernel), "-")
	if version == "" || version[0] < '0' || version[0] > '9' {
		return ""
	}
	return version
}

// findRegular describes the regular file that a client finds under a name; info is nil if there is
// none.
func findRegular(root fs.FS, name string) (place string, info fs.FileInfo, err error) {
	place, info, err = findFile(root, name)
	if info != nil && !info.Mode().IsRegular() {
		return "", nil, nil
	}
	return place, info, err
}

// listFolder lists the folder that a client finds under a name, if there is one.
func listFolder(root fs.FS, name string) (entries []fs.DirEntry, exists bool, err error) {
	place, info, err := findFile(root, name)
	if info == nil || !info.IsDir() {
		return nil, false, err
	}
	entries, err = fs.ReadDir(root, place)
	return entries, err == nil, err
}

// findFile describes what a client finds under a name; info is nil if that is nothing.
func findFile(root fs.FS, name string) (place string, info fs.FileInfo, err error) {
	place, info, err = clientfs.Stat(root, name)
	if clientfs.IsMissing(err) {
		return "", nil, nil
	}
	if err != nil {
		return "", nil, &fs.PathError{Op: "find", Path: "/" + name, Err: err}
	}
	return place, info, nil
}
