// Package image keeps the generations of a client image: it builds a new one beside the others,
// publishes it by one rename, repairs what a crash left apart, and prunes what nobody needs.
//
// For a chroot called x86_64 the images' folder and the TFTP folder hold
//
//	images/x86_64.img -> x86_64/12/root.img  which generation is current; nothing else says so
//	images/x86_64/12/                        root.img, index, build.json, kernel, initrd, lts.conf
//	images/x86_64/held                       exists while the current generation is held
//	tftp/x86_64/12/                          kernel, initrd, lts.conf: the same bytes
//	tftp/x86_64/current -> 12
//	tftp/x86_64/vmlinuz -> current/kernel    and initrd.img, lts.conf
//
// All links are relative, so that a TFTP server confined to its root can follow them. The two
// folders may be on different file systems. A published generation never changes.
//
// The package does no locking: callers of methods that change something hold the lock of the farm.
package image

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"ltskeeper/internal/durable"
	"ltskeeper/internal/regular"
	"ltskeeper/internal/remedy"
)

// The files of a generation, in its folder.
const (
	imageFile  = "root.img"
	indexFile  = "index"
	recordFile = "build.json"
	kernelFile = "kernel"
	initrdFile = "initrd"
	confFile   = "lts.conf"
)

// bootFiles are what clients fetch over TFTP: the file of a generation, and its name in boot menus.
var bootFiles = []struct{ file, link string }{
	{kernelFile, "vmlinuz"},
	{initrdFile, "initrd.img"},
	{confFile, "lts.conf"},
}

// Names of what a run makes and has not finished. To a later run it is litter.
const (
	newFolder      = durable.TempPrefix + "new"
	strangerFolder = durable.TempPrefix + "stranger"
	oldPrefix      = durable.TempPrefix + "old-" // and the number of a generation that is being deleted

	// oldLinkPrefix began the name of an unfinished link before links were written as files are.
	oldLinkPrefix = durable.TempPrefix + "link-"
)

// A Store is the place of one chroot's generations.
type Store struct {
	Name   string // of the chroot
	Images string // folder of all images, absolute
	TFTP   string // folder of all chroots' TFTP folders, absolute

	disk durable.Disk
}

// Link returns the path that serves the current image.
func (s *Store) Link() string { return filepath.Join(s.Images, s.Name+".img") }

// ServedConf returns the path of the lts.conf that clients fetch.
func (s *Store) ServedConf() string { return filepath.Join(s.bootSide(), "lts.conf") }

// ReadServedConf reads the lts.conf that clients fetch. isFetched reports whether they can: a TFTP
// server gives away only what everybody may read. Whoever may write there could have put a link to
// a secret in its place.
func (s *Store) ReadServedConf() (data []byte, isFetched bool, err error) {
	f, err := regular.Open(s.ServedConf())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, err
	}
	var info fs.FileInfo
	if err == nil {
		defer f.Close()
		if info, err = f.Stat(); err != nil {
			return nil, false, err
		}
		data, err = regular.ReadOpened(f, regular.MaxText)
	}
	if err != nil {
		return nil, false,
			remedy.AttachTo(fmt.Errorf("read what clients fetch over TFTP: %w", err), remedy.Advice("move it away"))
	}
	return data, info.Mode()&0o004 != 0, nil
}

func (s *Store) imageSide() string       { return filepath.Join(s.Images, s.Name) }
func (s *Store) folder(n int) string     { return filepath.Join(s.imageSide(), strconv.Itoa(n)) }
func (s *Store) bootSide() string        { return filepath.Join(s.TFTP, s.Name) }
func (s *Store) bootFolder(n int) string { return filepath.Join(s.bootSide(), strconv.Itoa(n)) }

// linkTarget returns where Link leads while generation n is current.
func (s *Store) linkTarget(n int) string { return filepath.Join(s.Name, strconv.Itoa(n), imageFile) }

// A Generation is one build of the image, as its build.json describes it.
type Generation struct {
	Number   int       `json:"generation"`
	Current  bool      `json:"current"`
	Time     time.Time `json:"time"`               // of the build
	Size     int64     `json:"size"`               // of the image, bytes
	Files    int       `json:"files"`              // of every kind, hard links counted once
	Read     int64     `json:"read"`               // bytes of the tree that were read and compressed
	Reused   int64     `json:"reused"`             // compressed bytes taken over from the generation before
	Kernel   string    `json:"kernel,omitempty"`   // version of the kernel published with it
	Conf     string    `json:"lts_conf,omitempty"` // SHA-256 of the lts.conf published with it, in hexadecimal
	Replaced time.Time `json:"replaced,omitzero"`  // when another generation took its place

	Pinned  bool `json:"pinned,omitempty"`  // never pruned
	Foreign bool `json:"foreign,omitempty"` // somebody else's image, which was in the place of the current one

	Inspection string `json:"inspection,omitempty"` // the name of Source.Inspector

	// Published is false for a generation that was complete but never became current.
	Published bool `json:"published"`
}

