package main

import (
	"errors"
	"slices"

	"ltskeeper/farm"
	"ltskeeper/keeper"

	"github.com/urfave/cli/v2"
)

func (t *tool) defineKeys() *cli.Command {
	return &cli.Command{
		Name:  "keys",
		Usage: "look at the servers' host keys and decide about them",
		Subcommands: []*cli.Command{
			{
				Name:      "collect",
				Usage:     "ask servers for their host keys",
				ArgsUsage: "[NAME]...",
				Description: `Asks the servers, all of them if none is named, and keeps what they show. A key that is not already trusted
waits for keys accept, unless it is a server's very first or is pinned, or the server proves it: with
[collect.login] in the declaration it vouches for its own new keys. No chroot and no image is touched.

  ltskeeper keys collect
  ltskeeper keys collect app01 app02`,
				Action: t.withServers(t.keysCollect),
			},
			{
				Name:      "list",
				Usage:     "list trusted, waiting and revoked keys",
				ArgsUsage: "[NAME]...",
				Description: `Of each key: whether it is trusted, waits, or was rejected or revoked; bits, fingerprint and type; when it was
last seen; how it came to be trusted and when, and which key vouched for it; whether it is weak.

  ltskeeper keys list
  ltskeeper keys list app01 --json`,
				Action: t.withServers(t.keysList),
			},
			{
				Name:      "accept",
				Usage:     "trust keys that a server showed",
				ArgsUsage: "NAME [FINGERPRINT]...",
				Description: `Shows the trusted and the waiting keys beside each other and asks. A key that is accepted replaces the
trusted one of its type. Without a terminal nothing is asked, and the fingerprints have to be given.

  ltskeeper keys accept app03
  ltskeeper keys accept app03 SHA256:nntmvzDwIGkvvfyiDdSlSaEK/GhqP4/+S3P5objo10E`,
				Action: t.withKeeper(t.keysAccept),
			},
			{
				Name:      "reject",
				Usage:     "refuse keys that a server showed",
				ArgsUsage: "NAME [FINGERPRINT]...",
				Description: `Refuses the waiting keys with these fingerprints, or all of the server's. What is trusted stays so.

  ltskeeper keys reject app03
  ltskeeper keys reject app03 SHA256:nntmvzDwIGkvvfyiDdSlSaEK/GhqP4/+S3P5objo10E`,
				Action: t.withKeeper(t.keysReject),
			},
			t.defineKeysRevoke(),
			t.defineKeysForgetLine(),
			t.defineKeysImport(),
			t.defineKeysExport(),
			t.defineKeysLog(),
		},
	}
}

func (t *tool) keysCollect(ctx *cli.Context, k *keeper.Keeper, names []string) error {
	report, stop := t.watch("scan servers")
	r, err := k.CollectKeys(ctx.Context, keeper.CollectOptions{Servers: names, Progress: report})
	stop()
	return t.printReport(r, err)
}

func (t *tool) keysList(ctx *cli.Context, k *keeper.Keeper, names []string) error {
	status, err := k.ReadStatus()
	if err != nil {
		return err
	}
	shown := slices.DeleteFunc(status.Servers, func(s keeper.Server) bool {
		return len(names) > 0 && !slices.Contains(names, s.Name)
	})
	return t.print(keysDocument{notNil(shown)})
}

// A keysDocument is what is on record about servers' keys.
type keysDocument struct {
	Servers []keeper.Server `json:"servers"`
}

func (d keysDocument) text(p *page) {
	for _, s := range d.Servers {
		if p.quiet && !s.Decision {
			continue
		}
		p.printf("%s\n", p.paint(bold, s.Name))
		switch {
		case s.Certified:
			p.printf("  is trusted by its certificate\n")
		case len(s.Keys)+len(s.Pending)+len(s.Rejected)+len(s.Revoked) == 0:
			p.printf("  has no key yet\n")
		}
		var t rows
		for _, group := range []keyGroup{
			{p.paint(green, "trusted"), s.Keys},
			{p.paint(yellow, "waits"), s.Pending},
			{p.paint(plain, "rejected"), s.Rejected},
			{p.paint(red, "revoked"), s.Revoked},
		} {
			for _, k := range group.keys {
				seen := ""
				if !k.Seen.IsZero() {
					seen = "seen " + formatAge(p.now, k.Seen)
				}
				row := append([]any{group.label}, keyRow(k)...)
				t.add(append(row, seen, k.Origin.Comment(), p.paint(yellow, k.Caution()))...)
			}
		}
		p.table(2, t)
	}
}

