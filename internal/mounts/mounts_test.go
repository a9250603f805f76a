package mounts

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ltskeeper/internal/testkit/disktest"

	"github.com/moby/sys/mountinfo"
)

func TestCheckAnswer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := CheckAnswer(time.Minute, dir, filepath.Join(dir, "none")); err != nil {
		t.Error(err)
	}
	silent := filepath.Join(t.TempDir(), "a mount")
	disktest.Silent(t, silent)
	err := CheckAnswer(time.Second, dir, silent)
	if !errors.Is(err, ErrSilent) || !strings.Contains(err.Error(), silent) {
		t.Error(err)
	}
	if places, err := ListBelow(filepath.Dir(silent)); err != nil || !slices.Equal(places, []string{"a mount"}) {
		t.Errorf("%q, %v", places, err)
	}
}

func TestListBelow(t *testing.T) {
	t.Parallel()
	const text = `22 1 0:20 / / rw shared:1 - ext4 /dev/sda1 rw
23 22 0:21 / /srv/ltsp/x86_64 rw - ext4 /dev/sdb1 rw
24 23 0:22 / /srv/ltsp/x86_64/opt/a\040b\134c rw shared:7 - nfs4 files:/opt rw
25 23 0:23 / /srv/ltsp/x86_64/net rw - autofs systemd-1 rw
26 22 0:24 / /srv/ltsp/x86_64-old/home rw - nfs4 files:/home rw
`
	all, err := mountinfo.GetMountsFromReader(strings.NewReader(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	for folder, want := range map[string][]string{"/srv/ltsp/x86_64": {`opt/a b\c`},
		"/": {"srv/ltsp/x86_64", "srv/ltsp/x86_64-old/home", `srv/ltsp/x86_64/opt/a b\c`}} {
		own := all[slices.IndexFunc(all, func(m *mountinfo.Info) bool { return m.Mountpoint == folder })]
		if places := selectMounts(folder, own, all).listMounted(); !slices.Equal(places, want) {
			t.Errorf("below %s: %q, want %q", folder, places, want)
		}
	}
}
