// Package state knows the layout of a farm's state folder, /var/lib/ltskeeper unless the
// declaration names another:
//
//	keys/               the key store, whose files package keys names, reads and writes
//	lock                held by the run that may change the farm
//	quarantine          servers that clients are kept away from
//	seen                when each key was last seen, a cache
//	programs            digests of the programs that were put into client roots
//	known-hosts-secret  what the salts of hashed names depend on
//	ltsp-initrd         exists while LTSP's initrd is older than its known_hosts
//	succeeded           when a run last did its work
//
// What a file means is known to the package that parses it.
package state

import (
	"fmt"
	"os"
	"path/filepath"

	"ltskeeper/internal/durable"
	"ltskeeper/internal/mounts"
)

// A Folder is the absolute path of a state folder. The folder need not exist: Lock and File.Write
// make it.
type Folder string

// Path returns the folder's path, for messages and for checks that treat it like any other folder.
func (f Folder) Path() string { return string(f) }

// Ask fails with mounts.ErrSilent if the folder's file system does not answer.
func (f Folder) Ask() error { return mounts.CheckAnswer(mounts.Patience, f.Path()) }

// Sweep removes what killed runs have left of unfinished files. The caller holds the lock. The key
// store sweeps its own folder.
func (f Folder) Sweep() error {
	if err := f.Ask(); err != nil {
		return err
	}
	if err := durable.SweepFolder(f.Path()); err != nil {
		return fmt.Errorf("remove what an unfinished run left: %w", err)
	}
	return nil
}

// KeysPath returns the path of the key store's folder.
func (f Folder) KeysPath() string { return f.join("keys") }

// ListKeyPaths returns the paths of the key store's folder and of everything in it, if they exist
// and may be listed.
func (f Folder) ListKeyPaths() []string {
	folder := f.KeysPath()
	if _, err := os.Lstat(folder); err != nil {
		return nil
	}
	paths := []string{folder}
	entries, _ := os.ReadDir(folder + "/.") // waits for no fifo in the folder's place
	for _, e := range entries {
		paths = append(paths, filepath.Join(folder, e.Name()))
	}
	return paths
}

func (f Folder) join(name string) string { return filepath.Join(f.Path(), name) }
