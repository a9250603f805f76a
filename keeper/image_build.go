package keeper

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"time"

	"ltskeeper/derive"
	"ltskeeper/image"
	"ltskeeper/squashfs"
)

// BuildOptions say how BuildImages works.
type BuildOptions struct {
	Chroots  []string       // names of the chroots to build images of; none: all
	Full     bool           // build images from nothing
	Force    bool           // publish an image also if it looks as if clients could not use it
	Progress func(Progress) // called by one goroutine at a time; may be nil
}

// BuildImages brings the images up to date with their trees as these stand. It asks no server and
// writes nothing into a root; a chroot that is never written to gets its files from the record, as
// always.
func (k *Keeper) BuildImages(ctx context.Context, o BuildOptions) (*Report, error) {
	r := &run{UpdateOptions: UpdateOptions{Full: o.Full, Force: o.Force, Progress: o.Progress}}
	return k.carryOut(r, func() error {
		chroots, err := k.chooseChroots(o.Chroots)
		if err != nil {
			return err
		}
		rec, err := k.loadRecord(true)
		if err != nil {
			return err
		}
		return r.eachChroot(ctx, chroots, func(root *clientRoot) error { return r.buildChroot(ctx, rec, root) })
	})
}

// buildChroot brings the image up to date with the tree as it stands.
func (r *run) buildChroot(ctx context.Context, rec *record, root *clientRoot) error {
	if root.isWritable() {
		conf, err := root.Read(derive.LTSConfPath)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if !derive.IsOurs(conf) {
			conf = nil // somebody else's: what clients get over TFTP stays as it is
		}
		return r.updateImage(ctx, root, nil, conf)
	}
	files, programs, err := r.prepareFiles(rec, root)
	if err != nil {
		return err
	}
	return r.updateImage(ctx, root, append(files, programs...), files.content(derive.LTSConfPath))
}

// updateImage brings the image of a chroot up to date and publishes it, if it differs from the
// current one.
func (r *run) updateImage(ctx context.Context, root *clientRoot, overlay derivedFiles, conf []byte) error {
	report := Image{Chroot: root.declared.Name, Path: root.store.Link(), Generation: NoGeneration}
	if r.DryRun {
		return r.rehearseUpdate(ctx, root, overlay, conf, report)
	}
	apart, err := root.store.Check()
	if err != nil {
		return err
	}
	now := time.Now()
	built, err := r.buildImage(ctx, root, overlay, conf, now)
	if err != nil {
		return err
	}
	if err := root.locks.Check(); err != nil {
		return fmt.Errorf("%w; what is published stays as it is: run it again", err)
	}
	g := built.Generation
	if report.Changed = !built.Unchanged; report.Changed {
		endStep := r.beginStep("publish", root.declared.Name)
		g, err = root.store.Publish(built, now)
		if endStep(); err != nil {
			return err
		}
	}
	report.Repaired = apart != nil && built.Unchanged
	report.Generation, report.Size, report.Files = g.Number, g.Size, g.Files
	report.Read, report.Reused, report.Kernel, report.Full = g.Read, g.Reused, g.Kernel, built.Full
	defer r.beginStep("prune", root.declared.Name)()
	report.Pruned, err = root.store.Prune(r.farm.Image.Keep, r.farm.Image.KeepFor, now)
	r.report.Images = append(r.report.Images, report)
	return err
}

// buildImage makes the next generation of a chroot's image, beside the current one.
func (r *run) buildImage(ctx context.Context, root *clientRoot, overlay derivedFiles, conf []byte,
	now time.Time) (*image.Built, error) {
	defer r.beginStep("build", root.declared.Name)()
	source, err := r.newSource(root, overlay, conf)
	if err != nil {
		return nil, err
	}
	if err := root.store.Repair(now); err != nil {
		return nil, err
	}
	built, err := root.store.Build(ctx, source, now)
	if err != nil {
		return nil, err
	}
	for _, w := range built.Warnings {
		r.warn(fmt.Errorf("image of %s: %s", root.declared.Name, w))
	}
	return built, nil
}

