package adopt

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"ltskeeper/chroot"
	"ltskeeper/derive"
	"ltskeeper/farm"
	"ltskeeper/image"
	"ltskeeper/internal/durable"
	"ltskeeper/internal/regular"
)

// WriteDeclaration writes an ltskeeper.toml for what was found, and the lts.conf of each chroot
// whose clients do not use the common one. It keeps a copy of a declaration that is there already,
// beside it, and returns where; "" if there was none.
func WriteDeclaration(path string, found Found) (copied string, err error) {
	old, err := regular.Read(path, regular.MaxText)
	if err == nil {
		copied, err = keepCopy(path+".old", old, 0o644)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("keep the declaration that is there: %w", err)
	}
	found.Chroots = slices.Clone(found.Chroots)
	if err := separateConfs(filepath.Dir(path), found); err != nil {
		return copied, fmt.Errorf("take over what clients use today: %w", err)
	}
	text, err := formatDeclaration(found)
	if err == nil {
		err = writeFile(path, text, 0o644)
	}
	if err != nil {
		return copied, fmt.Errorf("write the declaration %s: %w", path, err)
	}
	return copied, nil
}

// separateConfs gives a file of its own beside the declaration in dir, NAME.lts.conf, to each
// chroot whose clients do not use the lts.conf that the first one with any has: another, or none. A
// file that is there stays. It comes before TakeOver, which takes the first for all that have none
// of their own.
func separateConfs(dir string, found Found) error {
	confs := make([][]byte, len(found.Chroots))
	var first []byte
	for i, c := range found.Chroots {
		data, err := readConfToday(dir, found.TFTP, c)
		if err != nil {
			return err
		}
		if confs[i] = data; first == nil {
			first = data
		}
	}
	for i, data := range confs {
		if bytes.Equal(data, first) || derive.IsOurs(data) || derive.IsOurs(first) {
			continue
		}
		if data == nil {
			data = []byte(farm.BuiltinLTSConf) // which is so without it
		}
		own := found.Chroots[i].Name + ".lts.conf"
		if path := filepath.Join(dir, own); !isThere(path) {
			if err := writeFile(path, data, 0o644); err != nil {
				return err
			}
		}
		found.Chroots[i].LTSConf = own
	}
	return nil
}

// readConfToday reads the lts.conf that the clients of a chroot use, or nil.
func readConfToday(dir, tftp string, c farm.Chroot) ([]byte, error) {
	if !filepath.IsAbs(tftp) {
		tftp = filepath.Join(dir, tftp)
	}
	data, fetched, err := (&image.Store{Name: c.Name, TFTP: tftp}).ReadServedConf()
	switch {
	case err == nil && fetched && len(data) > 0:
		return data, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	root, err := chroot.Open(c.Path)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	data, err = root.Read(derive.LTSConfPath)
	if err != nil || len(data) == 0 {
		return nil, nil
	}
	return data, nil
}

// keepCopy stores an exact copy, and returns its path: this one, or one with a number after it if
// there is something else.
func keepCopy(path string, data []byte, perm fs.FileMode) (string, error) {
	for i := 0; ; i++ {
		copied := path
		if i > 0 {
			copied = fmt.Sprintf("%s.%d", path, i)
		}
		have, err := regular.Read(copied, regular.MaxText)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return copied, writeFile(copied, data, perm)
		case regular.IsOdd(err): // it stays, and the copy takes the next name
		case err != nil:
			return "", err
		case bytes.Equal(have, data):
			return copied, nil
		}
	}
}

// writeFile writes a file, and the folder that it is in if that is not there.
func writeFile(path string, data []byte, perm fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return durable.WriteFile(path, data, perm)
}
