package squashfs

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// An identity is all that a stat says of a file. Names of one file agree in it.
type identity struct {
	fileStat
	mount    mountID
	mode     uint32
	uid, gid uint32
	rdev     uint64
	links    uint32
}

// identityIn is what a stat said of an inode that was found in a mount.
func (i *inode) identityIn(mount mountID) identity {
	return identity{
		fileStat: i.stat, mount: mount,
		mode: i.mode, uid: i.uid, gid: i.gid, rdev: i.device, links: i.links,
	}
}

// A linker finds the names that stand for one file, and has them share an inode.
type linker struct {
	walker *treeWalker
	files  treeOpener
}

// linkNames joins the names of a walked tree that stand for the same file. Where the numbers alone
// do not prove that, the content must be equal as well; folders are never joined. Numbers that
// something else has, too, are marked as ambiguous.
func (l *linker) linkNames(ctx context.Context, root *treeEntry) error {
	defer l.files.close()
	var suspects []suspect // in the order of the tree
	for _, names := range groupNames(root) {
		same, err := l.compareNames(names)
		if err != nil {
			return err
		}
		unproven, err := l.joinProven(names, same)
		if err != nil {
			return err
		}
		suspects = append(suspects, unproven...)
	}
	return l.joinEqual(ctx, suspects)
}

// groupNames lists the names that share a number with another one, in the order of the tree.
func groupNames(root *treeEntry) [][]*treeEntry {
	names := listNames(root)
	// by device and inode number: the first name, or a group, negative and less 1
	devices := make(map[uint64]map[uint64]int32)
	var device uint64
	var numbers map[uint64]int32
	var groups [][]*treeEntry
	for n, e := range names {
		s := &e.inode.stat
		if s.ino == 0 {
			continue
		}
		if numbers == nil || s.device != device {
			if device, numbers = s.device, devices[s.device]; numbers == nil {
				numbers = make(map[uint64]int32, len(names)-n)
				devices[device] = numbers
			}
		}
		switch at, isKnown := numbers[s.ino]; {
		case !isKnown:
			numbers[s.ino] = int32(n)
		case at >= 0:
			numbers[s.ino] = int32(-len(groups) - 1)
			groups = append(groups, []*treeEntry{names[at], e})
		default:
			groups[-at-1] = append(groups[-at-1], e)
		}
	}
	return groups
}

// listNames lists an entry and all that is below it, in the order of the tree.
func listNames(root *treeEntry) []*treeEntry { return root.appendNames(nil) }

func (e *treeEntry) appendNames(names []*treeEntry) []*treeEntry {
	names = append(names, e)
	for _, below := range e.entries {
		names = below.appendNames(names)
	}
	return names
}

// linkTries is how often names that share a number, and differ in something else, are looked at
// again.
const linkTries = 3

// compareNames returns the identities of names that share a number. If they differ, or are more
// than the file has links, the file may have changed or moved between one look and the next: all
// are looked at again.
func (l *linker) compareNames(names []*treeEntry) ([]identity, error) {
	ids := make([]identity, len(names))
	for n, e := range names {
		ids[n] = e.inode.identityIn(e.inode.volume.mount)
	}
	for range linkTries {
		if allEqual(ids) && len(names) <= int(ids[0].links) {
			break
		}
		for n, e := range names {
			var st unix.Statx_t
			dir, name, err := l.openParent(e)
			if err != nil {
				return nil, err
			}
			if err := statAt(dir, name, &st); err != nil {
				return nil, wrapVanished(e.path, "stat", err)
			}
			ids[n] = newInode(&st).identityIn(findMountID(&st))
			if ids[n].device != ids[0].device || ids[n].ino != ids[0].ino {
				return nil, &changedError{e.path}
			}
		}
	}
	return ids, nil
}

// openParent returns an open directory, and what an entry is called in it.
func (l *linker) openParent(e *treeEntry) (dir int, name string, err error) {
	if e.parent == nil {
		return l.files.root, ".", nil
	}
	dir, err = l.files.enter(e.parent)
	return dir, e.name(), err
}

