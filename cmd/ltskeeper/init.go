package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ltskeeper/chroot"
	"ltskeeper/farm"
	"ltskeeper/update"

	"github.com/google/renameio/v2"
	"github.com/urfave/cli/v2"
)

func (t *tool) initCommand() *cli.Command {
	return &cli.Command{
		Name:  "init",
		Usage: "look at this machine and write the declaration",
		Description: `Looks for client roots, images and TFTP folders of LTSP below /srv/ltsp and /opt/ltsp, and writes a commented
ltskeeper.toml. What clients trust and use today is taken over: the lines of their known_hosts files into
known_hosts.local, this machine's own public host keys under the name "server", and the lts.conf that clients
use, all beside ltskeeper.toml. No server is asked and no chroot is written to.

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
		Action: t.init,
	}
}

func (t *tool) init(ctx *cli.Context) error {
	if _, err := arguments(ctx, 0, 0); err != nil {
		return err
	}
	d := initDocument{Config: t.config}
	if ctx.Bool("adopt") {
		if ctx.Bool("force") || len(ctx.StringSlice("chroot")) > 0 {
			return usagef("--adopt changes no declaration: --chroot and --force exclude it")
		}
	} else {
		found, err := t.find(ctx.StringSlice("chroot"))
		if err != nil {
			return err
		}
		if exists(t.config) && !ctx.Bool("force") {
			return fmt.Errorf("%s is there already; --force replaces it, --adopt keeps it and takes over what clients use today", t.config)
		}
		if err := writeDeclaration(t.config, farm.Template(found)); err != nil {
			return err
		}
		d.Written = true
	}
	f, err := t.farm()
	if err != nil {
		return err
	}
	for _, c := range f.Chroots {
		d.Chroots = append(d.Chroots, initChroot{c.Name, c.Path})
	}
	d.Images, d.TFTP, d.State = f.Image.Directory, f.TFTP.Directory, f.State
	if d.Adopted, err = update.Adopt(ctx.Context, f, "/"); err != nil {
		return fmt.Errorf("take over what clients use today: %w", err)
	}
	return t.print(d)
}

// find is what a new declaration starts from.
func (t *tool) find(chroots []string) (farm.Found, error) {
	found := farm.Discover("/")
	if t.config != defaultConfig {
		found.State, found.Images, found.TFTP = "state", "images", "tftp"
	}
	if len(chroots) == 0 {
		return found, nil
	}
	found.Chroots = nil
	for _, path := range chroots {
		path, err := filepath.Abs(path)
		if err != nil {
			return found, err
		}
		root, err := chroot.Open(path)
		if err != nil {
			return found, usagef("--chroot: %v", err)
		}
		root.Close()
		name := farm.ChrootName(path)
		if slices.ContainsFunc(found.Chroots, func(c farm.Chroot) bool { return strings.EqualFold(c.Name, name) }) {
			return found, usagef("--chroot %s: there would be two chroots called %s", path, name)
		}
		found.Chroots = append(found.Chroots, farm.Chroot{Name: name, Path: path})
	}
	return found, nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func writeDeclaration(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write the declaration: %w", err)
	}
	if err := renameio.WriteFile(path, text, 0o644); err != nil {
		return fmt.Errorf("write the declaration %s: %w", path, err)
	}
	return nil
}

// An initDocument is what init wrote and took over.
type initDocument struct {
	Config  string           `json:"config"`
	Written bool             `json:"written"`
	Chroots []initChroot     `json:"chroots,omitempty"`
	Images  string           `json:"images"`
	TFTP    string           `json:"tftp"`
	State   string           `json:"state"`
	Adopted []update.Adopted `json:"adopted,omitempty"`
}

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
		var rows [][]any
		for _, c := range d.Chroots {
			rows = append(rows, []any{"chroot", c.Path})
		}
		p.table(2, append(rows, []any{"images", d.Images}, []any{"TFTP", d.TFTP}, []any{"state", d.State}))
	}
	if len(d.Adopted) > 0 {
		p.printf("Took over what clients trust and use today:\n")
		var rows [][]any
		for _, a := range d.Adopted {
			rows = append(rows, []any{a.From, taken(a), arrow(a.To), a.Note})
		}
		p.table(2, rows)
	}
	if len(d.Adopted) == 0 && !d.Written {
		p.printf("There is nothing to take over.\n")
	}
	if len(d.Chroots) == 0 {
		p.printf("No client root was found: put one into %s as [[chroot]], or give it to init with --chroot.\n", d.Config)
	}
	p.printf("Next: %s\n", p.command("server add NAME"))
}

func taken(a update.Adopted) string {
	if a.To == "" {
		return ""
	}
	return count(a.Lines, "line", "lines")
}

// arrow names the file beside the declaration into which something went.
func arrow(to string) string {
	if to == "" {
		return ""
	}
	return "-> " + filepath.Base(to)
}
