package squashfs

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestBlockSizes has lists of sizes made block by block and in runs, cut off an index, and written:
// they are what a plain list of all blocks would be.
func TestBlockSizes(t *testing.T) {
	t.Parallel()
	enc, err := newEncoder(Zstd, defaultBlockSize)
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		var sizes blockSizes
		var plain []uint32
		var zeroBytes uint64
		for range random.IntN(20) {
			if random.IntN(2) == 0 {
				word := uint32(1+random.IntN(minBlockSize)) | uint32(random.IntN(2))*blockStored
				sizes.add(word)
				plain = append(plain, word)
				continue
			}
			run := 1 + random.Int64N(1+int64(random.IntN(3))*3*metadataSize/4)
			sizes.addZeros(run)
			plain = append(plain, make([]uint32, run)...)
			zeroBytes += uint64(run) * minBlockSize
		}
		count := int64(len(plain))
		if len(sizes) > len(plain) {
			t.Fatalf("seed %d: %d words for %d blocks", seed, len(sizes), len(plain))
		}
		size := count * minBlockSize
		if n := len(sizes); n > 0 && random.IntN(2) == 0 { // a short last block
			short := random.Int64N(minBlockSize)
			if size -= short; sizes[n-1]&zeroRun != 0 {
				zeroBytes -= uint64(short)
			}
		}
		if got := sizes.countSparse(size, minBlockSize); got != zeroBytes {
			t.Fatalf("seed %d: %d bytes of zeros, want %d", seed, got, zeroBytes)
		}

		words := append([]uint32(sizes), 1, 2)
		cut, length, ok := cutBlockSizes(&words, count, minBlockSize)
		if !ok || !slices.Equal(cut, sizes) || !slices.Equal(words, []uint32{1, 2}) {
			t.Fatalf("seed %d: cut %#x, %v, %#x of %#x", seed, cut, ok, words, sizes)
		}
		var want uint64
		for _, word := range plain {
			want += uint64(word &^ blockStored)
		}
		if length != want {
			t.Fatalf("seed %d: the blocks are %d bytes long, want %d", seed, length, want)
		}

		runs, all := newMetadataWriter(enc), newMetadataWriter(enc)
		before := make([]byte, random.IntN(metadataSize+1)) // of any alignment
		runs.write(before)
		all.write(before)
		runs.writeSizes(sizes)
		for _, word := range plain {
			all.write(binary.LittleEndian.AppendUint32(nil, word))
		}
		got, err1 := runs.finish()
		expected, err2 := all.finish()
		if err1 != nil || err2 != nil || !bytes.Equal(got, expected) {
			t.Fatalf("seed %d: %v, %v, or other metadata than of a plain list", seed, err1, err2)
		}
	}
}

// TestBadBlockSizes: what no build writes is no list of sizes.
func TestBadBlockSizes(t *testing.T) {
	t.Parallel()
	for what, words := range map[string]blockSizes{
		"none":                  {},
		"too few":               {1, 1},
		"a block of no size":    {1, 0, 1},
		"stored, of no size":    {1, blockStored, 1},
		"a block too large":     {1, minBlockSize + 1, 1},
		"an empty run":          {zeroRun, 1, 1, 1},
		"a run too long":        {zeroRun | 4},
		"a run much too long":   {1<<32 - 1},
		"a run behind the end":  {1, zeroRun | 3},
		"a run in two":          {zeroRun | 1, zeroRun | 2},
		"too few, with a run":   {zeroRun | 2},
		"unknown bits of sizes": {1 << 25, 1, 1},
	} {
		all := []uint32(words)
		if _, _, ok := cutBlockSizes(&all, 3, minBlockSize); ok {
			t.Errorf("%s: %#x is taken for three blocks", what, words)
		}
	}
}
