package image

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ltskeeper/internal/testkit"
	"ltskeeper/squashfs"
)

func paths(differences []squashfs.Difference) []string {
	var list []string
	for _, d := range differences {
		list = append(list, d.Path+" "+strings.Join(d.What, ","))
	}
	return list
}

func TestVerify(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	p := newPlace(t)
	if _, err := p.Verify(ctx); !errors.Is(err, ErrNone) {
		t.Errorf("Verify without an image: %v", err)
	}
	noise := rand.NewChaCha8([32]byte{})
	random := make([]byte, 300_000)
	noise.Read(random)
	p.Write("root/usr/share/data", string(random))
	p.update("one")
	if g, err := p.Verify(ctx); !g.isNumber(1) || err != nil {
		t.Errorf("Verify = %v, %v", g, err)
	}
	path := filepath.Join(p.folder(1), imageFile)
	sound, err := os.ReadFile(path)
	testkit.Must(t, err)
	for _, at := range []int{5, 200, len(sound) / 2, 300_100} { // superblock, data, tables
		rotten := slices.Clone(sound)
		rotten[at] ^= 1
		testkit.Must(t, os.WriteFile(path, rotten, 0o644))
		if _, err := p.Verify(ctx); err == nil {
			t.Errorf("a bit flipped at byte %d of %d was not found", at, len(sound))
		}
	}
	testkit.Must(t, os.WriteFile(path, sound, 0o644))
	if _, err := p.Verify(ctx); err != nil {
		t.Errorf("mended: %v", err)
	}
	for _, path := range []string{
		filepath.Join(p.folder(1), kernelFile), filepath.Join(p.bootFolder(1), initrdFile),
		filepath.Join(p.folder(1), confFile), filepath.Join(p.bootFolder(1), confFile),
	} {
		sound, err := os.ReadFile(path)
		testkit.Must(t, err)
		testkit.Must(t, os.WriteFile(path, bytes.ToUpper(sound), 0o644))
		if _, err := p.Verify(ctx); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s is another: %v", path, err)
		}
		testkit.Must(t, os.WriteFile(path, sound, 0o644))
	}
	testkit.Must(t, os.Remove(filepath.Join(p.folder(1), indexFile)))
	if _, err := p.Verify(ctx); err == nil || !strings.Contains(err.Error(), "index") {
		t.Errorf("nothing says any more what was built: %v", err)
	}
}

// Bit rot in the current image does not get into the next: that one is built clean, and somebody is
// told.
func TestRotDoesNotSpread(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.Write("root/usr/share/data", strings.Repeat("some data that compresses, but not to nothing\n", 10000))
	p.update("one")
	path := filepath.Join(p.folder(1), imageFile)
	image, err := os.ReadFile(path)
	testkit.Must(t, err)
	image[300] ^= 1
	testkit.Must(t, os.WriteFile(path, image, 0o644))
	p.Write("root/etc/hostname", "changed\n")
	b := p.update("one")
	if b.Full == "" || len(b.Warnings) != 1 || !strings.Contains(b.Warnings[0], "damaged") {
		t.Errorf("built upon a rotten image: %+v", b)
	}
	if g, err := p.Verify(context.Background()); !g.isNumber(2) || err != nil {
		t.Errorf("Verify = %v, %v", g, err)
	}
}

func TestDiffs(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	p := newPlace(t)
	p.update("one")
	p.Write("root/etc/hostname", "changed\n")
	p.Write("root/etc/added", "new\n")
	differences, err := p.DiffTree(ctx, p.newSource("one"))
	testkit.Must(t, err)
	want := []string{"etc mtime", "etc/added ", "etc/hostname content,mtime"}
	if got := paths(differences); !slices.Equal(trimTimes(got), trimTimes(want)) {
		t.Errorf("DiffTree = %q, want %q", got, want)
	}
	p.update("one")
	differences, err = p.Diff(ctx, 1, 2)
	testkit.Must(t, err)
	if got := paths(differences); !slices.Equal(trimTimes(got), trimTimes(want)) {
		t.Errorf("Diff = %q, want %q", got, want)
	}
	if differences, err = p.DiffTree(ctx, p.newSource("one")); err != nil || len(differences) != 0 {
		t.Errorf("DiffTree of what was just built: %q, %v", paths(differences), err)
	}
	if _, err := p.Diff(ctx, 1, 7); err == nil || !strings.Contains(err.Error(), "no generation 7") {
		t.Errorf("Diff with a generation that is not there: %v", err)
	}
}

// trimTimes leaves out what depends on when the test's files were written.
func trimTimes(list []string) []string {
	var out []string
	for _, line := range list {
		path, what, _ := strings.Cut(line, " ")
		kept := slices.DeleteFunc(strings.Split(what, ","), func(w string) bool { return w == "mtime" || w == "" })
		if path == "." || path == "etc" {
			continue
		}
		out = append(out, path+" "+strings.Join(kept, ","))
	}
	return out
}
