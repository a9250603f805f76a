package disktest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// What is told to fail fails as on a real disk, for as long as it is told to, and nothing else
// does.
func TestFailing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, other := filepath.Join(dir, "file"), filepath.Join(dir, "other")
	content := strings.Repeat("0123456789", 100_000)
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(os.WriteFile(file, []byte(content), 0o644)) // is there before
	disk := Failing(t, dir)
	sync := func(path string) error {
		f, err := os.Open(path)
		check(err)
		defer f.Close()
		return f.Sync()
	}
	deeds := map[string]func(path string) error{
		"read":  func(path string) error { _, err := os.ReadFile(path); return err },
		"write": func(path string) error { return os.WriteFile(path, []byte(content), 0o644) },
		"copy": func(path string) error {
			from, err := os.Open(file)
			check(err)
			defer from.Close()
			to, err := os.Create(path)
			check(err)
			defer to.Close()
			_, err = to.ReadFrom(from)
			return err
		},
		"sync":        sync,
		"sync folder": func(path string) error { return sync(filepath.Dir(path)) },
		"rename": func(path string) error {
			check(os.WriteFile(path+".new", []byte(content), 0o644))
			return os.Rename(path+".new", path)
		},
	}
	for name, deed := range deeds {
		op, text := name, "other"
		switch name {
		case "copy":
			op = "write"
		case "sync folder":
			op, text = "sync", ""
		}
		check(os.WriteFile(other, []byte("whole"), 0o644))
		disk.FailAt(op, text, syscall.EDQUOT)
		if err := deed(other); !errors.Is(err, syscall.EDQUOT) {
			t.Errorf("%s: %v", name, err)
		}
		disk.Mend()
		data, err := os.ReadFile(other)
		check(err)
		if half := len(data) > 0 && string(data) == content[:len(data)] &&
			len(data) < len(content); half != (op == "write") || !half && string(data) != "whole" {
			t.Errorf("%s leaves %d bytes", name, len(data))
		}
		if err := deed(other); err != nil {
			t.Errorf("%s, mended: %v", name, err)
		}
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != content {
		t.Errorf("another file holds %d bytes: %v", len(data), err)
	}
}
