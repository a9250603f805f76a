package testkit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A recorder is a test that goes on after it failed or was skipped.
type recorder struct {
	testing.TB
	fate string
}

func (r *recorder) Helper()           {}
func (r *recorder) Skip(args ...any)  { r.fate = "skipped: " + fmt.Sprint(args...) }
func (r *recorder) Fatal(args ...any) { r.fate = "failed: " + fmt.Sprint(args...) }
func (r *recorder) Fatalf(format string, args ...any) {
	r.fate = "failed: " + fmt.Sprintf(format, args...)
}

// What is missing skips a test, and fails it where CI=true.
func TestNeed(t *testing.T) {
	for name, need := range map[string]func(t testing.TB){
		"it is missing":   func(t testing.TB) { Need(t, errors.New("it is missing")) },
		"no-such-program": func(t testing.TB) { NeedPrograms(t, "sh", "no-such-program") },
		"/no/such/file":   func(t testing.TB) { NeedPrograms(t, "/no/such/file") },
		"other-program":   func(t testing.TB) { FindProgram(t, "other-program") },
		"":                func(t testing.TB) { NeedPrograms(t, "sh", "/"); Need(t, nil); Must(t, nil) },
	} {
		for ci, want := range map[string]string{"": "skipped: ", "true": "failed: "} {
			t.Setenv("CI", ci)
			r := &recorder{TB: t}
			need(r)
			if (name == "") != (r.fate == "") || name != "" && !strings.HasPrefix(r.fate, want) ||
				!strings.Contains(r.fate, name) {
				t.Errorf("%s: %q with CI=%s", name, r.fate, ci)
			}
		}
	}
	if path := FindProgram(t, "sh"); !filepath.IsAbs(path) {
		t.Errorf("sh is %s", path)
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	if out := Run(t, "sh", "-c", "echo out; echo err >&2"); out != "out\n" {
		t.Errorf("it printed %q", out)
	}
	r := &recorder{TB: t}
	Run(r, "sh", "-c", "echo out; echo err >&2; exit 3")
	if want := "exit status 3\nout\nerr\n"; !strings.HasPrefix(r.fate, "failed: sh") ||
		!strings.HasSuffix(r.fate, want) {
		t.Errorf("%q, want %q at its end", r.fate, want)
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a/b/c")
	WriteFile(t, path, "text", 0o600)
	if got := ReadFile(t, path); got != "text" {
		t.Errorf("it holds %q", got)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
	folder := NewFolder(t)
	folder.Write("a/b", "text")
	folder.Write("a/b", "more")
	if got, want := folder.Read("a/b"), "more"; got != want ||
		folder.Path("a/b") != filepath.Join(folder.Path(""), "a/b") {
		t.Errorf("%s holds %q", folder.Path("a/b"), got)
	}
	folder.WriteProgram("a/b", "#!/bin/sh\necho ran\n")
	if out := Run(t, folder.Path("a/b")); out != "ran\n" {
		t.Errorf("the program printed %q", out)
	}
	r := &recorder{TB: t}
	ReadFile(r, path+".none")
	if !strings.Contains(r.fate, "no such file") {
		t.Errorf("a missing file: %q", r.fate)
	}
}

func TestCached(t *testing.T) {
	for home, want := range map[string]string{"": "/var/cache/ltskeeper/x", "/c": "/c/ltskeeper/x"} {
		t.Setenv("XDG_CACHE_HOME", home)
		if got := Cached("x"); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
