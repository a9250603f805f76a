package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"ltskeeper/adopt"
	"ltskeeper/farm"
	"ltskeeper/internal/host"
	"ltskeeper/keeper"

	"github.com/urfave/cli/v2"
)

func (t *tool) defineInit() *cli.Command {
	return &cli.Command{
		Name:  "init",
		Usage: "look at this machine and write the declaration",
		Description: `Looks for client roots, images and TFTP folders of LTSP below /srv/ltsp and /opt/ltsp, and for what
LTSP's own settings say of them, and writes a commented ltskeeper.toml. What clients trust and use today
is taken over: the lines of their known_hosts files into known_hosts.local, this machine's own public
host keys under the name "server", and the lts.conf that clients use, all beside ltskeeper.toml. No server
is asked and no chroot is written to. It ends with the command that declares the servers which clients are
sent to today.

A declaration elsewhere than ` + defaultConfig + ` is a farm of its own: keys, images and TFTP folder are
kept beside it.

  ltskeeper init
  ltskeeper init --chroot /srv/ltsp/x86_64
  ltskeeper init --adopt                   only take over, into a declaration that is there already
  ltskeeper init --config lab/ltskeeper.toml --chroot /srv/chroots/lab`,
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "chroot", Usage: "the client root is `PATH`; look for no others"},
			&cli.BoolFlag{Name: "force", Usage: "replace a declaration that is there already"},
			&cli.BoolFlag{Name: "adopt", Usage: "only take over what clients trust and use today"},
		},
		Args:   true,
		Action: t.init,
	}
}

func (t *tool) init(ctx *cli.Context) error {
	if words := ctx.Args().Slice(); len(words) > 0 {
		return usagef("there is no use for %q; to name a client root: %s", words[0],
			t.commandLine("init --chroot", words[0]))
	}
	isAdopting := ctx.Bool("adopt")
	if isAdopting && (ctx.Bool("force") || len(ctx.StringSlice("chroot")) > 0) {
		return usagef("--adopt changes no declaration: --chroot and --force exclude it")
	}
	d := initDocument{Config: t.config}
	var found adopt.Found
	if !isAdopting {
		found = adopt.Discover(host.This())
		if t.config != defaultConfig {
			found.KeepBeside()
		}
		if roots := ctx.StringSlice("chroot"); len(roots) > 0 {
			if err := found.UseRoots(roots); err != nil {
				return usagef("--chroot: %s", t.explainError(err))
			}
		}
		if exists(t.config) && !ctx.Bool("force") {
			return fmt.Errorf("%s is there already; --force replaces it, --adopt keeps it and takes over what clients use "+
				"today", t.config)
		}
		var err error
		if d.Before, err = adopt.WriteDeclaration(t.config, found); err != nil {
			return err
		}
		d.Written = true
	}
	k, err := keeper.Open(t.config)
	if err != nil {
		return err
	}
	f := k.Farm()
	d.Chroots = mapEach(f.Chroots, func(c farm.Chroot) initChroot { return initChroot{c.Name, c.Path} })
	d.Images, d.TFTP, d.State, d.LTSP = f.Image.Directory, f.TFTP, f.State.Path(), f.LTSP.KnownHosts
	if d.Adopted, err = adopt.TakeOver(k, host.This()); err != nil {
		return fmt.Errorf("take over what clients use today: %w", err)
	}
	for i, a := range d.Adopted {
		d.Adopted[i].Note = t.withRemedies(a.Note, a.Remedies)
	}
	if f, err = farm.Load(t.config); err != nil { // what was taken over is part of it
		return errors.Join(t.print(d), err)
	}
	d.servers = len(f.Servers)
	use := adopt.FindInUse(f, found)
	d.InUse, d.Port = use.Servers, use.Port
	for _, n := range append(found.Notes, use.Notes...) {
		d.Notes = append(d.Notes, t.withRemedies(n.Text, n.Remedies)+".")
	}
	return t.print(d)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// An initDocument is what init wrote and took over.
type initDocument struct {
	Config  string        `json:"config"`
	Written bool          `json:"written"`
	Before  string        `json:"before,omitempty"` // where the declaration is kept that stood there
	Chroots []initChroot  `json:"chroots,omitempty"`
	Images  string        `json:"images"`
	TFTP    string        `json:"tftp"`
	State   string        `json:"state"`
	LTSP    string        `json:"ltsp,omitempty"` // the known_hosts of LTSP since 2019
	Adopted []adopt.Taken `json:"adopted,omitempty"`
	// servers that clients are sent to today, and that are not declared
	InUse   []string `json:"in_use,omitempty"`
	Port    string   `json:"port,omitempty"`  // of theirs, if it is said
	Notes   []string `json:"notes,omitempty"` // what is left to a person
	servers int      // declared
}

// An initChroot is a client root that init declared.
type initChroot struct {
	Name string `json:"name"`
	Path string `json:"path"`
}

func (d initDocument) text(p *page) {
	if p.quiet {
		return
	}
	if d.Written {
		p.printf("Wrote %s:\n", d.Config)
		var t rows
		for _, c := range d.Chroots {
			t.add("chroot", c.Path)
		}
		t = append(t, rows{{"images", d.Images}, {"TFTP", d.TFTP}, {"state", d.State}}...)
		if d.LTSP != "" {
			t.add("LTSP", d.LTSP)
		}
		p.table(2, t)
		if d.Before != "" {
			p.printf("The one before is kept as %s.\n", d.Before)
		}
	}
	if len(d.Adopted) > 0 {
		p.printf("Took over what clients trust and use today:\n")
		var t rows
		for _, a := range d.Adopted {
			lines, to := "", ""
			if a.To != "" {
				lines, to = countNoun(a.Lines, "line", "lines"), "-> "+filepath.Base(a.To) // beside the declaration
			}
			t.add(a.From, lines, to, a.Note)
		}
		p.table(2, t)
	}
	if len(d.Adopted) == 0 && !d.Written {
		p.printf("There is nothing to take over.\n")
	}
	if len(d.Chroots) == 0 {
		p.printf("No client root was found. To declare one: %s\n", p.commandLine("init --force --chroot PATH"))
		if exists(tutorial) {
			p.printf("How to make one: %s\n", tutorial)
		}
	}
	for _, note := range d.Notes {
		p.wrapped(0, note)
	}
	if len(d.Chroots) > 0 {
		p.printf("Next: %s\n", d.next(p))
	}
}

// tutorial is where the package has it.
const tutorial = "/usr/share/doc/ltskeeper/docs/tutorial.md"

// next is the command to type now.
func (d initDocument) next(p *page) string {
	rank := func(word string) int { // what comes behind a name would be taken for its address
		if isAddress(word) {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(d.InUse, func(a, b string) int { return rank(a) - rank(b) })
	switch {
	case len(d.InUse) > 0 && d.Port != "":
		return p.commandLine("server add", append([]string{"--port", d.Port}, d.InUse...)...)
	case len(d.InUse) > 0:
		return p.commandLine("server add", d.InUse...)
	case d.servers > 0:
		return p.commandLine("update-image --dry-run")
	}
	return p.commandLine("server add NAME")
}
