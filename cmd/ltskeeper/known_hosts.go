package main

import (
	"ltskeeper/keeper"

	"github.com/urfave/cli/v2"
)

func (t *tool) defineKnownHosts() *cli.Command {
	return &cli.Command{
		Name:  "known-hosts",
		Usage: "print the known_hosts that clients would get",
		Description: `Derives it from what is on record: it asks no server and writes nothing.

  ltskeeper known-hosts
  ltskeeper known-hosts > /etc/ssh/ssh_known_hosts`,
		Action: t.withKeeper(t.knownHosts),
	}
}

func (t *tool) knownHosts(ctx *cli.Context, k *keeper.Keeper) error {
	data, err := k.KnownHosts()
	if err != nil {
		return err
	}
	return t.print(rawDocument{"known_hosts": string(data)})
}
