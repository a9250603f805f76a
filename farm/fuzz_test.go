package farm

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"unicode"
)

// Whatever the files say, Load returns a farm or mistakes, and these stand where the files have
// something.
func FuzzLoad(f *testing.F) {
	server := everything["servers.d/app01.toml"]
	for _, toml := range []string{
		everything["ltskeeper.toml"], "", "state", "[[chroot]]\n[chroot.x]\n", "a.b.c = 1\n[a.b]\n",
		"chroot = [{name = 1}, 2]\n",
		"[[client]]\nmatch = \"\"\nset.\"a\\u0000b\" = \"\"\"\nx\"\"\"\n", "client = []\n[[client]]\n",
		"[a]\nb = [[[{c = [1, {d = 2}]}]]]\n",
		"\ufeffstate = \"x\"\r\n", "[[a]]\n[[a.b]]\n[a.b.c]\nd.e = inf\n[[a]]\n[[a.b]]\n",
		"state = 1979-05-27 07:32:00",
	} {
		f.Add([]byte(toml), []byte(server))
	}
	f.Add([]byte("[lts-conf]\nlist = \"address\""), []byte("addresses = [\"a\", \"a\"]\nport = 0x16"))
	f.Fuzz(func(t *testing.T, toml, server []byte) {
		dir := t.TempDir()
		path := filepath.Join(dir, "ltskeeper.toml")
		texts := map[string][]byte{path: toml, filepath.Join(dir, "servers.d/app01.toml"): server}
		if err := os.Mkdir(filepath.Join(dir, "servers.d"), 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range texts {
			if err := os.WriteFile(name, text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		farm, err := Load(path)
		if err == nil {
			check(t, farm)
			return
		}
		var ms Mistakes
		if !errors.As(err, &ms) || farm != nil || len(ms) == 0 {
			t.Fatalf("got %v, %v", farm, err)
		}
		for _, m := range ms {
			lines := bytes.Split(texts[m.File], []byte("\n"))
			if m.Line < 0 || m.Line > len(lines) || m.Line > 0 && (m.Column < 1 || m.Column > len(lines[m.Line-1])+1) {
				t.Errorf("outside of the file: %v", m)
			}
			if m.Msg == "" {
				t.Errorf("nothing is said: %v", m)
			}
		}
	})
}

// check tells what a farm that Load returns must not be.
func check(t *testing.T, f *Farm) {
	t.Helper()
	f.Lists()
	paths := []string{f.State.Path(), f.Image.Directory, f.TFTP}
	for _, c := range f.Chroots {
		paths = append(paths, c.Path, c.LTSConf)
		f.LTSConfSource(c)
	}
	for _, path := range paths {
		if !filepath.IsAbs(path) || bytes.ContainsFunc([]byte(path), unicode.IsControl) {
			t.Errorf("%q is no absolute path", path)
		}
	}
	settings := f.LTSConf.Set
	for _, c := range f.Clients {
		settings = append(settings, c.Set...)
	}
	for _, s := range settings {
		if bytes.ContainsAny([]byte(s.Key+s.Value), "\"$`\\\n\r") {
			t.Errorf("%+v is code", s)
		}
	}
	for _, s := range f.Servers {
		if s.Port < 1 || !(s.Weight > 0) {
			t.Errorf("%+v", s)
		}
	}
}
