package main

import (
	"net/netip"
	"slices"

	"ltskeeper/farm"
	"ltskeeper/internal/host"
	"ltskeeper/keeper"

	"github.com/urfave/cli/v2"
)

func (t *tool) defineServerAddToHosts() *cli.Command {
	return &cli.Command{
		Name:      "add-to-hosts",
		Usage:     "have clients know a server's address without DNS",
		ArgsUsage: "NAME ADDRESS [CHROOT]...",
		Description: `Adds a line with the server's name and this address to the file from which clients know
addresses without asking anybody: etc/hosts in the chroots that are named, or in all, where LTSP 5 boots
them; with LTSP since 2019 the section [clients] of /etc/ltsp/ltsp.conf. Nothing else in the file changes,
and nothing at all if it has the name with another address.

  ltskeeper server add-to-hosts app05 10.0.0.15
  ltskeeper server add-to-hosts app05 10.0.0.15 x86_64`,
		Action: t.withKeeper(t.serverAddToHosts),
	}
}

func (t *tool) serverAddToHosts(ctx *cli.Context, k *keeper.Keeper) error {
	args := ctx.Args().Slice()
	f := k.Farm()
	s, err := f.FindServer(args[0])
	if err != nil {
		return err
	}
	address, err := parseClientAddress(s, args[1])
	if err != nil {
		return err
	}
	if err := checkChroots(f, args[2:]); err != nil {
		return err
	}
	if len(f.Chroots) == 0 {
		return missingChrootError(f)
	}
	files, err := k.AddToHosts(host.This(), s.Name, address, args[2:])
	if err != nil {
		return err
	}
	return t.announce(hostsDocument{Server: s.Name, Address: address.String(), Files: files})
}

// parseClientAddress parses the address at which clients are to find a server.
func parseClientAddress(s farm.Server, text string) (netip.Addr, error) {
	a, err := netip.ParseAddr(text)
	a = a.Unmap()
	switch {
	case err != nil || a.Zone() != "":
		return a, usagef("%s is not an IP address that clients could connect to", text)
	case a.IsUnspecified(), a.IsMulticast(), a.IsLoopback() && !slices.Contains(s.Addresses, text):
		return a, usagef("%s is not an address of %s for clients: to them it is something else", text, s.Name)
	}
	return a, nil
}

// A hostsDocument is the files from which clients know a server's address.
type hostsDocument struct {
	Server  string               `json:"server"`
	Address string               `json:"address"`
	Files   []keeper.HostsChange `json:"files"`
}

func (d hostsDocument) text(p *page) {
	isChanged, isLTSP := false, false
	for _, f := range d.Files {
		was := " already"
		if f.Changed {
			was = ""
			isChanged, isLTSP = isChanged || !f.IsLTSP, isLTSP || f.IsLTSP
		}
		p.printf("%s is %s in %s%s.\n", d.Server, d.Address, f.Path, was)
	}
	if isChanged {
		p.nextUpdate("know it")
	}
	if isLTSP {
		p.printf("To make the clients know it: ltsp initrd\n")
	}
}
