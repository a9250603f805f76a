package squashfs

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ltskeeper/internal/testkit"
)

// describe turns differences into lines: "+ path", "- path" or "path: what".
func describe(differences []Difference) (lines []string) {
	for _, d := range differences {
		switch {
		case d.Old == nil:
			lines = append(lines, "+ "+d.Path)
		case d.New == nil:
			lines = append(lines, "- "+d.Path)
		default:
			lines = append(lines, d.Path+": "+strings.Join(d.What, " "))
		}
	}
	return lines
}

// edits change a tree made by editable, each with what differs then.
var edits = map[string]struct {
	edit func(t *tortureTree, path func(string) string) error
	want []string
}{
	"nothing": {
		func(t *tortureTree, path func(string) string) error { return nil },
		nil,
	},
	"add": {
		func(t *tortureTree, path func(string) string) error {
			return os.WriteFile(path("b/new"), []byte("x"), 0o644)
		},
		[]string{"b: mtime", "+ b/new"},
	},
	"remove": {
		func(t *tortureTree, path func(string) string) error { return os.RemoveAll(path("b/c")) },
		[]string{"b: mtime", "- b/c", "- b/c/d"},
	},
	"rename": {
		func(t *tortureTree, path func(string) string) error { return os.Rename(path("b/c"), path("b/cc")) },
		[]string{"b: mtime", "- b/c", "- b/c/d", "+ b/cc", "+ b/cc/d"},
	},
	"edit in place, keeping size and time": {
		func(t *tortureTree, path func(string) string) error {
			content, err := os.ReadFile(path("large"))
			content[len(content)/2] ^= 1
			return errors.Join(err, os.WriteFile(path("large"), content, 0o644), t.oldTime(path("large")))
		},
		[]string{"large: content"},
	},
	"edit the tail": {
		func(t *tortureTree, path func(string) string) error {
			content, err := os.ReadFile(path("large"))
			content[len(content)-1] ^= 1
			return errors.Join(err, os.WriteFile(path("large"), content, 0o644), t.oldTime(path("large")))
		},
		[]string{"large: content"},
	},
	"edit a small file": {
		func(t *tortureTree, path func(string) string) error {
			return errors.Join(os.WriteFile(path("a"), []byte("A"), 0o644), t.oldTime(path("a")))
		},
		[]string{"a: content"},
	},
	"append": {
		func(t *tortureTree, path func(string) string) error {
			return errors.Join(os.WriteFile(path("a"), []byte("aa"), 0o644), t.oldTime(path("a")))
		},
		[]string{"a: content"},
	},
	"zeros instead of a hole": {
		func(t *tortureTree, path func(string) string) error {
			return errors.Join(os.WriteFile(path("hole"), make([]byte, 300000), 0o644), t.oldTime(path("hole")))
		},
		nil,
	},
	"no zeros any more": {
		func(t *tortureTree, path func(string) string) error {
			content := make([]byte, 300000)
			content[200000] = 1
			return errors.Join(os.WriteFile(path("hole"), content, 0o644), t.oldTime(path("hole")))
		},
		[]string{"hole: content"},
	},
	"mode, owner, group and time": {
		func(t *tortureTree, path func(string) string) error {
			return errors.Join(os.Chown(path("a"), 1, 2), os.Chmod(path("a"), 0o4755),
				os.Chtimes(path("a"), time.Unix(9, 0), time.Unix(9, 0)))
		},
		[]string{"a: mode owner group mtime"},
	},
	"another kind": {
		func(t *tortureTree, path func(string) string) error {
			return errors.Join(os.Remove(path("a")), os.Mkdir(path("a"), 0o644), t.oldTime(path("a")),
				t.oldTime(path(".")))
		},
		[]string{"a: type"},
	},
	"symlink": {
		func(t *tortureTree, path func(string) string) error {
			t.check(os.Remove(path("link")))
			t.symlink("elsewhere", "link")
			return errors.Join(t.oldTime(path("link")), t.oldTime(path(".")))
		},
		[]string{"link: target"},
	},
	"extended attribute": {
		func(t *tortureTree, path func(string) string) error {
			t.setXattr("a", "user.a", []byte("A"))
			t.setXattr("b", "user.b", []byte("B"))
			return nil
		},
		[]string{"a: xattrs", "b: xattrs"},
	},
	"hard link broken": {
		func(t *tortureTree, path func(string) string) error {
			content, err := os.ReadFile(path("z/hard-2"))
			return errors.Join(err, os.Remove(path("z/hard-2")), os.WriteFile(path("z/hard-2"), content, 0o644),
				t.oldTime(path("z/hard-2")), t.oldTime(path("z")))
		},
		[]string{"z/hard-1: links", "z/hard-2: links"},
	},
	"hard link edited": {
		func(t *tortureTree, path func(string) string) error {
			return errors.Join(os.WriteFile(path("z/hard-2"), []byte("HARD"), 0o644), t.oldTime(path("z/hard-2")))
		},
		[]string{"z/hard-1: content", "z/hard-2: content"},
	},
	"hard links between other files": {
		func(t *tortureTree, path func(string) string) error {
			t.check(os.Remove(path("z/hard-2")))
			t.link("z/other-1", "z/hard-2")
			t.check(os.Remove(path("z/other-2")))
			t.link("z/hard-1", "z/other-2")
			return t.oldTime(path("z"))
		},
		[]string{"z/hard-2: content links", "z/other-1: links", "z/other-2: content links"},
	},
}

