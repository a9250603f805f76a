package image

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"ltskeeper/internal/testkit/disktest"

	"golang.org/x/sys/unix"
)

// Whatever a disk fails to do, once or from then on, the error names its folder, no client sees
// anything half made, and when it is mended work goes on as after a crash.
func TestFailingDisk(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"the first day", "a new generation", "a rollback"} {
		for _, side := range []string{"images", "tftp"} {
			for _, op := range []string{"write", "sync", "rename"} {
				t.Run(fmt.Sprintf("%s, %s, %s", name, side, op), func(t *testing.T) {
					t.Parallel()
					c := newCrasher(t, deeds[name])
					for _, once := range []bool{true, false} {
						n := 1
						for c.fail(side, op, n, once) {
							n++
						}
						t.Logf("once %v: %d places", once, n-1)
						if n == 1 && !(name == "a rollback" && side == "tftp" && op == "write") { // its files are there
							t.Errorf("there is no %s to fail", op)
						}
					}
				})
			}
		}
	}
}

// fail does the deed where the nth operation of a kind fails on a side, and those after it unless
// once. It says whether there were so many.
func (c *crasher) fail(side, op string, n int, once bool) (struck bool) {
	p := c.layPlace(c.t, c.tree)
	dir := p.Images
	if side == "tftp" {
		dir = p.TFTP
	}
	disk := disktest.Failing(c.t, dir)
	count, last := 0, ""
	disk.Fail(func(o, path string) unix.Errno {
		if o == op {
			count++
		}
		if o != op || count < n || once && count > n {
			return 0
		}
		if !struck {
			struck, last = true, path
		}
		return unix.EIO
	})
	err := c.do(p)
	disk.Mend()
	when := fmt.Sprintf("%s %d of %s fails, once %v, at %s", op, n, side, once, last)
	if struck != (err != nil) || struck && (!errors.Is(err, unix.EIO) || !strings.Contains(err.Error(), dir)) {
		c.t.Errorf("%s: %v", when, err)
	}
	if once && struck {
		c.checkLitter(p)
	}
	c.checkAfter(p)
	if c.t.Failed() {
		c.t.Fatal(when)
	}
	return struck
}
