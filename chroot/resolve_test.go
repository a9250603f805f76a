package chroot

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path"
	"strings"
	"syscall"
	"testing"

	"ltskeeper/internal/clientfs"

	"golang.org/x/sys/unix"
)

func TestResolve(t *testing.T) {
	t.Parallel()
	r := client(t, map[string]string{
		"usr/lib/x":      "",
		"lib":            "->usr/lib",
		"absolute":       "->/usr/lib",
		"above":          "->../../../../usr/lib",
		"chain":          "->/absolute/../lib",
		"dangling":       "->/run/deep/file",
		"dangling above": "->/run/../etc",
		"loop":           "->pool",
		"pool":           "->loop",
		"slash":          "->/",
	})
	for name, want := range map[string]string{
		"etc/ssh/ssh_known_hosts": "etc/ssh/ssh_known_hosts",
		"/etc//lts.conf":          "etc/lts.conf",
		"lib/x":                   "usr/lib/x",
		"absolute/x":              "usr/lib/x",
		"above/x":                 "usr/lib/x",
		"chain/x":                 "usr/lib/x",
		"dangling":                "run/deep/file",
		"slash/slash/lib/x":       "usr/lib/x",
		"../../etc/..":            ".",
		".":                       ".",
		"":                        ".",
	} {
		if got, err := r.Resolve(name); err != nil || got != want {
			t.Errorf("%q: got %q, %v; want %q", name, got, err, want)
		}
	}
	for name, want := range map[string]string{
		"loop":           "too many levels of symbolic links",
		"dangling above": "file does not exist",
		"bin/sh/x":       "not a directory",
	} {
		if got, err := r.Resolve(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %q, %v; want %q", name, got, err, want)
		}
	}
}

// The kernel resolves names in a root itself, if asked to (RESOLVE_IN_ROOT in openat2(2)). Its
// answer is the right one, in any tree of links.
func TestResolveAsTheKernelDoes(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(seed, 1))
			dir := tree(t, map[string]string{"etc/": "", "bin/sh": program})
			tangle(t, rnd, dir, t.TempDir())
			r := mustOpen(t, dir)
			root, err := os.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			for range 200 {
				name := randomPath(rnd)
				want, wantErr := inodeInRoot(root, name)
				got, err := resolvedInode(r, name)
				if got != want || (err == nil) != (wantErr == nil) {
					t.Errorf("%q: got inode %d, %v; the kernel %d, %v", name, got, err, want, wantErr)
				}
			}
		})
	}
}

func inodeInRoot(root *os.File, name string) (uint64, error) {
	how := unix.OpenHow{Flags: unix.O_PATH, Resolve: unix.RESOLVE_IN_ROOT}
	fd, err := unix.Openat2(int(root.Fd()), name, &how)
	for err == unix.EAGAIN { // something somewhere was renamed meanwhile
		fd, err = unix.Openat2(int(root.Fd()), name, &how)
	}
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	var stat unix.Stat_t
	err = unix.Fstat(fd, &stat)
	return stat.Ino, err
}

func resolvedInode(r *Root, name string) (uint64, error) {
	_, info, err := clientfs.Stat(r.FS(), name)
	if err != nil {
		return 0, err
	}
	return info.Sys().(*syscall.Stat_t).Ino, nil
}

// names is short, so that random paths meet.
var names = []string{"a", "b", "c", "etc", "bin"}

func randomPath(rnd *rand.Rand) string {
	parts := make([]string, 1+rnd.IntN(4))
	for i := range parts {
		parts[i] = names[rnd.IntN(len(names))]
		if rnd.IntN(5) == 0 {
			parts[i] = ".."
		}
	}
	if rnd.IntN(4) == 0 {
		parts = append([]string{""}, parts...)
	}
	return strings.Join(parts, "/")
}

// tangle fills dir with folders, files and links, some of which lead to outside or to where this
// machine has its own files.
func tangle(t *testing.T, rnd *rand.Rand, dir, outside string) {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for range 30 {
		name := "." + path.Clean("/"+randomPath(rnd))
		// Some of this fails, where a name is taken or a folder missing: the tree is what comes
		// out.
		switch rnd.IntN(5) {
		case 0:
			root.MkdirAll(name, 0o755)
		case 1:
			root.WriteFile(name, []byte("tangled"), 0o644)
		case 2:
			root.Symlink(outside, name)
		default:
			root.Symlink(randomPath(rnd), name)
		}
	}
}
