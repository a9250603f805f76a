// Package testkit is what the tests of this module share. The packages below it bring programs,
// servers, machines and file systems.
//
// A test that lacks something here, such as a program or root's rights, is skipped. Where CI=true
// it fails: nothing may be missing there.
package testkit

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// IsStrict reports whether a test fails if it lacks something.
func IsStrict() bool { return os.Getenv("CI") == "true" }

// Need ends the test if err, which says what it lacks, is not nil.
func Need(t testing.TB, err error) {
	t.Helper()
	switch {
	case err == nil:
	case IsStrict():
		t.Fatal(err)
	default:
		t.Skip(err)
	}
}

// NeedRoot ends the test if root does not run it.
func NeedRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		Need(t, fmt.Errorf("%s needs root", t.Name()))
	}
}

// NeedPrograms ends the test if one of these programs is not on PATH, or, for an absolute path, not
// there.
func NeedPrograms(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if filepath.IsAbs(name) {
			_, err := os.Stat(name)
			Need(t, err)
		} else {
			FindProgram(t, name)
		}
	}
}

// FindProgram returns the path of a program on PATH, which the test needs.
func FindProgram(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	Need(t, err)
	return path
}

// Run returns what a program prints to standard output. The test fails if the program does.
func Run(t testing.TB, name string, args ...string) string {
	t.Helper()
	command := exec.Command(name, args...)
	var stderr strings.Builder
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s%s", name, args, err, out, stderr.String())
	}
	return string(out)
}

// Must fails the test if err is not nil.
func Must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// WriteFile writes a file and makes the folders above it.
func WriteFile(t testing.TB, path, text string, mode os.FileMode) {
	t.Helper()
	Must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	Must(t, os.WriteFile(path, []byte(text), mode))
}

// ReadFile returns what is in a file.
func ReadFile(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	Must(t, err)
	return string(text)
}

// Cached returns the path of something that scripts/need makes once.
func Cached(name string) string {
	return filepath.Join(cmp.Or(os.Getenv("XDG_CACHE_HOME"), "/var/cache"), "ltskeeper", name)
}

// Root returns this module's folder.
func Root() string {
	_, here, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(here), "../..")
}
