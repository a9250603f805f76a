package doctor

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ltskeeper/chroot"
	"ltskeeper/image"
	"ltskeeper/internal/kernels"
	"ltskeeper/internal/mounts"
	"ltskeeper/internal/regular"
	"ltskeeper/internal/remedy"
	"ltskeeper/keeper"
)

func noImage(f *facts) (found []Finding) {
	for _, r := range f.chroots {
		finding := Finding{Kind: Chroot, Subject: r.Name}
		switch {
		case errors.Is(r.openAt, mounts.ErrSilent):
			finding.Message = sentence(r.openAt.Error())
			finding.Fix,
				finding.Commands = "Bring back the server that it is mounted from; to see what is mounted where:",
				[]string{"findmnt"}
		case r.openAt != nil && !errors.Is(r.openAt, fs.ErrPermission):
			finding.Message = sentence(explainOpenError(r.openAt))
			finding.Fix = fmt.Sprintf("See whether it is mounted; else make a client root there, or put its path right in %s.", f.farm.Path)
		case f.status != nil && r.image.Current == keeper.NoGeneration && r.image.Problem == "" && !isRegular(r.image.Path) &&
			!f.missing:
			finding.Message = "It has no image yet."
			finding.Fix, finding.Commands = "Make one:", []string{"ltskeeper update-image"}
		default:
			continue
		}
		found = append(found, finding)
	}
	return found
}

// explainOpenError says what is wrong with a client root, after its path.
func explainOpenError(err error) string {
	var e *chroot.OpenError
	if errors.As(err, &e) {
		return fmt.Sprintf("%s: %v", e.Path, e.Err)
	}
	return err.Error()
}

func isRegular(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode().IsRegular()
}

func imageReplaced(f *facts) (found []Finding) {
	for _, r := range f.chroots {
		i := r.image
		if i.Current != keeper.NoGeneration || f.status == nil {
			continue
		}
		finding := Finding{Kind: Chroot, Subject: r.Name, Commands: []string{"ltskeeper update-image"},
			Fix: "Find out what made it (the check `undone` looks for that), and have ltskeeper's own published again:"}
		switch {
		case i.Problem != "":
			finding.Message = sentence(i.Problem)
			finding.Fix = "Find out what made it (the check `undone` looks for that), move it away, and have ltskeeper's own published again:"
		case isRegular(i.Path) && len(i.Generations) > 0:
			finding.Message = fmt.Sprintf("%s is a file, and no link to one of ltskeeper's generations any more, as `ltsp image` leaves it.", i.Path)
		default:
			continue
		}
		found = append(found, finding)
	}
	return found
}

func imageApart(f *facts) (found []Finding) {
	for _, r := range f.chroots {
		if r.image.Current == keeper.NoGeneration || r.image.Held != nil || f.hides(r) != "" {
			continue // others say it
		}
		message := r.image.Problem
		if message == "" && r.apart != "" {
			message = fmt.Sprintf("%s is not that of generation %d", r.apart, r.image.Current)
		}
		if message != "" {
			repair := "image repair"
			for _, of := range r.image.Remedies {
				if c, is := of.(remedy.Command); is && c[0] == "image" { // there is nothing to repair
					repair = strings.Join(c, " ")
				}
			}
			found = append(found, Finding{
				Kind: Chroot, Subject: r.Name, Message: sentence(message),
				Fix:      "Put it right, and see whether the image itself is sound:",
				Commands: []string{"ltskeeper " + repair, "ltskeeper image verify " + r.Name},
			})
		}
	}
	return found
}

// lookApart says which of the files that clients fetch over TFTP is not what the current generation
// has.
func (f *facts) lookApart(r *root) {
	folder, err := filepath.EvalSymlinks(r.image.Path)
	if err != nil || r.image.Current <= 0 {
		return
	}
	for _, file := range []string{"kernel", "initrd"} {
		served := filepath.Join(f.farm.TFTP.Directory, r.Name, "current", file)
		if same, err := sameContent(filepath.Join(filepath.Dir(folder), file), served); err == nil && !same {
			r.apart = served
		}
	}
}

func sameContent(a, b string) (bool, error) {
	var sizes [2]int64
	for i, path := range []string{a, b} {
		info, err := regular.Stat(path)
		if regular.IsOdd(err) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		sizes[i] = info.Size()
	}
	if sizes[0] != sizes[1] {
		return false, nil
	}
	one, err := regular.Open(a)
	if err != nil {
		return false, err
	}
	defer one.Close()
	other, err := regular.Open(b)
	if err != nil {
		return false, err
	}
	defer other.Close()
	bufA, bufB := make([]byte, 1<<20), make([]byte, 1<<20)
	for {
		n, errA := io.ReadFull(one, bufA)
		m, errB := io.ReadFull(other, bufB)
		if !bytes.Equal(bufA[:n], bufB[:m]) {
			return false, nil
		}
		if errA != nil || errB != nil {
			return errA == errB, nil
		}
	}
}

func imageHeld(f *facts) (found []Finding) {
	for _, r := range f.chroots {
		if r.image.Held == nil {
			continue
		}
		message := fmt.Sprintf("It is held at generation %d since %s.", r.image.Current, stamp(*r.image.Held))
		if r.image.Problem != "" {
			message += " " + sentence(r.image.Problem)
		}
		found = append(found, Finding{
			Kind: Chroot, Subject: r.Name, Message: message,
			Fix:      "When its tree is in order again, let it be built from:",
			Commands: []string{"ltskeeper image release " + r.Name, "ltskeeper update-image"},
		})
	}
	return found
}

// upgraded tells whether dpkg has done something since the current generation was built.
func (r *root) upgraded() bool {
	_, status := r.stat("var/lib/dpkg/status")
	return status != nil && slices.ContainsFunc(r.image.Generations, func(g image.Generation) bool {
		return g.Current && status.ModTime().After(g.Time)
	})
}

