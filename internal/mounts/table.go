package mounts

import (
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// A Mount is a file system that is mounted below a folder and can be seen there.
type Mount struct {
	ID     uint64 // as in /proc/self/mountinfo and in statx
	Path   string // relative to the folder
	Type   string // "ext4", "nfs4", "fuse.sshfs"
	Source string // "/dev/sda2"

	device  string // of the file system, "8:2"; the subvolumes of a btrfs share it
	subtree string // of the file system, that is mounted: "/", or "/@var"
}

// A Table is what is mounted at and below a folder, as it was at one moment.
type Table struct {
	Mounts []Mount // by path; a mount that another one covers is not in it

	device  string // of the folder itself
	subtree string // the folder's path in its file system
}

// ReadTable reads what is mounted below a folder. Of the folder itself it asks in which mount it
// is; otherwise it looks at /proc alone, and so waits for no file system.
func ReadTable(folder string) (*Table, error) {
	var all []*mountinfo.Info
	absolute, err := filepath.EvalSymlinks(folder)
	if err == nil {
		absolute, err = filepath.Abs(absolute)
	}
	if err == nil {
		all, err = mountinfo.GetMounts(nil)
	}
	if err != nil {
		return nil, fmt.Errorf("read what is mounted below %s: %w", folder, err)
	}
	return selectMounts(absolute, findMountOf(absolute, all), all), nil
}

// findMountOf returns the mount that a folder is in. After chroot(2) it may not be listed: then
// only its number is known.
func findMountOf(folder string, all []*mountinfo.Info) (own *mountinfo.Info) {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, folder, unix.AT_NO_AUTOMOUNT, unix.STATX_MNT_ID, &st)
	told := err == nil && st.Mask&unix.STATX_MNT_ID != 0 // from Linux 5.8 on
	for _, m := range all {
		switch {
		case told && uint64(m.ID) == st.Mnt_id:
			return m
		case !told && IsWithin(folder, m.Mountpoint) && (own == nil || len(m.Mountpoint) >= len(own.Mountpoint)):
			own = m // the innermost, and of several at one place the last
		}
	}
	if own == nil && told {
		return &mountinfo.Info{ID: int(st.Mnt_id)}
	}
	return own
}

// selectMounts picks from a whole mount table what can be seen below a folder that is in the mount
// own.
func selectMounts(folder string, own *mountinfo.Info, all []*mountinfo.Info) *Table {
	t := new(Table)
	if own == nil {
		return t
	}
	if rest, err := filepath.Rel(own.Mountpoint, folder); err == nil && own.Mountpoint != "" {
		t.device, t.subtree = formatDevice(own), path.Join(own.Root, rest)
	}
	for _, m := range listVisible(folder, own, all) {
		place, err := filepath.Rel(folder, m.Mountpoint)
		if err != nil {
			continue
		}
		t.Mounts = append(t.Mounts, Mount{
			ID: uint64(m.ID), Path: place, Type: m.FSType, Source: m.Source, device: formatDevice(m), subtree: m.Root,
		})
	}
	slices.SortFunc(t.Mounts, func(a, b Mount) int { return strings.Compare(a.Path, b.Path) })
	return t
}

func formatDevice(m *mountinfo.Info) string { return fmt.Sprintf("%d:%d", m.Major, m.Minor) }

// listVisible lists the mounts below a folder that can be reached from the mount that the folder is
// in. One mount covers another if it has the same parent and stands above it, or if it stands on
// it.
func listVisible(folder string, parent *mountinfo.Info, all []*mountinfo.Info) (visible []*mountinfo.Info) {
	var children []*mountinfo.Info
	for _, m := range all {
		if m.Parent == parent.ID && m != parent && m.Mountpoint != folder && IsWithin(m.Mountpoint, folder) {
			children = append(children, m)
		}
	}
	for _, m := range children {
		isCovered := slices.ContainsFunc(children, func(other *mountinfo.Info) bool {
			return other.Mountpoint != m.Mountpoint && IsWithin(m.Mountpoint, other.Mountpoint)
		})
		if isCovered {
			continue
		}
		top := m
		for next := top; next != nil; next = findMountedOn(top, all) {
			top = next
		}
		visible = append(visible, top)
		visible = append(visible, listVisible(top.Mountpoint, top, all)...)
	}
	return visible
}

