package regular

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/iotest"
)

func TestGiveSameBytes(t *testing.T) {
	t.Parallel()
	long := bytes.Repeat([]byte("0123456789abcdef"), 1<<17) // two buffers full
	other := bytes.Clone(long)
	other[len(other)-1]++
	for _, test := range []struct {
		a, b []byte
		want bool
	}{
		{nil, nil, true}, {nil, []byte("a"), false},
		{[]byte("a"), []byte("a"), true}, {[]byte("a"), []byte("b"), false},
		{long, bytes.Clone(long), true}, {long, other, false}, {long, long[:len(long)-1], false},
		{long, append(bytes.Clone(long), 0), false}, {long[:1<<20], long[:1<<20], true},
	} {
		for _, a := range []io.Reader{bytes.NewReader(test.a), iotest.HalfReader(bytes.NewReader(test.a))} {
			if same, err := GiveSameBytes(a, bytes.NewReader(test.b)); same != test.want || err != nil {
				t.Errorf("%d and %d bytes: %v, %v", len(test.a), len(test.b), same, err)
			}
		}
	}
	for _, pair := range [][2]io.Reader{
		{iotest.ErrReader(syscall.EIO), bytes.NewReader(nil)}, {bytes.NewReader(nil), iotest.ErrReader(syscall.EIO)},
	} {
		if same, err := GiveSameBytes(pair[0], pair[1]); same || !errors.Is(err, syscall.EIO) {
			t.Errorf("a reader that fails: %v, %v", same, err)
		}
	}
}

func TestHaveSameContent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for name, content := range map[string]string{"a": "content", "same": "content", "b": "consent", "long": "contents"} {
		if err := os.WriteFile(at(name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(at("fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	wants := map[string]bool{"a": true, "same": true, "b": false, "long": false, "fifo": false, ".": false}
	for name, want := range wants {
		for _, pair := range [][2]string{{"a", name}, {name, "a"}} {
			if same, err := HaveSameContent(at(pair[0]), at(pair[1])); same != want || err != nil {
				t.Errorf("%s and %s: %v, %v", pair[0], pair[1], same, err)
			}
		}
	}
	if _, err := HaveSameContent(at("a"), at("none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that does not exist: %v", err)
	}
}
