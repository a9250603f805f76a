package testkit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A Folder is a temporary folder of a test. Files are named by their paths below it.
type Folder struct {
	t    testing.TB
	path string
}

// NewFolder makes a folder, which is removed when the test ends.
func NewFolder(t testing.TB) Folder {
	t.Helper()
	return Folder{t, t.TempDir()}
}

// NewMemoryFolder makes one in memory, where that can be, for a test that waits for a disk
// otherwise.
func NewMemoryFolder(t testing.TB) Folder {
	t.Helper()
	path, err := os.MkdirTemp("/dev/shm", "ltskeeper-test-")
	if err != nil {
		return NewFolder(t)
	}
	t.Cleanup(func() { Must(t, os.RemoveAll(path)) })
	return Folder{t, path}
}

// Path returns the full path of a file, or of the folder itself if the name is empty.
func (f Folder) Path(name string) string { return filepath.Join(f.path, name) }

// Write writes a file and makes the folders above it.
func (f Folder) Write(name, text string) {
	f.t.Helper()
	WriteFile(f.t, f.Path(name), text, 0o644)
}

// WriteProgram writes a file that may be executed and makes the folders above it.
func (f Folder) WriteProgram(name, text string) {
	f.t.Helper()
	WriteFile(f.t, f.Path(name), text, 0o755)
	Must(f.t, os.Chmod(f.Path(name), 0o755)) // also if the file was there
}

// Read returns what is in a file.
func (f Folder) Read(name string) string {
	f.t.Helper()
	return ReadFile(f.t, f.Path(name))
}

// WantContains fails the test unless a text, which what says the name of, contains another.
func WantContains(t testing.TB, what, text, want string) {
	t.Helper()
	if !strings.Contains(text, want) {
		t.Errorf("%s is %q, want %q in it", what, text, want)
	}
}
