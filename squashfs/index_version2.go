package squashfs

import "slices"

// indexVersion2 is the version of the index that the release before wrote. Nothing is built upon
// such an index, but an image that clients have is still compared with it. Only what says where
// data is in the image is read.
const (
	indexVersion2 = 2

	index2HeaderSize  = 152
	index2InodeSize   = 52
	index2ContentSize = 72 // 64 bits more than an indexContent, behind Start
)

// convertIndex2Header gives a header of indexVersion2 the form of an indexHeader. It knew one
// volume, whose id and time of scanning were in place of IDOffset and Volumes.
func convertIndex2Header(b []byte) []byte {
	const common, volume = 88, 40
	return slices.Concat(b[:common], make([]byte, 8), b[common+volume:])
}

// cutBlockWords is cutBlockSizes for an index of indexVersion2, which had a word of 0 for each
// block of zeros.
func cutBlockWords(words *[]uint32, count int64, blockSize uint32) (sizes blockSizes, length uint64, ok bool) {
	if count > int64(len(*words)) {
		return nil, 0, false
	}
	var runs blockSizes
	for _, word := range (*words)[:count] {
		switch {
		case word == 0:
			runs.addZeros(1)
		case word&zeroRun != 0:
			return nil, 0, false
		default:
			runs.add(word)
		}
	}
	*words = (*words)[count:]
	return cutBlockSizes((*[]uint32)(&runs), count, blockSize)
}