func allEqual(ids []identity) bool {
	return !slices.ContainsFunc(ids, func(id identity) bool { return id != ids[0] })
}

// joinProven joins names that share a number where their identities prove that they are one file,
// and returns those where their content has to.
func (l *linker) joinProven(names []*treeEntry, ids []identity) (unproven []suspect, err error) {
	first := names[0].inode
	isAmbiguous := !allEqual(ids) || len(names) > int(ids[0].links)
	switch {
	case isAmbiguous:
		if err := l.distrust(names); err != nil {
			return nil, err
		}
	case first.volume.traits.numbers && !first.isDir():
		for _, e := range names[1:] {
			e.inode = first
		}
		return nil, nil
	}
	for n, e := range names {
		if ids[n].links > 1 && !e.inode.isDir() {
			unproven = append(unproven, suspect{treeEntry: e, identity: ids[n]})
		}
	}
	return unproven, nil
}

// distrust marks names whose number is ambiguous. Their extended attributes are read anew: what a
// previous image has under the number may be another file's.
func (l *linker) distrust(names []*treeEntry) error {
	for _, e := range names {
		if e.inode.isAmbiguous {
			continue
		}
		e.inode.isAmbiguous = true
		dir, name, err := l.openParent(e)
		if err != nil {
			return err
		}
		if err := l.walker.readXattrs(dir, name, e.inode); err != nil {
			return fmt.Errorf("read extended attributes of %s: %w", e.path, err)
		}
	}
	return nil
}

// A suspect is a name that may stand for the same file as another one, as far as a stat tells.
type suspect struct {
	*treeEntry
	identity identity
	content  *content // of a regular file that is not empty
}

// A linkKey is all in which names of one file agree.
type linkKey struct {
	identity identity
	target   string // of a symbolic link
	xattrs   *xattrSet
	hasACL   bool
	hash     [sha256.Size]byte // of a regular file
}

// joinEqual joins names whose identities agree and that have the same content. If identities agree
// and the content does not, the number is ambiguous, too.
func (l *linker) joinEqual(ctx context.Context, suspects []suspect) error {
	if err := l.hashSuspects(ctx, suspects); err != nil {
		return err
	}
	first := make(map[linkKey]*inode)
	alike := make(map[identity][]*treeEntry)
	keys := make(map[identity]int) // how many different files there are
	for _, s := range suspects {
		key := linkKey{identity: s.identity, target: s.inode.target, xattrs: s.inode.xattrs, hasACL: s.inode.hasACL}
		if s.content != nil {
			key.hash = s.content.hash
			s.inode.hash = &s.content.hash
		}
		alike[s.identity] = append(alike[s.identity], s.treeEntry)
		if same := first[key]; same != nil {
			s.treeEntry.inode = same
		} else {
			first[key] = s.inode
			keys[s.identity]++
		}
	}
	for id, names := range alike {
		if keys[id] == 1 {
			continue
		}
		if err := l.distrust(names); err != nil {
			return err
		}
	}
	return nil
}

// hashSuspects computes the hashes of the suspects that are regular files. What a previous image
// has of a file that has not changed since is not read again.
func (l *linker) hashSuspects(ctx context.Context, suspects []suspect) error {
	var unknown []*content
	for n := range suspects {
		i := suspects[n].inode
		size := i.contentSize()
		if !i.isRegular() || size == 0 {
			continue
		}
		c := &content{inode: i, size: size}
		suspects[n].content = c
		if old := l.walker.old.findContent(i); old != nil && old.hashed && !i.held {
			c.hashed, c.hash = true, old.hash
		} else {
			unknown = append(unknown, c)
		}
	}
	o := l.walker.options
	return hashContents(ctx, unknown, l.files.root, o.BlockSize, o.Jobs, l.files.inspect)
}
