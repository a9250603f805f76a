package packages

import (
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"testing/iotest"
	"time"
)

// testKey is what a package may hold for its tests.
const testKey = `-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIB5VwOVkEJpq0oh98vz4/LdBy6+enYjmfb7qQqeM65UB
-----END PRIVATE KEY-----
`

const testSum = "c5e0abd703576ab2e1a749a673e80d62"

func TestIsAsInstalled(t *testing.T) {
	t.Parallel()
	files, err := ReadFiles(fstest.MapFS{
		"var/lib/dpkg/info/a.md5sums": {Data: []byte(testSum + "  usr/share/a b/key\n" + testSum + " *lib/key\n" +
			testSum + "  ./usr/dot\n" +
			"d41d8cd98f00b204e9800998ecf8427e  usr/other\nd41d8cd9  usr/short\nnonsense\n\n" + testSum)},
		"var/lib/dpkg/info/b:amd64.md5sums": {Data: []byte("d41d8cd98f00b204e9800998ecf8427e  usr/both\n")},
		"var/lib/dpkg/info/c.md5sums":       {Data: []byte(testSum + "  usr/both")},
		"var/lib/dpkg/info/d.list":          {Data: []byte(testSum + "  usr/list\n")},
		"var/lib/dpkg/status": {Data: []byte("Package: a\nConffiles:\n /etc/a " + testSum + "\n /etc/old " + testSum +
			" obsolete\n" +
			" /etc/new newconffile\n /etc/short\nDescription: " + testSum + "\n /etc/description is here\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{
		"usr/share/a b/key": true,
		"usr/lib/key":       true, // merged
		"lib/key":           true,
		"usr/dot":           true,
		"usr/both":          true,
		"etc/a":             true,
		"etc/old":           true,
		"usr/other":         false,
		"usr/short":         false,
		"usr/list":          false,
		"etc/new":           false,
		"etc/short":         false,
		"etc/description":   false,
		"share/a b/key":     false,
		"":                  false,
	} {
		if got, err := files.IsAsInstalled(path, opens(strings.NewReader(testKey))); got != want || err != nil {
			t.Errorf("%q: %v, %v", path, got, err)
		}
	}
	if got, _ := files.IsAsInstalled("usr/dot", opens(strings.NewReader(testKey+"\n"))); got {
		t.Error("another content is as installed")
	}
	broken := errors.New("broken")
	if _, err := files.IsAsInstalled("usr/dot", opens(iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("reading broke, and the error is %v", err)
	}
	cannotOpen := func() (io.ReadCloser, error) { return nil, broken }
	if _, err := files.IsAsInstalled("usr/dot", cannotOpen); !errors.Is(err, broken) {
		t.Errorf("opening failed, and the error is %v", err)
	}
	if got, err := files.IsAsInstalled("usr/huge", cannotOpen); got || err != nil {
		t.Errorf("what no package has is opened: %v, %v", got, err)
	}
}

func opens(content io.Reader) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(content), nil }
}

func TestNoPackages(t *testing.T) {
	t.Parallel()
	files, err := ReadFiles(fstest.MapFS{"etc/passwd": {}})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := files.IsAsInstalled("a", opens(strings.NewReader(""))); got || err != nil {
		t.Error(got, err)
	}
	_, err = ReadFiles(fstest.MapFS{"var/lib/dpkg/status": {Mode: fs.ModeDir}})
	if err == nil {
		t.Error("a directory is no status, and no error")
	}
}

func TestIsInstalled(t *testing.T) {
	t.Parallel()
	changed := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	root := fstest.MapFS{"var/lib/dpkg/info/a.list": {}, "var/lib/dpkg/status": {ModTime: changed}}
	for name, want := range map[string]bool{"a": true, "b": false} {
		if got, err := IsInstalled(root, name); got != want || err != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if got := FindLastChange(root); !got.Equal(changed) {
		t.Error(got)
	}
	if got := FindLastChange(fstest.MapFS{}); !got.IsZero() {
		t.Error(got)
	}
}
