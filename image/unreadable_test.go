package image

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/disktest"
	"ltskeeper/squashfs"

	"golang.org/x/sys/unix"
)

// An image that its disk does not give back any more is told, and replaced: by the next one that
// differs, and, as whoever told it said, by a full build of the same tree. Clients keep what they
// have until then.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	for _, full := range []bool{false, true} {
		p := newPlace(t)
		p.update("conf 1")
		image := filepath.Join(p.folder(1), imageFile)
		disk := disktest.Failing(t, p.Images)
		disk.FailAt("read", "1/"+imageFile, unix.EIO)
		if _, err := p.Verify(t.Context()); err == nil || !strings.Contains(err.Error(), image) {
			t.Errorf("Verify: %v", err)
		}
		from := p.newSource("conf 1")
		if from.Full = full; !full {
			p.Write("root/etc/hostname", "new")
		}
		b, err := p.Build(context.Background(), from, p.now)
		testkit.Must(t, err)
		if b.Unchanged || !full && len(b.Warnings) == 0 {
			t.Errorf("full %v: built %+v upon an image that cannot be read, and says nothing", full, b)
		}
		_, err = p.Publish(b, p.now)
		testkit.Must(t, err)
		if _, err := p.Verify(t.Context()); err != nil {
			t.Error(err)
		}
		disk.Mend()
	}
}

// A record that cannot be read for a while is not written anew without what it says.
func TestUnreadableRecord(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.update("conf 1")
	testkit.Must(t, p.Pin(1))
	disk := disktest.Failing(t, p.Images)
	disk.FailAt("read", recordFile, unix.EIO)
	if err := p.Unpin(1); !errors.Is(err, unix.EIO) ||
		!strings.Contains(err.Error(), filepath.Join(p.folder(1), recordFile)) {
		t.Error(err)
	}
	from := p.newSource("conf 1")
	from.Inspector = lookingFor("something else")
	if b, err := p.Build(t.Context(), from, p.now); err != nil || !b.Unchanged {
		t.Errorf("%+v, %v", b, err)
	}
	p.update("conf 2")
	disk.Mend()
	p.update("conf 3")
	if g := p.readGeneration(1); !g.Pinned || g.Replaced.IsZero() {
		t.Errorf("%+v", g)
	}
}

// lookingFor is an inspector that finds nothing.
type lookingFor string

func (l lookingFor) Name() string                           { return string(l) }
func (lookingFor) Verdict() error                           { return nil }
func (lookingFor) Inspect(string) squashfs.ContentInspector { return nothing{io.Discard} }

type nothing struct{ io.Writer }

func (nothing) WriteZeros(int64) {}
func (nothing) Close() error     { return nil }

// A generation of which the disk gives back neither record nor image is not taken for one that
// never became current.
func TestUnreadableGeneration(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.update("conf 1")
	p.update("conf 2")
	for _, name := range []string{recordFile, imageFile} {
		path := filepath.Join(p.folder(1), name)
		testkit.Must(t, os.Rename(path, path+".kept"))
		testkit.Must(t, os.Symlink(name, path)) // a link to itself: an error, and not that of a missing file
	}
	testkit.Must(t, p.Repair(p.now))
	for _, name := range []string{recordFile, imageFile} {
		path := filepath.Join(p.folder(1), name)
		testkit.Must(t, os.Rename(path+".kept", path))
	}
	if list, err := p.List(); err != nil || len(list) != 2 {
		t.Errorf("%+v, %v", list, err)
	}
}
