package squashfs

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// The structures of squashfs 4.0 as they stand on disk, in the order of the file. All numbers are
// little endian. Source: Documentation/filesystems/squashfs.rst and fs/squashfs/squashfs_fs.h in
// Linux. Reader and writer share them.

const (
	magic          = 0x73717368 // "hsqs"
	versionMajor   = 4
	versionMinor   = 0
	superblockSize = 96

	minBlockSize     = 4 << 10
	maxBlockSize     = 1 << 20
	defaultBlockSize = 128 << 10

	// metadataSize is what a block of metadata holds uncompressed; only a table's last may hold
	// less.
	metadataSize = 8 << 10
	// metadataStored in a metadata block's 16-bit header says that the block is not compressed.
	metadataStored = 1 << 15

	// blockStored in a data block's 32-bit size says that the block is not compressed. A size of 0
	// is a block of zeros.
	blockStored = 1 << 24

	// padding: the file's length is a multiple of it, bytesUsed is not.
	padding = 4 << 10

	noTable    = math.MaxUint64 // a table that is absent starts here
	noFragment = math.MaxUint32 // a file without a tail in a fragment block
	noXattrs   = math.MaxUint32 // an inode without extended attributes

	maxNameLen = 256
)

// Superblock flags that images of this package have. Linux looks at flagCompressorOptions alone;
// the others tell how the image was made.
const (
	flagDuplicates        = 0x0040
	flagExportable        = 0x0080
	flagCompressorOptions = 0x0400
)

// superblock is the first 96 bytes of an image.
type superblock struct {
	Magic          uint32
	Inodes         uint32
	Time           uint32 // seconds since 1970, unsigned
	BlockSize      uint32
	Fragments      uint32
	Compression    uint16
	BlockLog       uint16
	Flags          uint16
	IDs            uint16
	VersionMajor   uint16
	VersionMinor   uint16
	RootInode      uint64 // an inode reference
	BytesUsed      uint64 // the end of the last table, without the padding
	IDTable        uint64
	XattrTable     uint64
	InodeTable     uint64
	DirectoryTable uint64
	FragmentTable  uint64
	ExportTable    uint64
}

// Inode types. An extended type is its basic type + 7; directory entries always carry the basic
// one.
const (
	typeDirectory = 1 + iota
	typeFile
	typeSymlink
	typeBlockDevice
	typeCharDevice
	typeFifo
	typeSocket
	typeExtDirectory
	typeExtFile
	typeExtSymlink
	typeExtBlockDevice
	typeExtCharDevice
	typeExtFifo
	typeExtSocket

	extended = typeExtDirectory - typeDirectory
)

// inodeHeader begins every inode. Which of the structs below follows depends on Type.
type inodeHeader struct {
	Type   uint16
	Mode   uint16 // the lower twelve bits of st_mode
	UID    uint16 // index into the id table
	GID    uint16
	Mtime  uint32
	Number uint32 // from 1
}

// directoryInode: a listing that fits 16 bits, no extended attributes.
type directoryInode struct {
	Start  uint32 // of the listing's metadata block, from the directory table's start
	Links  uint32
	Size   uint16 // of the listing + 3
	Offset uint16 // of the listing inside its metadata block, uncompressed
	Parent uint32 // the parent's inode number; the root's is the number of inodes + 1
}

// extDirectoryInode is followed by IndexCount directoryIndex entries.
type extDirectoryInode struct {
	Links      uint32
	Size       uint32
	Start      uint32
	Parent     uint32
	IndexCount uint16
	Offset     uint16
	Xattrs     uint32
}

// directoryIndex points to one header in a long listing. The name of the header's first entry
// follows.
type directoryIndex struct {
	Position uint32 // of the header in the uncompressed listing
	Start    uint32 // of the header's metadata block, from the directory table's start
	NameSize uint32 // minus 1
}

// fileInode is followed by the size of each block, 32 bits each.
type fileInode struct {
	Start          uint32
	Fragment       uint32
	FragmentOffset uint32
	Size           uint32
}

// extFileInode is followed by the sizes likewise.
type extFileInode struct {
	Start          uint64
	Size           uint64
	Sparse         uint64 // bytes in blocks of zeros, at most Size - 1
	Links          uint32
	Fragment       uint32
	FragmentOffset uint32
	Xattrs         uint32
}

// symlinkInode is followed by the target. Behind the extended forms of this and of the two that
// follow stands the number of the xattr set, 32 bits.
type symlinkInode struct {
	Links      uint32
	TargetSize uint32
}

