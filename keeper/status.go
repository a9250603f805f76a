package keeper

import (
	"cmp"
	"slices"
	"time"

	"ltskeeper/derive"
	"ltskeeper/farm"
	"ltskeeper/image"
	"ltskeeper/internal/remedy"
	"ltskeeper/keys"
	"ltskeeper/keys/trust"
)

// Status is what is known without asking anybody.
type Status struct {
	Servers  []Server      `json:"servers"`
	Images   []ImageStatus `json:"images"`
	Warnings []error       `json:"-"`
}

// An ImageStatus is a chroot and its generations.
type ImageStatus struct {
	Chroot      string             `json:"chroot"`
	Root        string             `json:"root"`
	Path        string             `json:"path"`
	Current     int                `json:"current"`        // NoGeneration without one
	Generations []image.Generation `json:"generations"`    // oldest first
	Held        *time.Time         `json:"held,omitempty"` // since when a rollback holds it
	Problem     string             `json:"problem,omitempty"`
	Remedies    []remedy.Remedy    `json:"-"` // of the problem
}

// ReadStatus gathers what is on record of every server and chroot, and what is wrong with each.
func (k *Keeper) ReadStatus() (*Status, error) {
	f := k.farm
	store, err := k.openAnyStore(true)
	if err != nil {
		return nil, err
	}
	rec, err := k.readRecord(store)
	if err != nil {
		return nil, err
	}
	revoked, err := findRevokedByServer(store)
	if err != nil {
		return nil, err
	}
	strays := rec.findStrays()
	status := Status{Warnings: describeStrays(f, strays)}
	if err := checkRevocations(store); err != nil {
		status.Warnings = append(status.Warnings, err)
	}
	seen, listed := trust.OpenSeen(f.State.Seen()), rec.listedByDefault()
	for _, s := range f.Servers {
		server := rec.describeServer(s, seen, listed)
		server.Revoked = newKeys(revoked[s.Name])
		server.Strays = strays[s.Name]
		server.Expires = optionalTime(rec.expires[s.Name])
		if err := rec.unreadable[s.Name]; err != nil {
			server.State, server.Message, server.Decision = Unreadable, Sentences{err.Error()}, true
		}
		status.Servers = append(status.Servers, server)
	}
	silent := k.checkImagesAnswer()
	for _, c := range f.Chroots {
		s := ImageStatus{Chroot: c.Name, Root: c.Path, Path: k.imageStore(c).Link(), Current: NoGeneration}
		err := silent
		if err == nil {
			err = k.readImageStatus(&s, c)
		}
		if err != nil {
			s.Problem, s.Remedies = err.Error(), remedy.FindIn(err)
		}
		status.Images = append(status.Images, s)
	}
	return &status, nil
}

// findRevokedByServer finds out from the log which servers had keys that are revoked now.
func findRevokedByServer(store *trust.Store) (map[string][]keys.Stored, error) {
	revoked := store.Revoked()
	if len(revoked) == 0 {
		return nil, nil
	}
	byFingerprint := map[string]keys.Stored{}
	for _, k := range revoked {
		byFingerprint[k.Fingerprint()] = k
	}
	entries, _, err := store.Log()
	had := map[string][]keys.Stored{}
	for _, e := range entries {
		k, is := byFingerprint[e.Key]
		if is && e.To == trust.StateRevoked && !slices.ContainsFunc(keys.PlainKeys(had[e.Server]), k.Equal) {
			had[e.Server] = append(had[e.Server], k)
		}
	}
	return had, err
}

// describeServer returns what is known of one server.
func (rec *record) describeServer(s farm.Server, seen *trust.Seen, listed map[string]bool) Server {
	server := Server{Name: s.Name, Declared: s, State: Unscanned, Listed: listed[s.Name],
		Certified: rec.Certified[s.Name]}
	withTimes := func(list []keys.Stored) []Key {
		out := newKeys(list)
		for i, k := range list {
			out[i].Seen = seen.Last(s.Name, k.Key)
		}
		return out
	}
	pending, unreadPending := rec.store.Pending(s.Name)
	rejected, unreadRejected := rec.store.Rejected(s.Name)
	certs, unreadCerts := rec.store.Certificates(s.Name)
	if err := cmp.Or(unreadCerts, unreadRejected, unreadPending); err != nil {
		server.Message = Sentences{err.Error()}
	}
	server.Keys, server.Pending, server.Rejected = withTimes(rec.Trusted[s.Name]), withTimes(pending),
		withTimes(rejected)
	switch {
	case rec.IsTrusted(s.Name):
		server.State = Trusted
	case len(pending) > 0:
		server.State, server.Decision = Pending, true
	}
	if e, is := rec.quarantine.Find(s.Name); is {
		server.State, server.Quarantined, server.Message = Changed, &e.Since, Sentences{e.Why}
	}
	for _, k := range pending {
		server.Decision = server.Decision || trust.IsUndecided(k, rec.Trusted[s.Name], rec.Certified[s.Name])
	}
	server.Seen = findLastSeen(seen, s.Name, slices.Concat(rec.Trusted[s.Name], certs))
	return server
}

// findLastSeen returns when a server last showed one of these, nil if never.
func findLastSeen(seen *trust.Seen, server string, list []keys.Stored) *time.Time {
	var last time.Time
	for _, k := range list {
		if at := seen.Last(server, k.Key); at.After(last) {
			last = at
		}
	}
	return optionalTime(last)
}

// readImageStatus finds out what there is of an image.
func (k *Keeper) readImageStatus(s *ImageStatus, c farm.Chroot) error {
	store := k.imageStore(c)
	current, err := store.Current()
	if err != nil {
		return err
	}
	s.Current = numberOf(current)
	if s.Generations, err = store.List(); err != nil {
		return err
	}
	since, err := store.HeldSince()
	if err != nil {
		return err
	}
	s.Held = optionalTime(since)
	problem, err := store.Check()
	if problem == nil && err == nil && s.Held != nil {
		s.Problem, err = k.describeHeldProblem(store, current)
	}
	return cmp.Or(err, problem)
}

// KnownHosts returns the known_hosts that clients would get, from the record.
func (k *Keeper) KnownHosts() ([]byte, error) { return k.ExportKeys(derive.Formats[0]) }

// ExportKeys renders what is trusted, from the record, in one of derive.Formats.
func (k *Keeper) ExportKeys(format string) ([]byte, error) {
	rec, err := k.loadRecord(true)
	if err != nil {
		return nil, err
	}
	return rec.Export(format)
}

// LTSConf returns the lts.conf that clients of a chroot would get, from the record.
func (k *Keeper) LTSConf(chroot string) ([]byte, error) {
	c, err := k.farm.FindChroot(chroot)
	if err != nil {
		return nil, err
	}
	rec, err := k.loadRecord(true)
	if err != nil {
		return nil, err
	}
	return rec.LTSConf(c)
}
