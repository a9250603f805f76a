package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"ltskeeper/derive"
	"ltskeeper/keeper"
	"ltskeeper/keys"

	"github.com/urfave/cli/v2"
)

func (t *tool) defineKeysExport() *cli.Command {
	return &cli.Command{
		Name:  "export",
		Usage: "give keys to others",
		Description: `Where a farm is declared: prints all that is trusted, as known_hosts, as DNS records (sshfp), as json, or as
variables for Ansible. On an application server, where none is: prints the machine's own public host keys,
for keys import on the primary; that needs neither root nor a declaration.

  ltskeeper keys export --format sshfp
  ltskeeper keys export --own | ssh primary ltskeeper keys import app03`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "format", Usage: "print as `F`: " + oneOf(derive.Formats)},
			&cli.BoolFlag{Name: "own", Usage: "print this machine's own keys, also where a farm is declared"},
			&cli.StringFlag{Name: "ssh", Usage: "this machine's own keys are in `FOLDER`", Value: "/etc/ssh"},
		},
		Action: t.keysExport,
	}
}

func (t *tool) keysExport(ctx *cli.Context) error {
	format := ctx.String("format")
	if format != "" && !slices.Contains(derive.Formats, format) {
		return usagef("there is no format %q; there are %s", format, oneOf(derive.Formats))
	}
	_, err := os.Stat(t.config)
	usual := t.config == defaultConfig || t.config == os.Getenv("LTSKEEPER_CONFIG")
	if ctx.Bool("own") || format == "" && usual && errors.Is(err, fs.ErrNotExist) {
		if format != "" {
			return usagef("--own prints public key lines, and has no --format")
		}
		own, err := readOwnKeys(ctx.Context, ctx.String("ssh"))
		if err != nil {
			return err
		}
		return t.printFields(map[string]any{"keys": own}, func(p *page) { p.raw(strings.Join(own, "\n") + "\n") })
	}
	k, err := keeper.Open(t.config)
	if err != nil {
		return err
	}
	if format == "" {
		format = derive.Formats[0]
	}
	data, err := k.ExportKeys(format)
	if err != nil {
		return err
	}
	return t.print(rawDocument{"export": string(data)})
}

// readOwnKeys returns the public key lines of this machine's sshd.
func readOwnKeys(ctx context.Context, folder string) ([]string, error) {
	data, err := readKeyFiles(ctx, folder)
	if err != nil {
		return nil, fmt.Errorf("export this machine's keys: %w", err)
	}
	lines, _ := keys.ReadLines(data)
	var own []string
	for _, l := range lines {
		if l.Hosts == "" && l.Key.Weakness() == nil {
			own = append(own, l.Key.FormatLine())
		}
	}
	if len(own) == 0 {
		return nil, fmt.Errorf("export this machine's keys: no *.pub in %s holds one that can be trusted", folder)
	}
	return own, nil
}
