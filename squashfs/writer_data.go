package squashfs

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"os"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A blockJob is a block on its way into the image. One goroutine fills jobs in the order of the
// image, several compress them, one writes them in that order again. A fixed number of them goes
// round, and with it the memory.
type blockJob struct {
	raw    []byte
	packed []byte
	region *region // nil for bytes copied from the previous image
	zeros  int64   // instead of raw: so many blocks of zeros
	err    error
	done   chan struct{} // one token, when packed and err are set

	source int64 // bytes of files that are done with this job
	files  int
}

// dataWriter writes the data of a plan.
type dataWriter struct {
	plan     *plan
	root     int
	options  *Options
	old      *oldImage
	out      *output
	progress func(bytes int64, files int)
	inspect  *inspection

	free  chan *blockJob
	order chan *blockJob
	work  chan *blockJob

	bytesRead, copied, packed int64
}

// inFlight is how many bytes of files are between reader and image at once: enough that no
// goroutine waits for another that the machine, or the disk, holds up for some milliseconds.
const inFlight = 8 << 20

func (w *dataWriter) write(ctx context.Context) error {
	n := max(inFlight/w.plan.blockSize, 4*w.options.Jobs+4)
	w.free, w.order, w.work = make(chan *blockJob, n), make(chan *blockJob, n), make(chan *blockJob, n)
	for range n {
		w.free <- &blockJob{done: make(chan struct{}, 1)}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(w.order)
		defer close(w.work)
		return w.readRegions(ctx)
	})
	for range w.options.Jobs {
		group.Go(w.compress)
	}
	group.Go(func() error { return w.writeJobs(ctx) })
	return group.Wait()
}

// readRegions fills the jobs, in the order of the image.
func (w *dataWriter) readRegions(ctx context.Context) error {
	files := &treeOpener{root: w.root, inspect: w.inspect}
	defer files.close()
	for regions := w.plan.regions; len(regions) > 0; {
		var err error
		n := countAdjacent(regions)
		switch r := regions[0]; {
		case n > 0:
			err = w.copyRegions(ctx, regions[:n])
		case r.group != nil:
			err = w.readGroup(ctx, files, r)
		default:
			err = w.readBlocks(ctx, files, r)
		}
		if err != nil {
			return err
		}
		regions = regions[max(n, 1):]
	}
	return nil
}

// takeJob takes a free job with room for n bytes.
func (w *dataWriter) takeJob(ctx context.Context, n int) (*blockJob, error) {
	select {
	case j := <-w.free:
		if cap(j.raw) < n {
			j.raw = make([]byte, w.plan.blockSize)
		}
		j.raw = j.raw[:n]
		j.region, j.zeros, j.err, j.source, j.files = nil, 0, nil, 0, 0
		return j, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (w *dataWriter) send(j *blockJob) {
	w.order <- j // never waits: it has room for all jobs
	if j.region == nil {
		j.done <- struct{}{}
	} else {
		w.work <- j
	}
}

func (w *dataWriter) readBlocks(ctx context.Context, files *treeOpener, r *region) error {
	c, blockSize := r.content, w.plan.blockSize
	f, err := files.open(c)
	if err != nil {
		return err
	}
	defer f.close()
	for offset := int64(0); offset < c.size; {
		j, err := w.takeJob(ctx, int(min(int64(blockSize), c.size-offset)))
		if err != nil {
			return err
		}
		n, zero, err := f.readNext(j.raw, offset)
		if err != nil {
			return err
		}
		if zero {
			j.raw, j.zeros = j.raw[:0], countBlocks(n, blockSize)
		}
		offset += n
		w.bytesRead += n
		j.region, j.source = r, n
		if offset == c.size {
			j.files = 1
		}
		w.send(j)
	}
	return f.checkUnchanged()
}

func (w *dataWriter) readGroup(ctx context.Context, files *treeOpener, r *region) error {
	j, err := w.takeJob(ctx, r.group.length)
	if err != nil {
		return err
	}
	for _, c := range r.group.contents {
		if err := c.readInto(files, j.raw[c.offset:][:c.size]); err != nil {
			return err
		}
	}
	j.region = r
	j.source, j.files = r.countSource()
	w.bytesRead += j.source
	w.send(j)
	return nil
}

// readInto reads a small content into b.
func (c *content) readInto(files *treeOpener, b []byte) error {
	f, err := files.open(c)
	if err != nil {
		return err
	}
	defer f.close()
	_, zero, err := f.readNext(b, 0)
	if err != nil {
		return err
	}
	if zero {
		clear(b)
	}
	return f.checkUnchanged()
}

// compress packs jobs until there are no more. A block that does not become shorter stays as it is.
func (w *dataWriter) compress() error {
	enc, err := newEncoder(w.options.Compression, w.plan.blockSize)
	for j := range w.work {
		j.packed = j.packed[:0]
		if j.err = err; err == nil && len(j.raw) > 0 {
			j.packed, j.err = enc.encode(j.packed, j.raw)
		}
		j.done <- struct{}{}
	}
	return err
}

// writeJobs writes jobs in order. There are no more once readRegions or ctx ends.
func (w *dataWriter) writeJobs(ctx context.Context) error {
	for j := range w.order {
		select {
		case <-j.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err := w.writeJob(j); err != nil {
			return err
		}
		w.progress(j.source, j.files)
		w.free <- j
	}
	return nil
}

func (w *dataWriter) writeJob(j *blockJob) error {
	if j.err != nil {
		return fmt.Errorf("compress: %w", j.err)
	}
	r := j.region
	if r == nil {
		return w.out.write(j.raw)
	}
	if j.zeros > 0 {
		r.content.blocks.addZeros(j.zeros)
		return nil
	}
	b, size := j.packed, uint32(len(j.packed))
	if len(b) >= len(j.raw) {
		b = j.raw
		size = uint32(len(b)) | blockStored
	}
	if r.group != nil {
		r.group.size = size
	} else {
		r.content.blocks.add(size)
	}
	w.packed += int64(len(b))
	r.length += uint64(len(b))
	r.sum = crc32.Update(r.sum, castagnoli, b)
	return w.out.write(b)
}

// output writes an image from its start to its end, and has the kernel begin to write it back
// meanwhile, so that less is left to do for the sync at the end.
type output struct {
	file   *os.File
	pos    int64 // of the next byte
	buf    []byte
	flight int64 // up to here the kernel has been told
}

const (
	outputBuffer = 1 << 20
	flightStep   = 8 << 20
)

func (o *output) write(b []byte) error {
	if len(o.buf)+len(b) > cap(o.buf) {
		if err := o.flush(); err != nil {
			return err
		}
	}
	o.pos += int64(len(b))
	if len(o.buf) == 0 && len(b) >= cap(o.buf)/16 {
		return o.put(b, o.pos-int64(len(b)))
	}
	o.buf = append(o.buf, b...)
	return nil
}

func (o *output) flush() error {
	b := o.buf
	o.buf = o.buf[:0]
	return o.put(b, o.pos-int64(len(b)))
}

func (o *output) put(b []byte, at int64) error {
	if _, err := o.file.WriteAt(b, at); err != nil {
		return fmt.Errorf("write image: %w", err)
	}
	end := at + int64(len(b))
	if end-o.flight < flightStep {
		return nil
	}
	err := unix.SyncFileRange(int(o.file.Fd()), o.flight, end-o.flight, unix.SYNC_FILE_RANGE_WRITE)
	if err != nil && !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ESPIPE) {
		return fmt.Errorf("write image: %w", err)
	}
	o.flight = end
	return nil
}
