package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ltskeeper/internal/regular"
)

// heldFile, beside the generations, exists while the current one is held, and says since when.
const heldFile = "held"

// HeldSince returns since when the current generation is held, zero if it is not. A file that does
// not say since when holds it, too, since it was written.
func (s *Store) HeldSince() (time.Time, error) {
	path := filepath.Join(s.imageSide(), heldFile)
	data, err := regular.Read(path, regular.MaxRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return time.Time{}, nil
	}
	if err != nil && !regular.IsOdd(err) {
		return time.Time{}, fmt.Errorf("read whether %s is held: %w", s.Name, err)
	}
	since, err := time.Parse(time.RFC3339, strings.TrimSpace(string(data)))
	if err == nil {
		return since, nil
	}
	info, err := os.Lstat(path)
	if err != nil {
		return time.Time{}, fmt.Errorf("read whether %s is held: %w", s.Name, err)
	}
	return info.ModTime().UTC(), nil
}

// Release ends the hold.
func (s *Store) Release() error {
	if err := s.disk.Remove(filepath.Join(s.imageSide(), heldFile)); err != nil {
		return fmt.Errorf("release %s: %w", s.Name, err)
	}
	return s.disk.SyncFolder(s.imageSide())
}

// Before returns the number of the generation before the current one.
func (s *Store) Before() (int, error) {
	list, err := s.List()
	if err != nil {
		return 0, err
	}
	switch i := slices.IndexFunc(list, func(g Generation) bool { return g.Current }); i {
	case -1:
		return 0, ErrNone
	case 0:
		return 0, fmt.Errorf("%s has no generation before %d to go back to", s.Name, list[0].Number)
	default:
		return list[i-1].Number, nil
	}
}

// Rollback makes generation n current again, its image, kernel, initrd and lts.conf together, and
// holds it: nothing new is built until Release, because the tree that the bad image was made of
// still exists.
func (s *Store) Rollback(n int, now time.Time) (Generation, error) {
	if err := s.switchBack(n, now); err != nil {
		return Generation{},
			fmt.Errorf("go back to generation %d of %s: %w", n, s.Name, errors.Join(explainFull(err), s.clean()))
	}
	g := s.readGeneration(n)
	g.Current = true
	return g, nil
}

func (s *Store) switchBack(n int, now time.Time) error {
	if err := s.checkExists(n); err != nil {
		return err
	}
	if _, err := regular.Stat(filepath.Join(s.folder(n), imageFile)); err != nil {
		return err
	}
	if n != 0 {
		if err := s.restageBoot(n); err != nil {
			return err
		}
	}
	since := strings.NewReader(now.UTC().Format(time.RFC3339) + "\n")
	held, err := s.disk.PrepareFile(filepath.Join(s.imageSide(), heldFile), since)
	if err != nil {
		return err
	}
	return s.switchTo(n, now, held) // held first: after a crash, the next update must not bring the bad tree back
}

// Missed lists the names under TFTP by which clients boot now, and which would lead nowhere after
// Rollback to generation n. A generation that somebody else made has no kernel and no initrd if
// they were never served beside it.
func (s *Store) Missed(n int) ([]string, error) {
	if s.checkExists(n) != nil {
		return nil, nil // Rollback says so
	}
	current, err := s.Current()
	if err != nil || current == nil {
		return nil, err
	}
	kept := s.folder(n)
	if n == 0 {
		kept = s.bootFolder(0)
	}
	var missed []string
	for _, b := range bootFiles {
		_, served := os.Stat(filepath.Join(s.bootFolder(current.Number), b.file))
		if _, err := os.Stat(filepath.Join(kept, b.file)); b.file != confFile && served == nil &&
			errors.Is(err, fs.ErrNotExist) {
			missed = append(missed, filepath.Join(s.bootSide(), b.link))
		}
	}
	return missed, nil
}

// Pin keeps generation n from being pruned.
func (s *Store) Pin(n int) error { return s.setPinned(n, true) }

// Unpin lets generation n be pruned again.
func (s *Store) Unpin(n int) error { return s.setPinned(n, false) }

func (s *Store) setPinned(n int, pinned bool) error {
	if err := s.checkExists(n); err != nil {
		return err
	}
	g, err := s.readRecord(n)
	if err == nil && g.Pinned != pinned {
		g.Pinned = pinned
		err = s.writeRecord(s.folder(n), g)
	}
	if err != nil {
		return fmt.Errorf("pin generation %d of %s: %w", n, s.Name, err)
	}
	return nil
}
