package adopt

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ltskeeper/chroot"
	"ltskeeper/farm"
	"ltskeeper/internal/host"
	"ltskeeper/internal/remedy"
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
	Notes   []Note
}

// A Note is something that a person should know.
type Note struct {
	Text     string // a sentence without its full stop
	Remedies []remedy.Remedy
}

func (found *Found) addNote(text string, remedies ...remedy.Remedy) {
	found.Notes = append(found.Notes, Note{text, remedies})
}

// Discover looks for LTSP on a machine: client roots and images, the TFTP folder, and settings of
// LTSP's own that have an equal here. It leaves out what it cannot read, and a chroot with the name
// of an earlier one.
func Discover(m *host.Machine) Found {
	var found Found
	conf, err := m.ReadLTSPConf()
	if err != nil {
		found.addNote(fmt.Sprintf("What LTSP's own settings say is not known here: %v", err))
	}
	// Where LTSP keeps its chroots, the newest layout first: since 2019, and LTSP 5. Images are in
	// a folder "images" among them.
	bases := []string{m.Path("srv/ltsp"), m.Path("opt/ltsp")}
	if dir := conf.ServerValue("BASE_DIR"); dir != "" {
		bases = slices.Insert(bases, 0, m.Path(dir))
	}
	found.findRoots(m, bases)
	found.TFTP = findTFTP(m, conf)
	found.findExcludes(m, conf)
	found.Initrd = isThere(m.Path("usr/share/ltsp/ltsp"))
	if path := m.Path("etc/ltsp/ssh_known_hosts"); found.Initrd || isThere(path) {
		found.KnownHosts = path
	}
	for _, s := range conf.Settings {
		if s.Key == "SSH_SERVER" && s.Plain {
			found.InUse = append(found.InUse, strings.Fields(s.Value)...)
		}
	}
	found.noteUnclear(conf)
	found.noteMachines(bases)
	found.findStrays(bases)
	return found
}

// findRoots finds the client roots, and chooses the folder that holds the most images of them.
func (found *Found) findRoots(m *host.Machine, bases []string) {
	most := 0
	for _, base := range bases {
		entries, _ := os.ReadDir(base)
		images := filepath.Join(base, "images")
		own := 0 // images of chroots
		for _, entry := range entries {
			path := filepath.Join(base, entry.Name())
			name := farm.NameChroot(path)
			if found.hasChroot(name) || !isClientRoot(path) {
				continue
			}
			found.Chroots = append(found.Chroots, farm.Chroot{Name: name, Path: path})
			if isThere(filepath.Join(images, name+".img")) {
				own++
			}
		}
		if isFolder(images) && (found.Images == "" || own > most) {
			found.Images, most = images, own
		}
	}
	if found.Images == "" && len(found.Chroots) > 0 {
		if base := filepath.Dir(found.Chroots[0].Path); base != m.Path("srv/ltsp") {
			found.Images = filepath.Join(base, "images")
		}
	}
}

func (found *Found) hasChroot(name string) bool {
	return slices.ContainsFunc(found.Chroots, func(c farm.Chroot) bool { return strings.EqualFold(c.Name, name) })
}

// findTFTP chooses the folder with a folder for each chroot: one that a TFTP server serves and that
// is there already, otherwise one of the usual places.
func findTFTP(m *host.Machine, conf host.LTSPConf) string {
	var served, places []string
	if dir := conf.ServerValue("TFTP_DIR"); dir != "" {
		served = append(served, m.Path(dir))
	}
	told, _ := m.ReadTFTPFolders()
	for _, folder := range told {
		served = append(served, m.Path(folder.Path))
	}
	for _, dir := range served {
		places = append(places, filepath.Join(dir, "ltsp"))
	}
	for _, dir := range host.LTSPTFTPFolders {
		places = append(places, m.Path(dir))
	}
	if i := slices.IndexFunc(places, isFolder); i >= 0 {
		return places[i]
	}
	if i := slices.IndexFunc(served, isFolder); i >= 0 {
		return places[i] // to be made
	}
	return ""
}