// rehearseUpdate reports what updateImage would do.
func (r *run) rehearseUpdate(ctx context.Context, root *clientRoot, overlay derivedFiles, conf []byte,
	report Image) error {
	defer r.beginStep("build", root.declared.Name)()
	source, err := r.newSource(root, overlay, conf)
	if err != nil {
		return err
	}
	changed, g, err := root.store.WouldChange(ctx, source)
	if err != nil {
		return err
	}
	apart, err := root.store.Check()
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

// newSource returns what the image of a chroot is made of.
func (r *run) newSource(root *clientRoot, overlay derivedFiles, conf []byte) (image.Source, error) {
	options, err := r.imageOptions(root, overlay)
	if err != nil {
		return image.Source{}, err
	}
	options.Progress = func(p squashfs.Progress) {
		r.tellProgress("image "+root.declared.Name, p.Bytes, p.TotalBytes, "bytes")
	}
	search, err := newSecretSearch(root, r.farm)
	if err != nil {
		return image.Source{}, err
	}
	from := image.Source{Root: root.Path(), Options: options, Full: r.Full, Force: r.Force, Inspector: search}
	if conf != nil {
		from.Conf = &image.LTSConf{Data: conf}
	}
	return from, nil
}

// checkTree refuses a tree of which no image could be made, before anything is written into it.
func (r *run) checkTree(root *clientRoot) error {
	options, err := r.treeOptions(root)
	if err != nil {
		return err
	}
	return root.store.CheckSource(image.Source{Root: root.Path(), Options: options, Force: r.Force})
}

// treeOptions say what of a chroot's tree is in its image, and how that is made.
func (k *Keeper) treeOptions(root *clientRoot) (squashfs.Options, error) {
	compression, err := squashfs.ParseCompression(k.farm.Image.Compression)
	if err != nil {
		return squashfs.Options{}, err
	}
	epoch, err := readSourceDateEpoch()
	if err != nil {
		return squashfs.Options{}, err
	}
	options := squashfs.Options{
		Compression: compression, Exclude: root.exclude, Time: epoch,
		Mounts: []squashfs.Mount{}, SkipSnapshots: root.declared.ExcludeDefaults, IDOffset: root.declared.IDOffset,
		SetAnew: []string{"var/log/journal"}, // by systemd-tmpfiles, at each boot; every Debian has it
	}
	for _, m := range root.mounts {
		options.Mounts = append(options.Mounts, squashfs.Mount{Path: m.Path, ID: m.ID, IsTaken: m.IsTaken})
	}
	return options, nil
}

// imageOptions are treeOptions, with what the image holds in place of files of the tree.
func (k *Keeper) imageOptions(root *clientRoot, overlay derivedFiles) (squashfs.Options, error) {
	options, err := k.treeOptions(root)
	if err != nil {
		return squashfs.Options{}, err
	}
	if options.Overlay, err = root.redactSecrets(); err != nil {
		return squashfs.Options{}, err
	}
	for _, file := range overlay {
		path, err := root.Resolve(file.path) // where a client finds it, whatever links lead there
		if err != nil {
			return squashfs.Options{}, err
		}
		options.Overlay = append(options.Overlay,
			squashfs.OverlayFile{Path: path, Content: file.data, Mode: file.mode})
	}
	return options, nil
}

// currentOptions are imageOptions for those who only compare an image with the tree and the record.
func (k *Keeper) currentOptions(root *clientRoot) (squashfs.Options, error) {
	if root.isWritable() {
		return k.imageOptions(root, nil)
	}
	rec, err := k.loadRecord(true)
	if err != nil {
		return squashfs.Options{}, err
	}
	files, err := renderFiles(rec, root.declared)
	if err != nil {
		return squashfs.Options{}, err
	}
	programs, err := k.findPrograms(root)
	if err != nil {
		return squashfs.Options{}, err
	}
	return k.imageOptions(root, append(files, programs...))
}

// readSourceDateEpoch returns the time that SOURCE_DATE_EPOCH gives every image, or zero: the
// tree's own newest.
func readSourceDateEpoch() (time.Time, error) {
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
