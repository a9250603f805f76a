package squashfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// An xattrSet is a set of extended attributes that one or more inodes have, by name.
type xattrSet struct {
	attrs []Xattr
	key   string // the whole set in one string
	index uint32 // in the image's table, once it is written
}

func compareXattrNames(a, b Xattr) int { return strings.Compare(a.Name, b.Name) }

func newXattrSet(attrs []Xattr) *xattrSet {
	slices.SortFunc(attrs, compareXattrNames)
	var key []byte
	for _, a := range attrs {
		key = appendString(appendString(key, a.Name), string(a.Value))
	}
	return &xattrSet{attrs: attrs, key: string(key)}
}

// readXattrs gives an inode its extended attributes: those of the previous image if it has not
// changed since.
func (w *treeWalker) readXattrs(dirfd int, name string, i *inode) error {
	i.xattrs, i.hasACL = nil, false
	if set, acl, ok := w.old.findXattrs(i); ok {
		i.xattrs, i.hasACL = set, acl
		return nil
	}
	// There are no calls that take a directory and a name; /proc stands in for them.
	file := fmt.Sprintf("/proc/self/fd/%d/%s", dirfd, name)
	names, err := listXattrs(file)
	if err != nil || len(names) == 0 {
		return err
	}
	var attrs []Xattr
	for _, name := range names {
		switch _, _, ok := splitXattr(name); {
		case strings.HasPrefix(name, "system.posix_acl_"):
			i.hasACL = true
			continue
		case !ok || name == "security.selinux":
			continue // of the file system, or of the host
		}
		value, err := readGrowing(func(buf []byte) (int, error) { return unix.Lgetxattr(file, name, buf) })
		if errors.Is(err, unix.ENODATA) {
			return unix.ENOENT // removed since: the directory is listed again
		}
		if err != nil {
			return err
		}
		attrs = append(attrs, Xattr{name, value})
	}
	if len(attrs) > 0 {
		i.xattrs = w.internXattrs(newXattrSet(attrs))
	}
	return nil
}

// internXattrs returns the one set that stands for all equal ones.
func (w *treeWalker) internXattrs(set *xattrSet) *xattrSet {
	w.mu.Lock()
	defer w.mu.Unlock()
	if same := w.sets[set.key]; same != nil {
		return same
	}
	w.sets[set.key] = set
	return set
}

func listXattrs(file string) ([]string, error) {
	list, err := readGrowing(func(buf []byte) (int, error) { return unix.Llistxattr(file, buf) })
	if errors.Is(err, unix.ENOTSUP) {
		return nil, nil
	}
	return strings.FieldsFunc(string(list), func(r rune) bool { return r == 0 }), err
}

// readGrowing calls with larger buffers until one is large enough.
func readGrowing(call func([]byte) (int, error)) ([]byte, error) {
	for size := 256; ; size *= 4 {
		buf := make([]byte, size)
		n, err := call(buf)
		if errors.Is(err, unix.ERANGE) && size < 1<<20 {
			continue
		}
		if err != nil {
			return nil, err
		}
		return buf[:n], nil
	}
}

func appendString(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(s))), s...)
}
