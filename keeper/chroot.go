package keeper

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"ltskeeper/chroot"
	"ltskeeper/derive"
	"ltskeeper/farm"
	"ltskeeper/image"
	"ltskeeper/internal/excludes"
	"ltskeeper/internal/mounts"
	"ltskeeper/internal/regular"
	"ltskeeper/internal/remedy"
	"ltskeeper/ltsconf"
	"ltskeeper/squashfs"
)

// updateChroot puts the derived files into a chroot and brings its image up to date, while the
// package manager is kept out.
func (r *run) updateChroot(ctx context.Context, t *record, c farm.Chroot) error {
	root, err := r.open(ctx, c)
	if err != nil {
		return err
	}
	defer root.close()
	overlay, conf, err := r.write(t, root)
	if err != nil {
		return err
	}
	return r.build(ctx, root, overlay, conf)
}

// write puts the derived files into a chroot, and returns those that belong into the image only,
// and lts.conf.
func (r *run) write(t *record, root *openRoot) (overlay []derived, conf []byte, err error) {
	defer r.step("write", root.declared.Name)()
	files, err := t.renderFiles(root.declared)
	if err != nil {
		return nil, nil, err
	}
	if err := errors.Join(root.refuseStrangers(files), root.refuseIncludes(r.farm)); err != nil {
		return nil, nil, err
	}
	programs, err := r.programs(root) // one that is missing is found before anything is written
	if err != nil {
		return nil, nil, err
	}
	if err := r.judge(root); err != nil {
		return nil, nil, err
	}
	for _, file := range files {
		into, err := r.put(root, file)
		if err != nil {
			return nil, nil, err
		}
		if into {
			overlay = append(overlay, file)
		}
	}
	programs, err = r.putPrograms(root, programs)
	return append(overlay, programs...), contentOf(ltsConfPath, files), err
}

// buildChroot brings the image up to date with the tree as it stands.
func (r *run) buildChroot(ctx context.Context, t *record, c farm.Chroot) error {
	root, err := r.open(ctx, c)
	if err != nil {
		return err
	}
	defer root.close()
	if root.writable() {
		conf, err := root.Read(ltsConfPath)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if !derive.IsOurs(conf) {
			conf = nil // somebody else's: what clients get over TFTP stays as it is
		}
		return r.build(ctx, root, nil, conf)
	}
	files, err := t.renderFiles(c)
	if err != nil {
		return err
	}
	if err := errors.Join(root.refuseStrangers(files), root.refuseIncludes(r.farm)); err != nil {
		return err
	}
	programs, err := r.programs(root)
	if err != nil {
		return err
	}
	return r.build(ctx, root, append(files, programs...), contentOf(ltsConfPath, files))
}

// openRoot is a chroot at work: open, and its package manager locked.
type openRoot struct {
	*chroot.Root
	declared farm.Chroot
	store    *image.Store
	adopted  string             // folder of the files that init took over
	exclude  *excludes.Patterns // what stays out of its image
	mounts   []chroot.Mount
	locks    *chroot.Locks // nil if nobody is kept out
}

func (r *run) open(ctx context.Context, c farm.Chroot) (*openRoot, error) {
	defer r.step("open", c.Name)()
	o, err := r.openUnlocked(c)
	if err != nil {
		return nil, err
	}
	o.locks, err = r.locker.Lock(ctx, o.Root, cmp.Or(r.Patience, 5*time.Second))
	if err != nil {
		o.close()
		return nil, err
	}
	if err := o.takeMounts(r.farm); err != nil { // anew: it may have waited for long
		o.close()
		return nil, err
	}
	r.warnUnlockable(c, o.locks.Unlockable)
	return o, nil
}

// openUnlocked is for those who only look, and may see a package half installed.
func (r *run) openUnlocked(c farm.Chroot) (*openRoot, error) {
	root, err := openChroot(r.farm, c)
	if err != nil {
		return nil, err
	}
	exclude, err := parseRealExcludes(r.farm, c)
	if err != nil {
		root.Close()
		return nil, err
	}
	root.BelongsTo(c.IDOffset)
	o := &openRoot{
		Root: root, declared: c, store: storeOf(r.farm, c), adopted: r.farm.AdoptedFolder(), exclude: exclude,
	}
	if err := o.takeMounts(r.farm); err != nil {
		root.Close()
		return nil, err
	}
	return o, nil
}

