package squashfs

import (
	"bytes"
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// recorder collects what it is shown.
type recorder struct {
	mu   sync.Mutex
	seen map[string][]string // contents by path
}

type recording struct {
	to   *recorder
	path string
	bytes.Buffer
}

func (i *recorder) Inspect(path string) ContentInspector { return &recording{to: i, path: path} }

func (i *recording) WriteZeros(n int64) { i.Write(make([]byte, n)) }

func (i *recording) Close() error {
	i.to.mu.Lock()
	defer i.to.mu.Unlock()
	i.to.seen[i.path] = append(i.to.seen[i.path], i.String())
	return nil
}

// Every file that may be new is shown once under each of its names: also one that is stored with
// another, and one that is read for its hash first. What the previous image was built with is not
// shown again.
func TestInspect(t *testing.T) {
	t.Parallel()
	c := newChanger(t, 1)
	dir, root := t.TempDir(), c.root
	large := strings.Repeat("0123456789abcdef", 20_000) // three blocks
	files := map[string]string{
		"small": "small", "twin-a": "the same", "twin-b": "the same", "large": large, "large-twin": large,
		"holes": strings.Repeat("\x00", 300_000) + "end", "empty": "",
	}
	for name, content := range files {
		c.check(os.WriteFile(filepath.Join(root, name), []byte(content), 0o644))
	}
	c.check(os.Link(filepath.Join(root, "small"), filepath.Join(root, "small-link")))
	files["small-link"] = "small"
	delete(files, "empty") // nothing to see

	build := func(name string, previous *Previous) map[string][]string {
		t.Helper()
		out, err := os.Create(filepath.Join(dir, name))
		c.check(err)
		defer out.Close()
		index, err := os.Create(filepath.Join(dir, name+".index"))
		c.check(err)
		defer index.Close()
		i := &recorder{seen: map[string][]string{}}
		_, err = Build(context.Background(), out, root, Options{Inspector: i, Index: index, Previous: previous})
		c.check(err)
		return i.seen
	}
	seen := build("one", nil)
	for path, content := range files {
		if got := seen[path]; len(got) != 1 || got[0] != content {
			t.Errorf("%s was shown %d times, and not once as it is", path, len(got))
		}
	}
	if len(seen) != len(files) {
		t.Errorf("shown were %v", slices.Sorted(maps.Keys(seen)))
	}

	// With all that is old enough to be believed.
	c.settle()
	build("two", nil)
	open := func(name string) *Previous {
		image, err := os.Open(filepath.Join(dir, name))
		c.check(err)
		index, err := os.Open(filepath.Join(dir, name+".index"))
		c.check(err)
		t.Cleanup(func() { image.Close(); index.Close() })
		return &Previous{Image: image, Index: index}
	}
	c.check(os.WriteFile(filepath.Join(root, "new"), []byte("the same"), 0o644))
	seen = build("three", open("two"))
	if got := seen["new"]; len(got) != 1 || got[0] != "the same" {
		t.Errorf("a new file that equals an old one was shown as %q", got)
	}
	if _, again := seen["large"]; again {
		t.Error("a file that is as it was is shown again")
	}

	// Under another name the same file may be something else.
	c.check(os.Mkdir(filepath.Join(root, "dir"), 0o755))
	c.check(os.WriteFile(filepath.Join(root, "dir", "file"), []byte(large+"below"), 0o644))
	c.settle()
	build("four", nil)
	previous := open("four")
	c.check(os.Rename(filepath.Join(root, "dir"), filepath.Join(root, ".dir")))
	seen = build("five", previous)
	if got := seen[".dir/file"]; len(got) != 1 || got[0] != large+"below" {
		t.Errorf("a file whose folder was renamed was shown %d times, or not as it is", len(got))
	}
	c.check(os.Rename(filepath.Join(root, ".dir"), filepath.Join(root, "dir")))
	c.check(os.Link(filepath.Join(root, "large"), filepath.Join(root, "second-name")))
	if seen = build("six", previous); len(seen["second-name"]) != 1 {
		t.Error("a further name of a file was not shown")
	}
}
