package keeper

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"ltskeeper/chroot"
	"ltskeeper/farm"
	"ltskeeper/internal/regular"
)

// What package adopt needs of the keeper.

// The files of a chroot that ltskeeper writes, relative to its root.
var (
	KnownHostsPath = knownHostsPath
	LTSConfPath    = ltsConfPath
)

// OpenChroot opens the root of a chroot, unless its file system does not answer.
func OpenChroot(f *farm.Farm, c farm.Chroot) (*chroot.Root, error) { return openChroot(f, c) }

// ReadServed reads a file that clients fetch over TFTP. fetched reports whether they can: a TFTP
// server gives away only what everybody may read.
func ReadServed(path string) (data []byte, fetched bool, err error) { return readServed(path) }

// isAdopted says whether the adopted folder holds an exact copy.
func isAdopted(data []byte, folder string) (bool, error) {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		path := filepath.Join(folder, e.Name())
		info, err := regular.Stat(path)
		if regular.IsOdd(err) || errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() != int64(len(data)) {
			continue // not a copy of this
		}
		var have []byte
		if err == nil {
			have, err = regular.Read(path, int64(len(data)))
		}
		if err != nil {
			return false, err
		}
		if slices.Equal(have, data) {
			return true, nil
		}
	}
	return false, nil
}