// takeMounts finds out what is mounted in the chroot, and what of it belongs to the image.
func (o *openRoot) takeMounts(f *farm.Farm) (err error) {
	o.mounts, err = o.TakeMounts(mountRules(f, o.declared, o.exclude))
	return err
}

// ListMounts lists what is mounted in a declared chroot, and what of it belongs to its image.
func (k *Keeper) ListMounts(c farm.Chroot, root *chroot.Root) ([]chroot.Mount, error) {
	exclude, err := parseExcludes(k.farm, c)
	if err != nil {
		return nil, err
	}
	return root.TakeMounts(mountRules(k.farm, c, exclude))
}

func mountRules(f *farm.Farm, c farm.Chroot, exclude *excludes.Patterns) chroot.MountRules {
	return chroot.MountRules{
		Declared: c.Mounts, None: c.NoMounts, Empties: exclude.Empties,
		Apart: ownFolders(f),
	}
}

// openChroot opens the root of a declared chroot. None is forced: a folder that is no root may be
// one where nothing is mounted, and must not become an image.
func openChroot(f *farm.Farm, c farm.Chroot) (*chroot.Root, error) {
	if err := New(f).AskRoot(c, mounts.Patience); err != nil {
		return nil, err
	}
	root, err := chroot.Open(c.Path)
	if err != nil {
		return nil, fmt.Errorf("%w; is it mounted, and path right in %s?", err, f.Path)
	}
	return root, nil
}

// warnUnlockable warns of a chroot whose package managers cannot be kept out.
func (r *run) warnUnlockable(c farm.Chroot, unlockable []*chroot.UnlockableError) {
	if len(unlockable) == 0 {
		return
	}
	var managers []string
	for _, u := range unlockable {
		managers = append(managers, u.Manager)
	}
	r.warn("chroot %s: %v: its file system cannot lock files, so nothing keeps %s from changing the chroot meanwhile; "+
		"start rpc.statd here and the lock service on the NFS server, or mount it with local_lock=all if nobody else changes it",
		c.Name, unlockable[0], strings.Join(slices.Compact(managers), " and "))
}

func (o *openRoot) close() {
	if o.locks != nil {
		o.locks.Release()
	}
	o.Root.Close()
}

// writable says whether files may be put into the tree; else they go into the image only.
func (o *openRoot) writable() bool { return o.declared.Write && !o.System() }

func storeOf(f *farm.Farm, c farm.Chroot) *image.Store {
	return &image.Store{Name: c.Name, Images: f.Image.Directory, TFTP: f.TFTP.Directory}
}

// refuseStrangers fails if a file that is about to be replaced, in the tree, in the image or under
// TFTP, is somebody else's and init has not taken over what it says; or if clients would not find
// it in the image.
func (o *openRoot) refuseStrangers(files []derived) error {
	for _, file := range files {
		place, err := o.Resolve(file.path)
		if err != nil {
			return err
		}
		if o.exclude.Match(place) {
			return fmt.Errorf("clients look for /%s at /%s, which is left out of the image: take the symbolic link or the exclude away", file.path, place)
		}
		data, err := o.Read(file.path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := refuseStranger(filepath.Join(o.Path(), file.path), data, o.adopted); err != nil {
			return err
		}
	}
	served := o.store.ServedConf()
	data, _, err := readServed(served)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return refuseStranger(served, data, o.adopted)
}

func refuseStranger(path string, data []byte, adopted string) error {
	if derive.IsOurs(data) {
		return nil
	}
	known, err := isAdopted(data, adopted)
	if err != nil {
		return err
	}
	if !known {
		err := fmt.Errorf("%s was not written by ltskeeper and is left alone until what it says is taken over", path)
		return remedy.AttachTo(err, remedy.Command{"init", "--adopt"})
	}
	return nil
}

// refuseIncludes fails if clients could not read a file that the lts.conf includes, or not all of
// it.
func (o *openRoot) refuseIncludes(f *farm.Farm) error {
	var found []error
	for _, p := range ltsconf.Check(o.declared.LTSConf, f.LTSConfSource(o.declared).Bytes(), o.Read) {
		if p.Severity == ltsconf.Error {
			found = append(found, fmt.Errorf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Msg))
		}
	}
	return errors.Join(found...)
}

// judge refuses a tree of which no image could be made, before anything is written into it.
func (r *run) judge(o *openRoot) error {
	options, err := r.treeOptions(o)
	if err != nil {
		return err
	}
	return o.store.Judge(image.Source{Root: o.Path(), Options: options, Force: r.Force})
}

