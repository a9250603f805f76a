package main

import (
	"context"
	"errors"
	"fmt"

	"ltskeeper/farm"
	"ltskeeper/internal/regular"
	"ltskeeper/keeper"
	"ltskeeper/keys"

	"github.com/urfave/cli/v2"
)

func (t *tool) defineKeysRevoke() *cli.Command {
	return &cli.Command{
		Name:      "revoke",
		Usage:     "never trust a key again, whatever server shows it",
		ArgsUsage: "NAME FINGERPRINT...",
		Args:      true,
		Description: `Takes keys from all servers that have them, and puts them into every known_hosts as revoked: clients refuse
whoever shows one, under any name. Keys that a revoked key vouched for may be its thief's, so they are
revoked with it. On a terminal it asks first. A server without a trusted key needs your word for its next.

  ltskeeper keys revoke app03 SHA256:nntmvzDwIGkvvfyiDdSlSaEK/GhqP4/+S3P5objo10E
  ltskeeper keys revoke --file stolen_host_key.pub`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "file", Usage: "revoke the keys in `FILE`: public key lines or known_hosts"},
			&cli.BoolFlag{Name: "keep-offspring", Usage: "go on trusting the keys that a revoked one vouched for"},
		},
		Action: t.withKeeper(t.keysRevoke),
	}
}

func (t *tool) keysRevoke(ctx *cli.Context, k *keeper.Keeper) error {
	o, err := readRevokeOptions(ctx, k.Farm())
	if err != nil {
		return err
	}
	if t.term.person {
		o.DryRun = true
		would, err := k.RevokeKeys(o)
		if err != nil {
			return err
		}
		p := t.newPage()
		revokedDocument{would, "These keys would be revoked:"}.text(p)
		const question = "Revoke them, for good and under every name?"
		if err := t.term.confirm(ctx.Context, p, question, errors.New("nothing is revoked")); err != nil {
			return err
		}
	}
	o.DryRun = false
	done, err := k.RevokeKeys(o)
	if done == nil {
		return err
	}
	return errors.Join(err, t.announce(revokedDocument{done, "These keys are revoked:"}))
}

// readRevokeOptions reads the command line.
func readRevokeOptions(ctx *cli.Context, f *farm.Farm) (o keeper.RevokeOptions, err error) {
	o.SpareOffspring = ctx.Bool("keep-offspring")
	args := ctx.Args()
	if file := ctx.String("file"); file != "" {
		if args.Present() {
			return o, unusedArgumentError(ctx.Command, args.First())
		}
		o.Keys, err = readKeysOf(ctx.Context, file)
		return o, err
	}
	if err := checkArguments(ctx.Command, args.Slice()); err != nil {
		return o, err
	}
	s, err := f.FindServer(args.First())
	o.Server, o.Fingerprints = s.Name, args.Tail()
	return o, err
}

// readKeysOf reads all keys of a file, each line of which must be one.
func readKeysOf(ctx context.Context, file string) ([]keys.Stored, error) {
	data, err := regular.ReadGiven(ctx, file, maxImport)
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	lines, mistakes := keys.ReadLines(data)
	for _, m := range mistakes {
		return nil, fmt.Errorf("read keys: %s:%w", file, m)
	}
	if len(lines) == 0 {
		return nil, fmt.Errorf("read keys: there is none in %s", file)
	}
	return mapEach(lines, keys.Line.KeyWithOrigin), nil
}

// A revokedDocument is keys that nobody may show any more.
type revokedDocument struct {
	*keeper.Revocation
	title string
}

func (d revokedDocument) text(p *page) {
	if len(d.Keys) == 0 {
		p.printf("They were revoked before.\n")
	}
	p.keyList(d.title, d.Keys)
	title := "and, because a revoked key vouched for them:"
	if d.Spared {
		title = "A revoked key vouched for these, which stay trusted:"
	}
	p.keyList(title, d.Offspring)
	p.nextUpdate("refuse them")
}
