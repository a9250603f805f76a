package adopt

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"ltskeeper/chroot"
	"ltskeeper/farm"
	"ltskeeper/internal/host"
)

// Found is what a new declaration starts from. A path in it that is empty leaves the default; a
// relative one counts from the declaration's folder.
type Found struct {
	Chroots []farm.Chroot // Name and Path, and LTSConf if that is not the common one
	State   string        // the folder of ltskeeper's own state; Discover leaves it empty
	Images  string        // the folder of the images
	TFTP    string        // the folder with a folder for each chroot

	Exclude      []string // patterns of what else stays out of images
	Include      []string // usual patterns of what does not
	ExcludesFrom []string // where LTSP's own settings say so

	KnownHosts string // of LTSP since 2019, which may not be there yet
	Initrd     bool   // LTSP is there to pack it

	InUse   []string // servers that clients log in to, as LTSP's own settings have them
	Strays  []string // names of images that no client root is there for
	Machine string   // of Strays: the one that LTSP makes of this machine itself, or ""
	Notes   []string // what a person should know of it, a sentence each
}

// Discover looks for LTSP on a machine: client roots and images, the TFTP folder, and settings of
// LTSP's own that have an equal here. What it cannot read it leaves out, and so a chroot of a name
// that an earlier one has.
func Discover(m *host.Machine) Found {
	root := m.Root
	var found Found
	conf, err := m.ReadLTSPConf()
	if err != nil {
		found.Notes = append(found.Notes, fmt.Sprintf("What LTSP's own settings say is not known here: %v.", err))
	}
	// Where LTSP keeps its chroots, the newest layout first: since 2019, and LTSP 5. Images are in
	// a folder "images" among them.
	bases := []string{"srv/ltsp", "opt/ltsp"}
	if dir := conf.ServerValue("BASE_DIR"); dir != "" {
		bases = append([]string{dir}, bases...)
	}
	names := map[string]bool{}
	most := 0
	for _, base := range bases {
		dir := filepath.Join(root, base)
		entries, _ := os.ReadDir(dir)
		images := filepath.Join(dir, "images")
		own := 0 // images of chroots
		for _, entry := range entries {
			path := filepath.Join(dir, entry.Name())
			name := farm.NameChroot(path)
			if names[strings.ToLower(name)] || !isChroot(path) {
				continue
			}
			names[strings.ToLower(name)] = true
			found.Chroots = append(found.Chroots, farm.Chroot{Name: name, Path: path})
			if exists(filepath.Join(images, name+".img")) {
				own++
			}
		}
		if isDir(images) && (found.Images == "" || own > most) {
			found.Images, most = images, own
		}
	}
	if found.Images == "" && len(found.Chroots) > 0 {
		if images := filepath.Join(filepath.Dir(found.Chroots[0].Path), "images"); images != filepath.Join(root,
			bases[0], "images") {
			found.Images = images
		}
	}
	found.TFTP = findTFTP(root, listTFTPFolders(m, conf))
	found.Exclude, found.Include, found.ExcludesFrom = readExcludes(root, conf)
	found.Initrd = exists(filepath.Join(root, "usr/share/ltsp/ltsp"))
	if path := filepath.Join(root, "etc/ltsp/ssh_known_hosts"); found.Initrd || exists(path) {
		found.KnownHosts = path
	}
	for _, s := range conf.Settings {
		if s.Key == "SSH_SERVER" && s.Plain {
			found.InUse = append(found.InUse, strings.Fields(s.Value)...)
		}
	}
	found.Notes = append(found.Notes, listUnclear(conf)...)
	found.lookAtImages(root, bases, names)
	return found
}

// findTFTP chooses the folder with a folder for each chroot: one that a TFTP server serves and that
// is there already, else one of the usual places.
func findTFTP(root string, served []string) string {
	var places []string
	for _, dir := range served {
		places = append(places, filepath.Join(dir, "ltsp"))
	}
	for _, dir := range host.LTSPTFTPFolders {
		places = append(places, filepath.Join(root, dir))
	}
	for _, place := range places {
		if isDir(place) {
			return place
		}
	}
	for i, dir := range served {
		if isDir(dir) {
			return places[i] // to be made
		}
	}
	return ""
}

// lookAtImages finds the images that no chroot is there for, and those that are in another folder
// than the one that was chosen.
func (found *Found) lookAtImages(root string, bases []string, chroots map[string]bool) {
	seen := map[string]bool{}
	for _, base := range bases {
		machines, _ := filepath.Glob(filepath.Join(root, base, "*.img"))
		for _, path := range machines {
			name := strings.TrimSuffix(filepath.Base(path), ".img")
			if seen[name] = true; !chroots[strings.ToLower(name)] {
				found.Notes = append(found.Notes,
					fmt.Sprintf("%s is the disk of a virtual machine. ltskeeper images folders: "+
						"mount its file system somewhere for good, and declare that as [[chroot]] with write = false.",
						path))
			}
		}
	}
	for _, base := range bases {
		dir := filepath.Join(root, base, "images")
		images, _ := filepath.Glob(filepath.Join(dir, "*.img"))
		for _, path := range images {
			name := strings.TrimSuffix(filepath.Base(path), ".img")
			switch info, err := os.Lstat(path); {
			case err != nil || !info.Mode().IsRegular() || seen[name]:
			case !chroots[strings.ToLower(name)]:
				seen[name] = true
				found.Strays = append(found.Strays, name)
				if found.Machine == "" && (name == "x86_64" || name == "x86_32" || name == "aarch64") {
					found.Machine = name // `ltsp image /` names it after uname -m
				}
			case dir != found.Images:
				found.Notes = append(found.Notes,
					fmt.Sprintf("%s is where clients of %s find their image today. From the first update-image on it is %s: have clients look there.",
						path, name, filepath.Join(found.Images, name+".img")))
			}
		}
	}
	for _, name := range found.Strays {
		if name == found.Machine && len(found.Chroots) == 0 {
			found.Notes = append(found.Notes,
				fmt.Sprintf("There is an image %s and no client root for it. If LTSP makes it of this machine "+
					"itself (ltsp image /), declare that: ltskeeper init --force --chroot /", name))
		} else {
			found.Notes = append(found.Notes,
				fmt.Sprintf("There is an image %s and no client root for it: it stays as it is.", name))
		}
	}
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
