package trust

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"ltskeeper/internal/regular"
)

// State is what a store says about a key.
type State string

// What a key can be. In the log a retired key becomes unknown, with the reason "retired".
const (
	StateUnknown   State = "unknown"
	StatePending   State = "pending"
	StateTrusted   State = "trusted"
	StateRejected  State = "rejected"
	StateRevoked   State = "revoked"
	StateCertified State = "certified" // by a certificate
)

// An Entry of the log is one change of trust in one key.
type Entry struct {
	Time   time.Time `json:"time"`
	Server string    `json:"server"` // its name, or "*" for a revocation
	Type   string    `json:"type"`
	Key    string    `json:"key"` // fingerprint
	From   State     `json:"from"`
	To     State     `json:"to"`
	By     string    `json:"by"`              // what brought it about: "first-use", "accepted", "revoked", ...
	Order  string    `json:"order,omitempty"` // on whose order, if somebody gave one
}

const (
	logFile   = "log"
	anyServer = "*"

	maxLog     = 256 << 20 // bytes; a million changes
	maxLogLine = 64 << 10  // bytes; one has some 250
)

// OnOrderOf sets who is named in the log beside what is changed from now on.
func (s *Store) OnOrderOf(who string) { s.order = who }

// appendLog appends the entries to the log, whole lines in one write, and syncs it.
func (s *Store) appendLog(entries []Entry) error {
	if len(entries) == 0 {
		return nil
	}
	if err := s.prepareWrite(logFile); err != nil {
		return err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for _, entry := range entries {
		if err := e.Encode(entry); err != nil {
			return fmt.Errorf("write %s: %w", s.path(logFile), err)
		}
	}
	f, err := regular.OpenOwn(s.path(logFile), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if regular.IsOdd(err) {
		return fmt.Errorf("%w; put the log itself there, with all that it has so far", err)
	}
	if err != nil {
		return err
	}
	return errors.Join(appendLines(f, b.Bytes()), f.Close())
}

// appendLines writes text to the end of f, or, with an error, takes back what it wrote: the log
// tells of nothing that does not happen. A line that a crash has left half is ended first.
func appendLines(f *os.File, text []byte) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if size := info.Size(); size > 0 {
		last := make([]byte, 1)
		if _, err := f.ReadAt(last, size-1); err != nil {
			return err
		}
		if last[0] != '\n' {
			text = append([]byte("\n"), text...)
		}
	}
	if _, err = f.Write(text); err == nil {
		err = f.Sync()
	}
	if err != nil {
		f.Truncate(info.Size())
	}
	return err
}

// Log returns the log, oldest first, and the numbers of lines in it that it cannot read.
func (s *Store) Log() (entries []Entry, unreadable []int, err error) {
	f, err := regular.Open(s.path(logFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil {
		err = regular.CheckSize(info.Size(), maxLog)
	}
	if err == nil {
		entries, unreadable, err = parseLog(io.LimitReader(f, maxLog))
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", s.path(logFile), err)
	}
	return entries, unreadable, nil
}

// parseLog reads a log, and the numbers of the lines that are not entries.
func parseLog(log io.Reader) (entries []Entry, unreadable []int, err error) {
	lines := bufio.NewReaderSize(log, maxLogLine)
	for n := 1; ; n++ {
		line, err := lines.ReadSlice('\n')
		tooLong := false
		for err == bufio.ErrBufferFull {
			tooLong = true
			_, err = lines.ReadSlice('\n')
		}
		if err != nil && err != io.EOF {
			return nil, nil, err
		}
		if len(line) == 0 {
			return entries, unreadable, nil
		}
		var e Entry
		if tooLong || json.Unmarshal(line, &e) != nil || e.Server == "" || e.Time.IsZero() {
			unreadable = append(unreadable, n)
		} else {
			entries = append(entries, e)
		}
	}
}