type deviceInode struct {
	Links  uint32
	Device uint32
}

// ipcInode is a fifo or a socket.
type ipcInode struct {
	Links uint32
}

// directoryHeader serves up to 256 entries whose inodes share a metadata block.
type directoryHeader struct {
	Count  uint32 // minus 1
	Start  uint32 // of the inodes' metadata block, from the inode table's start
	Number uint32 // entries give their inode number relative to this
}

const maxHeaderEntries = 256

// directoryEntry is followed by its name.
type directoryEntry struct {
	Offset   uint16 // of the inode in its metadata block, uncompressed
	Number   int16  // relative to the header's
	Type     uint16 // basic
	NameSize uint16 // minus 1
}

// fragmentEntry locates one fragment block.
type fragmentEntry struct {
	Start  uint64
	Size   uint32 // as a data block's
	Unused uint32
}

// xattrKey is followed by the name without its prefix, then by a 32-bit value size and the value.
// With xattrOutOfLine in Type the value is 8 bytes long: a reference, from KeysStart on, to another
// (size, value).
type xattrKey struct {
	Type     uint16
	NameSize uint16
}

const xattrOutOfLine = 0x100

// xattrEntry locates the extended attributes of one set.
type xattrEntry struct {
	Ref   uint64 // from KeysStart
	Count uint32
	Size  uint32 // in bytes, uncompressed
}

// xattrHeader is where the superblock's XattrTable points to. The absolute position of each
// metadata block of xattrEntry follows.
type xattrHeader struct {
	KeysStart uint64
	Sets      uint32
	Unused    uint32
}

// Prefixes of extended attributes, by number. There is no number for any other: POSIX ACLs cannot
// be stored.
var xattrPrefixes = []string{"user.", "trusted.", "security."}

// splitXattr returns the number of a name's prefix and the rest of the name.
func splitXattr(name string) (prefix uint16, rest string, ok bool) {
	for i, p := range xattrPrefixes {
		if rest, found := strings.CutPrefix(name, p); found {
			return uint16(i), rest, true
		}
	}
	return 0, "", false
}

// packInodeRef is where an inode stands: its metadata block's start from the inode table's, and its
// offset in there.
func packInodeRef(start uint64, offset int) uint64 { return start<<16 | uint64(offset) }

// fileTypes are the S_IFMT parts of st_mode, by basic inode type.
var fileTypes = [...]uint32{
	typeDirectory:   unix.S_IFDIR,
	typeFile:        unix.S_IFREG,
	typeSymlink:     unix.S_IFLNK,
	typeBlockDevice: unix.S_IFBLK,
	typeCharDevice:  unix.S_IFCHR,
	typeFifo:        unix.S_IFIFO,
	typeSocket:      unix.S_IFSOCK,
}

// chooseInodeType returns the basic type for a st_mode.
func chooseInodeType(mode uint32) (uint16, error) {
	if kind := slices.Index(fileTypes[:], mode&unix.S_IFMT); kind > 0 {
		return uint16(kind), nil
	}
	return 0, fmt.Errorf("no squashfs type for mode %#o", mode)
}

// decodeFileType returns the S_IFMT part of st_mode for an inode type, basic or extended; 0 for an
// unknown one.
func decodeFileType(inodeType uint16) uint32 {
	if basic := int(toBasicType(inodeType)); basic < len(fileTypes) {
		return fileTypes[basic]
	}
	return 0
}

func toBasicType(inodeType uint16) uint16 {
	if inodeType >= typeExtDirectory {
		return inodeType - extended
	}
	return inodeType
}

// encodeDevice packs a device number as Linux's new_encode_dev does; what is too large for it is
// cut off.
func encodeDevice(dev uint64) uint32 {
	major, minor := unix.Major(dev), unix.Minor(dev)
	return major<<8 | minor&0xff | minor&^0xff<<12
}

// decodeDevice is the inverse of encodeDevice.
func decodeDevice(dev uint32) uint64 {
	return unix.Mkdev(dev>>8&0xfff, dev&0xff|dev>>12&0xfff00)
}

// appendStruct appends fixed-size values in their on-disk form.
func appendStruct(b []byte, values ...any) []byte {
	for _, v := range values {
		var err error
		if b, err = binary.Append(b, binary.LittleEndian, v); err != nil {
			panic(err) // a struct of variable size
		}
	}
	return b
}