// put brings one derived file into the tree, if its bytes differ, or says that it belongs into the
// image only.
func (r *run) put(o *openRoot, file derived) (intoImage bool, err error) {
	old, err := o.Read(file.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	change := File{Chroot: o.declared.Name, Path: filepath.Join(o.Path(), file.path), New: file.shown(file.data)}
	same := err == nil && bytes.Equal(old, file.data)
	if !o.writable() && !same {
		change.Path, change.Inside = "image:/"+file.path, "/"+file.path
		if old, err = o.store.ReadFile(file.path); err != nil && !regular.IsOdd(err) { // an odd image is replaced
			return false, err
		}
	}
	change.Old, change.Changed = file.shown(old), !bytes.Equal(old, file.data)
	inTree := o.writable() && !r.DryRun
	if inTree {
		// also if it is the same: permissions and owner may be wrong
		if _, err := o.Put(file.path, file.data, file.mode()); err != nil {
			return false, err
		}
	}
	r.report.Files = append(r.report.Files, change)
	return !same && !inTree, nil
}

// build brings the image of a chroot up to date and publishes it, if it differs from the current
// one.
func (r *run) build(ctx context.Context, o *openRoot, overlay []derived, conf []byte) error {
	report := Image{Chroot: o.declared.Name, Path: o.store.Link(), Generation: NoGeneration}
	if r.DryRun {
		return r.rehearse(ctx, o, overlay, conf, report)
	}
	apart, err := o.store.Check()
	if err != nil {
		return err
	}
	now := time.Now()
	built, err := r.make(ctx, o, overlay, conf, now)
	if err != nil {
		return err
	}
	if err := o.locks.Check(); err != nil {
		return fmt.Errorf("%w; what is published stays as it is: run it again", err)
	}
	g := built.Generation
	if report.Changed = !built.Unchanged; report.Changed {
		done := r.step("publish", o.declared.Name)
		g, err = o.store.Publish(built, now)
		if done(); err != nil {
			return err
		}
	}
	report.Repaired = apart != nil && built.Unchanged
	report.Generation, report.Size, report.Files = g.Number, g.Size, g.Files
	report.Read, report.Reused, report.Kernel, report.Full = g.Read, g.Reused, g.Kernel, built.Full
	r.report.Images = append(r.report.Images, report)
	defer r.step("prune", o.declared.Name)()
	gone, err := o.store.Prune(r.farm.Image.Keep, r.farm.Image.KeepFor, now)
	if len(gone) > 0 {
		r.report.Images[len(r.report.Images)-1].Pruned = gone
	}
	return err
}

// make makes the image of a chroot, beside the current one.
func (r *run) make(ctx context.Context, o *openRoot, overlay []derived, conf []byte, now time.Time) (*image.Built,
	error) {
	defer r.step("build", o.declared.Name)()
	source, err := r.source(o, overlay, conf)
	if err != nil {
		return nil, err
	}
	if err := o.store.Repair(now); err != nil {
		return nil, err
	}
	built, err := o.store.Build(ctx, source, now)
	if err != nil {
		return nil, err
	}
	for _, w := range built.Warnings {
		r.warn("image of %s: %s", o.declared.Name, w)
	}
	return built, nil
}

// source is what the image of a chroot is made of.
func (r *run) source(o *openRoot, overlay []derived, conf []byte) (image.Source, error) {
	options, err := r.imageOptions(o, overlay)
	if err != nil {
		return image.Source{}, err
	}
	search, err := newSearch(o, r.farm)
	if err != nil {
		return image.Source{}, err
	}
	from := image.Source{Root: o.Path(), Options: options, Full: r.Full, Force: r.Force, Inspector: search}
	if conf != nil {
		from.Conf = &image.LTSConf{Data: conf}
	}
	return from, nil
}

// rehearse says what build would do.
func (r *run) rehearse(ctx context.Context, o *openRoot, overlay []derived, conf []byte, report Image) error {
	defer r.step("build", o.declared.Name)()
	source, err := r.source(o, overlay, conf)
	if err != nil {
		return err
	}
	changed, g, err := o.store.WouldChange(ctx, source)
	if err != nil {
		return err
	}
	apart, err := o.store.Check()
	if err != nil {
		return err
	}
	report.Repaired = apart != nil && !changed
	report.Changed, report.Generation = changed, numberOf(g)
	if g != nil {
		report.Size = g.Size
	}
	r.report.Images = append(r.report.Images, report)
	return nil
}

// treeOptions say what of a chroot's tree is in its image, and how that is made.
func (r *run) treeOptions(o *openRoot) (squashfs.Options, error) {
	compression, err := squashfs.ParseCompression(r.farm.Image.Compression)
	if err != nil {
		return squashfs.Options{}, err
	}
	epoch, err := sourceDateEpoch()
	if err != nil {
		return squashfs.Options{}, err
	}
	options := squashfs.Options{
		Compression: compression, Exclude: o.exclude, Time: epoch,
		Mounts: []squashfs.Mount{}, SkipSnapshots: o.declared.ExcludeDefaults, IDOffset: o.declared.IDOffset,
	}
	for _, m := range o.mounts {
		options.Mounts = append(options.Mounts, squashfs.Mount{Path: m.Path, ID: m.ID, IsTaken: m.IsTaken})
	}
	options.SetAnew = []string{"var/log/journal"} // by systemd-tmpfiles, at each boot; every Debian has it
	return options, nil
}

func (r *run) imageOptions(o *openRoot, overlay []derived) (squashfs.Options, error) {
	options, err := r.treeOptions(o)
	if err != nil {
		return squashfs.Options{}, err
	}
	if options.Overlay, err = o.redact(); err != nil {
		return squashfs.Options{}, err
	}
	for _, file := range overlay {
		path, err := o.Resolve(file.path) // where a client finds it, whatever links lead there
		if err != nil {
			return squashfs.Options{}, err
		}
		options.Overlay = append(options.Overlay,
			squashfs.OverlayFile{Path: path, Content: file.data, Mode: file.mode()})
	}
	options.Progress = func(p squashfs.Progress) {
		r.progress("image "+o.declared.Name, p.Bytes, p.TotalBytes, "bytes")
	}
	return options, nil
}

// parseExcludes returns what stays out of a chroot's image: by the built-in patterns, the declared
// ones, and ltskeeper's own folders if the tree holds them.
func parseExcludes(f *farm.Farm, c farm.Chroot) (*excludes.Patterns, error) {
	var patterns []string
	if c.ExcludeDefaults {
		patterns = excludes.Defaults()
	}
	patterns = append(patterns, c.Exclude...)
	for _, own := range ownFolders(f) {
		patterns = append(patterns, placeIn(c.Path, own)...)
	}
	return excludes.Parse(patterns)
}

// parseRealExcludes is parseExcludes for a chroot whose file systems have answered: ltskeeper's own
// folders stay out also if symbolic links lead to them.
func parseRealExcludes(f *farm.Farm, c farm.Chroot) (*excludes.Patterns, error) {
	for _, own := range ownFolders(f) {
		c.Exclude = append(slices.Clone(c.Exclude), placeIn(realPath(c.Path), realPath(own))...)
	}
	return parseExcludes(f, c)
}

// ownFolders are those in which ltskeeper keeps what belongs into no image.
func ownFolders(f *farm.Farm) []string {
	return []string{f.State.Path(), f.Image.Directory, f.TFTP.Directory}
}

// placeIn returns a pattern for where a folder is in a tree, and nothing if it is not inside.
func placeIn(tree, folder string) []string {
	place, err := filepath.Rel(tree, folder)
	if err != nil || place == "." || place == ".." || strings.HasPrefix(place, "../") {
		return nil
	}
	return []string{escapeGlob(place)}
}

// realPath returns where a folder is when all symbolic links are followed, as far as it is there.
func realPath(folder string) string {
	if real, err := filepath.EvalSymlinks(folder); err == nil {
		return real
	}
	return folder
}

// escapeGlob makes a pattern that matches the path alone.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `(`, `\(`).Replace(path)
}

// sourceDateEpoch is the time that SOURCE_DATE_EPOCH gives every image, or zero: the tree's own
// newest.
func sourceDateEpoch() (time.Time, error) {
	value := os.Getenv("SOURCE_DATE_EPOCH")
	if value == "" {
		return time.Time{}, nil
	}
	seconds, err := strconv.ParseInt(value, 10, 64)
	if err != nil || seconds < 0 {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH is %q: it must be seconds since 1970", value)
	}
	return time.Unix(seconds, 0), nil
}
