package keeper

import (
	"errors"
	"fmt"
	"io/fs"

	"ltskeeper/internal/regular"
)

// readServed reads a file that stands where clients fetch one over TFTP. fetched tells whether they
// can: a TFTP server gives away what everybody may read. Who may write there must not have root
// read what is not theirs, by a link, nor wait for a pipe.
func readServed(path string) (data []byte, fetched bool, err error) {
	f, err := regular.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, err
	}
	if err != nil {
		return nil, false, fmt.Errorf("read what clients fetch over TFTP: %w; move it away", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, false, err
	}
	if data, err = regular.ReadOpened(f, regular.MaxText); err != nil {
		return nil, false, fmt.Errorf("read what clients fetch over TFTP: %w; move it away", err)
	}
	return data, info.Mode()&0o004 != 0, nil
}
