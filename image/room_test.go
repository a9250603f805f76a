package image

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"ltskeeper/internal/durable"
	"ltskeeper/internal/testkit"
)

func TestAreOnSameFileSystem(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if !areOnSameFileSystem(dir, filepath.Dir(dir)) {
		t.Error("a folder is not on its parent's file system")
	}
	for _, other := range []string{"/proc", filepath.Join(dir, "none")} {
		if areOnSameFileSystem(dir, other) {
			t.Errorf("%s is on the file system of %s", other, dir)
		}
	}
}

// Whether there is room is asked before anything is written, with the number that is needed.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.update("one")
	p.Write("root/etc/hostname", "changed\n")
	// The generation before says how much: an image of 8 TiB, nearly all of it a hole.
	testkit.Must(t, os.Truncate(filepath.Join(p.folder(1), imageFile), 8<<40))
	steps := 0
	p.disk.Did = func(durable.Step) { steps++ }
	_, err := p.Build(context.Background(), p.newSource("one"), p.now)
	want := regexp.QuoteMeta(p.Images) + ` has \d+ MB free, .* needs about 89128\d\d MB`
	if err == nil || !regexp.MustCompile(want).MatchString(err.Error()) {
		t.Errorf("Build without room: %v", err)
	}
	if steps != 0 {
		t.Errorf("%d steps were done before it was asked", steps)
	}
	p.wantFiles(append(listGenerationFiles(1), links(1)...)...)
}
