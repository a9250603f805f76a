package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"ltskeeper/squashfs"
)

// openedImage is an image file being read.
type openedImage struct {
	*squashfs.Reader
	file *os.File
}

func openImage(path string) (*openedImage, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		var r *squashfs.Reader
		if r, err = squashfs.Open(f, info.Size()); err == nil {
			return &openedImage{r, f}, nil
		}
	}
	f.Close()
	return nil, fmt.Errorf("read %s: %w", path, err)
}

func (i *openedImage) Close() error { return i.file.Close() }

// follow returns what a client finds at a path, whatever symbolic links lead there.
func (i *openedImage) follow(name string) (*squashfs.Entry, error) {
	const mostLinks = 40 // as Linux has it
	todo, at, links := strings.Split(name, "/"), ".", 0
	for len(todo) > 0 {
		part := todo[0]
		todo = todo[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			at = path.Dir(at)
			continue
		}
		e, err := i.Lookup(path.Join(at, part))
		if err != nil {
			return nil, err
		}
		if e.Target == "" {
			at = e.Path
			continue
		}
		if links++; links > mostLinks {
			return nil, fmt.Errorf("%s: too many symbolic links", name)
		}
		if path.IsAbs(e.Target) {
			at = "."
		}
		todo = append(strings.Split(e.Target, "/"), todo...)
	}
	return i.Lookup(at)
}

// extractKernel copies the kernel and initrd of the image in the folder dir beside it, and returns the kernel's
// version. An image without such a pair has none: clients get their kernel some other way.
func (s *Store) extractKernel(dir string) (version string, err error) {
	img, err := openImage(filepath.Join(dir, imageFile))
	if err != nil {
		return "", err
	}
	defer img.Close()
	kernel, initrd, err := img.kernel()
	if err != nil || kernel == nil {
		return "", err
	}
	for _, f := range []struct {
		entry *squashfs.Entry
		name  string
	}{{kernel, kernelFile}, {initrd, initrdFile}} {
		content, err := img.Content(f.entry)
		if err == nil {
			err = s.disk.create(filepath.Join(dir, f.name), content)
		}
		if err != nil {
			return "", fmt.Errorf("copy %s out of the image: %w", f.entry.Path, err)
		}
	}
	_, version, _ = strings.Cut(path.Base(kernel.Path), "-")
	return version, nil
}

// kernel chooses the kernel that clients boot, and the initrd made for it, as `ltsp kernel` does: what the
// links vmlinuz and initrd.img name, in / or in /boot, else the pair with the newest version. Both are nil
// if there is no pair.
func (i *openedImage) kernel() (kernel, initrd *squashfs.Entry, err error) {
	for _, pair := range i.kernelPairs() {
		kernel, err := i.follow(pair[0])
		if err == nil {
			initrd, err = i.follow(pair[1])
		}
		switch {
		case err == nil && bootable(kernel) && bootable(initrd):
			return kernel, initrd, nil
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return nil, nil, err
		}
	}
	return nil, nil, nil
}

// bootable tells whether a kernel or an initrd is a file with something in it, which a full disk leaves without.
func bootable(e *squashfs.Entry) bool { return e.IsRegular() && e.Size > 0 }

// kernelPairs lists where a kernel and its initrd may be, the best first. Not all of it need exist.
func (i *openedImage) kernelPairs() [][2]string {
	pairs := [][2]string{{"vmlinuz", "initrd.img"}, {"boot/vmlinuz", "boot/initrd.img"}}
	var versions []string
	for e, err := range i.Entries() {
		if err != nil {
			continue // who needs the whole image reads all of it; this looks for one folder
		}
		if e.Path > "boot/" && !strings.HasPrefix(e.Path, "boot/") {
			break
		}
		if version, ok := strings.CutPrefix(e.Path, "boot/vmlinuz-"); ok && !strings.Contains(version, "/") {
			versions = append(versions, version)
		}
	}
	slices.SortFunc(versions, func(a, b string) int { return CompareVersions(b, a) })
	for _, v := range versions {
		pairs = append(pairs, [2]string{"boot/vmlinuz-" + v, "boot/initrd.img-" + v})
		pairs = append(pairs, [2]string{"boot/vmlinuz-" + v, "boot/initramfs-" + v + ".img"})
	}
	return pairs
}

// CompareVersions orders kernel versions as `sort -V` does: runs of digits by their value, the rest byte by
// byte, letters before other characters, and a `~` before everything, the end included. The order is Debian
// Policy's, 5.6.12.
func CompareVersions(a, b string) int {
	for a != "" || b != "" {
		if c := weight(a) - weight(b); c != 0 {
			return c
		}
		if weight(a) != 0 {
			a, b = a[1:], b[1:]
			continue
		}
		digitsA, digitsB := leadingDigits(a), leadingDigits(b)
		if c := compareNumbers(digitsA, digitsB); c != 0 {
			return c
		}
		a, b = a[len(digitsA):], b[len(digitsB):]
	}
	return 0
}

// weight is the rank of what a version's rest begins with: 0 for a number and for the end.
func weight(s string) int {
	if s == "" {
		return 0
	}
	switch c := s[0]; {
	case c == '~':
		return -1
	case '0' <= c && c <= '9':
		return 0
	case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z':
		return int(c)
	default:
		return int(c) + 256
	}
}

func leadingDigits(s string) string {
	return s[:len(s)-len(strings.TrimLeft(s, "0123456789"))]
}

func compareNumbers(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}
