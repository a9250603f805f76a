package kernels

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
)

// moduleFolders are where the folders of modules may be, one per version.
var moduleFolders = []string{"lib/modules", "usr/lib/modules"}

// CheckModules returns an error that says what is missing if a root lacks the modules of a kernel.
// A kernel that was built without support for modules (CONFIG_MODULES) needs none; one whose
// configuration is not in the root is taken to need them. Where the kernel's version is not known,
// the modules of any version will do.
func CheckModules(root fs.FS, k Kernel) error {
	built, err := readConfig(root, k.Version)
	if err != nil {
		return err
	}
	if built["MODULES"] == notSet {
		return nil
	}
	versions, missing := []string{k.Version}, fmt.Errorf("/lib/modules/%s does not exist", k.Version)
	if k.Version == "" {
		missing = errors.New("/lib/modules has none")
		if versions, err = listModuleVersions(root); err != nil {
			return err
		}
	}
	for _, version := range versions {
		for _, folder := range moduleFolders {
			folder = path.Join(folder, version)
			problem, err := checkModuleFolder(root, folder)
			if err != nil {
				return err
			}
			if problem == "" {
				return nil
			}
			if problem != noFolder {
				missing = fmt.Errorf("/%s %s", folder, problem)
			}
		}
	}
	return missing
}

const noFolder = "does not exist"

// checkModuleFolder says what is wrong with a folder of modules, as one whose package is half
// installed, or half removed. Nothing is if it is empty.
func checkModuleFolder(root fs.FS, folder string) (problem string, err error) {
	if _, info, err := findFile(root, folder); info == nil || !info.IsDir() {
		return noFolder, err
	}
	_, list, err := findRegular(root, path.Join(folder, "modules.dep"))
	if list == nil {
		return "has no modules.dep", err
	}
	modules, exists, err := listFolder(root, path.Join(folder, "kernel"))
	switch {
	case err != nil:
		return "", err
	case !exists:
		return "has no folder kernel", nil
	case list.Size() > 0 && len(modules) == 0:
		return "lists modules, and its folder kernel is empty", nil
	}
	return "", nil
}

// listModuleVersions lists the versions that have a folder of modules.
func listModuleVersions(root fs.FS) (versions []string, err error) {
	for _, folder := range moduleFolders {
		entries, _, err := listFolder(root, folder)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			versions = append(versions, e.Name())
		}
	}
	return versions, nil
}

// ListLeftModules lists the versions of which there are modules in /lib/modules and no kernel in
// /boot. It is empty if there is no kernel at all: clients get theirs some other way.
func ListLeftModules(root fs.FS) (left []string, err error) {
	kernels, err := ListVersions(root)
	if len(kernels) == 0 || err != nil {
		return nil, err
	}
	versions, err := listModuleVersions(root)
	for _, v := range versions {
		_, modules, _ := findFile(root, path.Join("lib/modules", v, "kernel"))
		if modules != nil && !slices.Contains(kernels, v) && !slices.Contains(left, v) {
			left = append(left, v)
		}
	}
	return left, err
}
