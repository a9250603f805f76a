package trust

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"ltskeeper/internal/regular"
	"ltskeeper/internal/remedy"
	"ltskeeper/internal/state"
)

// A Quarantine is the record of servers that clients are kept away from, because they show a key
// that is not the trusted one. Its file has one line for each server: its name, since when, and
// why. The comment above them tells a record of nobody from a file that was emptied.
type Quarantine struct {
	file    state.File
	entries []Quarantined // those that have been in it for longest first
}

// Quarantined is a server in quarantine.
type Quarantined struct {
	Server string
	Since  time.Time
	Why    string // on one line
}

const quarantineHeader = "# Written by ltskeeper: the servers that clients are kept away from, since when and why\n"

// removeQuarantine is what to do about a record that is lost: the next run asks all other servers
// again.
var removeQuarantine = remedy.If{
	Condition: "you trust every server that does not answer now",
	Then:      remedy.Advice("remove it: all others are asked again"),
}

// OpenQuarantine reads the record. No file means nobody is in it; a damaged one is an error,
// because reading it as empty would send clients to a server that may not be what it says.
func OpenQuarantine(file state.File) (*Quarantine, error) {
	q := &Quarantine{file: file}
	data, err := file.Read()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return q, nil
	case regular.IsOdd(err):
		return nil, remedy.AttachTo(fmt.Errorf("read quarantine: %w", err), remedy.Advice("restore it from a backup"),
			removeQuarantine)
	case err != nil:
		return nil, fmt.Errorf("read quarantine: %w", err)
	case len(bytes.TrimSpace(data)) == 0:
		return nil, remedy.AttachTo(
			fmt.Errorf("read quarantine: %s was emptied, and whom it kept clients away from is lost", file.Path()),
			removeQuarantine)
	}
	line := 0
	for text := range strings.Lines(string(data)) {
		line++
		if strings.HasPrefix(text, "#") {
			continue
		}
		server, rest, _ := strings.Cut(strings.TrimSuffix(text, "\n"), " ")
		stamp, why, ok := strings.Cut(rest, " ")
		since, err := time.Parse(time.RFC3339, stamp)
		if !ok || err != nil || server == "" {
			return nil, remedy.AttachTo(
				fmt.Errorf("read quarantine: %s:%d is not `NAME TIME REASON`", file.Path(), line),
				remedy.Advice("mend or remove the line"))
		}
		q.Release(server)
		q.insert(Quarantined{server, since, why})
	}
	return q, nil
}

// Add keeps clients away from a server from now on. One that is in already keeps its place, before
// all that come later, also where the clock has been set back since.
func (q *Quarantine) Add(server string, now time.Time, why string) {
	if _, is := q.Find(server); is {
		return
	}
	since := now.UTC().Truncate(time.Second)
	if n := len(q.entries); n > 0 && q.entries[n-1].Since.After(since) {
		since = q.entries[n-1].Since.Add(time.Second)
	}
	q.insert(Quarantined{server, since, strings.Join(strings.Fields(why), " ")})
}

func (q *Quarantine) insert(entry Quarantined) {
	q.entries = append(q.entries, entry)
	slices.SortFunc(q.entries, func(a, b Quarantined) int {
		return cmp.Or(a.Since.Compare(b.Since), strings.Compare(a.Server, b.Server))
	})
}

// Release ends a server's quarantine, if it is in it.
func (q *Quarantine) Release(server string) {
	q.entries = slices.DeleteFunc(q.entries, func(e Quarantined) bool { return e.Server == server })
}

// Find returns the entry of a server, if it is in quarantine.
func (q *Quarantine) Find(server string) (entry Quarantined, is bool) {
	i := slices.IndexFunc(q.entries, func(e Quarantined) bool { return e.Server == server })
	if i < 0 {
		return Quarantined{}, false
	}
	return q.entries[i], true
}

// Servers returns the names of the servers in quarantine, those that have been in it for longest
// first.
func (q *Quarantine) Servers() (names []string) {
	for _, e := range q.entries {
		names = append(names, e.Server)
	}
	return names
}

// Save writes the record, if it differs from what is in its file.
func (q *Quarantine) Save() error {
	b := bytes.NewBufferString(quarantineHeader)
	for _, e := range q.entries {
		fmt.Fprintf(b, "%s %s %s\n", e.Server, e.Since.Format(time.RFC3339), e.Why)
	}
	old, err := q.file.Read()
	isMissing := errors.Is(err, fs.ErrNotExist)
	if err == nil && bytes.Equal(old, b.Bytes()) || isMissing && len(q.entries) == 0 {
		return nil
	}
	if err == nil || isMissing {
		err = q.file.Write(b.Bytes())
	}
	if err != nil {
		return fmt.Errorf("write quarantine: %w", err)
	}
	return nil
}
