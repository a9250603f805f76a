package squashfs

import "encoding/binary"

// blockSizes are the sizes of a content's blocks, in order. A word without zeroRun is one block, as
// in a file's inode, and not 0. One with zeroRun is as many blocks of zeros as its other bits say:
// a file of holes has millions of them. A run is as long as it can be: none follows another.
type blockSizes []uint32

// zeroRun leaves room for the blocks of a file of maxFileSize, the smallest there are.
const zeroRun = 1 << 31

// add appends a block that is not all zeros.
func (s *blockSizes) add(size uint32) { *s = append(*s, size) }

// addZeros appends blocks of zeros.
func (s *blockSizes) addZeros(count int64) {
	if last := len(*s) - 1; last >= 0 && (*s)[last]&zeroRun != 0 {
		(*s)[last] += uint32(count)
	} else {
		*s = append(*s, zeroRun|uint32(count))
	}
}

// countSparse returns how many bytes of a content of a size are in blocks of zeros.
func (s blockSizes) countSparse(size int64, blockSize int) (zeros uint64) {
	at := int64(0)
	for _, word := range s {
		if word&zeroRun == 0 {
			at += int64(blockSize)
			continue
		}
		end := min(at+int64(word&^zeroRun)*int64(blockSize), size)
		zeros += uint64(end - at)
		at = end
	}
	return zeros
}

// cutBlockSizes takes the words of count blocks off the front of words, and says whether they can
// be so. It returns how long the blocks are in an image, too.
func cutBlockSizes(words *[]uint32, count int64, blockSize uint32) (sizes blockSizes, length uint64, ok bool) {
	all := *words
	n, inRun := 0, false
	for ; count > 0 && n < len(all); n++ {
		word := all[n]
		if word&zeroRun != 0 {
			run := int64(word &^ zeroRun)
			if inRun || run == 0 || run > count {
				return nil, 0, false
			}
			count, inRun = count-run, true
			continue
		}
		size := word &^ blockStored
		if size == 0 || size > blockSize {
			return nil, 0, false
		}
		length += uint64(size)
		count, inRun = count-1, false
	}
	*words = all[n:]
	return all[:n:n], length, count == 0
}

// writeSizes writes sizes as they are in an inode. What a run of zeros takes is not in memory at
// once.
func (m *metadataWriter) writeSizes(sizes blockSizes) {
	var buf [512]byte
	b := buf[:0]
	for _, word := range sizes {
		if len(b) == len(buf) || word&zeroRun != 0 {
			m.write(b)
			b = buf[:0]
		}
		if word&zeroRun != 0 {
			m.writeZeros(4 * int64(word&^zeroRun))
		} else {
			b = binary.LittleEndian.AppendUint32(b, word)
		}
	}
	m.write(b)
}
