package image

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"ltskeeper/internal/mounts"

	"golang.org/x/sys/unix"
)

// A fileID names a file whatever path leads to it.
type fileID struct{ device, inode uint64 }

// idOf says which regular file is at path, from what this machine knows of it: a server that does
// not answer is not asked.
func idOf(path string) (fileID, bool) {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_STATX_DONT_SYNC, unix.STATX_TYPE|unix.STATX_INO, &st)
	return fileID{unix.Mkdev(st.Dev_major, st.Dev_minor), st.Ino}, err == nil && st.Mode&unix.S_IFMT == unix.S_IFREG
}

// inUse is what this machine visibly reads: files that processes have open or mapped, that loop
// devices stand on, and that NFSv4 clients have open. What NFSv3 clients read cannot be seen, nor
// what a TFTP server sends next.
func inUse() map[fileID]bool {
	used := map[fileID]bool{}
	for _, pattern := range []string{"/proc/[0-9]*/fd/*", "/proc/[0-9]*/map_files/*"} {
		links, _ := filepath.Glob(pattern)
		for _, link := range links {
			if id, ok := idOf(link); ok {
				used[id] = true
			}
		}
	}
	backing, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for _, file := range backing {
		data, err := os.ReadFile(file)
		path := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), " (deleted)")
		if err != nil || mounts.CheckAnswer(mounts.Patience, path) != nil {
			continue // where nothing answers is no generation: its folders just did
		}
		if id, ok := idOf(path); ok {
			used[id] = true
		}
	}
	states, _ := filepath.Glob("/proc/fs/nfsd/clients/*/states")
	for _, file := range states {
		data, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for id := range nfsStates(data) {
			used[id] = true
		}
	}
	return used
}

// nfsStates reads which files an NFSv4 client has open from its states file, a line a state, as
// Linux's fs/nfsd/nfs4state.c prints it: `- 0x...: { type: open, ..., superblock: "fe:00:1838",
// filename: "..." }`, where the superblock is the device's major and minor number in hexadecimal,
// then the inode number in decimal.
func nfsStates(data []byte) map[fileID]bool {
	files := map[fileID]bool{}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		_, rest, ok := strings.Cut(lines.Text(), `superblock: "`)
		if !ok {
			continue
		}
		block, _, _ := strings.Cut(rest, `"`)
		parts := strings.Split(block, ":")
		if len(parts) != 3 {
			continue
		}
		major, err1 := strconv.ParseUint(parts[0], 16, 32)
		minor, err2 := strconv.ParseUint(parts[1], 16, 32)
		inode, err3 := strconv.ParseUint(parts[2], 10, 64)
		if err1 != nil || err2 != nil || err3 != nil {
			continue
		}
		files[fileID{unix.Mkdev(uint32(major), uint32(minor)), inode}] = true
	}
	return files
}

// isUsed says whether a file of generation n, on either side, is in use.
func (s *Store) isUsed(n int, used map[fileID]bool) (bool, error) {
	for _, dir := range []string{s.folder(n), s.bootFolder(n)} {
		entries, err := os.ReadDir(dir)
		if err != nil && !os.IsNotExist(err) {
			return false, fmt.Errorf("see whether generation %d is in use: %w", n, err)
		}
		for _, e := range entries {
			if e.Type()&fs.ModeType != 0 {
				continue
			}
			if id, ok := idOf(filepath.Join(dir, e.Name())); ok && used[id] {
				return true, nil
			}
		}
	}
	return false, nil
}
