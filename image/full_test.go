package image

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ltskeeper/internal/durable"
	"ltskeeper/internal/remedy"
	"ltskeeper/internal/testkit"

	"golang.org/x/sys/unix"
)

// Whichever side runs full, and after whatever step, the error names it, clients have what they
// had, nothing half made stays behind, and with room again the work is done.
func TestNoSpaceLeft(t *testing.T) {
	t.Parallel()
	testkit.NeedRoot(t)
	for _, name := range []string{"the first day", "a new generation", "a rollback"} {
		for _, side := range []string{"images", "tftp"} {
			t.Run(name+", "+side, func(t *testing.T) {
				t.Parallel()
				c := newCrasher(t, deeds[name])
				failed := 0
				for n := range c.steps {
					if c.fill(n, side) {
						failed++
					}
				}
				if failed == 0 {
					t.Error("it never ran full")
				}
				t.Logf("%d of %d steps leave too little room", failed, len(c.steps))
			})
		}
	}
}

// fill does the deed on small file systems, one of which is full from its nth step on, and says
// whether that stopped it.
func (c *crasher) fill(n int, side string) (failed bool) {
	dir := memoryDir(c.t)
	p := c.first.at(c.t, dir)
	for _, folder := range []string{p.Images, p.TFTP} {
		mountSmall(c.t, folder)
		defer unix.Unmount(folder, unix.MNT_DETACH)
	}
	c.tree.lay(c.t, dir)
	full := filepath.Join(dir, side)
	steps := 0
	fillUp := func() {
		if steps == n {
			testkit.Must(c.t, occupy(full))
		}
		steps++
	}
	fillUp()
	p.disk.Did = func(durable.Step) { fillUp() }
	err := c.do(p)
	p.disk.Did = nil
	when := fmt.Sprintf("%s full from step %d on", side, n)
	if err != nil {
		if text := err.Error(); !errors.Is(err, unix.ENOSPC) || !strings.Contains(text, full) ||
			len(remedy.FindIn(err)) != 2 {
			c.t.Errorf("%s: %v, want an error that names %s", when, err, full)
		}
		if got := p.served(); !maps.Equal(got, c.old) {
			c.t.Errorf("%s: after %v\n\t%.60q are served, want the old %.60q", when, err, got, c.old)
		}
		if since, err := p.HeldSince(); err != nil || !since.IsZero() {
			c.t.Errorf("%s: a rollback that failed holds: %v, %v", when, since, err)
		}
		c.checkLitter(p)
	} else if got := p.served(); !maps.Equal(got, c.new) {
		c.t.Errorf("%s: %.60q are served, want the new %.60q", when, got, c.new)
	}
	testkit.Must(c.t, os.RemoveAll(filepath.Join(full, ballast)))
	c.checkAfter(p)
	return err != nil
}

// ballast is the folder of what fills a file system.
const ballast = "ballast"

// mountSmall mounts a file system of a quarter of a megabyte and few inodes.
func mountSmall(t *testing.T, dir string) {
	t.Helper()
	testkit.Must(t, os.Mkdir(dir, 0o755))
	testkit.Must(t, unix.Mount("ltskeeper-test", dir, "tmpfs", 0, "size=256k,nr_inodes=150"))
	testkit.Must(t, os.Mkdir(filepath.Join(dir, ballast), 0o755))
}

// occupy takes all bytes and all inodes there are left in the file system of dir.
func occupy(dir string) error {
	f, err := os.Create(filepath.Join(dir, ballast, "bytes"))
	if err != nil {
		return err
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	for n := 0; errors.Is(err, unix.ENOSPC); n++ {
		if err := unix.Mknod(filepath.Join(dir, ballast, fmt.Sprint(n)), unix.S_IFREG, 0); errors.Is(err, unix.ENOSPC) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return err
}
