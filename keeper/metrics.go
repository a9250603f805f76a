package keeper

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"ltskeeper/internal/mounts"

	"golang.org/x/sys/unix"
)

// Measured is what metrics tell beside a run's report.
type Measured struct {
	*Status              // servers as the run found them, else as they are on record; nil if the record cannot be read
	Succeeded  time.Time // when Update last ended without an error; zero if it never did
	Free, Size int64     // bytes of the file system that the images are on; zero if it does not tell
}

// Measure gathers it after a run with this report, which may be nil. With an error comes what could
// be gathered.
func (k *Keeper) Measure(r *Report) (*Measured, error) {
	if err := k.farm.State.Ask(); err != nil {
		return &Measured{}, err
	}
	m := Measured{Succeeded: k.LastSuccess()}
	var err, unread error
	m.Free, m.Size, err = readSpace(k.farm.Image.Directory)
	m.Status, unread = k.ReadStatus()
	if unread != nil || r == nil || len(r.Servers) == 0 {
		return &m, errors.Join(err, unread)
	}
	expires := map[string]*time.Time{}
	for _, s := range m.Servers {
		expires[s.Name] = s.Expires
	}
	m.Servers = nil
	for _, s := range r.Servers {
		s.Expires = expires[s.Name]
		m.Servers = append(m.Servers, s)
	}
	return &m, err
}

// readSpace asks how much room a folder's file system has, without what is kept for root, and in
// all. A folder that is not there yet will be on its parent's.
func readSpace(dir string) (free, size int64, err error) {
	if err := mounts.CheckAnswer(mounts.Patience, dir); err != nil {
		return 0, 0, err
	}
	var st unix.Statfs_t
	for err = unix.Statfs(dir, &st); errors.Is(err, unix.ENOENT) && dir != "/"; err = unix.Statfs(dir, &st) {
		dir = filepath.Dir(dir)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("ask how much room %s has: %w", dir, err)
	}
	return int64(st.Bavail) * st.Bsize, int64(st.Blocks) * st.Bsize, nil
}

// recordSuccess remembers that a run did its work: a failed one has to tell, too, when the last
// good one was. Where nobody wants metrics, a run that changes nothing writes nothing.
func (r *run) recordSuccess() {
	if r.DryRun || r.farm.MetricsFile == "" {
		return
	}
	stamp := time.Now().UTC().Format(time.RFC3339) + "\n"
	if err := r.farm.State.Succeeded().Write([]byte(stamp)); err != nil {
		r.warn(fmt.Errorf("note that this run succeeded, for metrics: %w", err))
	}
}

// LastSuccess returns when Update last ended without an error where metrics are wanted, zero if it
// is not known. A note that is lost or garbled is none: the next success writes another.
func (k *Keeper) LastSuccess() time.Time {
	data, _ := k.farm.State.Succeeded().Read()
	at, _ := time.Parse(time.RFC3339, strings.TrimSpace(string(data)))
	return at
}
