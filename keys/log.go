package keys

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// A Standing is what a store says about a key.
type Standing string

const (
	Unknown  Standing = "unknown"
	Pending  Standing = "pending"
	Trusted  Standing = "trusted"
	Rejected Standing = "rejected"
	Revoked  Standing = "revoked"

	Certified Standing = "certified" // by a certificate
)

// An Entry of the log is one change of trust in one key.
type Entry struct {
	Time   time.Time `json:"time"`
	Server string    `json:"server"` // its name, or "*" for a revocation
	Type   string    `json:"type"`
	Key    string    `json:"key"` // fingerprint
	From   Standing  `json:"from"`
	To     Standing  `json:"to"`
	By     string    `json:"by"`              // what brought it about: "first-use", "accepted", "revoked", ...
	Order  string    `json:"order,omitempty"` // on whose order, if somebody gave one
}

const (
	logFile   = "log"
	anyServer = "*"
)

// OnOrderOf says whose name stands in the log beside what is changed from now on.
func (s *Store) OnOrderOf(who string) { s.order = who }

// log appends the entries to the log, whole lines in one write, and syncs it.
func (s *Store) log(entries []Entry) error {
	if len(entries) == 0 {
		return nil
	}
	if s.readonly {
		return fmt.Errorf("write %s: the key store is open for reading only", s.path(logFile))
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for _, entry := range entries {
		if err := e.Encode(entry); err != nil {
			return fmt.Errorf("write %s: %w", s.path(logFile), err)
		}
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return fmt.Errorf("make key store: %w", err)
	}
	f, err := os.OpenFile(s.path(logFile), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(appendLines(f, b.Bytes()), f.Close())
}

// appendLines writes text to the end of f, or, with an error, takes back what it wrote: the log tells of nothing that does
// not happen. A line that a crash has left half is ended first.
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

// Log returns the log, oldest first, and the numbers of lines in it that it
// cannot read.
func (s *Store) Log() (entries []Entry, unreadable []int, err error) {
	data, err := os.ReadFile(s.path(logFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	entries, unreadable = parseLog(data)
	return entries, unreadable, nil
}

func parseLog(data []byte) (entries []Entry, unreadable []int) {
	n := 0
	for line := range bytes.Lines(data) {
		n++
		var e Entry
		if err := json.Unmarshal(line, &e); err != nil || e.Server == "" || e.Time.IsZero() {
			unreadable = append(unreadable, n)
			continue
		}
		entries = append(entries, e)
	}
	return entries, unreadable
}