// replaceLink is what to do about anything else in the place of the link.
var replaceLink = remedy.Steps{remedy.Advice("move it away"), remedy.Command{"update-image"}}

// Current returns the generation that NAME.img names, or nil if there is no such link, or a regular
// file in its place that ltskeeper has not taken over yet.
func (s *Store) Current() (*Generation, error) {
	target, err := os.Readlink(s.Link())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		if info, statErr := os.Lstat(s.Link()); statErr == nil {
			if err = regular.CheckKind(info.Mode()); err == nil {
				return nil, nil
			}
			err = remedy.AttachTo(fmt.Errorf("%s: %w, nor a link to a generation", s.Link(), err), replaceLink)
		}
		return nil, fmt.Errorf("read which generation is current: %w", err)
	}
	n, err := strconv.Atoi(filepath.Base(filepath.Dir(target)))
	if err != nil || n < 0 || target != s.linkTarget(n) {
		err := fmt.Errorf("%s is a link to %s, which is no generation of ltskeeper's", s.Link(), target)
		return nil, remedy.AttachTo(err, replaceLink)
	}
	g := s.readGeneration(n)
	g.Current = true
	return &g, nil
}

// isNumber reports whether g is generation n, and not nil.
func (g *Generation) isNumber(n int) bool { return g != nil && g.Number == n }

// isBuilt reports whether Build has made the generation, so that its image has an index.
func (g *Generation) isBuilt() bool { return g != nil && g.Number > 0 && !g.Foreign }

// List returns the generations, oldest first. Other folders are ignored.
func (s *Store) List() ([]Generation, error) {
	current, err := s.Current()
	if err != nil {
		return nil, err
	}
	numbers, err := listNumbers(s.imageSide())
	if err != nil {
		return nil, fmt.Errorf("list generations: %w", err)
	}
	var list []Generation
	for _, n := range numbers {
		g := s.readGeneration(n)
		g.Current = current.isNumber(n)
		if g.Published || g.Current {
			list = append(list, g)
		}
	}
	return list, nil
}

// listNumbers lists the folders of dir whose names are numbers, ascending.
func listNumbers(dir string) (numbers []int, err error) {
	entries, err := listFolder(dir)
	for _, e := range entries {
		n, err := strconv.Atoi(e.Name())
		if err == nil && e.IsDir() && strconv.Itoa(n) == e.Name() {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, err
}

// readGeneration reads what is known of a generation. Without a readable build.json, that is what
// its image tells: the record is for people, and its loss must neither stop the work nor cost the
// image.
func (s *Store) readGeneration(n int) Generation {
	g, _ := s.readRecord(n)
	return g
}

// readRecord is readGeneration for callers that write the record anew. They must not if there is an
// error: the disk does not give back a record that may still exist, or something that no run has
// written is in its place.
func (s *Store) readRecord(n int) (Generation, error) {
	g := Generation{Number: n}
	data, err := regular.Read(filepath.Join(s.folder(n), recordFile), regular.MaxRecord)
	if err == nil && json.Unmarshal(data, &g) == nil {
		g.Number = n
		return g, nil
	}
	g = Generation{Number: n}
	if info, err := os.Stat(filepath.Join(s.folder(n), imageFile)); err == nil {
		g.Time, g.Size, g.Published = info.ModTime().UTC(), info.Size(), true
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return g, err
}

// writeRecord replaces a generation's build.json.
func (s *Store) writeRecord(dir string, g Generation) error {
	return s.disk.Replace(s.prepareRecord(dir, g))
}

func (s *Store) prepareRecord(dir string, g Generation) ([]durable.Replacement, error) {
	g.Current = false // the link says so, nothing else
	data, err := json.MarshalIndent(g, "", "\t")
	if err != nil {
		return nil, err
	}
	return s.disk.PrepareFile(filepath.Join(dir, recordFile), bytes.NewReader(append(data, '\n')))
}
