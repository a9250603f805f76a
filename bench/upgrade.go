package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"

	"ltskeeper/internal/durable"
)

// findPackage finds the package of a Debian root whose regular files together are nearest to a size
// in bytes. The files are paths below root.
func findPackage(root string, size int64) (name string, files []string, total int64, err error) {
	lists, err := filepath.Glob(filepath.Join(root, "var/lib/dpkg/info/*.list"))
	if err != nil {
		return "", nil, 0, err
	}
	for _, list := range lists {
		f, t, err := listRegularFiles(root, list)
		if err != nil {
			return "", nil, 0, err
		}
		if name == "" || math.Abs(float64(t-size)) < math.Abs(float64(total-size)) {
			name, files, total = strings.TrimSuffix(filepath.Base(list), ".list"), f, t
		}
	}
	if name == "" {
		return "", nil, 0, fmt.Errorf("find a package in %s: it is no Debian root", root)
	}
	return name, files, total, nil
}

func listRegularFiles(root, list string) (files []string, total int64, err error) {
	data, err := os.ReadFile(list)
	if err != nil {
		return nil, 0, err
	}
	for path := range strings.Lines(string(data)) {
		path = strings.TrimSuffix(path, "\n")
		info, err := os.Lstat(filepath.Join(root, path))
		if errors.Is(err, fs.ErrNotExist) { // left out by dpkg's path-exclude
			continue
		}
		if err != nil {
			return nil, 0, err
		}
		if info.Mode().IsRegular() {
			files, total = append(files, path), total+info.Size()
		}
	}
	return files, total, nil
}

// upgradeFiles replaces files by others that compress as well and of which no block is as it was.
func upgradeFiles(root string, files []string) error {
	for _, name := range files {
		path := filepath.Join(root, name)
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for i := 0; i < len(data); i += 16 << 10 {
			data[i]++
		}
		if err := durable.WriteFile(path, data, durable.ReadPerm(path, 0o644)); err != nil {
			return err
		}
	}
	return nil
}
