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
		_, err := r.collectKeys(ctx, o.Servers)
		return err
	})
}

// collectKeys does so within a run, and returns what is on record afterwards.
func (r *run) collectKeys(ctx context.Context, only []string) (*record, error) {
	rec, judgements, err := r.judgeServers(ctx, only)
	if err != nil {
		return nil, err
	}
	defer r.beginStep("record", "")()
	for _, j := range judgements {
		if j.verdict.Err != nil {
			return nil, j.verdict.Err
		}
	}
	for _, j := range judgements {
		rec.Trusted[j.server.Name] = j.verdict.Trusted
		rec.Certified[j.server.Name] = len(j.verdict.Certified) > 0
	}
	rec.updateQuarantine(judgements, r.started)
	if !r.DryRun {
		if err := rec.save(judgements, r.started); err != nil {
			return nil, err
		}
	}
	listed := rec.listedByDefault()
	for _, j := range judgements {
		for _, k := range j.verdict.Added {
			if caution := k.Caution(); caution != "" {
				r.warn(fmt.Errorf("%s: %s is %s", j.server.Name, k.Fingerprint(), caution))
			}
		}
		r.report.Servers = append(r.report.Servers, j.describe(rec, listed))
	}
	if len(only) == 0 {
		r.report.Warnings = append(r.report.Warnings, rec.findEmptyLists()...)
	}
	return rec, nil
}

// A judgement is what one server showed in a run, and what that means.
type judgement struct {
	server      farm.Server
	sighting    keys.Sighting
	verdict     trust.Verdict
	isConfirmed bool   // suspect in both scans of the run
	note        string // what the second scan changed
}

// judgeServers asks servers for their keys, all of them if none is named, and returns what was on
// record until now beside what it found out. Servers that show what they should not are asked a
// second time: only what a server shows twice can put it into quarantine.
func (r *run) judgeServers(ctx context.Context, only []string) (*record, []judgement, error) {
	defer r.beginStep("scan", "")()
	servers, err := r.chooseServers(only)
	if err != nil {
		return nil, nil, err
	}
	rec, err := r.loadRecord(r.DryRun)
	if err != nil {
		return nil, nil, err
	}
	judgements, err := r.scanOnce(ctx, rec, servers)
	if err != nil {
		return nil, nil, err
	}
	var suspects []farm.Server
	for _, j := range judgements {
		if j.verdict.IsSuspect {
			suspects = append(suspects, j.server)
		}
	}
	if len(suspects) == 0 {
		return rec, judgements, nil
	}
	again, err := r.scanOnce(ctx, rec, suspects)
	for _, second := range again {
		i := slices.IndexFunc(judgements, func(j judgement) bool { return j.server.Name == second.server.Name })
		switch {
		case second.verdict.IsSuspect:
			judgements[i].isConfirmed = true
		case second.verdict.IsConfirmed:
			second.note = "showed another key first and its trusted key a moment later: " +
				"someone may be answering in its place at times"
			judgements[i] = second
		}
	}
	return rec, judgements, err
}

// scanOnce asks the servers once, and judges what they show.
func (r *run) scanOnce(ctx context.Context, rec *record, servers []farm.Server) ([]judgement, error) {
	login, logout, err := openLogin(r.farm.Collect.Login)
	if err != nil {
		return nil, err
	}
	defer logout()
	scanner := scan.Scanner{Timeout: r.farm.Collect.Timeout, Parallel: r.farm.Collect.Parallel, Login: login}
	targets := make([]scan.Target, len(servers))
	for i, s := range servers {
		targets[i] = scan.Target{Name: s.Name, Addresses: s.Addresses, Port: s.Port,
			Certificates: len(r.farm.Authorities) > 0, Trusted: keys.PlainKeys(rec.Trusted[s.Name])}
	}
	sightings, err := scanner.Scan(ctx, targets, func(done, total int) {
		r.tellProgress("scan servers", int64(done), int64(total), "servers")
	})
	if err != nil {
		return nil, err
	}
	judgements := make([]judgement, len(servers))
	local, _ := keys.ReadLines(r.farm.KnownHostsLocal)
	for i, s := range servers {
		policy := r.policy(s)
		if len(rec.Trusted[s.Name]) == 0 {
			policy.Adopted = findAdoptedKeys(local, s)
		}
		policy.FirstUse = policy.FirstUse && !r.holdFirstUse
		judgements[i] = judgement{
			server: s, sighting: sightings[i], verdict: rec.store.Judge(policy, sightings[i], r.started),
		}
	}
	return judgements, nil
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

// save writes down what a scan decided: the keys first, for they must not be trusted twice.
func (rec *record) save(judgements []judgement, now time.Time) error {
	seen := trust.OpenSeen(rec.Farm.State.Seen())
	verdicts := make([]trust.Verdict, len(judgements))
	for i, j := range judgements {
		verdicts[i] = j.verdict
		seen.Update(j.verdict, now)
	}
	if err := errors.Join(rec.store.Apply(verdicts...), rec.saveSecret()); err != nil {
		return err
	}
	return errors.Join(rec.quarantine.Save(), seen.Save())
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
