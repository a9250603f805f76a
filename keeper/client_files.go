package keeper

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"ltskeeper/derive"
	"ltskeeper/farm"
	"ltskeeper/internal/regular"
	"ltskeeper/internal/remedy"
	"ltskeeper/ltsconf"
)

// A derivedFile is one that ltskeeper writes for the clients of a chroot.
type derivedFile struct {
	path string // in the root
	data []byte
	mode fs.FileMode // programMode or textMode
}

const (
	textMode    fs.FileMode = 0o644
	programMode fs.FileMode = 0o755
)

// describe returns a content of the file as people see it.
func (d derivedFile) describe(data []byte) string {
	if d.mode == programMode && data != nil {
		return fmt.Sprintf("a program of %d bytes, SHA-256 %x\n", len(data), sha256.Sum256(data))
	}
	return string(data)
}

type derivedFiles []derivedFile

// content returns the content of the file with that path, nil if there is none.
func (files derivedFiles) content(path string) []byte {
	for _, f := range files {
		if f.path == path {
			return f.data
		}
	}
	return nil
}

// renderFiles renders the text files for a chroot.
func renderFiles(rec *record, c farm.Chroot) (derivedFiles, error) {
	ltsConf, err := rec.LTSConf(c)
	if err != nil {
		return nil, err
	}
	return derivedFiles{{derive.KnownHostsPath, rec.KnownHosts(), textMode}, {derive.LTSConfPath, ltsConf, textMode}},
		nil
}

// prepareFiles returns all that the clients of a chroot get, and fails if it may not be written, or
// if clients could not read it.
func (r *run) prepareFiles(rec *record, root *clientRoot) (files, programs derivedFiles, err error) {
	if files, err = renderFiles(rec, root.declared); err != nil {
		return nil, nil, err
	}
	if err := errors.Join(r.checkOwned(root, files), r.checkIncludes(root)); err != nil {
		return nil, nil, err
	}
	programs, err = r.findPrograms(root)
	return files, programs, err
}

// writeFiles puts the derived files into a chroot, and returns those that belong into the image
// only, and lts.conf.
func (r *run) writeFiles(rec *record, root *clientRoot) (overlay derivedFiles, conf []byte, err error) {
	defer r.beginStep("write", root.declared.Name)()
	files, programs, err := r.prepareFiles(rec, root) // before anything is written
	if err == nil {
		err = r.checkTree(root)
	}
	if err != nil {
		return nil, nil, err
	}
	overlay, err = r.putFiles(root, append(files, programs...))
	return overlay, files.content(derive.LTSConfPath), err
}

// putFiles brings files into the tree, and returns those that belong into the image only.
func (r *run) putFiles(root *clientRoot, files derivedFiles) (overlay derivedFiles, err error) {
	for _, file := range files {
		if file.mode == programMode && root.isWritable() && !r.DryRun {
			// Before the file: one of ours that is not remembered would never be replaced again.
			if err := rememberProgram(r.farm.State, root.declared.Name, file); err != nil {
				return nil, err
			}
		}
		isForImage, err := r.putFile(root, file)
		if err != nil {
			return nil, err
		}
		if isForImage {
			overlay = append(overlay, file)
		}
	}
	return overlay, nil
}

// putFile brings one derived file into the tree, if its bytes differ, or says that it belongs into
// the image only.
func (r *run) putFile(root *clientRoot, file derivedFile) (isForImage bool, err error) {
	old, err := root.Read(file.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	change := File{Chroot: root.declared.Name, Path: filepath.Join(root.Path(), file.path),
		New: file.describe(file.data)}
	same := err == nil && bytes.Equal(old, file.data)
	if !root.isWritable() && !same {
		change.Path, change.Inside = "image:/"+file.path, "/"+file.path
		if old, err = root.store.ReadFile(file.path); err != nil && !regular.IsOdd(err) { // an odd image is replaced
			return false, err
		}
	}
	change.Old, change.Changed = file.describe(old), !bytes.Equal(old, file.data)
	inTree := root.isWritable() && !r.DryRun
	if inTree {
		// also if it is the same: permissions and owner may be wrong
		if _, err := root.Put(file.path, file.data, file.mode); err != nil {
			return false, err
		}
	}
	r.report.Files = append(r.report.Files, change)
	return !same && !inTree, nil
}

// checkOwned fails if a file that is about to be replaced, in the tree, in the image or under TFTP,
// is somebody else's and init has not taken over what it says; or if clients would not find it in
// the image.
func (k *Keeper) checkOwned(root *clientRoot, files derivedFiles) error {
	for _, file := range files {
		place, err := root.Resolve(file.path)
		if err != nil {
			return err
		}
		if root.exclude.Match(place) {
			return remedy.AttachTo(
				fmt.Errorf("clients look for /%s at /%s, which is left out of the image", file.path, place),
				remedy.Advice("remove the symbolic link"),
				remedy.Setting{Section: "chroot", Name: root.declared.Name, Key: "exclude", Remove: "what matches it"})
		}
		data, err := root.Read(file.path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := k.checkReplaceable(filepath.Join(root.Path(), file.path), data); err != nil {
			return err
		}
	}
	data, _, err := root.store.ReadServedConf()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return k.checkReplaceable(root.store.ServedConf(), data)
}

// checkReplaceable fails if a file that holds data is somebody else's and is not taken over.
func (k *Keeper) checkReplaceable(path string, data []byte) error {
	if derive.IsOurs(data) {
		return nil
	}
	adopted, err := isAdopted(data, k.farm.AdoptedFolder())
	if err != nil || adopted {
		return err
	}
	return remedy.AttachTo(
		fmt.Errorf("%s was not written by ltskeeper and is left alone until what it says is taken over", path),
		remedy.Command{"init", "--adopt"})
}

// isAdopted reports whether the folder of adopted files holds an exact copy.
func isAdopted(data []byte, folder string) (bool, error) {
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	for _, e := range entries {
		have, err := regular.Read(filepath.Join(folder, e.Name()), int64(len(data))) // what is larger is odd
		if err != nil && !regular.IsOdd(err) && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
		if err == nil && bytes.Equal(have, data) {
			return true, nil
		}
	}
	return false, nil
}

// checkIncludes fails if clients could not read a file that the lts.conf includes, or not all of
// it.
func (k *Keeper) checkIncludes(root *clientRoot) error {
	var found []error
	c := root.declared
	for _, p := range ltsconf.Check(c.LTSConf, k.farm.LTSConfSource(c).Bytes(), root.Read) {
		if p.Severity == ltsconf.Error {
			found = append(found, fmt.Errorf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Msg))
		}
	}
	return errors.Join(found...)
}
