package keeper

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ltskeeper/internal/mounts"
	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/disktest"
)

// Nobody waits for a file system that is dead: what needs it fails and names it, what does not is
// done, and the lock is free.
func TestSilent(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		dir    string
		failed string // the chroots that fail; "all" if nothing can be done
		status string // what the status tells of images, "error" if there is none
	}{
		{"client", "client", ""},
		{"client/opt", "client", ""}, // mounted in it
		{"client/home/alice", "", ""},
		{"images", "client other", "images: its file system does not answer"},
		{"tftp", "client other", "tftp: its file system does not answer"},
		{"state", "all", "error"},
	} {
		t.Run(strings.ReplaceAll(test.dir, "/", " "), func(t *testing.T) {
			t.Parallel()
			p := newTestFarm(t)
			p.addSecondChroot()
			k := p.openFarm()
			p.update(UpdateOptions{})
			silent := filepath.Join(p.dir, test.dir)
			disktest.Silent(t, silent)

			_, err := runBounded(t, func() (*Report, error) { return k.Update(t.Context(), UpdateOptions{}) })
			for _, name := range []string{"client", "other"} {
				if err == nil || test.failed == "all" {
					continue
				}
				if failed := strings.Contains(err.Error(), "chroot "+name+": "); failed != strings.Contains(test.failed,
					name) {
					t.Errorf("%s failed: %v, want %q: %v", name, failed, test.failed, err)
				}
			}
			if (err != nil) != (test.failed != "") || err != nil &&
				(!errors.Is(err, mounts.ErrSilent) || !strings.Contains(err.Error(), silent)) {
				t.Errorf("%v, want an error of %q that names %s", err, test.failed, silent)
			}
			if _, err := runBounded(t, func() (*Measured, error) { return k.Measure(nil) }); err != nil &&
				!errors.Is(err, mounts.ErrSilent) {
				t.Error(err)
			}
			status, err := runBounded(t, func() (*Status, error) { return k.ReadStatus() })
			if test.status == "error" {
				if !errors.Is(err, mounts.ErrSilent) {
					t.Error(err)
				}
				return
			}
			testkit.Must(t, err)
			for _, i := range status.Images {
				expectContains(t, "the status of "+i.Chroot, i.Problem, test.status)
			}
			release, err := runBounded(t, k.farm.State.Lock)
			testkit.Must(t, err)
			release()
		})
	}
}

// runBounded fails a test that waits for what never comes.
func runBounded[T any](t *testing.T, work func() (T, error)) (T, error) {
	t.Helper()
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		value, err := work()
		done <- outcome{value, err}
	}()
	select {
	case o := <-done:
		return o.value, o.err
	case <-time.After(2 * time.Minute):
		t.Fatal("it waits for a file system that does not answer")
		panic("unreachable")
	}
}