func (t *tool) keysAccept(ctx *cli.Context, k *keeper.Keeper) error {
	args := ctx.Args().Slice()
	s, chosen, err := t.choosePending(k, args)
	if err != nil {
		return err
	}
	if err := t.checkAcceptable(k.Farm(), s, chosen); err != nil {
		return err
	}
	if len(args) == 1 && !t.term.person {
		return usagef("there is no terminal to ask on, so name the keys that are right: %s",
			t.commandLine("keys accept "+s.Name, listFingerprints(chosen)...))
	}
	if t.term.person {
		p := t.newPage()
		p.printf("%s:\n", s.Name)
		s := s
		s.Pending, s.Rejected = chosen, nil
		p.comparison(2, keepConcerned(s))
		p.printf("Compare with what its own console says: %s\n", consoleCommand(chosen))
		refusal := errors.New("nothing is accepted; to refuse the keys: " + t.commandLine("keys reject", s.Name))
		if err := t.term.confirm(ctx.Context, p, "Trust what it shows?", refusal); err != nil {
			return err
		}
	}
	accepted, err := k.AcceptKeys(s.Name, listFingerprints(chosen))
	if err != nil {
		return err
	}
	return t.announce(acceptedDocument{Server: s.Name, Accepted: accepted, Replaced: sameTypes(s.Keys, accepted)})
}

// checkAcceptable refuses keys that cannot be accepted together, and says what to do instead.
func (t *tool) checkAcceptable(f *farm.Farm, s keeper.Server, chosen []keeper.Key) error {
	for _, k := range chosen {
		if len(s.Declared.Pins) > 0 && !slices.Contains(s.Declared.Pins, k.Fingerprint()) {
			return usagef("%s has pins, and %s is none of them; if it is right, add it to the pins in %s",
				s.Name, k.Fingerprint(), f.ServerPath(s.Name))
		}
	}
	if hasTwoOfOneType(chosen) {
		return usagef("%s shows several keys of one type; name the one that is right: %s",
			s.Name, t.commandLine("keys accept "+s.Name+" FINGERPRINT"))
	}
	return nil
}

// choosePending finds the pending keys that the arguments of accept or reject mean.
func (t *tool) choosePending(k *keeper.Keeper, args []string) (s keeper.Server, chosen []keeper.Key, err error) {
	declared, err := k.Farm().FindServer(args[0])
	if err != nil {
		return s, nil, err
	}
	status, err := k.ReadStatus()
	if err != nil {
		return s, nil, err
	}
	i := slices.IndexFunc(status.Servers, func(s keeper.Server) bool { return s.Name == declared.Name })
	s = status.Servers[i]
	if len(args) == 1 {
		if len(s.Pending) == 0 {
			return s, nil, usagef("no key of %s waits for a decision; to ask it again: %s",
				s.Name, t.commandLine("keys collect", s.Name))
		}
		return s, s.Pending, nil
	}
	known := slices.Concat(s.Pending, s.Rejected)
	for _, fingerprint := range args[1:] {
		i := slices.IndexFunc(known, func(k keeper.Key) bool { return k.Fingerprint() == fingerprint })
		if i < 0 {
			return s, nil, usagef("%s has no waiting key %s; what it has: %s",
				s.Name, fingerprint, t.commandLine("keys list", s.Name))
		}
		chosen = append(chosen, known[i])
	}
	return s, chosen, nil
}

// sameTypes returns the keys of which others has a different one of the same type.
func sameTypes(keys, others []keeper.Key) []keeper.Key {
	var same []keeper.Key
	for _, k := range keys {
		if slices.ContainsFunc(others, func(o keeper.Key) bool {
			return o.Type == k.Type && !o.Equal(k.Key)
		}) {
			same = append(same, k)
		}
	}
	return same
}

// An acceptedDocument is keys that a person trusts from now on, and those that they replace.
type acceptedDocument struct {
	Server   string       `json:"server"`
	Accepted []keeper.Key `json:"accepted"`
	Replaced []keeper.Key `json:"replaced,omitempty"`
}

func (d acceptedDocument) text(p *page) {
	p.keyList(d.Server+" now trusts:", d.Accepted)
	p.keyList("instead of:", d.Replaced)
	p.nextUpdate("know it")
}

func (t *tool) keysReject(ctx *cli.Context, k *keeper.Keeper) error {
	s, chosen, err := t.choosePending(k, ctx.Args().Slice())
	if err != nil {
		return err
	}
	rejected, err := k.RejectKeys(s.Name, listFingerprints(chosen))
	if err != nil {
		return err
	}
	return t.announce(rejectedDocument{Server: s.Name, Rejected: rejected})
}

// A rejectedDocument is keys that a person refused.
type rejectedDocument struct {
	Server   string       `json:"server"`
	Rejected []keeper.Key `json:"rejected"`
}

func (d rejectedDocument) text(p *page) {
	p.keyList("These keys of "+d.Server+" are rejected:", d.Rejected)
}
