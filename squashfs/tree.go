package squashfs

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/fnv"
	"io"
	"path"
	"time"

	"golang.org/x/sys/unix"
)

// A tree is what goes into an image, in the order of the image: depth first, names bytewise within
// a directory.
type tree struct {
	root    *treeEntry
	names   []*treeEntry // preorder: all of a/ comes before a-b
	inodes  []*inode     // in the order of their first names
	volumes []*volume    // the root's first
	time    uint32       // the superblock's

	snapshots []string // folders of snapshots that were left out

	inspect *inspection // nil if nobody wants to see the files
}

// A treeEntry is one name in the image.
type treeEntry struct {
	path    string     // from the root, without a slash in front; "" is the root
	parent  *treeEntry // nil for the root
	inode   *inode
	entries []*treeEntry   // of a directory, by name
	listing writtenListing // of a directory, once written
}

func (e *treeEntry) name() string { return path.Base(e.path) }

// An inode is what one or more names stand for.
type inode struct {
	first  *treeEntry // its first name in order
	mode   uint32     // st_mode
	uid    uint32
	gid    uint32
	mtime  uint32 // as squashfs holds it
	device uint64
	target string // of a symbolic link
	names  uint64 // a hash of all its names, in order
	links  uint32 // names inside the image; a directory's subdirectories + 2
	stat   fileStat
	volume *volume // what its folder is on; of a folder, what is in it is on; nil for what is not of the tree
	xattrs *xattrSet
	hasACL bool

	// isAmbiguous: something else in the tree has the same device and inode number.
	isAmbiguous bool
	// mounted: another file system stands here. Of it nothing belongs to the tree: the directory
	// (or file) is empty.
	mounted bool
	// crossed: a mount begins here that belongs to the tree.
	crossed bool
	// borrowed: the superblock's time stands for the directory's own, which goes with things
	// outside the image.
	borrowed bool
	// inspected says that Options.Inspector has seen all of its content.
	inspected bool
	// held says that data is the file's content: it is not read from the tree (again).
	held bool
	data []byte
	// replaced says that data is not what the tree has there: a later build must not take the file
	// for this content.
	replaced bool

	content *content           // of a regular file that is not empty
	hash    *[sha256.Size]byte // of its content, if that was read to tell it from another file

	number uint32
	kind   uint16 // inode type, basic or extended, once written
	ref    uint64 // once written
}

func (i *inode) isDir() bool     { return i.mode&unix.S_IFMT == unix.S_IFDIR }
func (i *inode) isRegular() bool { return i.mode&unix.S_IFMT == unix.S_IFREG }

// contentSize is how many bytes a regular file has in the image.
func (i *inode) contentSize() int64 {
	if i.held {
		return int64(len(i.data))
	}
	return i.stat.size
}

// isIndexed reports whether a later build may take the inode for unchanged if its stat is as it
// was.
func (i *inode) isIndexed() bool {
	return i.stat.ino != 0 && !i.isAmbiguous && i.volume != nil && i.volume.traits.ctimes &&
		i.volume.device == i.stat.device
}

// A fileStat is what tells whether a file may have changed. All of it must be as it was.
type fileStat struct {
	device uint64 // of the file system; compared within one build only
	ino    uint64
	size   int64
	mtime  int64 // nanoseconds since 1970
	ctime  int64
}

func clampTime(seconds int64) uint32 { return uint32(min(max(seconds, 0), 1<<32-1)) }

func newInode(st *unix.Statx_t) *inode {
	i := new(inode)
	i.refresh(st)
	return i
}

// refresh takes over what a stat says.
func (i *inode) refresh(st *unix.Statx_t) {
	i.mode, i.uid, i.gid = uint32(st.Mode), st.Uid, st.Gid
	i.mtime = clampTime(st.Mtime.Sec)
	i.device = unix.Mkdev(st.Rdev_major, st.Rdev_minor)
	i.links = st.Nlink
	i.stat = newFileStat(st)
}

// makeMountPoint makes a mount point of an inode.
func (i *inode) makeMountPoint() {
	i.mounted, i.borrowed, i.held = true, true, true
	i.stat, i.volume = fileStat{}, nil
	i.links = 1
	if i.mode&unix.S_IFMT == unix.S_IFLNK {
		i.mode = unix.S_IFREG | 0o644 // a link without a target cannot be
	}
}

func newFileStat(st *unix.Statx_t) fileStat {
	return fileStat{
		device: unix.Mkdev(st.Dev_major, st.Dev_minor),
		ino:    st.Ino,
		size:   int64(st.Size),
		mtime:  st.Mtime.Sec*1e9 + int64(st.Mtime.Nsec),
		ctime:  st.Ctime.Sec*1e9 + int64(st.Ctime.Nsec),
	}
}

// newTree puts a walked tree in order: numbers, link counts, times.
func newTree(root *treeEntry, forced time.Time) *tree {
	t := &tree{root: root}
	t.numberInodes(root)
	if forced.IsZero() {
		for _, i := range t.inodes {
			if !i.borrowed {
				t.time = max(t.time, i.mtime)
			}
		}
	} else {
		t.time = clampTime(forced.Unix())
	}
	for _, i := range t.inodes {
		if i.borrowed {
			i.mtime = t.time
		}
	}
	return t
}

func (i *inode) addName(name string) {
	h := fnv.New64a()
	binary.Write(h, binary.LittleEndian, i.names)
	io.WriteString(h, name)
	i.names = h.Sum64()
}

// numberInodes counts inodes and their names below an entry. Names of one file share their inode
// already.
func (t *tree) numberInodes(e *treeEntry) {
	i := e.inode
	t.names = append(t.names, e)
	if i.number != 0 {
		i.links++
		i.addName(e.path)
		return
	}
	i.first, i.links = e, 1
	i.addName(e.path)
	t.inodes = append(t.inodes, i)
	i.number = uint32(len(t.inodes))
	if !i.isDir() {
		return
	}
	i.links = 2
	for _, c := range e.entries {
		if c.inode.isDir() {
			i.links++
		}
		t.numberInodes(c)
	}
}
