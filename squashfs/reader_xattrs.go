package squashfs

import (
	"errors"
	"fmt"
)

// An Xattr is an extended attribute.
type Xattr struct {
	Name  string // with its prefix: "security.capability"
	Value []byte
}

// Bounds on what an inode's extended attributes may be. Linux has the first two as XATTR_SIZE_MAX
// and XATTR_LIST_MAX.
const (
	maxXattrValue  = 1 << 16
	maxXattrNames  = 1 << 16 // together, a NUL behind each
	maxXattrValues = 1 << 24 // together
)

// Xattrs returns the extended attributes of e, an entry of r, in the image's order.
func (r *Reader) Xattrs(e *Entry) ([]Xattr, error) {
	if e.xattrs == noXattrs {
		return nil, nil
	}
	xattrs, err := r.readXattrSet(e.xattrs)
	if err != nil {
		return nil, fmt.Errorf("read extended attributes of %s in the image: %w", e.Path, err)
	}
	return xattrs, nil
}

func (r *Reader) readXattrSet(number uint32) ([]Xattr, error) {
	var set xattrEntry
	if err := r.readLookupEntry(&r.xattrSets, uint64(number), &set); err != nil {
		return nil, err
	}
	c, err := r.newCursor(&r.xattrKeys, set.Ref>>16, int(set.Ref&0xffff))
	if err != nil {
		return nil, err
	}
	var xattrs []Xattr
	names, values := 0, 0
	for range set.Count {
		x, err := r.readXattr(&c)
		if err != nil {
			return nil, err
		}
		names += len(x.Name) + 1
		values += len(x.Value)
		if names > maxXattrNames || values > maxXattrValues {
			return nil, errors.New("too many of them")
		}
		xattrs = append(xattrs, x)
	}
	return xattrs, nil
}

// readXattr reads a name and its value.
func (r *Reader) readXattr(c *cursor) (x Xattr, err error) {
	var key xattrKey
	if err := c.readStruct(&key); err != nil {
		return x, err
	}
	prefix := int(key.Type &^ xattrOutOfLine)
	if prefix >= len(xattrPrefixes) {
		return x, fmt.Errorf("unknown prefix %d", prefix)
	}
	if key.NameSize > 255 {
		return x, fmt.Errorf("a name of %d bytes", key.NameSize)
	}
	name, err := c.readString(int(key.NameSize))
	if err != nil {
		return x, err
	}
	x.Name = xattrPrefixes[prefix] + name
	if key.Type&xattrOutOfLine == 0 {
		x.Value, err = readXattrValue(c)
		return x, err
	}
	var place struct {
		Size uint32
		Ref  uint64
	}
	if err := c.readStruct(&place); err != nil {
		return x, err
	}
	if place.Size != 8 {
		return x, fmt.Errorf("a reference of %d bytes", place.Size)
	}
	there, err := r.newCursor(&r.xattrKeys, place.Ref>>16, int(place.Ref&0xffff))
	if err != nil {
		return x, err
	}
	x.Value, err = readXattrValue(&there)
	return x, err
}

func readXattrValue(c *cursor) ([]byte, error) {
	var size uint32
	if err := c.readStruct(&size); err != nil {
		return nil, err
	}
	if size > maxXattrValue || uint64(size) > c.left() {
		return nil, fmt.Errorf("a value of %d bytes", size)
	}
	value := make([]byte, size)
	return value, c.read(value)
}
