package regular

import (
	"context"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a fifo may have nobody who writes to it.
const patience = 5 * time.Second

// ReadGiven reads up to limit bytes of what a person named: a regular file, a fifo or a character
// device, as /dev/stdin and a shell's <(command) may be. It waits for what a fifo's writer has to
// write until ctx ends, but only shortly for a writer. A fifo that nobody writes to is odd, and so
// are a folder, a socket, a block device, and more than limit bytes.
func ReadGiven(ctx context.Context, path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	switch mode := info.Mode(); {
	case mode.IsRegular():
		return Read(path, limit)
	case mode&fs.ModeNamedPipe == 0 && mode&fs.ModeCharDevice == 0:
		return nil, wrapAtPath("read", path, CheckKind(mode))
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	defer context.AfterFunc(ctx, func() { f.SetReadDeadline(time.Unix(1, 0)) })()
	var data []byte
	if info.Mode()&fs.ModeNamedPipe != 0 {
		data, err = readFifo(ctx, f, limit)
	} else {
		data, err = ReadUpTo(f, 0, limit)
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case IsOdd(err):
		err = wrapAtPath("read", path, err)
	}
	return data, err
}

// readFifo reads a fifo to its end. The end is there at once while nobody has it open for writing.
func readFifo(ctx context.Context, f *os.File, limit int64) ([]byte, error) {
	for until := time.Now().Add(patience); ; {
		data, err := ReadUpTo(f, 0, limit)
		if len(data) > 0 || err != nil {
			return data, err
		}
		if time.Now().After(until) {
			return nil, &OddError{"it is a fifo, and nobody writes to it"}
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}
