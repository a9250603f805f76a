package trust

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"ltskeeper/keys"
)

// Revoke makes keys ones that no server may show, whatever its name, and takes them out of the
// files of all servers. Those that are revoked already are left out of what it returns. name is a
// server that is to have no first use from now on, or "".
func (s *Store) Revoke(name string, list []keys.Key, now time.Time) (revoked []keys.Stored, err error) {
	for _, k := range list {
		if k.Type == "" || k.IsCertificate() {
			return nil, fmt.Errorf("revoke key %s: it is no plain host key", k.Fingerprint())
		}
		if !s.isRevoked(k) && !keys.Contains(revoked, k) {
			revoked = append(revoked, k.Stamp(keys.HowRevoked, now))
		}
	}
	changes, unreadable := s.changesWithout(revoked)
	if name != "" {
		changes = append(changes, change{server: name, names: []string{name}})
	}
	return revoked, errors.Join(s.commit(now, "revoked", revoked, changes...), unreadable)
}

// changesWithout returns the changes that take keys out of the servers' files.
func (s *Store) changesWithout(list []keys.Stored) (changes []change, unreadable error) {
	servers, err := s.listServers()
	if err != nil {
		return nil, err
	}
	var faults []error
	for _, name := range servers {
		before, err := s.readRecord(Policy{Name: name})
		if err != nil {
			faults = append(faults, err)
			continue
		}
		after := record{
			trusted: withoutKeys(before.trusted, list), pending: withoutKeys(before.pending, list),
			rejected: withoutKeys(before.rejected, list),
			certs:    before.certs, // checkCertificate refuses those of revoked keys
		}
		if !haveSameEntries(before.trusted, after.trusted) || !haveSameEntries(before.untrusted(), after.untrusted()) {
			changes = append(changes, change{server: name, names: []string{name}, before: before, after: after})
		}
	}
	return changes, errors.Join(faults...)
}

// Offspring returns the trusted keys of whatever server that these vouched for, themselves or
// through others. Those of files that can be read are returned with an error, too.
func (s *Store) Offspring(ancestors []keys.Key) ([]keys.Stored, error) {
	servers, err := s.listServers()
	if err != nil {
		return nil, err
	}
	var all []keys.Stored
	var faults []error
	for _, name := range servers {
		trusted, err := s.load(name, trustedSuffix)
		if err != nil {
			faults = append(faults, err)
		}
		all = append(all, trusted...)
	}
	var offspring []keys.Stored
	for parents := ancestors; len(parents) > 0; {
		var found []keys.Stored
		for _, k := range all {
			by := k.Origin.VouchedBy
			vouched := slices.ContainsFunc(parents, func(p keys.Key) bool { return by == p.Fingerprint() })
			if vouched && !keys.Contains(ancestors, k) && !keys.Contains(offspring, k) && !keys.Contains(found, k) {
				found = append(found, k)
			}
		}
		offspring = append(offspring, found...)
		parents = keys.PlainKeys(found)
	}
	return offspring, errors.Join(faults...)
}

// Find returns the keys of a server with these fingerprints, whether trusted, pending or rejected.
func (s *Store) Find(name string, fingerprints []string) ([]keys.Stored, error) {
	r, err := s.readRecord(Policy{Name: name})
	if err != nil {
		return nil, err
	}
	found, missing := findKeys(slices.Concat(r.trusted, r.pending, r.rejected), fingerprints)
	if missing != "" {
		return nil, fmt.Errorf("find key %s: %s has none with this fingerprint", missing, name)
	}
	return found, nil
}

// listServers returns the names that have a file.
func (s *Store) listServers() ([]string, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list servers with keys: %w", err)
	}
	var servers []string
	for _, e := range entries {
		for _, suffix := range []string{trustedSuffix, pendingSuffix} {
			if name, ok := strings.CutSuffix(e.Name(), suffix); ok && checkServer(name) == nil {
				servers = append(servers, name)
			}
		}
	}
	slices.Sort(servers)
	return slices.Compact(servers), nil
}
