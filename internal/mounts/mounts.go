// Package mounts asks file systems whether they answer. One that does not, as NFS does not whose
// server is gone, keeps whoever looks at it waiting, mostly for ever and whatever signal comes.
package mounts

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// ErrSilent means that a file system does not answer.
var ErrSilent = errors.New("its file system does not answer, as NFS does not whose server is gone")

// Patience is how long a run waits for a file system before it leaves it alone: a disk that sleeps
// takes seconds to wake.
const Patience = 10 * time.Second

// A question is one that a folder has been asked.
type question struct {
	asked  time.Time
	answer chan struct{} // closed with the answer
}

// open are the questions without an answer, by folder. They are not asked again: each keeps a
// thread waiting.
var open = struct {
	sync.Mutex
	questions map[string]question
}{questions: map[string]question{}}

// Ask asks the file systems of these folders, all at once, and names the first that has not
// answered in time; the error is ErrSilent. That a folder is not there is an answer.
func Ask(patience time.Duration, folders ...string) error {
	var asked []question
	for _, folder := range folders {
		asked = append(asked, ask(folder))
	}
	for i, q := range asked {
		select {
		case <-q.answer:
		case <-time.After(time.Until(q.asked.Add(patience))):
			select {
			case <-q.answer: // while another was waited for
			default:
				return fmt.Errorf("%s: %w", folders[i], ErrSilent)
			}
		}
	}
	return nil
}

func ask(folder string) question {
	open.Lock()
	defer open.Unlock()
	q, waiting := open.questions[folder]
	if waiting {
		return q
	}
	q = question{time.Now(), make(chan struct{})}
	open.questions[folder] = q
	go func() { // as long as it takes: nothing ends it but an answer
		var st unix.Statx_t
		// no cache may answer
		unix.Statx(unix.AT_FDCWD, folder+"/.", unix.AT_STATX_FORCE_SYNC, unix.STATX_BASIC_STATS, &st)
		open.Lock()
		defer open.Unlock()
		delete(open.questions, folder)
		close(q.answer)
	}()
	return q
}

// Below lists where something is mounted below a folder, relative to it. Where nothing is but what
// autofs would mount if somebody looked is left out.
func Below(folder string) ([]string, error) {
	real, err := filepath.EvalSymlinks(folder)
	if err != nil {
		return nil, err
	}
	all, err := mountinfo.GetMounts(mountinfo.PrefixFilter(real))
	if err != nil {
		return nil, err
	}
	return below(real, all), nil
}

func below(folder string, all []*mountinfo.Info) (places []string) {
	for _, m := range all {
		place, err := filepath.Rel(folder, m.Mountpoint)
		if err == nil && place != "." && m.FSType != "autofs" {
			places = append(places, place)
		}
	}
	return places
}
