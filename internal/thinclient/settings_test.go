package thinclient

import (
	"os"
	"path/filepath"
	"testing"
)

func TestGet(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	more := write("more", "[*]\nMORE = included\n")
	conf := write("lts.conf",
		"[default]\nA = all\nB = all\nC = all\nD = NONE\ninclude "+more+"\n["+host+"]\nB = mine\n")
	broken := write("broken", "[default]\nA = all\nB\n")
	env := map[string]string{"C": "environment", "E": "environment"}
	for _, test := range []struct{ path, key, want string }{
		{conf, "A", "all"}, {conf, "B", "mine"}, {conf, "C", "environment"}, {conf, "D", ""}, {conf, "E",
			"environment"},
		{conf, "F", ""}, {conf, "MORE", "included"},
		{broken, "A", ""}, {broken, "C", "environment"},
		{filepath.Join(dir, "none"), "A", ""},
	} {
		s := NewSettings(func(key string) string { return env[key] }, test.path)
		if got := s.Get(test.key); got != test.want {
			t.Errorf("%s in %s: %q, want %q", test.key, filepath.Base(test.path), got, test.want)
		}
	}
}
