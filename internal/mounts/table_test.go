package mounts

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ltskeeper/internal/testkit"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

func TestTable(t *testing.T) {
	t.Parallel()
	const head = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
	for name, test := range map[string]struct {
		table  string
		folder string
		own    int
		want   []string
	}{
		"usual": {"23 22 8:2 / /usr rw - ext4 /dev/sda2 rw\n24 23 8:3 / /usr/local rw - xfs /dev/sda3 rw\n", "/",
			22, []string{"23 usr", "24 usr/local"}},
		"a chroot's": {"23 22 8:2 / /srv/a/usr rw - ext4 /dev/sda2 rw\n24 22 8:3 / /srv/a-b rw - xfs /dev/sda3 rw\n",
			"/srv/a", 22, []string{"23 usr"}},
		"stacked": {"23 22 8:2 / /usr rw - ext4 /dev/sda2 rw\n" +
			"24 23 8:3 / /usr rw - xfs /dev/sda3 rw\n" +
			"25 24 8:4 / /usr rw - xfs /dev/sda4 rw\n", "/", 22, []string{"25 usr"}},
		"covered": {"23 22 8:2 / /usr/local rw - ext4 /dev/sda2 rw\n" +
			"24 22 8:3 / /usr rw - xfs /dev/sda3 rw\n" +
			"25 24 8:4 / /usr/local rw - xfs /dev/sda4 rw\n", "/", 22, []string{"24 usr", "25 usr/local"}},
		"under stack": {"23 22 8:2 / /usr rw - ext4 /dev/sda2 rw\n" +
			"26 23 8:5 / /usr/local rw - ext4 /dev/sda5 rw\n" +
			"24 23 8:3 / /usr rw - xfs /dev/sda3 rw\n", "/", 22, []string{"24 usr"}},
		"elsewhere": {"23 22 8:2 / /srv rw - ext4 /dev/sda2 rw\n24 22 8:3 / /opt rw - xfs /dev/sda3 rw\n", "/srv/a",
			23, nil},
		"the folder": {"23 22 8:2 / /srv/a rw - ext4 /dev/sda2 rw\n" +
			"24 23 8:3 / /srv/a/opt\\040x rw - xfs /dev/sda3 rw\n", "/srv/a", 23, []string{"24 opt x"}},
	} {
		all, err := mountinfo.GetMountsFromReader(strings.NewReader(head+test.table), nil)
		if err != nil {
			t.Fatal(err)
		}
		own := all[slices.IndexFunc(all, func(m *mountinfo.Info) bool { return m.ID == test.own })]
		var got []string
		for _, m := range selectMounts(test.folder, own, all).Mounts {
			got = append(got, string(rune('0'+m.ID/10))+string(rune('0'+m.ID%10))+" "+m.Path)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// After chroot(2) the mount that the new root is in is not listed.
func TestTableAfterChroot(t *testing.T) {
	t.Parallel()
	const table = "23 22 8:2 / /usr rw - ext4 /dev/sda2 rw\n24 23 8:3 / /usr/local rw - xfs /dev/sda3 rw\n"
	all, err := mountinfo.GetMountsFromReader(strings.NewReader(table), nil)
	if err != nil {
		t.Fatal(err)
	}
	mounted := selectMounts("/", &mountinfo.Info{ID: 22}, all)
	if len(mounted.Mounts) != 2 || mounted.IsShown(mounted.Mounts[0]) {
		t.Errorf("got %+v", mounted)
	}
}

func TestIsShown(t *testing.T) {
	t.Parallel()
	const table = `22 1 0:25 /@ / rw - btrfs /dev/sda1 rw
23 22 0:25 /@var /var rw - btrfs /dev/sda1 rw
24 22 0:25 /@/srv/x /opt/x rw - btrfs /dev/sda1 rw
25 22 8:2 / /usr rw - ext4 /dev/sdb1 rw
26 22 8:2 /share /opt/share rw - ext4 /dev/sdb1 rw
`
	all, err := mountinfo.GetMountsFromReader(strings.NewReader(table), nil)
	if err != nil {
		t.Fatal(err)
	}
	mounted := selectMounts("/", all[0], all)
	byPath := map[string]Mount{}
	for _, m := range mounted.Mounts {
		byPath[m.Path] = m
		if got, want := mounted.IsShown(m), m.Path == "opt/x"; got != want {
			t.Errorf("%s: shown elsewhere %v, want %v", m.Path, got, want)
		}
	}
	if !byPath["usr"].Overlaps(byPath["opt/share"]) || byPath["usr"].Overlaps(byPath["var"]) ||
		byPath["var"].Overlaps(byPath["opt/x"]) {
		t.Error("what overlaps is not what has files in common")
	}
}

// What the kernel says of real mounts is understood.
func TestReadTable(t *testing.T) {
	t.Parallel()
	testkit.NeedRoot(t)
	dir := t.TempDir()
	mount := func(source, at, kind string, flags uintptr, data string) {
		t.Helper()
		if err := os.MkdirAll(at, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount(source, at, kind, flags, data); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Unmount(at, unix.MNT_DETACH) })
	}
	root := filepath.Join(dir, "ro ot")
	mount("one", filepath.Join(root, "usr"), "tmpfs", 0, "")
	mount("two", filepath.Join(root, "usr/local"), "tmpfs", 0, "")
	mount("three", filepath.Join(root, "usr/local"), "tmpfs", 0, "")
	lower, upper := filepath.Join(dir, "lo,wer 1"), filepath.Join(dir, "upper")
	for _, folder := range []string{lower, upper, filepath.Join(dir, "work")} {
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mount("overlay", filepath.Join(root, "opt"), "overlay", 0,
		"lowerdir="+strings.ReplaceAll(lower, ",", `\,`)+",upperdir="+upper+",workdir="+filepath.Join(dir, "work"))
	table, err := ReadTable(root)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range table.Mounts {
		got = append(got, m.Path+" "+m.Type+" "+m.Source)
		if kind := FindType(m.ID); kind != m.Type {
			t.Errorf("%s is of type %q by its number", m.Path, kind)
		}
	}
	if want := []string{"opt overlay overlay", "usr tmpfs one", "usr/local tmpfs three"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	folders, known := ListLayers(table.Mounts[0].ID)
	if want := []string{lower, upper}; !known || !slices.Equal(folders, want) {
		t.Errorf("the overlay's layers are %q, %v, want %q", folders, known, want)
	}
}

func TestParseLayers(t *testing.T) {
	t.Parallel()
	for options, want := range map[string][]string{
		"rw,lowerdir=/a:/b,upperdir=/c,workdir=/d": {"/a", "/b", "/c"},
		"ro,lowerdir=/a::/data":                    {"/a", "/data"},
		"rw,lowerdir+=/a,lowerdir+=/b,datadir+=/e": {"/a", "/b", "/e"},
		`ro,lowerdir=/a\040b`:                      {"/a b"},

		"rw,lowerdir=a:/b,upperdir=/c": nil,
		"rw,index=off":                 nil,
	} {
		if got, known := parseLayers(options); !slices.Equal(got, want) || known != (want != nil) {
			t.Errorf("%s: %q, %v, want %q", options, got, known, want)
		}
	}
}
