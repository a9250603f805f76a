package keeper

import (
	"os"
	"path/filepath"
	"testing"

	"ltskeeper/farm"
	"ltskeeper/internal/testkit"
)

// Images are not in the image, whatever links lead to them.
func TestOwnFoldersStayOut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, folder := range []string{"root/data/images", "root/srv"} {
		testkit.Must(t, os.MkdirAll(filepath.Join(dir, folder), 0o755))
	}
	testkit.Must(t, os.Symlink("../data/images", filepath.Join(dir, "root/srv/images")))
	testkit.Must(t, os.Symlink("root", filepath.Join(dir, "link")))
	f := &farm.Farm{State: "/nowhere", Image: farm.Image{Directory: filepath.Join(dir, "root/srv/images")}}
	for _, root := range []string{"root", "link"} {
		exclude, err := New(f).parseRealExcludes(farm.Chroot{Path: filepath.Join(dir, root)})
		testkit.Must(t, err)
		if !exclude.Match("data/images") || exclude.Match("data") {
			t.Errorf("%s: images are in the image", root)
		}
	}
}
