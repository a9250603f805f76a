package image

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/disktest"

	"golang.org/x/sys/unix"
)

// A disk is blamed for an image that is not read as it was written only if it reported an error.
func TestBlame(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		spoil func(t *testing.T, dir string)
		want  string
	}{
		"other bytes": {func(t *testing.T, dir string) {
			path := filepath.Join(dir, imageFile)
			data, err := os.ReadFile(path)
			testkit.Must(t, err)
			data[100] ^= 1
			testkit.Must(t, os.WriteFile(path, data, 0o644))
		}, "although the disk reports no error"},
		"an error": {func(t *testing.T, dir string) {
			disktest.Failing(t, dir).FailAt("read", imageFile, unix.EIO)
		}, "see what the kernel says of it (dmesg)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			p.update("conf")
			dir := p.folder(1)
			testkit.Must(t, p.verifyWritten(t.Context(), dir))
			test.spoil(t, dir)
			if err := p.verifyWritten(t.Context(), dir); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}
