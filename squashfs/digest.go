package squashfs

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"io"
)

// An imageDigest names an image: SHA-256 over everything in front of the data, everything behind
// it, and length and digest of each region of data that is not empty, in the order of the image.
type imageDigest struct{ hash.Hash }

// hashRange feeds a part of a file to a hash, by way of buf, which may be nil. It returns how far
// it came; the error is io.EOF where the file ends before.
func hashRange(h hash.Hash, file io.ReaderAt, from, to int64, buf []byte) (int64, error) {
	n, err := io.CopyBuffer(h, io.NewSectionReader(file, from, to-from), buf)
	if err == nil && n < to-from {
		err = io.EOF
	}
	return from + n, err
}

// addRange adds a part of an image.
func (d imageDigest) addRange(image io.ReaderAt, from, to int64) error {
	if at, err := hashRange(d.Hash, image, from, to, nil); err != nil {
		return newReadError(at, err)
	}
	return nil
}

func (d imageDigest) addRegion(length uint64, sum uint32) {
	if length > 0 {
		d.Write(appendStruct(nil, length, sum))
	}
}

func (d imageDigest) sum() [sha256.Size]byte { return [sha256.Size]byte(d.Sum(nil)) }

// A contentHash tells contents apart: SHA-256 over each block behind a byte of 1, and, where blocks
// are all zeros, a byte of 0 and how many there are in a row, 64 bits. So it does not depend on
// what a file system stores of zeros.
type contentHash struct {
	hash  hash.Hash
	zeros uint64 // blocks of zeros that are not in the hash yet
}

func (h *contentHash) reset() {
	h.hash.Reset()
	h.zeros = 0
}

// addBlock adds a block that is not all zeros.
func (h *contentHash) addBlock(b []byte) {
	h.endZeros()
	h.hash.Write([]byte{1})
	h.hash.Write(b)
}

// addZeros adds blocks that are all zeros.
func (h *contentHash) addZeros(blocks int64) { h.zeros += uint64(blocks) }

func (h *contentHash) endZeros() {
	if h.zeros > 0 {
		h.hash.Write(binary.LittleEndian.AppendUint64([]byte{0}, h.zeros))
		h.zeros = 0
	}
}

func (h *contentHash) sum() [sha256.Size]byte {
	h.endZeros()
	return [sha256.Size]byte(h.hash.Sum(nil))
}

// digest is the SHA-256 of all that decides an image but for the bytes of its contents: trees with
// the same one, and with the same contents in the same order, have the same image.
func (t *tree) digest() [sha256.Size]byte {
	h := sha256.New()
	le := binary.LittleEndian
	b := le.AppendUint32(nil, t.time)
	for _, e := range t.names {
		i := e.inode
		b = appendString(b, e.path)
		b = le.AppendUint32(b, i.number)
		if i.first == e {
			for _, v := range []uint32{i.mode, i.uid, i.gid, i.mtime} {
				b = le.AppendUint32(b, v)
			}
			b = le.AppendUint64(b, i.device)
			b = appendString(b, i.target)
			if i.xattrs != nil {
				b = appendString(b, i.xattrs.key)
			}
			if i.content != nil {
				b = le.AppendUint32(b, i.content.number)
			} else {
				b = le.AppendUint32(b, noContent)
			}
		}
		if len(b) > 32<<10 {
			h.Write(b)
			b = b[:0]
		}
	}
	h.Write(b)
	return [sha256.Size]byte(h.Sum(nil))
}
