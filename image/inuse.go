package image

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"ltskeeper/internal/mounts"

	"golang.org/x/sys/unix"
)

// A fileID names a file whatever path leads to it.
type fileID struct{ device, inode uint64 }

// readFileID identifies the regular file at path, from what this machine knows of it: a server that
// does not answer is not asked.
func readFileID(path string) (id fileID, isRegular bool) {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_STATX_DONT_SYNC, unix.STATX_TYPE|unix.STATX_INO, &st)
	return fileID{unix.Mkdev(st.Dev_major, st.Dev_minor), st.Ino}, err == nil && st.Mode&unix.S_IFMT == unix.S_IFREG
}

// listFilesInUse lists the files that this machine visibly reads: what processes have open or
// mapped, what loop devices read, and what NFSv4 clients have open. What NFSv3 clients read cannot
// be seen, nor what a TFTP server sends next.
func listFilesInUse() map[fileID]bool {
	used := map[fileID]bool{}
	add := func(path string) {
		if id, ok := readFileID(path); ok {
			used[id] = true
		}
	}
	for _, pattern := range []string{"/proc/[0-9]*/fd/*", "/proc/[0-9]*/map_files/*"} {
		links, _ := filepath.Glob(pattern)
		for _, link := range links {
			add(link)
		}
	}
	backing, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for _, file := range backing {
		data, err := os.ReadFile(file)
		path := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), " (deleted)")
		if err == nil && mounts.CheckAnswer(mounts.Patience, path) == nil {
			add(path) // generations are on file systems that answer
		}
	}
	states, _ := filepath.Glob("/proc/fs/nfsd/clients/*/states")
	for _, file := range states {
		if data, err := os.ReadFile(file); err == nil {
			maps.Copy(used, parseNFSStates(data))
		}
	}
	return used
}

// parseNFSStates reads which files an NFSv4 client has open from its states file, one line per
// state, as Linux's fs/nfsd/nfs4state.c prints it: `- 0x...: { type: open, ..., superblock:
// "fe:00:1838", filename: "..." }`, where the superblock is the device's major and minor number in
// hexadecimal, then the inode number in decimal.
func parseNFSStates(data []byte) map[fileID]bool {
	files := map[fileID]bool{}
	for line := range strings.Lines(string(data)) {
		_, rest, _ := strings.Cut(line, `superblock: "`)
		block, _, _ := strings.Cut(rest, `"`)
		parts := strings.Split(block, ":")
		if len(parts) != 3 {
			continue
		}
		major, err1 := strconv.ParseUint(parts[0], 16, 32)
		minor, err2 := strconv.ParseUint(parts[1], 16, 32)
		inode, err3 := strconv.ParseUint(parts[2], 10, 64)
		if errors.Join(err1, err2, err3) == nil {
			files[fileID{unix.Mkdev(uint32(major), uint32(minor)), inode}] = true
		}
	}
	return files
}

// isInUse reports whether a file of generation n, on either side, is in use.
func (s *Store) isInUse(n int, used map[fileID]bool) (bool, error) {
	for _, dir := range []string{s.folder(n), s.bootFolder(n)} {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, fmt.Errorf("see whether generation %d is in use: %w", n, err)
		}
		for _, e := range entries {
			if id, ok := readFileID(filepath.Join(dir, e.Name())); e.Type().IsRegular() && ok && used[id] {
				return true, nil
			}
		}
	}
	return false, nil
}
