package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"ltskeeper/internal/kernels"
	"ltskeeper/internal/regular"
	"ltskeeper/internal/remedy"
	"ltskeeper/squashfs"
)

// A Source is what an image is made of.
type Source struct {
	Root    string           // of the tree
	Options squashfs.Options // Previous and Inspector are set by Build
	Conf    *LTSConf         // nil if there is none, or if it is not ltskeeper's to publish
	Full    bool             // read and compress everything anew
	Force   bool             // skip the checks that Build lets a person override

	Inspector Inspector // of the files in the image; may be nil
}

// An LTSConf is the lts.conf that clients fetch beside the kernel.
type LTSConf struct{ Data []byte }

// An Inspector judges an image by the files in it.
type Inspector interface {
	squashfs.Inspector
	// Name returns what it looks for. An image that was built under another name is not built upon,
	// because nobody has looked for the same in it.
	Name() string
	// Verdict is called when all new files have been inspected. An error keeps the image from
	// clients.
	Verdict() error
}

// inspectorName returns the name of the source's inspector, "" if it has none.
func (from *Source) inspectorName() string {
	if from.Inspector == nil {
		return ""
	}
	return from.Inspector.Name()
}

func (from *Source) verdict() error {
	if from.Inspector == nil {
		return nil
	}
	return from.Inspector.Verdict()
}

// Built is a generation that is complete and synced, but that no link leads to yet. If Unchanged is
// true, it is the current one.
type Built struct {
	Generation Generation
	Unchanged  bool
	Full       string   // why nothing was taken over from a previous image, if there is one
	Warnings   []string // what a person should know even after a quiet run
	dir        string
}

