package regular

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/oddtest"

	"golang.org/x/sys/unix"
)

func TestOddThings(t *testing.T) {
	oddtest.Each(t, func(t *testing.T, thing oddtest.Thing) {
		dir := t.TempDir()
		path := filepath.Join(dir, "file")
		thing.Replace(t, path)
		root, err := os.OpenRoot(dir)
		testkit.Must(t, err)
		defer root.Close()
		for what, read := range map[string]func() ([]byte, error){
			"Read":   func() ([]byte, error) { return Read(path, MaxText) },
			"ReadFS": func() ([]byte, error) { return ReadFS(os.DirFS(dir), "file", MaxText) },
		} {
			_, err := read()
			if !IsOdd(err) || !strings.Contains(err.Error(), "file: ") ||
				!strings.Contains(err.Error(), thing.Want) || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %v, want %q", what, err, thing.Want)
			}
		}
		// links that lead out of it have an error of their own
		if _, err := ReadFS(root.FS(), "file", MaxText); err == nil {
			t.Error("it was read from an fs.FS of a Root")
		}
		f, err := OpenIn(root, "file")
		if err == nil {
			_, err = ReadOpened(f, MaxText)
			f.Close()
		}
		if !IsOdd(err) {
			t.Errorf("OpenIn: %v", err)
		}
		if f, err := OpenOwn(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600); err == nil &&
			thing.Name != "900 GB" {
			t.Errorf("OpenOwn: %v", f.Close())
		} else if err != nil && !IsOdd(err) {
			t.Errorf("OpenOwn: %v", err)
		}
		if _, err := OpenRoot(path); (err == nil) != (thing.Name == "folder") {
			t.Errorf("OpenRoot: %v", err)
		}
	})
}

func TestOrdinaryFiles(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(path, []byte("text"), 0o644), os.Symlink("file", link),
		os.Symlink("gone", link+".gone")); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, link} {
		if data, err := Read(p, 4); err != nil || string(data) != "text" {
			t.Errorf("%s: %q, %v", p, data, err)
		}
	}
	if _, err := Read(path, 3); !IsOdd(err) ||
		err.Error() != "read "+path+": it has 4 bytes, and no more than 3 are read" {
		t.Errorf("%v", err)
	}
	for _, p := range []string{filepath.Join(dir, "none"), link + ".gone"} {
		if _, err := Read(p, 4); !errors.Is(err, fs.ErrNotExist) || IsOdd(err) {
			t.Errorf("%s: %v", p, err)
		}
	}
	testkit.Must(t, os.WriteFile(path, nil, 0o644))
	if data, err := Read(path, 0); err != nil || data == nil || len(data) > 0 {
		t.Errorf("an empty file: %v, %v", data, err)
	}
	if _, err := OpenOwn(link, os.O_WRONLY, 0); !IsOdd(err) || !strings.Contains(err.Error(), "a symbolic link") {
		t.Errorf("OpenOwn of a link: %v", err)
	}
	// which says that it has 0 bytes
	if data, err := Read("/proc/self/status", MaxRecord); err != nil || len(data) == 0 {
		t.Errorf("%q, %v", data, err)
	}
}

// A file that grows is read to the limit and then refused.
func TestAFileThatGrows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	testkit.Must(t, os.WriteFile(path, nil, 0o644))
	f, err := Open(path)
	testkit.Must(t, err)
	defer f.Close()
	_, err = ReadOpened(&growing{File: f, t: t, path: path}, 100<<10)
	if !IsOdd(err) || err.Error() != "read file: it has more than 102400 bytes" {
		t.Error(err)
	}
}

// growing is a file to which somebody adds something before each read.
type growing struct {
	*os.File
	t    *testing.T
	path string
}

func (g *growing) Read(b []byte) (int, error) {
	f, err := os.OpenFile(g.path, os.O_WRONLY|os.O_APPEND, 0)
	if err == nil {
		_, err = f.Write(make([]byte, len(b)))
	}
	if err != nil {
		g.t.Error(err)
	}
	f.Close()
	return g.File.Read(b)
}

// What a person names may be a pipe.
func TestReadGiven(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	write := func(text []byte, pause time.Duration) {
		f, err := os.OpenFile(fifo, os.O_WRONLY, 0)
		if err != nil {
			t.Error(err)
			return
		}
		time.Sleep(pause)
		f.Write(text)
		f.Close()
	}
	// a writer may be slower than one who does not come
	for _, pause := range []time.Duration{0, patience + time.Second} {
		go write([]byte("keys"), pause)
		if data, err := ReadGiven(t.Context(), fifo, 10); err != nil || string(data) != "keys" {
			t.Errorf("%q, %v", data, err)
		}
	}
	go write(bytes.Repeat([]byte("x"), 1000), 0)
	if _, err := ReadGiven(t.Context(), fifo, 10); !IsOdd(err) ||
		!strings.Contains(err.Error(), fifo+": it has more than 10 bytes") {
		t.Error(err)
	}
	if _, err := ReadGiven(t.Context(), fifo, 10); !IsOdd(err) ||
		!strings.Contains(err.Error(), fifo+": it is a fifo, and nobody writes to it") {
		t.Error(err)
	}
	if data, err := ReadGiven(t.Context(), "/dev/null", 10); err != nil || len(data) > 0 {
		t.Errorf("/dev/null: %q, %v", data, err)
	}
	oddtest.Bounded(t, func() {
		if _, err := ReadGiven(t.Context(), "/dev/zero", 8<<20); !IsOdd(err) {
			t.Errorf("/dev/zero: %v", err)
		}
	})
	if _, err := ReadGiven(t.Context(), dir, 10); !IsOdd(err) || !strings.Contains(err.Error(), "a folder") {
		t.Error(err)
	}
	if _, err := ReadGiven(t.Context(), filepath.Join(dir, "none"), 10); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// Who waits for a writer can be interrupted.
func TestReadGivenEnds(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	writer, err := os.OpenFile(fifo, os.O_RDWR, 0)
	testkit.Must(t, err)
	defer writer.Close()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	oddtest.Bounded(t, func() {
		if _, err := ReadGiven(ctx, fifo, 10); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}
