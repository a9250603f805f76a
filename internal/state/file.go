package state

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"ltskeeper/internal/durable"
	"ltskeeper/internal/regular"
)

// A File is a small file of the state. It is read and written whole. Only the holder of the lock
// writes and removes.
type File struct {
	path  string
	limit int64 // bytes; a larger file is refused
	perm  fs.FileMode
}

// Quarantine is the record of servers that clients are kept away from.
func (f Folder) Quarantine() File { return File{f.join("quarantine"), regular.MaxText, 0o644} }

// Seen is the cache of when each key was last seen.
func (f Folder) Seen() File { return File{f.join("seen"), regular.MaxText, 0o644} }

// Programs is the record of programs that were put into client roots.
func (f Folder) Programs() File { return File{f.join("programs"), regular.MaxText, 0o644} }

// KnownHostsSecret is what the salts of hashed names depend on. Only its owner may read it.
func (f Folder) KnownHostsSecret() File {
	return File{f.join("known-hosts-secret"), regular.MaxRecord, 0o600}
}

// InitrdBehind exists, and is empty, while LTSP's initrd is older than its known_hosts.
func (f Folder) InitrdBehind() File { return File{f.join("ltsp-initrd"), regular.MaxRecord, 0o644} }

// Succeeded is the note of when a run last did its work.
func (f Folder) Succeeded() File { return File{f.join("succeeded"), regular.MaxRecord, 0o644} }

// Path returns the file's path, for messages.
func (f File) Path() string { return f.path }

// Exists reports whether anything is in the file's place, including a symbolic link to nowhere.
func (f File) Exists() (bool, error) {
	_, err := os.Lstat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Read returns the file's content. The error is fs.ErrNotExist if there is no file, and
// regular.IsOdd is true of it if something else than a regular file of ordinary size is in its
// place.
func (f File) Read() ([]byte, error) { return regular.Read(f.path, f.limit) }

// Write gives the file this content, whatever was in its place. It makes the folder if it does not
// exist.
func (f File) Write(data []byte) error {
	if err := os.MkdirAll(filepath.Dir(f.path), 0o755); err != nil {
		return err
	}
	return durable.WriteFile(f.path, data, f.perm)
}

// Remove removes the file.
func (f File) Remove() error { return os.Remove(f.path) }
