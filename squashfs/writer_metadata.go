package squashfs

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// A metadataWriter packs a stream of records into metadata blocks, in memory.
type metadataWriter struct {
	enc    encoder
	block  []byte // the uncompressed bytes of the block that is being filled; never a full one
	packed []byte
	out    []byte // finished blocks, each behind its header
	zeros  []byte // what a block of zeros is there; nil before there is one
	err    error
}

func newMetadataWriter(enc encoder) *metadataWriter {
	return &metadataWriter{enc: enc, block: make([]byte, 0, metadataSize)}
}

// position is where the next record will begin: its block's start from the first one's, and its
// offset in there.
func (m *metadataWriter) position() (start uint64, offset int) {
	return uint64(len(m.out)), len(m.block)
}

func (m *metadataWriter) write(b []byte) {
	for len(b) > 0 {
		n := min(len(b), metadataSize-len(m.block))
		m.block = append(m.block, b[:n]...)
		b = b[n:]
		if len(m.block) == metadataSize {
			m.flush()
		}
	}
}

// writeZeros writes n zero bytes. Only one block of them is compressed.
func (m *metadataWriter) writeZeros(n int64) {
	for n > 0 {
		k := min(n, int64(metadataSize-len(m.block)))
		n -= k
		if k == metadataSize && m.zeros != nil {
			m.out = append(m.out, m.zeros...)
			continue
		}
		start := len(m.out)
		m.write(zeros[:k])
		if k == metadataSize {
			m.zeros = bytes.Clone(m.out[start:])
		}
	}
}

// flush ends the block that is being filled.
func (m *metadataWriter) flush() {
	if len(m.block) == 0 || m.err != nil {
		m.block = m.block[:0]
		return
	}
	if m.packed, m.err = m.enc.encode(m.packed[:0], m.block); m.err != nil {
		return
	}
	b, header := m.packed, uint16(len(m.packed))
	if len(b) >= len(m.block) {
		b, header = m.block, uint16(len(m.block))|metadataStored
	}
	m.out = binary.LittleEndian.AppendUint16(m.out, header)
	m.out = append(m.out, b...)
	m.block = m.block[:0]
}

// finish ends the last block and returns all of them.
func (m *metadataWriter) finish() ([]byte, error) {
	m.flush()
	if m.err != nil {
		return nil, fmt.Errorf("compress metadata: %w", m.err)
	}
	return m.out, nil
}

// encodeLookupTable packs records of a size that divides 8 KiB into metadata blocks, and returns
// those with the list of their positions, at being where the first one will stand in the image.
func encodeLookupTable(enc encoder, records []byte, at uint64) (blocks, list []byte, err error) {
	m := newMetadataWriter(enc)
	for len(records) > 0 {
		list = binary.LittleEndian.AppendUint64(list, at+uint64(len(m.out)))
		n := min(len(records), metadataSize)
		m.write(records[:n])
		m.flush()
		records = records[n:]
	}
	blocks, err = m.finish()
	return blocks, list, err
}
