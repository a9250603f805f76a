package image

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"ltskeeper/internal/clientfs"
	"ltskeeper/internal/regular"
	"ltskeeper/squashfs"
)

// A Source is what an image is made of.
type Source struct {
	Root    string           // of the tree
	Options squashfs.Options // Previous and Inspector are set by Build
	Conf    []byte           // the lts.conf that clients fetch beside the kernel; nil: not ltskeeper's to publish
	Full    bool             // read and compress everything anew
	// skip the checks that keep an image from clients which looks wrong or will not fit, but for its init
	Force bool

	Inspector Inspector // of the files in the image; may be nil
}

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
		return nil, fmt.Errorf("build image: %w", errors.Join(explain(err), s.clean()))
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
	number, err := s.next(current)
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
	if err := s.disk.removeAll(dir); err != nil {
		return nil, err
	}
	if err := s.disk.mkdirAll(dir); err != nil {
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
		same, err := s.sameConf(current, from.Conf)
		if err != nil {
			return nil, err
		}
		if same {
			b.Generation, b.Unchanged = s.record(current), true
			return b, s.inspected(current, from.inspection())
		}
		if err := s.linkImage(current, dir); err != nil {
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
		if err := s.disk.create(filepath.Join(dir, confFile), bytes.NewReader(from.Conf)); err != nil {
			return nil, err
		}
		b.Generation.Conf = digest(from.Conf)
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

// next is the number of the generation to be made: none that either side has or had last is used
// twice.
func (s *Store) next(current int) (int, error) {
	highest, err := s.highest()
	if err != nil {
		return 0, err
	}
	stranger, err := s.stranger() // comes first
	return max(0, current, highest, stranger) + 1, err
}

// highest is the highest number that either side has, None if there is none.
func (s *Store) highest() (int, error) {
	highest := None
	for _, dir := range []string{s.dir(), s.boot()} {
		numbers, err := numbered(dir)
		if err != nil {
			return None, err
		}
		for _, n := range numbers {
			highest = max(highest, n)
		}
	}
	return highest, nil
}

// linkImage gives the image and index of generation n a second name in dir.
func (s *Store) linkImage(n int, dir string) error {
	for _, name := range []string{imageFile, indexFile} {
		from := filepath.Join(s.folder(n), name)
		if name == indexFile && isFolder(from) {
			continue
		}
		err := s.disk.link(from, filepath.Join(dir, name))
		if err != nil && !(name == indexFile && errors.Is(err, fs.ErrNotExist)) {
			return err
		}
	}
	return nil
}

// WouldChange says whether Build would make a new generation, and which one is current. It writes
// nothing. An error is one that Build would give, too: of what it refuses, everything is looked for
// but an image that shrinks.
func (s *Store) WouldChange(ctx context.Context, from Source) (bool, Generation, error) {
	changed, g, err := s.wouldChange(ctx, from)
	if err == nil {
		err = from.verdict()
	}
	if err == nil && changed && !from.Force {
		err = s.room(g.Number)
	}
	if err != nil {
		return changed, g, fmt.Errorf("build image: %w", explain(err))
	}
	return changed, g, nil
}

func (s *Store) wouldChange(ctx context.Context, from Source) (bool, Generation, error) {
	current, err := s.Current()
	g := Generation{Number: current}
	sameConf := false
	if err == nil {
		_, err = s.judge(current, from)
	}
	if err == nil && current != None {
		g = s.record(current)
		sameConf, err = s.sameConf(current, from.Conf)
	}
	if err != nil {
		return true, g, err
	}
	options := from.Options
	options.Inspector = from.Inspector
	if from.Full || !s.madeHere(current) || g.Inspection != from.inspection() {
		// Build would look at every file.
		if _, err := squashfs.IsUnchanged(ctx, from.Root, options); err != nil {
			return true, g, err
		}
		options.Inspector = nil
	}
	previous, done, err := s.previous(current, from.Full)
	if err != nil && !regular.IsOdd(err) {
		return true, g, err
	}
	defer done()
	options.Previous = previous
	if previous == nil && options.Inspector == nil {
		return true, g, nil
	}
	same, err := squashfs.IsUnchanged(ctx, from.Root, options)
	return !same || !sameConf, g, err
}

// sameConf says whether generation n was published with this lts.conf.
func (s *Store) sameConf(n int, conf []byte) (bool, error) {
	have, err := regular.Read(filepath.Join(s.folder(n), confFile), regular.MaxText)
	if errors.Is(err, fs.ErrNotExist) {
		return conf == nil, nil
	}
	if regular.IsOdd(err) {
		return false, nil // the next generation gets one
	}
	return err == nil && conf != nil && bytes.Equal(have, conf), err
}

// digest names a content: its SHA-256 in hexadecimal.
func digest(data []byte) string { return fmt.Sprintf("%x", sha256.Sum256(data)) }

// ServedConf is the path of the lts.conf that clients fetch.
func (s *Store) ServedConf() string { return filepath.Join(s.boot(), "lts.conf") }

// ReadFile returns the content of a file of the current image, nil if there is no such file or no
// image.
func (s *Store) ReadFile(path string) ([]byte, error) {
	current, err := s.Current()
	if err != nil || current == None {
		return nil, err
	}
	return s.ReadFileOf(current, path)
}

// ReadFileOf is ReadFile for generation n.
func (s *Store) ReadFileOf(n int, path string) ([]byte, error) {
	img, err := openImage(filepath.Join(s.folder(n), imageFile))
	if err != nil {
		return nil, err
	}
	defer img.Close()
	place, info, err := clientfs.Stat(img.FS(), path)
	if clientfs.IsMissing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := regular.CheckSize(info.Size(), regular.MaxText); err != nil {
		return nil, fmt.Errorf("read %s in the image: %w", place, err)
	}
	content, err := img.FS().Open(place)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(content)
}
