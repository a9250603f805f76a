// Package image keeps the generations of a client image: it builds a new one beside the others,
// publishes it by one rename, repairs what a crash left apart, and prunes what nobody needs.
//
// For a chroot called x86_64 the images' folder and the TFTP folder hold
//
//	images/x86_64.img -> x86_64/12/root.img    which generation is current; nothing else says so
//	images/x86_64/12/                          root.img, index, build.json, kernel, initrd, lts.conf
//	images/x86_64/held                         there while the current generation is held
//	tftp/x86_64/12/                            kernel, initrd, lts.conf: the same bytes
//	tftp/x86_64/current -> 12
//	tftp/x86_64/vmlinuz -> current/kernel      and initrd.img, lts.conf
//
// All links are relative, so that a TFTP server confined to its root can follow them. The two
// folders may lie on different file systems. A generation never changes once it is there.
//
// The package does no locking: whoever calls Repair, Build, Publish or Prune holds the lock of the
// farm. List, Current and Check only look.
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
	"strings"
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

// bootFiles are what clients fetch over TFTP: the file of a generation, and the name that boot
// menus know it by.
var bootFiles = []struct{ file, link string }{
	{kernelFile, "vmlinuz"},
	{initrdFile, "initrd.img"},
	{confFile, "lts.conf"},
}

// Names of what a run makes and has not finished. Whatever begins so is litter to a later run.
const (
	newFolder      = durable.TempPrefix + "new"
	strangerFolder = durable.TempPrefix + "stranger"
	oldPrefix      = durable.TempPrefix + "old-" // and the number of a generation that is being deleted
)

// A Store is the place of one chroot's generations.
type Store struct {
	Name   string // of the chroot
	Images string // folder of all images, absolute
	TFTP   string // folder of all chroots' TFTP folders, absolute

	disk durable.Disk
}

// Link is the path that serves the current image.
func (s *Store) Link() string { return filepath.Join(s.Images, s.Name+".img") }

// ServedConf is the path of the lts.conf that clients fetch.
func (s *Store) ServedConf() string { return filepath.Join(s.boot(), "lts.conf") }

func (s *Store) dir() string         { return filepath.Join(s.Images, s.Name) }
func (s *Store) folder(n int) string { return filepath.Join(s.dir(), strconv.Itoa(n)) }
func (s *Store) boot() string        { return filepath.Join(s.TFTP, s.Name) }
func (s *Store) bootFolder(n int) string {
	return filepath.Join(s.boot(), strconv.Itoa(n))
}

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
	Foreign bool `json:"foreign,omitempty"` // somebody else's image, that stood where the current one belongs

	Inspection string `json:"inspection,omitempty"` // the name of Source.Inspector

	// Published is false for a generation that was complete but never became current.
	Published bool `json:"published"`
}

// replaceLink is what to do about something else in the place of the link.
var replaceLink = remedy.Steps{remedy.Advice("move it away"), remedy.Command{"update-image"}}

// Current returns the generation that NAME.img names, or nil if there is no such link. A regular
// file in its place is one that ltskeeper has not taken over yet: nil as well.
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
	folder, ok := strings.CutSuffix(target, "/"+imageFile)
	number, ok2 := strings.CutPrefix(folder, s.Name+"/")
	n, err := strconv.Atoi(number)
	if !ok || !ok2 || err != nil || n < 0 {
		err := fmt.Errorf("%s is a link to %s, which is no generation of ltskeeper's", s.Link(), target)
		return nil, remedy.AttachTo(err, replaceLink)
	}
	g := s.record(n)
	g.Current = true
	return &g, nil
}

// isNumber reports whether g is generation n. No generation, nil, has a number.
func (g *Generation) isNumber(n int) bool { return g != nil && g.Number == n }

// isBuilt reports whether Build has made the generation, so that there is an index of its image.
func (g *Generation) isBuilt() bool { return g != nil && g.Number > 0 && !g.Foreign }

// List returns the generations, oldest first. Folders that are none are passed over.
func (s *Store) List() ([]Generation, error) {
	current, err := s.Current()
	if err != nil {
		return nil, err
	}
	numbers, err := numbered(s.dir())
	if err != nil {
		return nil, fmt.Errorf("list generations: %w", err)
	}
	var list []Generation
	for _, n := range numbers {
		g := s.record(n)
		g.Current = current.isNumber(n)
		if g.Published || g.Current {
			list = append(list, g)
		}
	}
	return list, nil
}

// numbered lists the folders of dir whose names are numbers, ascending; none if dir is not there.
func numbered(dir string) ([]int, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var numbers []int
	for _, e := range entries {
		n, err := strconv.Atoi(e.Name())
		if err == nil && e.IsDir() && strconv.Itoa(n) == e.Name() {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// record reads what is known of a generation. One without a readable build.json is described by its
// image alone: the record is for people, and its loss must not stop the work nor cost the image.
func (s *Store) record(n int) Generation {
	g, _ := s.readRecord(n)
	return g
}

// readRecord is record for who writes it anew. The error is that of a disk which does not give back
// what may still be there, or says that something stands there which no run has written: that is
// left to a person.
func (s *Store) readRecord(n int) (g Generation, unread error) {
	data, err := regular.Read(filepath.Join(s.folder(n), recordFile), regular.MaxRecord)
	if err == nil {
		err = json.Unmarshal(data, &g)
	} else if !errors.Is(err, fs.ErrNotExist) {
		unread = err
	}
	if err != nil {
		g = Generation{}
		if info, statErr := os.Stat(filepath.Join(s.folder(n), imageFile)); statErr == nil {
			g.Time, g.Size, g.Published = info.ModTime().UTC(), info.Size(), true
		}
	}
	g.Number = n
	return g, unread
}

// writeRecord replaces a generation's build.json.
func (s *Store) writeRecord(dir string, g Generation) error {
	ready, err := s.readyRecord(dir, g)
	if err != nil {
		return err
	}
	return s.disk.Replace(ready)
}

func (s *Store) readyRecord(dir string, g Generation) (durable.Replacement, error) {
	g.Current = false // the link says so, nothing else
	data, err := json.MarshalIndent(g, "", "\t")
	if err != nil {
		return durable.Replacement{}, err
	}
	return s.disk.PrepareFile(filepath.Join(dir, recordFile), bytes.NewReader(append(data, '\n')))
}
