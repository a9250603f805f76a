package trust

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"ltskeeper/internal/state"
	"ltskeeper/keys"
)

// Seen remembers when each key was last seen. It is a cache: one that is lost or garbled is an
// empty one. Its file has a line for each key: server, time, fingerprint.
type Seen struct {
	file    state.File
	last    map[string]map[string]time.Time // server, fingerprint
	changed bool
}

// seenPrecision is how far the times may be behind, so that a run that brings nothing new writes
// nothing.
const seenPrecision = time.Hour

// OpenSeen reads the cache.
func OpenSeen(file state.File) *Seen {
	s := &Seen{file: file, last: make(map[string]map[string]time.Time)}
	data, err := file.Read()
	if err != nil {
		return s
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			continue
		}
		if at, err := time.Parse(time.RFC3339, fields[1]); err == nil {
			s.set(fields[0], fields[2], at)
		}
	}
	return s
}

func (s *Seen) set(server, fingerprint string, at time.Time) {
	if s.last[server] == nil {
		s.last[server] = make(map[string]time.Time)
	}
	s.last[server][fingerprint] = at
}

// Update notes the keys that were shown or listed and are trusted, pending or in a certificate that
// clients take, and forgets those of the server that the store does not hold any more.
func (s *Seen) Update(v Verdict, now time.Time) {
	held := make(map[string]bool)
	for _, k := range slices.Concat(v.Trusted, v.Pending, v.Certified) {
		held[seenFingerprint(k.Key)] = true
	}
	for fingerprint := range s.last[v.Server] {
		if !held[fingerprint] {
			delete(s.last[v.Server], fingerprint)
			s.changed = true
		}
	}
	d := v.decision
	for _, k := range slices.Concat(keys.PlainKeys(slices.Concat(d.confirmed, d.changed, d.others)), d.certs.vouched) {
		fingerprint := seenFingerprint(k)
		if held[fingerprint] && now.Sub(s.last[v.Server][fingerprint]).Abs() >= seenPrecision {
			s.set(v.Server, fingerprint, now.UTC().Truncate(time.Second))
			s.changed = true
		}
	}
}

// Forget drops all keys of a server.
func (s *Seen) Forget(server string) {
	s.changed = s.changed || len(s.last[server]) > 0
	delete(s.last, server)
}

// Last returns when the server last showed a key, or the key of a certificate with one that clients
// take, at most an hour too early; zero if never.
func (s *Seen) Last(server string, k keys.Key) time.Time { return s.last[server][seenFingerprint(k)] }

// seenFingerprint is the fingerprint that a sighting of a key is noted under: a certificate's is
// that of its key, for which a new one may be made every day.
func seenFingerprint(k keys.Key) string {
	if cert, err := keys.ParseCertificate(k); err == nil {
		return cert.Certified.Fingerprint()
	}
	return k.Fingerprint()
}

// Save writes the cache if there is news in it.
func (s *Seen) Save() error {
	if !s.changed {
		return nil
	}
	var lines []string
	for server, last := range s.last {
		for fingerprint, at := range last {
			lines = append(lines, fmt.Sprintf("%s %s %s\n", server, at.Format(time.RFC3339), fingerprint))
		}
	}
	slices.Sort(lines)
	if err := s.file.Write([]byte(strings.Join(lines, ""))); err != nil {
		return fmt.Errorf("save times keys were seen: %w", err)
	}
	s.changed = false
	return nil
}
