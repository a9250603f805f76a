// Package pictures is the pictures of the terminal that stand in README.md, and the test that keeps
// them true.
package pictures

import (
	"cmp"
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/programs"
)

// The pictures show what the programs show today. `make pictures` makes them anew.
func TestPictures(t *testing.T) {
	testkit.NeedRoot(t)
	testkit.NeedPrograms(t, "tmux", "sshd", "busybox", "unshare", "/usr/lib/python3/dist-packages/rich")
	bin, made := t.TempDir(), t.TempDir()
	programs.Build(t, bin, "...")
	script := exec.Command("./make", made)
	script.Env = append(os.Environ(), "PROGRAMS="+bin)
	if out, err := script.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}

	committed, err := filepath.Glob("*.svg")
	if err != nil {
		t.Fatal(err)
	}
	today, err := filepath.Glob(filepath.Join(made, "*.svg"))
	if err != nil {
		t.Fatal(err)
	}
	if len(committed) != len(today) || len(today) == 0 {
		t.Errorf("here are %d pictures, and %d are made", len(committed), len(today))
	}
	for _, path := range today {
		name := filepath.Base(path)
		want, got := words(t, name), words(t, path)
		if want != got {
			t.Errorf("%s shows\n%s\nand today it would be\n%s\nmake pictures makes it anew", name, want, got)
		}
		if info, err := os.Stat(path); err != nil || info.Size() > 60_000 {
			t.Errorf("%s is too large for a page: %v, %v", name, info.Size(), err)
		}
	}
}

// What differs from run to run.
var masks = []struct {
	what *regexp.Regexp
	by   string
}{
	{regexp.MustCompile(`SHA256:[A-Za-z0-9+/]{43}`), "SHA256:..."},
	{regexp.MustCompile(`20\d\d-\d\d-\d\d[T ]\d\d:\d\d(:\d\dZ)?`), "DATE"},
	{regexp.MustCompile(`just now|\d+ (s|min) ago`), "AGO"},
	{regexp.MustCompile(`\d+(\.\d+)? s\b`), "TIME"},
	{regexp.MustCompile(`\d+(\.\d+)? (B|kB|MB)\b`), "SIZE"},
	{regexp.MustCompile(`\d+ files`), "N files"},
	{regexp.MustCompile(` {2,}`), "  "},
}

// words returns what stands in a picture, line for line.
func words(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
		return ""
	}
	type run struct {
		X, Y float64
		Text string
	}
	var runs []run
	d := xml.NewDecoder(strings.NewReader(string(data)))
	for {
		token, err := d.Token()
		if err != nil {
			if err.Error() != "EOF" {
				t.Errorf("%s: %v", path, err)
			}
			break
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == "text" {
			var text struct {
				X    float64 `xml:"x,attr"`
				Y    float64 `xml:"y,attr"`
				Text string  `xml:",chardata"`
			}
			if err := d.DecodeElement(&text, &start); err != nil {
				t.Errorf("%s: %v", path, err)
			}
			runs = append(runs, run{text.X, text.Y, strings.ReplaceAll(text.Text, "\u00a0", " ")})
		}
	}
	slices.SortStableFunc(runs, func(a, b run) int { return cmp.Or(cmp.Compare(a.Y, b.Y), cmp.Compare(a.X, b.X)) })
	var lines strings.Builder
	for i, r := range runs {
		if i > 0 && r.Y != runs[i-1].Y {
			lines.WriteByte('\n')
		}
		lines.WriteString(r.Text)
	}
	text := lines.String()
	for _, m := range masks {
		text = m.what.ReplaceAllString(text, m.by)
	}
	return text
}
