package keeper

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"ltskeeper/farm"
	"ltskeeper/keys"
	"ltskeeper/keys/scan"
	"ltskeeper/keys/trust"
)

// CollectOptions say how CollectKeys works.
type CollectOptions struct {
	Servers      []string       // the names of those to ask; none: all
	HoldFirstUse bool           // a first use waits as pending: the caller asks a person, then calls AcceptKeys
	Progress     func(Progress) // called by one goroutine at a time; may be nil
}

// CollectKeys scans servers, judges what they show and keeps the outcome. It touches no chroot and
// no image.
func (k *Keeper) CollectKeys(ctx context.Context, o CollectOptions) (*Report, error) {
	r := &run{UpdateOptions: UpdateOptions{Progress: o.Progress}, holdFirstUse: o.HoldFirstUse}
	return k.carryOut(r, func() error {
		_, err := r.collect(ctx, o.Servers)
		return err
	})
}

// collect does so within a run, and returns what is trusted afterwards.
func (r *run) collect(ctx context.Context, only []string) (*record, error) {
	t, looks, err := r.survey(ctx, only)
	if err != nil {
		return nil, err
	}
	defer r.beginStep("record", "")()
	for _, l := range looks {
		if l.verdict.Err != nil {
			return nil, l.verdict.Err
		}
	}
	for _, l := range looks {
		t.Trusted[l.server.Name] = l.verdict.Trusted
		t.Certified[l.server.Name] = len(l.verdict.Certified) > 0
		t.place(l, r.started)
	}
	t.forgetStrangers()
	t.Quarantined = t.quarantine.names()
	if !r.DryRun {
		if err := keep(t, looks, r.started); err != nil {
			return nil, err
		}
	}
	listed := t.listedByDefault()
	for _, l := range looks {
		for _, k := range l.verdict.Added {
			if caution := k.Caution(); caution != "" {
				r.warn(fmt.Errorf("%s: %s is %s", l.server.Name, k.Fingerprint(), caution))
			}
		}
		r.report.Servers = append(r.report.Servers, l.report(t, listed))
	}
	if len(only) == 0 {
		r.report.Warnings = append(r.report.Warnings, t.findEmptyLists()...)
	}
	return t, nil
}

// survey asks servers for their keys, all of them if none is named, and returns what was trusted
// until now beside what it found out.
func (r *run) survey(ctx context.Context, only []string) (*record, []look, error) {
	defer r.beginStep("scan", "")()
	servers, err := r.chooseServers(only)
	if err != nil {
		return nil, nil, err
	}
	store, err := r.openStore(r.DryRun)
	if err != nil {
		return nil, nil, err
	}
	t, err := r.loadRecord(store)
	if err != nil {
		return nil, nil, err
	}
	looks, err := r.look(ctx, store, servers)
	return t, looks, err
}

// A look is what one server showed in a run, and what that means.
type look struct {
	server    farm.Server
	sighting  keys.Sighting
	verdict   trust.Verdict
	confirmed bool   // suspect in both looks of this run
	note      string // what the second look changed
}

// look scans the servers and judges them. Those that show what they should not are asked a second
// time: only what a server shows twice can put it into quarantine.
func (r *run) look(ctx context.Context, store *trust.Store, servers []farm.Server) ([]look, error) {
	looks, err := r.scan(ctx, store, servers)
	if err != nil {
		return nil, err
	}
	var suspects []farm.Server
	for _, l := range looks {
		if l.verdict.IsSuspect {
			suspects = append(suspects, l.server)
		}
	}
	if len(suspects) == 0 {
		return looks, nil
	}
	again, err := r.scan(ctx, store, suspects)
	if err != nil {
		return nil, err
	}
	for _, second := range again {
		i := slices.IndexFunc(looks, func(l look) bool { return l.server.Name == second.server.Name })
		switch {
		case second.verdict.IsSuspect:
			looks[i].confirmed = true
		case second.verdict.IsConfirmed:
			second.note = "showed another key first and its trusted key a moment later: " +
				"someone may be answering in its place at times"
			looks[i] = second
		}
	}
	return looks, nil
}

