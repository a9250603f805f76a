package image

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ltskeeper/internal/durable"
	"ltskeeper/internal/testkit"

	"golang.org/x/sys/unix"
)

// A history is a file system as a Store's steps make it: what programs see, and what a power cut
// would leave.
//
// It promises no more than POSIX and the kernel's documentation do. The content of a file lasts
// from its sync on; before, it may be anything. A name, or that a name is gone, lasts from the sync
// of its folder on; before, each change of a name may have reached the disk or not, whatever
// happened to the changes before and after it.
type history struct {
	base    string // where it is on the real disk
	root    *node
	pending []rename // changes of names that may not last, in order
}

// A node is a file, a folder or a symbolic link, under as many names as lead to it.
type node struct {
	kind          fs.FileMode
	target        string // of a link
	content       string // of a file, as it was synced
	live, lasting map[string]*node
}

// A rename is any change of names in one folder: one may go, one may come, or both in one step.
type rename struct {
	folder   *node
	old, new string
	node     *node
}

func (r rename) apply(names map[string]*node) {
	delete(names, r.old)
	if r.new != "" {
		names[r.new] = r.node
	}
}

// unsynced is what a file holds that was never synced: anything.
const unsynced = "\x00not what was written"

// newHistory begins with what is below base. All of it lasts.
func newHistory(base string) (*history, error) {
	root, err := readNode(base, map[uint64]*node{})
	return &history{base: base, root: root}, err
}

func readNode(path string, seen map[uint64]*node) (*node, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return nil, err
	}
	if n := seen[st.Ino]; n != nil {
		return n, nil
	}
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	n := &node{kind: info.Mode().Type()}
	seen[st.Ino] = n
	switch {
	case n.kind.IsDir():
		n.live, n.lasting = map[string]*node{}, map[string]*node{}
		entries, err := os.ReadDir(path)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			child, err := readNode(filepath.Join(path, e.Name()), seen)
			if err != nil {
				return nil, err
			}
			n.live[e.Name()], n.lasting[e.Name()] = child, child
		}
	case n.kind == fs.ModeSymlink:
		n.target, err = os.Readlink(path)
	default:
		var data []byte
		data, err = os.ReadFile(path)
		n.content = string(data)
	}
	return n, err
}

// at finds what programs see at a path of the real disk.
func (h *history) at(path string) (*node, error) {
	rest, below := strings.CutPrefix(path, h.base)
	if !below {
		return nil, fmt.Errorf("%s is not below %s", path, h.base)
	}
	n := h.root
	for name := range strings.SplitSeq(strings.Trim(rest, "/"), "/") {
		if name == "" {
			continue
		}
		if n = n.live[name]; n == nil {
			return nil, fmt.Errorf("nothing is known of %s", path)
		}
	}
	return n, nil
}

// note takes a step down.
func (h *history) note(s durable.Step) error {
	if s.Op == "sync" || s.Op == "syncdir" {
		return h.sync(s)
	}
	folder, err := h.at(filepath.Dir(s.Path))
	if err != nil {
		return err
	}
	name := filepath.Base(s.Path)
	r := rename{folder: folder, new: name}
	switch s.Op {
	case "create":
		r.node = &node{content: unsynced}
	case "mkdir":
		r.node = &node{kind: fs.ModeDir, live: map[string]*node{}, lasting: map[string]*node{}}
	case "symlink":
		r.node = &node{kind: fs.ModeSymlink, target: s.From}
	case "link":
		r.node, err = h.at(s.From)
	case "rename":
		if filepath.Dir(s.From) != filepath.Dir(s.Path) {
			return fmt.Errorf("rename of %s to another folder, %s: whether it lasts is beyond this model", s.From,
				s.Path)
		}
		r.old = filepath.Base(s.From)
		r.node, err = h.at(s.From)
	case "remove":
		r.old, r.new = name, ""
	default:
		return fmt.Errorf("unknown step %q", s.Op)
	}
	if err != nil {
		return err
	}
	r.apply(folder.live)
	h.pending = append(h.pending, r)
	return nil
}

func (h *history) sync(s durable.Step) error {
	n, err := h.at(s.Path)
	if err != nil {
		return err
	}
	if s.Op == "sync" {
		data, err := os.ReadFile(s.Path)
		n.content = string(data)
		return err
	}
	var rest []rename
	for _, r := range h.pending {
		if r.folder == n {
			r.apply(n.lasting)
		} else {
			rest = append(rest, r)
		}
	}
	h.pending = rest
	return nil
}

// A tree is what stands below a folder: paths, with "dir", "link TARGET" or "file CONTENT".
type tree map[string]string

// seen is what programs see.
func (h *history) seen() tree {
	return flatten(h.root, func(n *node) map[string]*node { return n.live })
}

