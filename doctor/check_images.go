package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"ltskeeper/chroot"
	"ltskeeper/internal/kernels"
	"ltskeeper/internal/mounts"
	"ltskeeper/internal/remedy"
	"ltskeeper/keeper"
)

func checkNoImage(f *facts, c *root, r *results) {
	switch {
	case errors.Is(c.openErr, mounts.ErrSilent):
		r.find("%s", toSentence(c.openErr.Error())).
			fix("bring back the server that it is mounted from; to see what is mounted where",
				remedy.Program{"findmnt"})
	case c.openErr != nil && !errors.Is(c.openErr, fs.ErrPermission):
		r.find("%s", toSentence(explainOpenError(c.openErr))).
			fix("see whether it is mounted", remedy.Advice("make a client root there"),
				remedy.Setting{File: f.farm.Path, Section: "chroot", Name: c.Name, Key: "path", Change: "right"})
	case f.status != nil && c.image.Current == keeper.NoGeneration && c.image.Problem == "" &&
		!isRegular(c.image.Path) &&
		!f.isMissing:
		r.find("It has no image yet.").fix("make one", remedy.Command{"update-image"})
	}
}

// explainOpenError describes what is wrong with a client root, after its path.
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

func checkImageReplaced(f *facts, c *root, r *results) {
	switch i := c.image; {
	case i.Current != keeper.NoGeneration || f.status == nil:
	case i.Problem != "":
		r.find("%s", toSentence(i.Problem)).
			fix("find out what made it (the check `undone` looks for that), move it away, "+
				"and have ltskeeper's own published again", remedy.Command{"update-image"})
	case isRegular(i.Path) && len(i.Generations) > 0:
		r.find("%s is a file, and no link to one of ltskeeper's generations any more, as `ltsp image` leaves it.",
			i.Path).
			fix("find out what made it (the check `undone` looks for that), and have ltskeeper's own published again",
				remedy.Command{"update-image"})
	}
}

func checkImageApart(f *facts, c *root, r *results) {
	if c.image.Current == keeper.NoGeneration || c.image.Held != nil || f.findHidingConf(c) != "" {
		return // others say it
	}
	message := c.image.Problem
	if message == "" && c.apart != "" {
		message = fmt.Sprintf("%s is not that of generation %d", c.apart, c.image.Current)
	}
	if message == "" {
		return
	}
	repair := remedy.Command{"image", "repair"}
	for _, of := range c.image.Remedies {
		if command, is := of.(remedy.Command); is && command[0] == "image" { // there is nothing to repair
			repair = command
		}
	}
	r.find("%s", toSentence(message)).
		fix("put it right, and see whether the image itself is sound", repair,
			remedy.Command{"image", "verify", c.Name})
}

func checkImageHeld(_ *facts, c *root, r *results) {
	if c.image.Held == nil {
		return
	}
	message := fmt.Sprintf("It is held at generation %d since %s.", c.image.Current, describeMinute(*c.image.Held))
	if c.image.Problem != "" {
		message += " " + toSentence(c.image.Problem)
	}
	r.find("%s", message).
		fix("when its tree is in order again, let it be built from", remedy.Command{"image", "release", c.Name},
			remedy.Command{"update-image"})
}

func checkImageOld(_ *facts, c *root, r *results) {
	if c.isStale {
		r.find("Something in its tree is not as generation %d has it, as after an apt upgrade in there.",
			c.image.Current).
			fix("see what it is, and make a new image", remedy.Command{"image", "verify", c.Name, "--tree"},
				remedy.Command{"update-image"})
	}
}

// installKernel is what to type for a kernel's package to be installed in a chroot again.
func (c *root) installKernel(version string) remedy.Program {
	return remedy.Program{"chroot", c.Path, "apt-get", "install", "--reinstall", "linux-image-" + version}
}

// forEachOpened makes a check of one that looks into one chroot.
func forEachOpened(find func(*root, fs.FS, *results)) func(*facts, *results) {
	return forEachChroot(func(_ *facts, c *root, r *results) {
		if c.opened != nil {
			find(c, c.opened.FS(), r)
		}
	})
}

// listKernels returns the versions of which there is a kernel in /boot, the newest first.
func listKernels(tree fs.FS) []string {
	versions, _ := kernels.ListVersions(tree)
	return slices.DeleteFunc(versions, func(v string) bool { return strings.HasSuffix(v, ".old") })
}

func checkKernelGone(c *root, tree fs.FS, r *results) {
	g, exists := c.currentGeneration()
	chosen, _ := kernels.Choose(tree)
	if exists && g.Kernel != "" && chosen == nil && len(listKernels(tree)) == 0 {
		r.find("There is no kernel in its /boot any more, and its clients boot that of generation %d, %s.",
			g.Number, g.Kernel).
			fix("install a kernel in it, and make a new image", c.installKernel(g.Kernel),
				remedy.Command{"update-image"})
	}
}

func checkKernelModules(c *root, tree fs.FS, r *results) {
	kernel, _ := kernels.Choose(tree)
	if kernel == nil || kernel.Version == "" {
		return
	}
	if err := kernels.CheckModules(tree, *kernel); err != nil {
		r.find("Its clients would boot kernel %s, and there are no modules for it: %v.", kernel.Version, err).
			fix("install that kernel's package again, and make a new image", c.installKernel(kernel.Version),
				remedy.Command{"update-image"})
	}
}

func checkKernelInitrd(c *root, tree fs.FS, r *results) {
	versions := listKernels(tree)
	if len(versions) == 0 {
		return
	}
	newest := versions[0]
	if err := kernels.CheckInitrd(tree, newest); err != nil {
		message := fmt.Sprintf("The initrd of its newest kernel, %s, %v.", newest, err)
		if errors.Is(err, kernels.ErrNoInitrd) {
			message = fmt.Sprintf("Its newest kernel, %s, has no initrd.", newest)
		}
		r.find("%s", message).
			fix("have it made, and make a new image",
				remedy.Program{"chroot", c.Path, "update-initramfs", "-c", "-k", newest},
				remedy.Command{"update-image"})
	}
}

func checkModulesAlone(c *root, tree fs.FS, r *results) {
	left, _ := kernels.ListLeftModules(tree)
	for _, version := range left {
		r.find("There is /lib/modules/%s, and no kernel %[1]s.", version).
			fix("purge what is left of that kernel's package",
				remedy.Program{"chroot", c.Path, "apt-get", "purge", "linux-image-" + version})
	}
}
