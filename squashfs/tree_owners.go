package squashfs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
)

// idRange is how many ids a user namespace has by convention, from its offset on.
const idRange = 1 << 16

// mapOwners takes an offset off all owners of a tree.
func (w *treeWalker) mapOwners(root *treeEntry, offset uint32) error {
	for _, e := range listNames(root) {
		i := e.inode
		if i.first != e {
			continue
		}
		for _, id := range []*uint32{&i.uid, &i.gid} {
			switch {
			case *id-offset < idRange:
				*id -= offset
			case i.mounted:
				*id = 0 // of a file system that is not in the image
			default:
				return fmt.Errorf("/%s belongs to user %d and group %d, and id-offset says that ids are %d to %d: "+
					"change its owner, or exclude it", e.path, i.uid, i.gid, offset, offset+idRange-1)
			}
		}
		if err := w.mapCapabilities(e, offset); err != nil {
			return err
		}
	}
	return nil
}

// The value of security.capability, from linux/capability.h: revision 3 is revision 2 with the user
// that is root in the namespace behind it, in 32 bits.
const (
	capabilityName     = "security.capability"
	capabilityRevision = 0xff000000
	capabilityV2       = 0x02000000
	capabilityV3       = 0x03000000
	capabilityV2Size   = 20
	capabilityV3Size   = 24
)

// mapCapabilities makes the capabilities that a file has in the namespace whose root is the user
// offset those that it has on a client.
func (w *treeWalker) mapCapabilities(e *treeEntry, offset uint32) error {
	set := e.inode.xattrs
	if set == nil {
		return nil
	}
	for n, a := range set.attrs {
		value := bytes.Clone(a.Value)
		if a.Name != capabilityName || len(value) < 4 ||
			binary.LittleEndian.Uint32(value)&capabilityRevision != capabilityV3 {
			continue
		}
		if len(value) != capabilityV3Size || binary.LittleEndian.Uint32(value[capabilityV2Size:]) != offset {
			return fmt.Errorf("the capabilities of /%s are those of another user namespace than id-offset says: "+
				"set them anew with setcap, or exclude it", e.path)
		}
		magic := binary.LittleEndian.Uint32(value)&^uint32(capabilityRevision) | capabilityV2
		binary.LittleEndian.PutUint32(value, magic)
		attrs := slices.Clone(set.attrs)
		attrs[n].Value = value[:capabilityV2Size]
		e.inode.xattrs = w.internXattrs(newXattrSet(attrs))
		return nil
	}
	return nil
}
