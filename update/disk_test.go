package update

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"ltskeeper/internal/disktest"
	"ltskeeper/internal/sshdtest"
)

// Whichever disk is full or cannot be written to: the error names what is on it, clients have what they had, nothing unfinished
// is left, and once it is mended the work is done.
func TestDisks(t *testing.T) {
	t.Parallel()
	full := func(t *testing.T, dir string) func() { return disktest.Fill(t, dir) }
	for _, test := range []struct {
		dir   string
		fail  func(t *testing.T, dir string) (mend func())
		cause error
	}{
		{"state", full, syscall.ENOSPC},
		{"images", full, nil}, // there is no room, before anything is tried
		{"tftp", full, nil},
		{"state", disktest.ReadOnly, syscall.EROFS},
		{"images", disktest.ReadOnly, syscall.EROFS},
		{"tftp", disktest.ReadOnly, syscall.EROFS},
		{"client", disktest.ReadOnly, syscall.EROFS},
	} {
		name := test.dir + " full"
		if test.cause == syscall.EROFS {
			name = test.dir + " read-only"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			if test.dir != "client" {
				disktest.Small(t, p.path(test.dir))
			}
			p.run(Options{})
			link := storeOf(p.farm(), p.farm().Chroots[0]).Link()
			before, err := os.Readlink(link)
			must(t, err)

			s := sshdtest.Start(t, sshdtest.Options{KeyTypes: []string{"ed25519"}})
			p.write("servers.d/app01.toml", "addresses = [\""+s.Address+"\"]\nport = 2222\n")
			mend := test.fail(t, p.path(test.dir))
			r, err := Run(t.Context(), p.farm(), Options{})
			if err == nil || test.cause != nil && !errors.Is(err, test.cause) || !strings.Contains(err.Error(), p.path(test.dir)) || strings.Contains(err.Error(), ".tmp") {
				t.Errorf("%v, want an error of %s", err, p.path(test.dir))
			}
			if now, err := os.Readlink(link); now != before {
				t.Errorf("the image is %s, was %s: %v", now, before, err)
			}
			if r != nil && test.dir == "client" && slices.ContainsFunc(r.Files, func(f File) bool { return f.Changed }) {
				t.Errorf("the report says that files were written: %+v", r.Files)
			}
			must(t, filepath.WalkDir(p.dir, func(path string, d fs.DirEntry, err error) error {
				if strings.HasPrefix(d.Name(), ".ltskeeper-") {
					t.Errorf("left behind: %s", path)
				}
				return err
			}))

			mend()
			p.run(Options{})
			wantContains(t, "the image's known_hosts", p.inImage(knownHostsPath), "app01")
		})
	}
}