// oldTime gives a file the time that all files of editable have.
func (t *tortureTree) oldTime(path string) error {
	rel, err := filepath.Rel(t.root, path)
	if err == nil {
		t.chtime(rel, 1e9)
	}
	return err
}

func editable(t testing.TB) *tortureTree {
	tree := newTorture(t)
	tree.file("a", []byte("a"))
	tree.file("b/c/d", tree.text(1000))
	tree.file("b-before-b/c", tree.text(1000))
	tree.file("large", append(tree.noise(2*testBlock), tree.text(200000)...))
	tree.check(os.Truncate(tree.file("hole", nil), 300000))
	tree.symlink("somewhere", "link")
	tree.file("z/hard-1", []byte("hard"))
	tree.link("z/hard-1", "z/hard-2")
	tree.file("z/other-1", []byte("othr"))
	tree.link("z/other-1", "z/other-2")
	err := filepath.WalkDir(tree.root, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, tree.oldTime(path))
	})
	tree.check(err)
	return tree
}

func TestDiffImages(t *testing.T) {
	t.Parallel()
	testkit.NeedRoot(t)
	for name, test := range edits {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tree := editable(t)
			before := openImage(t, buildImage(t, tree.root, Options{}))
			oldLZ4 := openImage(t, buildImage(t, tree.root, Options{Compression: LZ4, BlockSize: 4096}))
			tree.check(test.edit(tree, func(name string) string { return filepath.Join(tree.root, name) }))
			after := openImage(t, buildImage(t, tree.root, Options{}))

			check := func(what string, got []Difference, err error) {
				t.Helper()
				if err != nil {
					t.Errorf("%s: %v", what, err)
				} else if lines := describe(got); !slices.Equal(lines, test.want) {
					t.Errorf("%s:\n got %q\nwant %q", what, lines, test.want)
				}
			}
			got, err := DiffImages(t.Context(), before, after)
			check("DiffImages", got, err)
			got, err = DiffImages(t.Context(), oldLZ4, after)
			check("DiffImages with another compressor and block size", got, err)
			got, err = DiffTree(t.Context(), before, tree.root, Options{})
			check("DiffTree", got, err)
			got, err = DiffTree(t.Context(), after, tree.root, Options{})
			if err != nil || len(got) > 0 {
				t.Errorf("DiffTree with the new image: %q, %v", describe(got), err)
			}
		})
	}
}

func TestDiffTreeWithOptions(t *testing.T) {
	t.Parallel()
	testkit.NeedRoot(t)
	tree := editable(t)
	options := Options{
		Exclude: mustParseExcludes(t, "b/*\nlarge"),
		Overlay: []OverlayFile{
			{Path: "a", Content: []byte("overlaid"), Mode: 0o600, Mtime: time.Unix(5, 0)},
			{Path: "new/file", Content: []byte("new"), Mode: 0o644, Mtime: time.Unix(5, 0)},
		},
	}
	r := openImage(t, buildImage(t, tree.root, options))
	tree.file("b/another", nil) // stays out, and does not show in b's time
	got, err := DiffTree(t.Context(), r, tree.root, options)
	if err != nil || len(got) > 0 {
		t.Errorf("%q, %v", describe(got), err)
	}
	want := []string{"a: mode mtime content", "b: mtime", "+ b/another", "+ b/c", "+ b/c/d", "+ large", "- new",
		"- new/file"}
	got, err = DiffTree(t.Context(), r, tree.root, Options{})
	if lines := describe(got); err != nil || !slices.Equal(lines, want) {
		t.Errorf("without options:\n got %q, %v\nwant %q", lines, err, want)
	}
}

func TestComparePaths(t *testing.T) {
	t.Parallel()
	order := []string{".", "a", "a/b", "a/b/c", "a/b-", "a-", "a-/x", "a.b", "ab", "b"}
	for i, a := range order {
		for j, b := range order {
			if got := comparePaths(a, b); (got < 0) != (i < j) || (got == 0) != (i == j) {
				t.Errorf("comparePaths(%q, %q) = %d", a, b, got)
			}
		}
	}
}