// Build makes the next generation from the tree, beside the others. It leaves nothing behind if
// that would be the current one again, or if it fails. Unless forced, it refuses an image that
// looks wrong or that there is no room for. Nothing overrides the checks of its init and its
// owners.
func (s *Store) Build(ctx context.Context, from Source, now time.Time) (*Built, error) {
	b, err := s.buildNext(ctx, from, now)
	if err != nil {
		return nil, fmt.Errorf("build image: %w", errors.Join(explainFull(err), s.clean()))
	}
	if b.Unchanged {
		if err := s.clean(); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (s *Store) buildNext(ctx context.Context, from Source, now time.Time) (*Built, error) {
	current, err := s.Current()
	if err != nil {
		return nil, err
	}
	number, err := s.nextNumber(current)
	if err != nil {
		return nil, err
	}
	kernel, err := s.checkTree(current, from)
	if err != nil {
		return nil, err
	}
	if !from.Force {
		if err := s.checkFreeSpace(current); err != nil {
			return nil, err
		}
	}
	dir := filepath.Join(s.imageSide(), newFolder)
	if err := s.disk.MkdirNew(dir); err != nil {
		return nil, err
	}
	result, err := s.squash(ctx, from, current, dir)
	if err != nil {
		return nil, err
	}
	if err := from.verdict(); err != nil {
		return nil, err
	}
	b := &Built{Full: result.full, Warnings: result.warnings, dir: dir}
	if result.Unchanged {
		same, err := s.hasConf(current.Number, from.Conf)
		if err != nil {
			return nil, err
		}
		if same {
			b.Generation, b.Unchanged = *current, true
			return b, s.recordInspection(current.Number, from.inspectorName())
		}
		if err := s.linkImage(current.Number, dir); err != nil {
			return nil, err
		}
	}
	b.Generation = Generation{
		Number: number, Time: now.UTC().Truncate(time.Second),
		Size: result.Size, Files: result.Inodes, Read: result.Read, Reused: result.Copied,
		Inspection: from.inspectorName(),
	}
	if b.Generation.Kernel, err = s.extractKernel(dir, kernel); err != nil {
		return nil, err
	}
	if from.Conf != nil {
		if err := s.disk.Create(filepath.Join(dir, confFile), bytes.NewReader(from.Conf.Data)); err != nil {
			return nil, err
		}
		b.Generation.Conf = hashContent(from.Conf.Data)
	}
	if err := s.verifyWritten(ctx, dir); err != nil {
		return nil, err
	}
	if !from.Force {
		if err := adviseForce(s.checkNotShrunk(current, dir)); err != nil {
			return nil, err
		}
	}
	return b, s.writeRecord(dir, b.Generation) // the last name in dir: it syncs them all
}

// recordInspection notes what generation n was inspected for. A record that cannot be read stays as
// it is.
func (s *Store) recordInspection(n int, inspection string) error {
	g, unread := s.readRecord(n)
	if unread != nil || g.Inspection == inspection {
		return nil
	}
	g.Inspection = inspection
	return s.writeRecord(s.folder(n), g)
}

// nextNumber returns the number of the generation to be made. No number that either side has, or
// had last, is used twice.
func (s *Store) nextNumber(current *Generation) (int, error) {
	next, err := s.firstUnused()
	if err != nil {
		return 0, err
	}
	if current != nil {
		next = max(next, current.Number+1) // its folder may be gone
	}
	stranger, found, err := s.numberStranger()
	if found {
		next = max(next, stranger+1)
	}
	return max(1, next), err
}

// firstUnused returns the lowest number that is higher than all that either side has.
func (s *Store) firstUnused() (int, error) {
	unused := 0
	for _, dir := range []string{s.imageSide(), s.bootSide()} {
		numbers, err := listNumbers(dir)
		if err != nil {
			return 0, err
		}
		for _, n := range numbers {
			unused = max(unused, n+1)
		}
	}
	return unused, nil
}

// linkImage gives the image and index of generation n a second name in dir.
func (s *Store) linkImage(n int, dir string) error {
	for _, name := range []string{imageFile, indexFile} {
		from := filepath.Join(s.folder(n), name)
		if name == indexFile && !isRegular(from) {
			continue // it is made anew when it is needed
		}
		if err := s.disk.Link(from, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// extractKernel copies the kernel and initrd of the image in the folder dir beside it, and returns
// the kernel's version. It must be the kernel that was chosen before the image was built; nil if
// there is none, and clients get their kernel some other way.
func (s *Store) extractKernel(dir string, chosen *kernels.Kernel) (version string, err error) {
	img, err := openImage(filepath.Join(dir, imageFile))
	if err != nil {
		return "", err
	}
	defer img.Close()
	kernel, err := kernels.Choose(img.FS())
	if err != nil {
		return "", err
	}
	if kernel == nil && chosen == nil {
		return "", nil
	}
	if kernel == nil || chosen == nil || *kernel != *chosen {
		err := errors.New("the kernels in the tree changed while the image was built")
		return "", remedy.AttachTo(err, remedy.Advice("run it again"))
	}
	for _, f := range []struct{ place, name string }{{kernel.Path, kernelFile}, {kernel.Initrd, initrdFile}} {
		content, err := img.FS().Open(f.place)
		if err == nil {
			err = s.disk.Create(filepath.Join(dir, f.name), content)
		}
		if err != nil {
			return "", fmt.Errorf("copy %s out of the image: %w", f.place, err)
		}
	}
	return kernel.Version, nil
}

// WouldChange reports whether Build would make a new generation, and which one is current, nil if
// none is. It writes nothing. An error is one that Build would return, too: it looks for everything
// that Build refuses except an image that shrinks.
func (s *Store) WouldChange(ctx context.Context, from Source) (bool, *Generation, error) {
	current, err := s.Current()
	changed := true
	if err == nil {
		changed, err = s.isChanged(ctx, from, current)
	}
	if err == nil {
		err = from.verdict()
	}
	if err == nil && changed && !from.Force {
		err = s.checkFreeSpace(current)
	}
	if err != nil {
		return changed, current, fmt.Errorf("build image: %w", explainFull(err))
	}
	return changed, current, nil
}

func (s *Store) isChanged(ctx context.Context, from Source, current *Generation) (bool, error) {
	if _, err := s.checkTree(current, from); err != nil {
		return true, err
	}
	options := from.Options
	options.Inspector = from.Inspector
	if from.Full || !current.isBuilt() || current.Inspection != from.inspectorName() {
		// Build would look at every file.
		if _, err := squashfs.IsUnchanged(ctx, from.Root, options); err != nil {
			return true, err
		}
		options.Inspector = nil
	}
	previous, done, err := s.openPrevious(current, from.Full)
	if err != nil && !regular.IsOdd(err) {
		return true, err
	}
	defer done()
	options.Previous = previous
	if previous == nil && options.Inspector == nil {
		return true, nil
	}
	same, err := squashfs.IsUnchanged(ctx, from.Root, options)
	if err == nil && same {
		same, err = s.hasConf(current.Number, from.Conf)
	}
	return !same, err
}

// hasConf reports whether generation n was published with this lts.conf.
func (s *Store) hasConf(n int, conf *LTSConf) (bool, error) {
	have, err := s.ReadConf(n)
	switch {
	case regular.IsOdd(err):
		return false, nil // the next generation gets one
	case err != nil || have == nil || conf == nil:
		return have == nil && conf == nil, err
	}
	return bytes.Equal(have.Data, conf.Data), nil
}
