package farm

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"ltskeeper/chroot"
)

// Found is what a new declaration starts from. A path in it that is empty
// leaves the default; a relative one counts from the declaration's folder.
type Found struct {
	Chroots []Chroot // Name and Path
	State   string   // the folder of ltskeeper's own state; Discover leaves it empty
	Images  string   // the folder of the images
	TFTP    string   // the folder with a folder for each chroot
}

// Where LTSP keeps its chroots, the newest layout first: since 2019, and
// LTSP 5. Images are in a folder "images" among them.
var bases = []string{"srv/ltsp", "opt/ltsp"}

// tftpDirs is where LTSP puts kernels for its clients: since 2019 and on
// Debian, and with older TFTP servers.
var tftpDirs = []string{"srv/tftp/ltsp", "var/lib/tftpboot/ltsp", "tftpboot/ltsp"}

// Discover looks for LTSP below root, which is "/" or a tree like it: client
// roots and images, and the TFTP folder. What it cannot read it leaves out,
// and so a chroot of a name that an earlier one has.
func Discover(root string) Found {
	var found Found
	names := map[string]bool{}
	for _, base := range bases {
		dir := filepath.Join(root, base)
		if images := filepath.Join(dir, "images"); found.Images == "" && isDir(images) {
			found.Images = images
		}
		entries, _ := os.ReadDir(dir)
		for _, entry := range entries {
			path := filepath.Join(dir, entry.Name())
			name := ChrootName(path)
			if names[strings.ToLower(name)] || !isChroot(path) {
				continue
			}
			names[strings.ToLower(name)] = true
			found.Chroots = append(found.Chroots, Chroot{Name: name, Path: path})
		}
	}
	for _, dir := range tftpDirs {
		if path := filepath.Join(root, dir); found.TFTP == "" && isDir(path) {
			found.TFTP = path
		}
	}
	return found
}

var noWord = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// ChrootName returns a name for the chroot at path: that of its folder, with
// whatever a name may not have replaced.
func ChrootName(path string) string {
	name := strings.Trim(noWord.ReplaceAllString(filepath.Base(path), "-"), "-.")
	name = name[:min(len(name), maxName)]
	if chrootNameProblem(name) != "" {
		return "client"
	}
	return name
}

func isChroot(path string) bool {
	r, err := chroot.Open(path)
	if err != nil {
		return false
	}
	r.Close()
	return true
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