// scan asks the servers once.
func (r *run) scan(ctx context.Context, store *trust.Store, servers []farm.Server) ([]look, error) {
	login, logout, err := openLogin(r.farm.Collect.Login)
	if err != nil {
		return nil, err
	}
	defer logout()
	scanner := scan.Scanner{Timeout: r.farm.Collect.Timeout, Parallel: r.farm.Collect.Parallel, Login: login}
	targets := make([]scan.Target, len(servers))
	for i, s := range servers {
		targets[i] = scan.Target{Name: s.Name, Addresses: s.Addresses, Port: s.Port,
			Certificates: len(r.farm.Authorities) > 0}
		if trusted, err := store.Trusted(s.Name, s.Pins); err == nil { // else the verdict will say so
			targets[i].Trusted = keys.PlainKeys(trusted)
		}
	}
	sightings, err := scanner.Scan(ctx, targets, func(done, total int) {
		r.progress("scan servers", int64(done), int64(total), "servers")
	})
	if err != nil {
		return nil, err
	}
	looks := make([]look, len(servers))
	local, _ := keys.ReadLines(r.farm.KnownHostsLocal)
	for i, s := range servers {
		policy := r.policy(s)
		if len(targets[i].Trusted) == 0 {
			policy.Adopted = findAdoptedKeys(local, s)
		}
		policy.FirstUse = policy.FirstUse && !r.holdFirstUse
		looks[i] = look{server: s, sighting: sightings[i], verdict: store.Judge(policy, sightings[i], r.started)}
	}
	return looks, nil
}

// openLogin opens the identity that servers are logged in to with. Without a login it is nil.
func openLogin(l *farm.Login) (login *scan.Login, logout func() error, err error) {
	if l == nil {
		return nil, func() error { return nil }, nil
	}
	path := l.Identity
	if path == "" {
		if path = os.Getenv("SSH_AUTH_SOCK"); path == "" {
			return nil, nil,
				errors.New("log in to servers: the identity is the agent, and there is none (SSH_AUTH_SOCK)")
		}
	}
	auth, logout, err := scan.OpenIdentity(path)
	if err != nil {
		return nil, nil, fmt.Errorf("log in to servers: %w", err)
	}
	return &scan.Login{User: l.User, Auth: auth}, logout, nil
}

// place puts a server into quarantine or ends its stay there. Silence changes nothing.
func (t *record) place(l look, now time.Time) {
	switch v := l.verdict; {
	case len(v.Trusted)+len(v.Certified) == 0:
		t.quarantine.release(l.server.Name) // no list has it anyway
	case v.IsSuspect && l.confirmed:
		t.quarantine.add(l.server.Name, now, l.why())
	case v.IsConfirmed || v.IsFirstUse:
		t.quarantine.release(l.server.Name)
	}
}

// forgetStrangers drops servers from the quarantine that are not declared any more.
func (t *record) forgetStrangers() {
	for _, name := range t.quarantine.names() {
		if _, declared := t.Trusted[name]; !declared {
			t.quarantine.release(name)
		}
	}
}

// keep writes down what a scan decided: the keys first, for they must not be trusted twice.
func keep(t *record, looks []look, now time.Time) error {
	verdicts := make([]trust.Verdict, len(looks))
	for i, l := range looks {
		verdicts[i] = l.verdict
	}
	if err := errors.Join(t.store.Apply(verdicts...), t.saveSecret()); err != nil {
		return err
	}
	seen := trust.OpenSeen(t.Farm.State.Seen())
	for _, v := range verdicts {
		seen.Update(v, now)
	}
	return errors.Join(t.quarantine.save(), seen.Save())
}

// chooseServers returns the named servers, or all of them, in the farm's order.
func (k *Keeper) chooseServers(names []string) ([]farm.Server, error) {
	if len(names) == 0 {
		return k.farm.Servers, nil
	}
	chosen := map[string]bool{}
	for _, name := range names {
		s, err := k.farm.FindServer(name)
		if err != nil {
			return nil, err
		}
		chosen[s.Name] = true
	}
	return slices.DeleteFunc(slices.Clone(k.farm.Servers), func(s farm.Server) bool { return !chosen[s.Name] }), nil
}

// policy returns what is declared about a server's keys.
func (k *Keeper) policy(s farm.Server) trust.Policy {
	f := k.farm
	return trust.Policy{
		Name: s.Name, Names: s.Names(), Pins: s.Pins, FirstUse: f.Collect.FirstUse,
		RetireAfter: f.Collect.RetireAfter,
		Authorities: f.Authorities, ClientNames: append([]string{f.ListEntry(s)}, s.Aliases...),
	}
}

// findAdoptedKeys returns the keys that known_hosts.local has for a server, under its own names.
func findAdoptedKeys(local []keys.Line, s farm.Server) []keys.Key {
	var all []keys.Key
	for _, l := range local {
		if l.Names(s.Names(), s.Port) {
			all = append(all, l.Key)
		}
	}
	return all
}
