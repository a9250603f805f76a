package keeper

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
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
	Missing FileState = "missing" // not there
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
func (k *Keeper) ReadFileStatus(c farm.Chroot) (all []FileStatus, err error) {
	rec, err := k.loadRecord(true)
	if err != nil {
		return nil, err
	}
	files, err := renderFiles(rec, c)
	if err != nil {
		return nil, err
	}
	root, err := k.openRoot(c)
	if err != nil {
		return nil, err
	}
	defer root.close()
	for _, file := range files {
		data, err := root.Read(file.path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return all, err
		}
		s, err := k.compareFile(file, data, root.store)
		if err != nil {
			return all, err
		}
		s.Path, s.Name = filepath.Join(root.Path(), file.path), file.path
		if s.ImageBehind, err = isImageBehind(root.store, file); err != nil {
			return all, err
		}
		if !root.isWritable() && s.State != Foreign {
			s.State = Rendered // it belongs into the image only
		}
		all = append(all, s)
	}
	if data, _, err := root.store.ReadServedConf(); err == nil && !derive.IsOurs(data) {
		if adopted, err := isAdopted(data, k.farm.AdoptedFolder()); err != nil {
			return all, err
		} else if !adopted {
			all = append(all, FileStatus{Path: root.store.ServedConf(), Name: "lts.conf", State: Foreign})
		}
	}
	if packaged, err := isPackaged(root.Root); err != nil || packaged || !root.isWritable() {
		return all, err
	}
	owned, err := k.ownsProgram(root, getHosts)
	if err == nil && !owned {
		all = append(all, FileStatus{Path: filepath.Join(root.Path(), getHosts.path), Name: getHosts.path,
			State: Foreign, Program: true})
	}
	return all, err
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
	var stores []*image.Store // the same bytes are in the images
	for _, c := range k.farm.Chroots {
		stores = append(stores, k.imageStore(c))
	}
	s, err := k.compareFile(derivedFile{path: derive.KnownHostsPath, data: rendered}, data, stores...)
	s.Path = path
	return &s, err
}

// compareFile finds out how data, nil if there is no file, compares with a file as it is rendered
// now, and as images hold it.
func (k *Keeper) compareFile(file derivedFile, data []byte, stores ...*image.Store) (s FileStatus, err error) {
	switch {
	case data == nil:
		s.State = Missing
		return s, nil
	case bytes.Equal(data, file.data):
		s.State = Rendered
		return s, nil
	case !derive.IsOurs(data):
		s.State = Foreign
		adopted, err := isAdopted(data, k.farm.AdoptedFolder())
		if adopted {
			s.State = Behind
		}
		return s, err
	}
	s.State = Edited
	written := file.data
	for _, store := range stores {
		list, err := store.List()
		if err != nil {
			return s, err
		}
		for _, g := range list {
			had, err := store.ReadFileOf(g.Number, file.path)
			switch {
			case err != nil: // an image that cannot be read says nothing
			case bytes.Equal(had, data):
				s.State = Behind
				return s, nil
			default:
				written = slices.Concat(written, []byte("\n"), had)
			}
		}
	}
	s.Own = findNewLines(data, written)
	lacks := findNewLines(file.data, data)
	slices.Sort(lacks)
	s.Lacks = len(slices.Compact(lacks))
	return s, nil
}

// findNewLines returns the lines of a text that another one lacks, without blanks around them.
func findNewLines(text, other []byte) (found []string) {
	isKnown := map[string]bool{"": true}
	for line := range strings.Lines(string(other)) {
		isKnown[strings.TrimSpace(line)] = true
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); !isKnown[line] {
			found = append(found, line)
		}
	}
	return found
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