func imageOld(f *facts) (found []Finding) {
	for _, r := range f.chroots {
		if r.stale {
			found = append(found, Finding{
				Kind: Chroot, Subject: r.Name,
				Message: fmt.Sprintf("Something in its tree is not as generation %d has it, as after an apt upgrade in there.", r.image.Current),
				Fix:     "See what it is, and make a new image:", Commands: []string{"ltskeeper image verify " +
					r.Name +
					" --tree", "ltskeeper update-image"},
			})
		}
	}
	return found
}

// stat describes what clients find under a name, nil if nothing.
func (r *root) stat(name string) (place string, info fs.FileInfo) {
	if r.opened == nil {
		return "", nil
	}
	place, err := r.opened.Resolve(name)
	if err != nil {
		return "", nil
	}
	info, err = os.Lstat(filepath.Join(r.Path, place))
	if err != nil {
		return "", nil
	}
	return place, info
}

// names lists a folder of the chroot.
func (r *root) names(dir string) (names []string) {
	place, info := r.stat(dir)
	if info == nil || !info.IsDir() {
		return nil
	}
	entries, _ := os.ReadDir(filepath.Join(r.Path, place))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// kernels are the versions of which there is a kernel in /boot, the newest first.
func (r *root) kernels() (versions []string) {
	for _, name := range r.names("boot") {
		if version, ok := strings.CutPrefix(name, "vmlinuz-"); ok && !strings.HasSuffix(version, ".old") {
			versions = append(versions, version)
		}
	}
	slices.SortFunc(versions, func(a, b string) int { return kernels.CompareVersions(b, a) })
	return versions
}

// initrd describes the initrd of a kernel version, nil if there is none. It may be empty.
func (r *root) initrd(version string) fs.FileInfo {
	_, info := r.stat("boot/initrd.img-" + version)
	if info == nil {
		_, info = r.stat("boot/initramfs-" + version + ".img")
	}
	return info
}

// chosen is the kernel that the next image would have clients boot, nil if there is none.
func (r *root) chosen() *kernels.Kernel {
	if r.opened == nil {
		return nil
	}
	kernel, err := kernels.Choose(r.opened.FS())
	if err != nil {
		return nil
	}
	return kernel
}

func kernelGone(f *facts) (found []Finding) {
	for _, r := range f.chroots {
		for _, g := range r.image.Generations {
			if g.Current && g.Kernel != "" && r.opened != nil && r.chosen() == nil && len(r.kernels()) == 0 {
				found = append(found, Finding{
					Kind: Chroot, Subject: r.Name,
					Message: fmt.Sprintf("There is no kernel in its /boot any more, and its clients boot that of generation %d, %s.", g.Number, g.Kernel),
					Fix:     "Install a kernel in it, and make a new image:",
					Commands: []string{shell("chroot %s apt-get install --reinstall %s", r.Path,
						"linux-image-"+g.Kernel), "ltskeeper update-image"},
				})
			}
		}
	}
	return found
}

func kernelModules(f *facts) (found []Finding) {
	for _, r := range f.chroots {
		kernel := r.chosen()
		if kernel == nil || kernel.Version == "" {
			continue
		}
		version := kernel.Version
		if err := kernels.CheckModules(r.opened.FS(), *kernel); err != nil {
			found = append(found, Finding{
				Kind: Chroot, Subject: r.Name,
				Message: fmt.Sprintf("Its clients would boot kernel %s, and there are no modules for it: %v.",
					version, err),
				Fix: "Install that kernel's package again, and make a new image:",
				Commands: []string{shell("chroot %s apt-get install --reinstall %s", r.Path,
					"linux-image-"+version), "ltskeeper update-image"},
			})
		}
	}
	return found
}

func kernelInitrd(f *facts) (found []Finding) {
	for _, r := range f.chroots {
		versions := r.kernels()
		if len(versions) == 0 {
			continue
		}
		newest := versions[0]
		_, kernel := r.stat("boot/vmlinuz-" + newest)
		initrd := r.initrd(newest)
		message := ""
		switch {
		case kernel == nil:
		case initrd == nil:
			message = fmt.Sprintf("Its newest kernel, %s, has no initrd.", newest)
		case initrd.Size() == 0:
			message = fmt.Sprintf("The initrd of its newest kernel, %s, is empty, as a full disk leaves it.", newest)
		case initrd.ModTime().Before(kernel.ModTime()):
			message = fmt.Sprintf("The initrd of its newest kernel, %s, is older than the kernel.", newest)
		}
		if message != "" {
			found = append(found, Finding{
				Kind: Chroot, Subject: r.Name, Message: message,
				Fix: "Have it made, and make a new image:",
				Commands: []string{shell("chroot %s update-initramfs -c -k %s", r.Path, newest),
					"ltskeeper update-image"},
			})
		}
	}
	return found
}

func modulesAlone(f *facts) (found []Finding) {
	for _, r := range f.chroots {
		kernels := r.kernels()
		if len(kernels) == 0 {
			continue // clients get their kernel some other way
		}
		for _, version := range r.names("lib/modules") {
			_, modules := r.stat("lib/modules/" + version + "/kernel")
			if modules == nil || slices.Contains(kernels, version) {
				continue
			}
			found = append(found, Finding{
				Kind: Chroot, Subject: r.Name, Message: fmt.Sprintf("There is /lib/modules/%s, and no kernel %s.",
					version, version),
				Fix:      "Purge what is left of that kernel's package:",
				Commands: []string{shell("chroot %s apt-get purge %s", r.Path, "linux-image-"+version)},
			})
		}
	}
	return found
}
