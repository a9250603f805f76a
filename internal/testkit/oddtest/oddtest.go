// Package oddtest puts odd things in the place of files: those at which a careless reader waits for
// ever or fills the memory.
package oddtest

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"ltskeeper/internal/testkit"

	"golang.org/x/sys/unix"
)

// A Thing may stand in a file's place.
type Thing struct {
	Name string
	Want string // in the error of a function that reads it
	put  func(t testing.TB, path string)
}

// Things are all that there are. A device of its own takes root; elsewhere it is left out.
func Things() []Thing {
	things := []Thing{
		{"fifo", "it is a fifo and not a regular file", func(t testing.TB, path string) {
			testkit.Must(t, unix.Mkfifo(path, 0o644))
		}},
		{"folder", "it is a folder and not a regular file", func(t testing.TB, path string) {
			testkit.Must(t, os.MkdirAll(path+"/full", 0o755))
		}},
		{"socket", "it is a socket and not a regular file", listen},
		{"link to /dev/zero", "it is a device and not a regular file", func(t testing.TB, path string) {
			testkit.Must(t, os.Symlink("/dev/zero", path))
		}},
		{"link to itself", "too many levels of symbolic links", func(t testing.TB, path string) {
			testkit.Must(t, os.Symlink(filepath.Base(path), path))
		}},
		{"900 GB", "it has 966367641600 bytes, and no more than", sparse},
	}
	if os.Geteuid() == 0 {
		things = append(things,
			Thing{"device", "it is a device and not a regular file", func(t testing.TB, path string) {
				testkit.Must(t, unix.Mknod(path, unix.S_IFCHR|0o644, int(unix.Mkdev(1, 5))))
			}})
	}
	return things
}

// Replace puts the thing in the place of what is at path.
func (thing Thing) Replace(t testing.TB, path string) {
	t.Helper()
	testkit.Must(t, os.RemoveAll(path))
	thing.put(t, path)
}

// listen leaves a socket at path. Its name may be too long for a socket, so that it is made
// elsewhere.
func listen(t testing.TB, path string) {
	dir, err := os.MkdirTemp("", "s")
	testkit.Must(t, err)
	defer os.RemoveAll(dir)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: dir + "/s", Net: "unix"})
	testkit.Must(t, err)
	l.SetUnlinkOnClose(false)
	testkit.Must(t, l.Close())
	testkit.Must(t, os.Rename(dir+"/s", path))
}

func sparse(t testing.TB, path string) {
	testkit.Must(t, os.WriteFile(path, nil, 0o644))
	testkit.Must(t, os.Truncate(path, 900<<30))
}

// Each runs a test for each thing, as Bounded does.
func Each(t *testing.T, test func(t *testing.T, thing Thing)) {
	for _, thing := range Things() {
		t.Run(thing.Name, func(t *testing.T) { Bounded(t, func() { test(t, thing) }) })
	}
}

// Bounded runs do, which must come back within three minutes and may allocate up to 200 MB. No test
// may run beside it.
func Bounded(t testing.TB, do func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	select {
	case <-done:
	case <-time.After(3 * time.Minute):
		t.Fatal("it waits")
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 200<<20 {
		t.Errorf("it took %d MB of memory", n>>20)
	}
}
