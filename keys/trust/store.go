package trust

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ltskeeper/internal/durable"
	"ltskeeper/internal/names"
	"ltskeeper/internal/regular"
	"ltskeeper/keys"
)

// Store is a directory with the keys of all servers:
//
//	NAME.pub      trusted keys
//	NAME.cert     certificates that clients take for it
//	NAME.pending  keys shown and not trusted, among them those a person rejected
//	revoked       keys that no server may show, whatever its name
//	names         every name, alias and address that ever had a key
//	log           every change of trust, a JSON document a line
//
// All but names and log are OpenSSH public key lines; how and when a key came to be trusted is in
// its comment. A file is rewritten only if trust changes, and always beside its place: synced, then
// renamed. The caller keeps other processes away while it writes.
type Store struct {
	dir      string
	readonly bool
	revoked  []keys.Stored
	used     usedNames
	lost     []string                        // fingerprints of keys that were revoked, and that the file lacks
	rejected map[string]map[string]time.Time // what the log says: canonical name, fingerprint, since when
	order    string                          // on whose order things change
}

const (
	trustedSuffix = ".pub"
	pendingSuffix = ".pending"
	certSuffix    = ".cert"
	revokedFile   = "revoked"
	namesFile     = "names"

	maxFile     = 8 << 20 // bytes; 10,000 servers' names are some 500 KiB
	maxRejected = 8       // keys remembered for a server
)

// Open opens the store in dir. The directory need not exist: it is made before the first file in
// it. The files revoked, names and log are read here, and an error says what is wrong with them;
// those of a server are read when they are asked for.
func Open(dir string) (*Store, error) {
	if err := durable.SweepFolder(dir); err != nil { // what a crash has left
		return nil, fmt.Errorf("open key store: %w", err)
	}
	return readStore(dir, false)
}

// OpenReadOnly opens a store that refuses to write.
func OpenReadOnly(dir string) (*Store, error) { return readStore(dir, true) }

func readStore(dir string, readonly bool) (*Store, error) {
	s := &Store{dir: dir, readonly: readonly}
	var err error
	s.revoked, err = readFile(s, revokedFile, parseKeyFile,
		"restore it from a backup: without it, revoked keys would be trusted")
	if err != nil {
		return nil, err
	}
	s.used.known, err = readFile(s, namesFile, parseNames,
		"restore it from a backup, or mend the line: it keeps servers from a second first use")
	if err != nil {
		return nil, err
	}
	s.used.listed = len(s.used.known)
	if err := s.recallLog(); err != nil {
		return nil, err
	}
	servers, err := s.listServers()
	for _, name := range servers {
		if !s.used.known[names.Canonical(name)] {
			s.doubtNames(name)
		}
	}
	return s, err
}

// recallLog takes the servers that the log tells of for known, too: a list of names that was lost
// must not bring first use back to a server whose files are gone. It also finds the revocations
// that were lost, and remembers all rejections.
func (s *Store) recallLog() error {
	revoked := map[string]bool{}
	for _, k := range s.revoked {
		revoked[k.Fingerprint()] = true
	}
	entries, _, err := s.Log()
	if err != nil {
		return fmt.Errorf("%w; restore it from a backup: it remembers which keys were rejected and revoked", err)
	}
	s.rejected = map[string]map[string]time.Time{}
	for _, e := range entries {
		name := names.Canonical(e.Server)
		switch e.To {
		case StateRejected:
			if s.rejected[name] == nil {
				s.rejected[name] = map[string]time.Time{}
			}
			s.rejected[name][e.Key] = e.Time
		case StateCertified: // which leaves it rejected
		default:
			delete(s.rejected[name], e.Key)
		}
		if e.Server == anyServer && e.To == StateRevoked && !revoked[e.Key] {
			revoked[e.Key] = true
			s.lost = append(s.lost, e.Key)
		}
		if names.IsValid(e.Server) && !s.used.known[name] {
			s.used.known[name] = true
			s.doubtNames(e.Server)
		}
	}
	return nil
}

// Trusted returns the server's trusted keys, without revoked ones and, if there are pins, only
// those that are pinned; none if it has no file.
func (s *Store) Trusted(name string, pins []string) ([]keys.Stored, error) {
	list, err := s.load(name, trustedSuffix)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(list, func(k keys.Stored) bool {
		return s.isRevoked(k.Key) || !Policy{Pins: pins}.isPinned(k.Key)
	}), nil
}

// Certificates returns the certificates on record of a server. What they are worth now, Judge or
// Certified says.
func (s *Store) Certificates(name string) ([]keys.Stored, error) {
	if err := checkServer(name); err != nil {
		return nil, err
	}
	return readFile(s, name+certSuffix, parseKeyFile, "remove it: the server will show its certificate again")
}

