package keeper

import (
	"path/filepath"
	"slices"
	"strings"

	"ltskeeper/farm"
	"ltskeeper/internal/excludes"
)

// parseExcludes returns what stays out of a chroot's image: by the built-in patterns, the declared
// ones, and ltskeeper's own folders if the tree holds them.
func (k *Keeper) parseExcludes(c farm.Chroot) (*excludes.Patterns, error) {
	var patterns []string
	if c.ExcludeDefaults {
		patterns = excludes.Defaults()
	}
	patterns = append(patterns, c.Exclude...)
	for _, own := range k.ownFolders() {
		patterns = append(patterns, findInTree(c.Path, own)...)
	}
	return excludes.Parse(patterns)
}

// parseRealExcludes is parseExcludes for a chroot whose file systems have answered: ltskeeper's own
// folders stay out also if symbolic links lead to them.
func (k *Keeper) parseRealExcludes(c farm.Chroot) (*excludes.Patterns, error) {
	for _, own := range k.ownFolders() {
		c.Exclude = append(slices.Clone(c.Exclude), findInTree(followLinks(c.Path), followLinks(own))...)
	}
	return k.parseExcludes(c)
}

// ownFolders returns those in which ltskeeper keeps what belongs into no image.
func (k *Keeper) ownFolders() []string {
	return []string{k.farm.State.Path(), k.farm.Image.Directory, k.farm.TFTP}
}

// findInTree returns a pattern for where a folder is in a tree, and nothing if it is not inside.
func findInTree(tree, folder string) []string {
	place, err := filepath.Rel(tree, folder)
	if err != nil || place == "." || place == ".." || strings.HasPrefix(place, "../") {
		return nil
	}
	return []string{escapeGlob(place)}
}

// followLinks returns where a folder is when all symbolic links are followed, or the folder itself
// if that cannot be told.
func followLinks(folder string) string {
	if target, err := filepath.EvalSymlinks(folder); err == nil {
		return target
	}
	return folder
}

// escapeGlob makes a pattern that matches the path alone.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `(`, `\(`).Replace(path)
}
