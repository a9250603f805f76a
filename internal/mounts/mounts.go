// Package mounts asks file systems whether they answer, and reads what is mounted below a folder. A
// file system that does not answer, such as NFS whose server is gone, keeps callers waiting, mostly
// for ever and whatever signal comes.
package mounts

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"ltskeeper/internal/remedy"

	"golang.org/x/sys/unix"
)

// ErrSilent means that a file system does not answer.
var ErrSilent = errors.New("its file system does not answer, as NFS does not whose server is gone")

// SilentRemedy is what a person can do about ErrSilent.
const SilentRemedy = remedy.Advice("what is mounted where: findmnt; " +
	"bring back the server that it comes from, or unmount it (umount -l)")

// Patience is how long a run waits for a file system before it leaves it alone: a disk that sleeps
// takes seconds to wake.
const Patience = 10 * time.Second

// A question is one that the file system of a folder has been asked.
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

// CheckAnswer asks the file systems of these folders, all at once, and names the first that has not
// answered in time; the error is ErrSilent. That a folder is not there is an answer.
func CheckAnswer(patience time.Duration, folders ...string) error {
	var asked []question
	for _, folder := range folders {
		asked = append(asked, askFolder(folder))
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

func askFolder(folder string) question {
	open.Lock()
	defer open.Unlock()
	if q, isOpen := open.questions[folder]; isOpen {
		return q
	}
	q := question{time.Now(), make(chan struct{})}
	open.questions[folder] = q
	go func() { // nothing ends it but an answer
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

// ListBelow lists where something is mounted below a folder, relative to it. What autofs has not
// mounted yet is left out.
func ListBelow(folder string) ([]string, error) {
	t, err := ReadTable(folder)
	if err != nil {
		return nil, err
	}
	return t.listMounted(), nil
}

func (t *Table) listMounted() (places []string) {
	for _, m := range t.Mounts {
		if m.Type != "autofs" {
			places = append(places, m.Path)
		}
	}
	return places
}
