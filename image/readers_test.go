package image

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"ltskeeper/internal/testkit"

	"golang.org/x/sys/unix"
)

// Twenty clients, which came one after another, read the images they booted through ten updates and
// prunes: by a mount where the machine lets us, else as an open file. What one of them uses stays
// until it goes.
func TestReadersThroughUpdatesAndPrunes(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	rng := rand.NewChaCha8([32]byte{})
	var readers []*reader
	var stop, done = make(chan struct{}), sync.WaitGroup{}
	for range 10 {
		data := make([]byte, 300_000)
		rng.Read(data)
		p.Write("root/usr/share/data", string(data))
		generation := p.update("conf").Generation.Number
		for range 2 {
			r := openReader(t, p, generation, data)
			readers = append(readers, r)
			done.Go(func() { r.readUntil(stop) })
		}
		if gone, err := p.Prune(1, 0, p.now.Add(time.Hour)); err != nil || len(gone) > 0 {
			t.Errorf("Prune = %v, %v while all are in use", gone, err)
		}
	}
	close(stop)
	done.Wait()
	for _, r := range readers {
		if r.err == nil {
			r.err = r.read() // once more, after all that happened
		}
		if r.err != nil {
			t.Errorf("a reader of generation %d: %v", r.generation, r.err)
		}
	}
	for _, r := range readers[:10] {
		r.close()
	}
	var gone []int
	// the kernel frees loop devices when it likes
	for began := time.Now(); len(gone) < 5 && time.Since(began) < time.Minute; {
		more, err := p.Prune(1, 0, p.now.Add(time.Hour))
		testkit.Must(t, err)
		gone = append(gone, more...)
	}
	slices.Sort(gone)
	if want := []int{1, 2, 3, 4, 5}; !slices.Equal(gone, want) {
		t.Errorf("Prune = %v, want %v, whose readers are gone", gone, want)
	}
	for _, r := range readers[10:] {
		if err := r.read(); err != nil {
			t.Errorf("a reader of generation %d after the prune: %v", r.generation, err)
		}
	}
}

// A reader is a client of one generation.
type reader struct {
	generation int
	file       *os.File // of the mounted image, or the image
	want       []byte
	err        error
	close      func()
}

func openReader(t *testing.T, p *place, generation int, data []byte) *reader {
	t.Helper()
	r := &reader{generation: generation, want: data}
	path := p.Link()
	mounted := mountImage(t, path)
	if mounted != "" {
		path = filepath.Join(mounted, "usr/share/data")
	} else {
		var err error
		r.want, err = os.ReadFile(path)
		testkit.Must(t, err)
	}
	var err error
	r.file, err = os.Open(path)
	testkit.Must(t, err)
	r.close = sync.OnceFunc(func() {
		r.file.Close()
		if mounted != "" {
			unmount(t, mounted)
		}
	})
	t.Cleanup(r.close)
	return r
}

// readUntil reads again and again.
func (r *reader) readUntil(stop chan struct{}) {
	for r.err == nil {
		select {
		case <-stop:
			return
		case <-time.After(10 * time.Millisecond): // the machine has other work
			r.err = r.read()
		}
	}
}

// read reads all, from the disk if the kernel lets go of what it has in memory.
func (r *reader) read() error {
	if err := unix.Fadvise(int(r.file.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		return err
	}
	got := make([]byte, len(r.want))
	if _, err := r.file.ReadAt(got, 0); err != nil {
		return err
	}
	if !bytes.Equal(got, r.want) {
		return errors.New("read other bytes than were in the image")
	}
	return nil
}

// mountImage mounts an image as a machine does that serves it, and returns where; "" if this one
// cannot.
func mountImage(t *testing.T, image string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		return ""
	}
	dir := t.TempDir()
	out, err := exec.Command("mount", "-t", "squashfs", "-o", "loop,ro", image, dir).CombinedOutput()
	if err != nil {
		t.Logf("no loop mounts here: %s", out)
		return ""
	}
	return dir
}

func unmount(t *testing.T, dir string) {
	if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
		t.Errorf("unmount %s: %v", dir, err)
	}
}
