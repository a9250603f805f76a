package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/oddtest"
)

// A greeter is answered whatever is in the place of the files that the answer is made of.
func TestOddFiles(t *testing.T) {
	oddtest.Each(t, func(t *testing.T, thing oddtest.Thing) {
		dir := t.TempDir()
		m := newServer(t)
		m.files = os.DirFS(dir)
		for _, name := range []string{"proc/stat", "proc/meminfo", "etc/default/locale", "etc/locale.conf",
			"usr/lib/locale/locale-archive", "run/systemd/sessions/1"} {
			path := filepath.Join(dir, name)
			testkit.Must(t, os.MkdirAll(filepath.Dir(path), 0o755))
			thing.Replace(t, path)
		}
		if languages := m.languages(); len(languages) > 0 {
			t.Errorf("%q", languages)
		}
		for line := range m.lines("proc/stat") {
			if thing.Name != "900 GB" || len(line) > 1<<20 {
				t.Errorf("%q", line)
			}
		}
		m.logins()
	})
}

// The mark is not made through a link, nor does who makes it wait for a pipe's reader.
func TestOddMark(t *testing.T) {
	oddtest.Each(t, func(t *testing.T, thing oddtest.Thing) {
		m := newServer(t)
		testkit.Must(t, os.MkdirAll(filepath.Dir(m.mark), 0o755))
		thing.Replace(t, m.mark)
		if err := m.drain(new(bytes.Buffer)); (err == nil) != (thing.Name == "900 GB") {
			t.Errorf("%v", err)
		}
	})
	m := newServer(t)
	testkit.Must(t, os.MkdirAll(filepath.Dir(m.mark), 0o755))
	target := filepath.Join(t.TempDir(), "target")
	testkit.Must(t, os.Symlink(target, m.mark))
	if err := m.drain(new(bytes.Buffer)); err == nil {
		t.Error("it drains through a link")
	}
	if _, err := os.Lstat(target); err == nil {
		t.Error("it made the file that a link names")
	}
}
