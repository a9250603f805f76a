package main

import (
	"ltskeeper/keeper"
	"ltskeeper/keys"

	"github.com/urfave/cli/v2"
)

func (t *tool) defineKeysForgetLine() *cli.Command {
	return &cli.Command{
		Name:      "forget-line",
		Usage:     "take keys of a server out of known_hosts.local",
		ArgsUsage: "NAME FINGERPRINT...",
		Description: `Removes the lines of known_hosts.local, your own lines in every known_hosts, by which clients
take these keys for the server. A line that names other servers as well keeps their names. What the server's
trusted keys are does not change; ltskeeper doctor names the lines that vouch for others.

  ltskeeper keys forget-line app03 SHA256:nntmvzDwIGkvvfyiDdSlSaEK/GhqP4/+S3P5objo10E`,
		Action: t.withKeeper(t.keysForgetLine),
	}
}

func (t *tool) keysForgetLine(ctx *cli.Context, k *keeper.Keeper) error {
	args := ctx.Args().Slice()
	s, err := k.Farm().FindServer(args[0])
	if err != nil {
		return err
	}
	for _, fingerprint := range args[1:] {
		if !keys.IsFingerprint(fingerprint) {
			return usagef("%s is not a fingerprint, as ssh-keygen -lf prints it: SHA256:...", fingerprint)
		}
	}
	lines, err := k.ForgetLines(s.Name, args[1:])
	if err != nil {
		return err
	}
	d := forgottenDocument{Server: s.Name, File: k.Farm().KnownHostsLocalPath(), Lines: []forgottenLine{}}
	for _, l := range lines {
		d.Lines = append(d.Lines, forgottenLine{l.Number, l.Hosts, l.Key.Fingerprint()})
	}
	return t.announce(d)
}

// A forgottenDocument is lines by which clients no longer take keys for a server.
type forgottenDocument struct {
	Server string          `json:"server"`
	File   string          `json:"file"`
	Lines  []forgottenLine `json:"lines"`
}

type forgottenLine struct {
	Line        int    `json:"line"` // its number, before
	Hosts       string `json:"hosts"`
	Fingerprint string `json:"fingerprint"`
}

func (d forgottenDocument) text(p *page) {
	if len(d.Lines) == 0 {
		p.printf("%s has no such line for %s.\n", d.File, d.Server)
		return
	}
	for _, l := range d.Lines {
		p.printf("%s:%d: %s is forgotten for %s.\n", d.File, l.Line, l.Fingerprint, d.Server)
	}
	p.nextUpdate("forget it")
}
