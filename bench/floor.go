package main

import (
	"context"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// floor is the least that a rebuild could take which trusts nothing: look at every entry of the
// tree, then read the image there is, check it, write it anew and sync it.
func (b *bench) floor() *contender {
	name := "stat, read, check, write, sync"
	return &contender{name: name, run: func(ctx context.Context, round int) (measure, error) {
		to := filepath.Join(b.work, "floor-"+strconv.Itoa(round)+".img")
		defer os.Remove(to)

		began := time.Now()
		if err := statAll(b.copy); err != nil {
			return measure{}, err
		}
		if err := copyWithSums(ctx, locateImage(b.config), to); err != nil {
			return measure{}, err
		}
		size, err := syncFile(to)
		return measure{wall: time.Since(began), size: size}, err
	}}
}

// statAll looks at every entry below dir.
func statAll(dir string) error {
	return filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil {
			_, err = d.Info()
		}
		return err
	})
}

// copyWithSums copies a file with two goroutines, a megabyte at a time, and takes the CRC-32C of
// each.
func copyWithSums(ctx context.Context, from, to string) error {
	const piece = 1 << 20
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()

	table := crc32.MakeTable(crc32.Castagnoli)
	sums := make([]uint32, info.Size()/piece+1)
	var next atomic.Int64
	sumAndCopy := func() error {
		buf := make([]byte, piece)
		for ctx.Err() == nil {
			i := next.Add(1) - 1
			if i*piece >= info.Size() {
				return nil
			}
			n, err := in.ReadAt(buf, i*piece)
			if err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			sums[i] = crc32.Checksum(buf[:n], table)
			if _, err := out.WriteAt(buf[:n], i*piece); err != nil {
				return err
			}
			// The disk begins at once, and the sync at the end has less to wait for.
			if err := unix.SyncFileRange(int(out.Fd()), i*piece, int64(n), unix.SYNC_FILE_RANGE_WRITE); err != nil {
				return err
			}
		}
		return ctx.Err()
	}
	var both errgroup.Group
	both.Go(sumAndCopy)
	both.Go(sumAndCopy)
	return errors.Join(both.Wait(), out.Close())
}