// Certified reports whether clients take a certificate on record of a server for its name, the
// first in ClientNames, and when the first of those that they take ends: zero if none ever does.
func (s *Store) Certified(p Policy, now time.Time) (good bool, until time.Time, err error) {
	if len(p.Authorities) == 0 || len(p.ClientNames) == 0 {
		return false, until, nil
	}
	certs, err := s.Certificates(p.Name)
	for _, k := range certs {
		end, err := checkCertificate(k, p.ClientNames[0], p.Authorities, s.revoked, now)
		if err != nil {
			continue
		}
		good = true
		if !end.IsZero() && (until.IsZero() || end.Before(until)) {
			until = end
		}
	}
	return good, until, err
}

// Pending returns the keys that wait for a person.
func (s *Store) Pending(name string) ([]keys.Stored, error) {
	list, err := s.load(name, pendingSuffix)
	pending, _ := splitRejected(list)
	return pending, err
}

// Rejected returns the keys that a person has rejected.
func (s *Store) Rejected(name string) ([]keys.Stored, error) {
	list, err := s.load(name, pendingSuffix)
	_, rejected := splitRejected(list)
	return rejected, err
}

// Lost returns the fingerprints of keys that the log says were revoked, and that the file of
// revoked keys lacks: it was lost, or the revocation was interrupted.
func (s *Store) Lost() []string { return slices.Clone(s.lost) }

// RevokedPath returns the path of the file of revoked keys, for messages.
func (s *Store) RevokedPath() string { return s.path(revokedFile) }

// Revoked returns the keys that no server may show.
func (s *Store) Revoked() []keys.Stored { return slices.Clone(s.revoked) }

func (s *Store) isRevoked(k keys.Key) bool { return keys.Contains(s.revoked, k) }

// Judge decides what a sighting means for a server. It reads the store and changes nothing; calls
// may run at the same time.
func (s *Store) Judge(p Policy, seen keys.Sighting, now time.Time) Verdict {
	r, err := s.readRecord(p)
	if err != nil {
		v := Verdict{Server: p.Name, NeedsDecision: true, Err: err,
			Reasons: []string{fmt.Sprintf("%s: %v", p.Name, err)}}
		v.Trusted, _ = s.Trusted(p.Name, p.Pins)
		return v
	}
	return judgeSighting(p, r, seen, now).summarize()
}

// readRecord reads what the store holds about a server.
func (s *Store) readRecord(p Policy) (r record, err error) {
	r = record{revoked: s.revoked, logged: s.rejected[names.Canonical(p.Name)],
		past: s.used.findPast(p), inDoubt: s.used.doubt != ""}
	if r.trusted, err = s.load(p.Name, trustedSuffix); err != nil {
		return record{}, err
	}
	pending, err := s.load(p.Name, pendingSuffix)
	if err != nil {
		return record{}, err
	}
	r.pending, r.rejected = splitRejected(pending)
	if r.certs, err = s.Certificates(p.Name); err != nil {
		return record{}, err
	}
	return r, nil
}

// load reads a server's file; no file means no keys.
func (s *Store) load(server, suffix string) ([]keys.Stored, error) {
	if err := checkServer(server); err != nil {
		return nil, err
	}
	return readFile(s, server+suffix, parseServerKeys,
		"restore it from a backup, or remove it and accept the keys that the server shows")
}

// checkServer keeps names that are no file names away from the disk.
func checkServer(name string) error {
	if !names.IsValid(name) || strings.Contains(name, ":") {
		return fmt.Errorf("read keys of server %.80q: it is no server's name", name)
	}
	return nil
}

func (s *Store) path(file string) string { return filepath.Join(s.dir, file) }

// readFile reads and parses a file of the store. parse gets nil if there is none, and not nil if
// there is. The remedy is for one that is not what was written.
func readFile[T any](s *Store, file string, parse func(data []byte) (T, error), remedy string) (parsed T, err error) {
	data, err := regular.Read(s.path(file), maxFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return parse(nil)
	case regular.IsOdd(err):
		return parsed, fmt.Errorf("%w; %s", err, remedy)
	case err != nil:
		return parsed, err
	}
	if parsed, err = parse(data); err != nil {
		return parsed, fmt.Errorf("read %s: %w; %s", s.path(file), err, remedy)
	}
	return parsed, nil
}

// prepareWrite makes the store's directory, or refuses to write.
func (s *Store) prepareWrite(file string) error {
	if s.readonly {
		return fmt.Errorf("write %s: the key store is open for reading only", s.path(file))
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return fmt.Errorf("make key store: %w", err)
	}
	return nil
}

// write replaces a file, or removes it if there is nothing to hold. The caller syncs the directory.
func (s *Store) write(file string, data []byte) error {
	if err := s.prepareWrite(file); err != nil {
		return err
	}
	if len(data) == 0 {
		if err := os.Remove(s.path(file)); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	dir, err := regular.OpenRoot(s.dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	return durable.PutFile(dir, file, data, 0o644, time.Time{})
}

// sync makes renames and removals in the directory last.
func (s *Store) sync() error { return durable.SyncFolder(s.dir) }
