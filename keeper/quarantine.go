package keeper

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"ltskeeper/derive"
	"ltskeeper/internal/regular"
	"ltskeeper/internal/remedy"
	"ltskeeper/internal/state"
)

// quarantine is the record of servers that clients are kept away from, because they show a key that
// is not the trusted one. On disk it is a line a server: its name, since when, and why, below a
// comment that tells a record of nobody from a file that was emptied.
type quarantine struct {
	file    state.File
	entries map[string]quarantined
}

type quarantined struct {
	since time.Time
	why   string
}

const quarantineHeader = derive.Mark + ": the servers that clients are kept away from, since when and why\n"

// removeQuarantine is what to do about a record that is lost: the next run asks all other servers
// again.
var removeQuarantine = remedy.If{
	Condition: "you trust every server that does not answer now",
	Then:      remedy.Advice("remove it: all others are asked again"),
}

// loadQuarantine reads the record. No file means nobody is in it; a damaged one is an error,
// because reading it as empty would send clients to a server that may not be what it says.
func loadQuarantine(folder state.Folder) (*quarantine, error) {
	q := &quarantine{file: folder.Quarantine(), entries: map[string]quarantined{}}
	data, err := q.file.Read()
	if errors.Is(err, fs.ErrNotExist) {
		return q, nil
	}
	if regular.IsOdd(err) {
		return nil, remedy.AttachTo(fmt.Errorf("read quarantine: %w", err), remedy.Advice("restore it from a backup"),
			removeQuarantine)
	}
	if err != nil {
		return nil, fmt.Errorf("read quarantine: %w", err)
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, remedy.AttachTo(
			fmt.Errorf("read quarantine: %s was emptied, and whom it kept clients away from is lost", q.file.Path()),
			removeQuarantine)
	}
	line := 0
	for text := range strings.Lines(string(data)) {
		line++
		if strings.HasPrefix(text, "#") {
			continue
		}
		name, rest, _ := strings.Cut(strings.TrimSuffix(text, "\n"), " ")
		stamp, why, ok := strings.Cut(rest, " ")
		since, err := time.Parse(time.RFC3339, stamp)
		if !ok || err != nil || name == "" {
			return nil, remedy.AttachTo(
				fmt.Errorf("read quarantine: %s:%d is not `NAME TIME REASON`", q.file.Path(), line),
				remedy.Advice("mend or remove the line"))
		}
		q.entries[name] = quarantined{since, why}
	}
	return q, nil
}

// add keeps clients away from a server from now on. One that is in already keeps its place, before
// all that come later, also where the clock has been set back since.
func (q *quarantine) add(name string, now time.Time, why string) {
	if _, in := q.entries[name]; in {
		return
	}
	since := now.UTC().Truncate(time.Second)
	var last time.Time
	for _, e := range q.entries {
		if e.since.After(last) {
			last = e.since
		}
	}
	if last.After(since) {
		since = last.Add(time.Second)
	}
	q.entries[name] = quarantined{since, why}
}

// release ends a server's quarantine, if it is in it.
func (q *quarantine) release(name string) { delete(q.entries, name) }

// save writes the record, if it differs from what stands on disk.
func (q *quarantine) save() error {
	b := bytes.NewBufferString(quarantineHeader)
	for _, name := range q.names() {
		e := q.entries[name]
		fmt.Fprintf(b, "%s %s %s\n", name, e.since.Format(time.RFC3339), e.why)
	}
	old, err := q.file.Read()
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return fmt.Errorf("write quarantine: %w", err)
	}
	if bytes.Equal(old, b.Bytes()) || missing && len(q.entries) == 0 {
		return nil
	}
	if err := q.file.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write quarantine: %w", err)
	}
	return nil
}

// names lists who is in, those who have been so longest first.
func (q *quarantine) names() []string {
	var names []string
	for name := range q.entries {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if c := q.entries[a].since.Compare(q.entries[b].since); c != 0 {
			return c
		}
		return strings.Compare(a, b)
	})
	return names
}

// updateQuarantine puts servers into quarantine that showed what they should not, twice, and ends
// the stay of those that are in order again, or not declared any more. Silence changes nothing.
func (t *record) updateQuarantine(judgements []judgement, now time.Time) {
	for _, j := range judgements {
		switch v := j.verdict; {
		case len(v.Trusted)+len(v.Certified) == 0:
			t.quarantine.release(j.server.Name) // no list has it anyway
		case v.IsSuspect && j.isConfirmed:
			t.quarantine.add(j.server.Name, now, strings.Join(strings.Fields(strings.Join(v.Reasons, "; ")), " "))
		case v.IsConfirmed || v.IsFirstUse:
			t.quarantine.release(j.server.Name)
		}
	}
	for _, name := range t.quarantine.names() {
		if _, isDeclared := t.Trusted[name]; !isDeclared {
			t.quarantine.release(name)
		}
	}
	t.Quarantined = t.quarantine.names()
}
