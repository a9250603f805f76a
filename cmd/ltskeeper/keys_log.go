package main

import (
	"fmt"
	"os"
	"slices"

	"ltskeeper/keeper"
	"ltskeeper/keys"
	"ltskeeper/keys/trust"

	"github.com/urfave/cli/v2"
)

func (t *tool) defineKeysLog() *cli.Command {
	return &cli.Command{
		Name:      "log",
		Usage:     "show every change of trust",
		ArgsUsage: "[NAME]...",
		Description: `Shows when which key came to be trusted, rejected or revoked or ceased to be so, by what and on whose order,
oldest first; with names, also of servers that are no more, only theirs.

  ltskeeper keys log
  ltskeeper keys log app03 --json | jq '.log[] | select(.to == "trusted")'`,
		Action: t.withKeeper(t.keysLog),
	}
}

func (t *tool) keysLog(ctx *cli.Context, k *keeper.Keeper) error {
	entries, unreadable, err := k.ReadLog()
	if err != nil {
		return err
	}
	for _, line := range unreadable {
		printWarning(os.Stderr, fmt.Sprintf("line %d of the log cannot be read and is left out", line))
	}
	names := ctx.Args().Slice()
	entries = slices.DeleteFunc(entries, func(e trust.Entry) bool {
		return len(names) > 0 && !slices.Contains(names, e.Server)
	})
	return t.print(logDocument{notNil(entries)})
}

// A logDocument is changes of trust.
type logDocument struct {
	Log []trust.Entry `json:"log"`
}

func (d logDocument) text(p *page) {
	t := rows{p.head("TIME", "SERVER", "TYPE", "FINGERPRINT", "CHANGE", "BY", "ON ORDER OF")}
	for _, e := range d.Log {
		server := e.Server
		if server == "*" {
			server = "any server"
		}
		t.add(formatTime(e.Time), server, keys.ShortType(e.Type), e.Key,
			fmt.Sprintf("%s -> %s", e.From, e.To), e.By, e.Order)
	}
	if len(d.Log) > 0 {
		p.table(0, t)
	} else if !p.quiet {
		p.printf("Nothing was ever trusted here.\n")
	}
}
