package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"ltskeeper/internal/regular"
	"ltskeeper/squashfs"
)

// A Source is what an image is made of.
type Source struct {
	Root    string           // of the tree
	Options squashfs.Options // Previous and Inspector are set by Build
	Conf    *LTSConf         // nil if there is none, or if it is not ltskeeper's to publish
	Full    bool             // read and compress everything anew
	// skip the checks that keep an image from clients which looks wrong or will not fit, but for
	// its init
	Force bool

	Inspector Inspector // of the files in the image; may be nil
}

// An LTSConf is the lts.conf that clients fetch beside the kernel.
type LTSConf struct{ Data []byte }

// An Inspector judges an image by the files in it.
type Inspector interface {
	squashfs.Inspector
	// Name says what it looks for. An image that was built under another name is not built upon,
	// for nobody has looked for the same in it.
	Name() string
	// Verdict is asked when all files that are new have been inspected. An error keeps the image
	// from clients.
	Verdict() error
}

// inspection is the name of the source's inspector.
func (from *Source) inspection() string {
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

// Built is a generation that is complete and synced, but that no link leads to yet; or, if
// Unchanged, the current one.
type Built struct {
	Generation Generation
	Unchanged  bool
	Full       string   // why everything was compressed anew although there was a previous image
	Warnings   []string // what a person should know even of a quiet run
	dir        string
}

// Build makes the next generation from the tree, beside the others. It says so if that would be the
// current one again, and leaves nothing behind then, nor when it fails.
func (s *Store) Build(ctx context.Context, from Source, now time.Time) (*Built, error) {
	b, err := s.build(ctx, from, now)
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

func (s *Store) build(ctx context.Context, from Source, now time.Time) (*Built, error) {
	current, err := s.Current()
	if err != nil {
		return nil, err
	}
	number, err := s.nextNumber(current)
	if err != nil {
		return nil, err
	}
	kernel, err := s.judge(current, from)
	if err != nil {
		return nil, err
	}
	if !from.Force {
		if err := s.room(current); err != nil {
			return nil, err
		}
	}
	dir := filepath.Join(s.dir(), newFolder)
	if err := s.disk.RemoveAll(dir); err != nil {
		return nil, err
	}
	if err := s.disk.MkdirAll(dir); err != nil {
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
		same, err := s.sameConf(current.Number, from.Conf)
		if err != nil {
			return nil, err
		}
		if same {
			b.Generation, b.Unchanged = *current, true
			return b, s.inspected(current.Number, from.inspection())
		}
		if err := s.linkImage(current.Number, dir); err != nil {
			return nil, err
		}
	}
	b.Generation = Generation{
		Number: number, Time: now.UTC().Truncate(time.Second),
		Size: result.Size, Files: result.Inodes, Read: result.Read, Reused: result.Copied,
		Inspection: from.inspection(),
	}
	if b.Generation.Kernel, err = s.extractKernel(dir, kernel); err != nil {
		return nil, err
	}
	if from.Conf != nil {
		if err := s.disk.Create(filepath.Join(dir, confFile), bytes.NewReader(from.Conf.Data)); err != nil {
			return nil, err
		}
		b.Generation.Conf = digest(from.Conf.Data)
	}
	if err := s.sound(ctx, dir); err != nil {
		return nil, err
	}
	if !from.Force {
		if err := forceable(s.checkSize(current, dir)); err != nil {
			return nil, err
		}
	}
	return b, s.writeRecord(dir, b.Generation) // the last name in dir: it syncs them all
}

// inspected writes down what generation n was inspected for, where that is news. A record that
// cannot be read stays as it is.
func (s *Store) inspected(n int, inspection string) error {
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
	for _, dir := range []string{s.dir(), s.boot()} {
		numbers, err := numbered(dir)
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
		if name == indexFile && isFolder(from) {
			continue
		}
		err := s.disk.Link(from, filepath.Join(dir, name))
		if err != nil && !(name == indexFile && errors.Is(err, fs.ErrNotExist)) {
			return err
		}
	}
	return nil
}

// WouldChange reports whether Build would make a new generation, and which one is current, nil if
// none is. It writes nothing. An error is one that Build would return, too: it looks for everything
// that Build refuses except an image that shrinks.
func (s *Store) WouldChange(ctx context.Context, from Source) (bool, *Generation, error) {
	current, err := s.Current()
	changed := true
	if err == nil {
		changed, err = s.wouldChange(ctx, from, current)
	}
	if err == nil {
		err = from.verdict()
	}
	if err == nil && changed && !from.Force {
		err = s.room(current)
	}
	if err != nil {
		return changed, current, fmt.Errorf("build image: %w", explainFull(err))
	}
	return changed, current, nil
}

func (s *Store) wouldChange(ctx context.Context, from Source, current *Generation) (bool, error) {
	if _, err := s.judge(current, from); err != nil {
		return true, err
	}
	sameConf, err := false, error(nil)
	if current != nil {
		if sameConf, err = s.sameConf(current.Number, from.Conf); err != nil {
			return true, err
		}
	}
	options := from.Options
	options.Inspector = from.Inspector
	if from.Full || !current.isBuilt() || current.Inspection != from.inspection() {
		// Build would look at every file.
		if _, err := squashfs.IsUnchanged(ctx, from.Root, options); err != nil {
			return true, err
		}
		options.Inspector = nil
	}
	previous, done, err := s.previous(current, from.Full)
	if err != nil && !regular.IsOdd(err) {
		return true, err
	}
	defer done()
	options.Previous = previous
	if previous == nil && options.Inspector == nil {
		return true, nil
	}
	same, err := squashfs.IsUnchanged(ctx, from.Root, options)
	return !same || !sameConf, err
}

// sameConf reports whether generation n was published with this lts.conf.
func (s *Store) sameConf(n int, conf *LTSConf) (bool, error) {
	have, err := s.ReadConf(n)
	if regular.IsOdd(err) {
		return false, nil // the next generation gets one
	}
	if have == nil || conf == nil {
		return have == nil && conf == nil, err
	}
	return bytes.Equal(have.Data, conf.Data), err
}