// cuts are trees that a power cut may leave: with none of the changes that were not synced, with
// all, with each alone, and with all but each. Equal ones come once.
func (h *history) cuts() []tree {
	var cuts []tree
	add := func(keep func(i int) bool) {
		cut := flatten(h.root, func(n *node) map[string]*node {
			names := maps.Clone(n.lasting)
			for i, r := range h.pending {
				if r.folder == n && keep(i) {
					r.apply(names)
				}
			}
			return names
		})
		if !slices.ContainsFunc(cuts, func(c tree) bool { return maps.Equal(c, cut) }) {
			cuts = append(cuts, cut)
		}
	}
	add(func(int) bool { return false })
	add(func(int) bool { return true })
	for one := range h.pending {
		add(func(i int) bool { return i == one })
		add(func(i int) bool { return i != one })
	}
	return cuts
}

func flatten(root *node, names func(*node) map[string]*node) tree {
	t := tree{}
	var walk func(path string, n *node)
	walk = func(path string, n *node) {
		switch {
		case n.kind.IsDir():
			t[path] = "dir"
			for name, child := range names(n) {
				walk(filepath.Join(path, name), child)
			}
		case n.kind == fs.ModeSymlink:
			t[path] = "link " + n.target
		default:
			t[path] = "file " + n.content
		}
	}
	walk(".", root)
	return t
}

// photograph is the tree that stands below dir on the real disk.
func photograph(t *testing.T, dir string) tree {
	t.Helper()
	h, err := newHistory(dir)
	testkit.Must(t, err)
	return h.seen()
}

// lay makes the tree anew in the folder dir.
func (all tree) lay(t *testing.T, dir string) {
	t.Helper()
	for _, path := range slices.Sorted(maps.Keys(all)) {
		at := filepath.Join(dir, path)
		kind, what, _ := strings.Cut(all[path], " ")
		var err error
		switch kind {
		case "dir":
			if err = os.Mkdir(at, 0o755); errors.Is(err, fs.ErrExist) {
				err = nil
			}
		case "link":
			err = os.Symlink(what, at)
		default:
			err = os.WriteFile(at, []byte(what), 0o644)
		}
		testkit.Must(t, err)
	}
}

// without is the tree with the contents of files that were never synced left open, as nobody can
// know them.
func (all tree) without(contents tree) tree {
	open := maps.Clone(all)
	for path, what := range contents {
		if what == "file "+unsynced && strings.HasPrefix(open[path], "file ") {
			open[path] = what
		}
	}
	return open
}

// A power cut loses what was not synced, and nothing else.
func TestHistory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	testkit.Must(t, os.WriteFile(filepath.Join(dir, "old"), []byte("old"), 0o644))
	h, err := newHistory(dir)
	testkit.Must(t, err)
	d := durable.Disk{Did: func(s durable.Step) { testkit.Must(t, h.note(s)) }}
	check := func(when string, want ...tree) {
		t.Helper()
		cuts := h.cuts()
		for _, w := range want {
			w["."] = "dir"
			if !slices.ContainsFunc(cuts, func(c tree) bool { return maps.Equal(c, w) }) {
				t.Errorf("%s: no cut leaves %q; they leave %q", when, w, cuts)
			}
		}
		if len(cuts) != len(want) {
			t.Errorf("%s: cuts leave %q, want %q", when, cuts, want)
		}
		if seen := photograph(t, dir); !maps.Equal(seen.without(h.seen()), h.seen()) {
			t.Errorf("%s: on the disk is %q, the history has %q", when, seen, h.seen())
		}
	}
	check("at first", tree{"old": "file old"})
	f, err := d.Open(filepath.Join(dir, "new"))
	testkit.Must(t, err)
	_, err = f.WriteString("new")
	testkit.Must(t, err)
	check("written", tree{"old": "file old"}, tree{"old": "file old", "new": "file " + unsynced})
	old := filepath.Join(dir, "old")
	testkit.Must(t, os.Rename(f.Name(), old))
	d.Did(durable.Step{Op: "rename", Path: old, From: f.Name()})
	check("renamed, not synced", tree{"old": "file old"}, tree{"old": "file old", "new": "file " + unsynced},
		tree{"old": "file " + unsynced})
	testkit.Must(t, d.SyncFolder(dir))
	check("only the folder synced", tree{"old": "file " + unsynced})
	testkit.Must(t, f.Close())
	testkit.Must(t, d.Write(filepath.Join(dir, "old"), strings.NewReader("newer")))
	check("replaced as it should be", tree{"old": "file newer"})
	testkit.Must(t, d.Link(filepath.Join(dir, "old"), filepath.Join(dir, "second")))
	testkit.Must(t, d.Remove(filepath.Join(dir, "old")))
	check("renamed in two steps", tree{"old": "file newer"}, tree{"old": "file newer", "second": "file newer"},
		tree{"second": "file newer"}, tree{})
}