// noteMachines notes the disks of virtual machines, which LTSP makes images of.
func (found *Found) noteMachines(bases []string) {
	for _, path := range listImages(bases, "") {
		if !found.hasChroot(nameImage(path)) {
			found.addNote(path+" is the disk of a virtual machine, and ltskeeper makes images of folders",
				remedy.Steps{remedy.Advice("mount its file system somewhere for good"),
					remedy.Advice("declare that folder as a chroot"),
					remedy.Setting{Section: "chroot", Key: "write", Value: "false"}})
		}
	}
}

// findStrays finds the images that no chroot is there for, and notes those that are in another
// folder than the one that was chosen.
func (found *Found) findStrays(bases []string) {
	seen := map[string]bool{}
	for _, path := range listImages(bases, "") { // of a virtual machine's disk
		seen[nameImage(path)] = true
	}
	for _, path := range listImages(bases, "images") {
		name := nameImage(path)
		switch info, err := os.Lstat(path); {
		case err != nil || !info.Mode().IsRegular() || seen[name]:
		case !found.hasChroot(name):
			seen[name] = true
			found.Strays = append(found.Strays, name)
			if found.Machine == "" && (name == "x86_64" || name == "x86_32" || name == "aarch64") {
				found.Machine = name // `ltsp image /` names it after uname -m
			}
		case filepath.Dir(path) != found.Images:
			found.addNote(fmt.Sprintf("%s is where clients of %s find their image today, and the next one will be %s",
				path, name, filepath.Join(found.Images, name+".img")), remedy.Advice("have clients look there"))
		}
	}
	for _, name := range found.Strays {
		text := fmt.Sprintf("There is an image %s and no client root for it", name)
		if name == found.Machine && len(found.Chroots) == 0 {
			found.addNote(text, remedy.If{Condition: "LTSP makes it of this machine itself (ltsp image /)",
				Then: remedy.Command{"init", "--force", "--chroot", "/"}})
		} else {
			found.addNote(text + ": it stays as it is")
		}
	}
}

// listImages returns the files of images in a folder of each base.
func listImages(bases []string, folder string) (paths []string) {
	for _, base := range bases {
		found, _ := filepath.Glob(filepath.Join(base, folder, "*.img"))
		paths = append(paths, found...)
	}
	return paths
}

func nameImage(path string) string { return strings.TrimSuffix(filepath.Base(path), ".img") }

// KeepBeside has everything of the new farm kept beside its declaration, apart from what the
// machine has.
func (found *Found) KeepBeside() {
	found.State, found.Images, found.TFTP, found.KnownHosts = "state", "images", "tftp", ""
}

// UseRoots takes these client roots instead of those that were found. The error says which of them
// cannot be taken, and what to name instead.
func (found *Found) UseRoots(paths []string) error {
	found.Chroots, found.Notes = nil, nil
	for _, path := range paths {
		path, err := filepath.Abs(path)
		if err != nil {
			return err
		}
		root, err := chroot.Open(path)
		if err != nil {
			return remedy.AttachTo(err, adviseRoots(path))
		}
		root.Close()
		name := farm.NameChroot(path)
		if path == "/" && found.Machine != "" {
			name = found.Machine // clients know the image by that
		}
		if found.hasChroot(name) {
			return fmt.Errorf("%s: there would be two chroots called %s", path, name)
		}
		found.Chroots = append(found.Chroots, farm.Chroot{Name: name, Path: path})
	}
	return nil
}

// adviseRoots says what to name instead of a folder that is not a client root.
func adviseRoots(path string) remedy.Advice {
	var roots []string
	below, _ := filepath.Glob(filepath.Join(path, "*", "etc"))
	for _, etc := range below {
		if dir := filepath.Dir(etc); isClientRoot(dir) {
			roots = append(roots, dir)
		}
	}
	if len(roots) > 0 {
		return remedy.Advice("name one of those in it: " + strings.Join(roots, ", "))
	}
	return "name the folder that holds a client's etc, bin and usr"
}

func isClientRoot(path string) bool {
	r, err := chroot.Open(path)
	if err == nil {
		r.Close()
	}
	return err == nil
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func isThere(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