// findMountedOn returns the mount that was mounted on another one, at the same place, or nil.
func findMountedOn(m *mountinfo.Info, all []*mountinfo.Info) *mountinfo.Info {
	for _, other := range all {
		if other.Parent == m.ID && other != m && other.Mountpoint == m.Mountpoint {
			return other
		}
	}
	return nil
}

// IsWithin reports whether a path is a folder's own or below it. Both are clean, and both absolute
// or both relative.
func IsWithin(place, folder string) bool {
	return place == folder || folder == "/" || strings.HasPrefix(place, folder+"/")
}

// IsShown reports whether what is mounted at m is a part of the folder's own file system that can
// be seen in the folder at another path, as after mount --bind.
func (t *Table) IsShown(m Mount) bool {
	return t.device == m.device && isNested(t.subtree, m.subtree)
}

// Overlaps reports whether two mounts show the same files, or one of them some of the other's.
func (m Mount) Overlaps(other Mount) bool {
	return m.device == other.device && isNested(m.subtree, other.subtree)
}

// Depth returns how far below the top of its file system a mount begins: 0 if all of the file
// system can be seen.
func (m Mount) Depth() int { return strings.Count(strings.TrimSuffix(m.subtree, "/"), "/") }

func isNested(a, b string) bool { return IsWithin(a, b) || IsWithin(b, a) }

// ListLayers lists the folders of which an overlay is made, the upper one included, by the number
// of its mount. The answer is false where they cannot be known: in another mount namespace, or
// where a path is not absolute or holds what the kernel escapes.
func ListLayers(id uint64) (folders []string, known bool) {
	m := findByID(id)
	if m == nil || m.FSType != "overlay" {
		return nil, false
	}
	return parseLayers(m.VFSOptions)
}

// findByID returns the mount that /proc/self/mountinfo has under a number, or nil.
func findByID(id uint64) *mountinfo.Info {
	all, err := mountinfo.GetMounts(func(m *mountinfo.Info) (skip, stop bool) { return uint64(m.ID) != id, false })
	if err != nil || len(all) != 1 {
		return nil
	}
	return all[0]
}

// parseLayers reads them out of an overlay's options: lowerdir, where colons separate them,
// lowerdir+ and datadir+, each once per layer, and upperdir
// (Documentation/filesystems/overlayfs.rst). A backslash in front of a colon, a comma or a
// backslash makes it a part of a name in lowerdir and upperdir.
func parseLayers(options string) (folders []string, known bool) {
	for option := range strings.SplitSeq(options, ",") {
		name, value, _ := strings.Cut(option, "=")
		value = unescapePath(value)
		switch name {
		case "lowerdir":
			folders = append(folders, splitLayers(value)...)
		case "upperdir":
			folders = append(folders, strings.Join(splitLayers(value), ":"))
		case "lowerdir+", "datadir+":
			folders = append(folders, value)
		}
	}
	if slices.ContainsFunc(folders, func(f string) bool { return !filepath.IsAbs(f) }) {
		return nil, false
	}
	return folders, len(folders) > 0
}

// splitLayers splits a list of folders at its colons. Two in a row begin the folders that hold data
// only.
func splitLayers(list string) (folders []string) {
	var folder []byte
	for i := 0; i <= len(list); i++ {
		switch {
		case i == len(list) || list[i] == ':':
			if len(folder) > 0 {
				folders = append(folders, string(folder))
			}
			folder = nil
			continue
		case list[i] == '\\' && i+1 < len(list):
			i++
		}
		folder = append(folder, list[i])
	}
	return folders
}

// escaped is what the kernel writes for a space and the like in /proc/self/mountinfo: \040.
var escaped = regexp.MustCompile(`\\[0-3][0-7]{2}`)

func unescapePath(s string) string {
	return escaped.ReplaceAllStringFunc(s, func(code string) string {
		n, _ := strconv.ParseUint(code[1:], 8, 8)
		return string([]byte{byte(n)})
	})
}

// FindType returns the kind of file system of a mount, as /proc/self/mountinfo has it; "" if it is
// not there.
func FindType(id uint64) string {
	if m := findByID(id); m != nil {
		return m.FSType
	}
	return ""
}
