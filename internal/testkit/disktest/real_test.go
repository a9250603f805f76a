package disktest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ltskeeper/internal/testkit"

	"golang.org/x/sys/unix"
)

// File systems of each kind hold what is written, and leave no loop device.
func TestLoop(t *testing.T) {
	t.Parallel()
	magic := map[string]int64{"ext4": unix.EXT4_SUPER_MAGIC, "xfs": unix.XFS_SUPER_MAGIC,
		"btrfs": unix.BTRFS_SUPER_MAGIC,
		"vfat":  unix.MSDOS_SUPER_MAGIC, "squashfs": unix.SQUASHFS_MAGIC, "erofs": unix.EROFS_SUPER_MAGIC_V1}
	for kind := range magic {
		t.Run(kind, func(t *testing.T) {
			var folder string // where the test's files are
			t.Run("mounted", func(t *testing.T) {
				folder = filepath.Dir(t.TempDir()) + "/"
				var dir string
				if makers[kind] != nil {
					dir = Loop(t, kind, 400<<20)
					testkit.Must(t, os.WriteFile(filepath.Join(dir, "file"), []byte("content"), 0o644))
				} else {
					from := t.TempDir()
					testkit.Must(t, os.WriteFile(filepath.Join(from, "file"), []byte("content"), 0o644))
					dir = filepath.Join(t.TempDir(), kind)
					Packed(t, dir, kind, from)
				}
				var fs unix.Statfs_t
				testkit.Must(t, unix.Statfs(dir, &fs))
				if int64(fs.Type) != magic[kind] {
					t.Errorf("it is a file system of type %#x", fs.Type)
				}
				if data, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || string(data) != "content" {
					t.Errorf("a file holds %q: %v", data, err)
				}
				if len(loopFiles(t, folder)) != 1 {
					t.Errorf("the loop devices are of %q", loopFiles(t, folder))
				}
			})
			if files := loopFiles(t, folder); len(files) != 0 {
				t.Errorf("loop devices are left behind: %q", files)
			}
		})
	}
}

// loopFiles returns the files below a folder that loop devices show.
func loopFiles(t *testing.T, folder string) []string {
	t.Helper()
	devices, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	testkit.Must(t, err)
	var files []string
	for _, device := range devices {
		if file, err := os.ReadFile(device); err == nil && strings.HasPrefix(string(file), folder) {
			files = append(files, strings.TrimSpace(string(file)))
		}
	}
	return files
}

// On an overlay over two subvolumes of one btrfs, files that are not one have one device and inode
// number.
func TestOverlayRepeatsInodeNumbers(t *testing.T) {
	t.Parallel()
	for _, option := range []string{"xino=auto", "xino=off", "xino=on"} {
		t.Run(option, func(t *testing.T) {
			disk := Loop(t, "btrfs", 256<<20)
			subvolume := func(name string) string {
				path := filepath.Join(disk, name)
				Subvolume(t, path)
				testkit.Must(t, os.MkdirAll(filepath.Join(path, "root/etc"), 0o755))
				return filepath.Join(path, "root")
			}
			lower, upper := subvolume("lower"), subvolume("upper")
			inode := func(path string) (st unix.Stat_t) {
				t.Helper()
				testkit.Must(t, unix.Lstat(path, &st))
				return st
			}
			// Each subvolume counts on its own.
			victim := filepath.Join(upper, "etc/victim")
			testkit.Must(t, os.WriteFile(victim, []byte("content of victim"), 0o644))
			a := filepath.Join(lower, "etc/a")
			for n := 0; ; n++ {
				testkit.Must(t, os.WriteFile(a, []byte("content of a"), 0o644))
				if have, want := inode(a).Ino, inode(victim).Ino; have == want {
					break
				} else if have > want {
					testkit.Must(t, os.Rename(victim, fmt.Sprint(upper, "/etc/before", n)))
					testkit.Must(t, os.WriteFile(victim, []byte("content of victim"), 0o644))
				}
				testkit.Must(t, os.Rename(a, fmt.Sprint(lower, "/etc/before", n)))
			}
			testkit.Must(t, os.Link(a, filepath.Join(lower, "etc/b")))

			dir := Overlay(t, upper, []string{lower}, option)
			one, two := inode(filepath.Join(dir, "etc/a")), inode(filepath.Join(dir, "etc/b"))
			other := inode(filepath.Join(dir, "etc/victim"))
			if one.Ino != two.Ino || one.Dev != two.Dev || one.Nlink != 2 {
				t.Errorf("a and b are not one file: %d:%d and %d:%d", one.Dev, one.Ino, two.Dev, two.Ino)
			}
			if one.Ino != other.Ino || one.Dev != other.Dev {
				t.Errorf("a is %d:%d, victim %d:%d", one.Dev, one.Ino, other.Dev, other.Ino)
			}
			for name, want := range map[string]string{
				"a": "content of a", "b": "content of a", "victim": "content of victim",
			} {
				if data, err := os.ReadFile(filepath.Join(dir, "etc", name)); err != nil || string(data) != want {
					t.Errorf("%s holds %q: %v", name, data, err)
				}
			}
		})
	}
}

// What is faked below an overlay shows on the overlay.
func TestOverlayOfFaked(t *testing.T) {
	t.Parallel()
	lower := writeTree(t)
	disk := Faked(t, lower)
	disk.Set("etc/other", Fake{Ino: 600, Blocks: new(0), Data: [][2]int64{}})
	other := filepath.Join(Overlay(t, filepath.Join(t.TempDir(), "upper"), []string{lower}), "etc/other")
	for call, st := range statAll(t, other) {
		if st.Ino != 600 || st.Blocks != 0 {
			t.Errorf("%s shows number %d and %d blocks", call, st.Ino, st.Blocks)
		}
	}
	f, err := os.Open(other)
	testkit.Must(t, err)
	defer f.Close()
	if offset, err := unix.Seek(int(f.Fd()), 0, unix.SEEK_DATA); !errors.Is(err, unix.ENXIO) {
		t.Errorf("SEEK_DATA finds %d: %v", offset, err)
	}
}
