package keeper

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"ltskeeper/derive"
	"ltskeeper/farm"
	"ltskeeper/image"
	"ltskeeper/internal/regular"
)

// A FileState says how a file that clients get compares with what ltskeeper would write there.
type FileState string

const (
	Rendered FileState = "rendered" // as ltskeeper would write it now
	// as it was written for an earlier image, or taken over: the next update-image writes it anew
	Behind  FileState = "behind"
	Missing FileState = "missing"
	Edited  FileState = "edited"  // ltskeeper's, and changed since by somebody else
	Foreign FileState = "foreign" // somebody else's, which no init has taken over
)

// A FileStatus is a file that clients get, as it is now.
type FileStatus struct {
	Path    string // on this machine
	Name    string // as the client finds it, like "etc/lts.conf"; empty for LTSP's known_hosts
	State   FileState
	Program bool

	// Own are lines of an edited file that ltskeeper wrote neither now nor into an image, and Lacks
	// is how many it would write that are not there.
	Own   []string
	Lacks int

	// ImageBehind tells that clients boot another content than is rendered now, or none.
	ImageBehind bool
}

// ReadFileStatus compares the files that the clients of a chroot get with what they would get now.
// It takes no lock and writes nothing.
func (k *Keeper) ReadFileStatus(c farm.Chroot) ([]FileStatus, error) {
	t, err := k.loadCurrentRecord()
	if err != nil {
		return nil, err
	}
	files, err := renderFiles(t, c)
	if err != nil {
		return nil, err
	}
	root, err := k.openRoot(c)
	if err != nil {
		return nil, err
	}
	defer root.close()
	var standing []FileStatus
	for _, file := range files {
		s := FileStatus{Path: filepath.Join(root.Path(), file.path), Name: file.path}
		data, err := root.Read(file.path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return standing, err
		}
		if s.ImageBehind, err = isImageBehind(root.store, file); err != nil {
			return standing, err
		}
		if err := s.compare(data, file.data, k.farm.AdoptedFolder(), []*image.Store{root.store}); err != nil {
			return standing, err
		}
		if !root.isWritable() && s.State != Foreign {
			s.State = Rendered // it belongs into the image only
		}
		standing = append(standing, s)
	}
	served := root.store.ServedConf()
	if data, _, err := ReadServed(served); err == nil && !derive.IsOurs(data) {
		s := FileStatus{Path: served, Name: "lts.conf"}
		if err := s.compare(data, nil, k.farm.AdoptedFolder(), nil); err != nil {
			return standing, err
		}
		if s.State == Foreign {
			standing = append(standing, s)
		}
	}
	program, err := root.Read(getHosts.path)
	if errors.Is(err, fs.ErrNotExist) {
		return standing, nil
	}
	if err != nil {
		return standing, err
	}
	packaged, err := isPackaged(root.Root)
	if err != nil {
		return standing, err
	}
	written, err := loadWrittenPrograms(k.farm.State)
	if err == nil && root.isWritable() && !packaged && !written.has(c.Name, program) {
		standing = append(standing,
			FileStatus{Path: filepath.Join(root.Path(), getHosts.path), Name: getHosts.path, State: Foreign,
				Program: true})
	}
	return standing, err
}

// ReadLTSPStatus is ReadFileStatus for LTSP's own known_hosts; nil if none is declared.
func (k *Keeper) ReadLTSPStatus() (*FileStatus, error) {
	path := k.farm.LTSP.KnownHosts
	if path == "" {
		return nil, nil
	}
	rendered, err := k.KnownHosts()
	if err != nil {
		return nil, err
	}
	data, err := regular.Read(path, regular.MaxText)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	s := &FileStatus{Path: path, Name: derive.KnownHostsPath}
	var stores []*image.Store // the same bytes are in the images
	for _, c := range k.farm.Chroots {
		stores = append(stores, k.imageStore(c))
	}
	err = s.compare(data, rendered, k.farm.AdoptedFolder(), stores)
	s.Name = ""
	return s, err
}

// compare finds out how data, nil if there is no file, compares with what is rendered now and with
// what images hold.
func (s *FileStatus) compare(data, rendered []byte, adopted string, stores []*image.Store) error {
	switch {
	case data == nil:
		s.State = Missing
		return nil
	case bytes.Equal(data, rendered):
		s.State = Rendered
		return nil
	case !derive.IsOurs(data):
		s.State = Foreign
		if known, err := isAdopted(data, adopted); err != nil {
			return err
		} else if known {
			s.State = Behind
		}
		return nil
	}
	written := splitLines(rendered)
	for _, store := range stores {
		list, err := store.List()
		if err != nil {
			return err
		}
		for _, g := range list {
			had, err := store.ReadFileOf(g.Number, s.Name)
			switch {
			case err != nil:
				continue // an image that cannot be read says nothing
			case bytes.Equal(had, data):
				s.State = Behind
				return nil
			}
			for line := range splitLines(had) {
				written[line] = true
			}
		}
	}
	s.State = Edited
	has := splitLines(data)
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" && !written[line] {
			s.Own = append(s.Own, line)
		}
	}
	for line := range splitLines(rendered) {
		if !has[line] {
			s.Lacks++
		}
	}
	return nil
}

func splitLines(data []byte) map[string]bool {
	set := map[string]bool{}
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" {
			set[line] = true
		}
	}
	return set
}

// isImageBehind reports whether the current image, if there is one, holds another content of a file
// than is rendered.
func isImageBehind(store *image.Store, file derivedFile) (bool, error) {
	current, err := store.Current()
	if err != nil || current == nil {
		return false, err
	}
	had, err := store.ReadFileOf(current.Number, file.path)
	return err == nil && !bytes.Equal(had, file.data), err
}

// IsStale reports whether the next image of a chroot would be another one than the current, going
// by its tree as it stands. It takes no lock and writes nothing, so that a package that is being
// installed meanwhile is seen half. It does not say whether update-image would refuse that image,
// but for its init.
func (k *Keeper) IsStale(ctx context.Context, c farm.Chroot) (bool, error) {
	root, err := k.openRoot(c)
	if err != nil {
		return false, err
	}
	defer root.close()
	current, err := root.store.Current()
	if err != nil || current == nil {
		return false, err
	}
	conf, err := root.store.ReadConf(current.Number)
	if err != nil {
		return false, err
	}
	options, err := k.currentOptions(root)
	if err != nil {
		return false, err
	}
	changed, _, err := root.store.WouldChange(ctx,
		image.Source{Root: root.Path(), Options: options, Conf: conf, Force: true})
	if err != nil {
		return false, fmt.Errorf("compare %s with its image: %w", root.Path(), err)
	}
	return changed, nil
}
