package mounts

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ltskeeper/internal/disktest"
)

func TestAsk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := Ask(time.Minute, dir, filepath.Join(dir, "none")); err != nil {
		t.Error(err)
	}
	silent := filepath.Join(t.TempDir(), "a mount")
	disktest.Silent(t, silent)
	err := Ask(time.Second, dir, silent)
	if !errors.Is(err, ErrSilent) || !strings.Contains(err.Error(), silent) {
		t.Error(err)
	}
	if places, err := Below(filepath.Dir(silent)); err != nil || !slices.Equal(places, []string{"a mount"}) {
		t.Errorf("%q, %v", places, err)
	}
}

func TestBelow(t *testing.T) {
	t.Parallel()
	const table = `22 1 0:20 / / rw shared:1 - ext4 /dev/sda1 rw
23 22 0:21 / /srv/ltsp/x86_64 rw - ext4 /dev/sdb1 rw
24 23 0:22 / /srv/ltsp/x86_64/opt/a\040b\134c rw shared:7 - nfs4 files:/opt rw
25 23 0:23 / /srv/ltsp/x86_64/net rw - autofs systemd-1 rw
26 22 0:24 / /srv/ltsp/x86_64-old/home rw - nfs4 files:/home rw
`
	if places := below("/srv/ltsp/x86_64", table); !slices.Equal(places, []string{`opt/a b\c`}) {
		t.Errorf("%q", places)
	}
	if places := below("/", table); len(places) != 3 {
		t.Errorf("%q", places)
	}
}
