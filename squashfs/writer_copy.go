package squashfs

import (
	"context"
	"hash/crc32"
)

// countAdjacent counts the regions at the front that stand one behind the other in the previous
// image.
func countAdjacent(regions []*region) int {
	n := 0
	for n < len(regions) && regions[n].old != nil &&
		(n == 0 || regions[n].old.start == regions[n-1].old.start+regions[n-1].length) {
		n++
	}
	return n
}

// copyRegions takes regions that touch one another from the previous image, and checks each on the
// way.
func (w *dataWriter) copyRegions(ctx context.Context, regions []*region) error {
	at := int64(regions[0].old.start)
	last := regions[len(regions)-1]
	end := int64(last.old.start + last.length)
	var sum uint32
	left := regions[0].length // of the region that is being checked
	for at < end {
		j, err := w.takeJob(ctx, int(min(int64(w.plan.blockSize), end-at)))
		if err != nil {
			return err
		}
		if n, err := w.old.image.ReadAt(j.raw, at); n < len(j.raw) {
			return newReadError(at, err)
		}
		w.copied += int64(len(j.raw))
		at += int64(len(j.raw))
		for b := j.raw; ; {
			n := min(left, uint64(len(b)))
			sum = crc32.Update(sum, castagnoli, b[:n])
			b, left = b[n:], left-n
			if left > 0 {
				break
			}
			r := regions[0]
			if sum != r.sum {
				return newRegionRotError(r.old)
			}
			bytes, files := r.countSource()
			j.source, j.files = j.source+bytes, j.files+files
			if regions = regions[1:]; len(regions) == 0 {
				break
			}
			left, sum = regions[0].length, 0
		}
		w.send(j)
	}
	return nil
}
