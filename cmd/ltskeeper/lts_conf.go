package main

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"ltskeeper/chroot"
	"ltskeeper/farm"
	"ltskeeper/internal/regular"
	"ltskeeper/keeper"
	"ltskeeper/ltsconf"

	"github.com/urfave/cli/v2"
)

func (t *tool) defineLTSConf() *cli.Command {
	return &cli.Command{
		Name:      "lts-conf",
		Usage:     "print the lts.conf that clients would get",
		ArgsUsage: "[CHROOT]",
		Description: `Derives it from what is on record: it asks no server and writes nothing. The chroot may be left out where
all of them get the same.

  ltskeeper lts-conf
  ltskeeper lts-conf get --mac 00:11:22:33:44:55 LDM_SERVER
  ltskeeper lts-conf check /srv/tftp/ltsp/x86_64/lts.conf`,
		Action: t.withKeeper(t.ltsConf),
		Subcommands: []*cli.Command{
			{
				Name:      "get",
				Usage:     "look up what a client would see",
				ArgsUsage: "[KEY]",
				Description: `Looks settings up as a client with that host name, address and MAC does: all of them, or the value of one
KEY. One that is not set is exit code 1.

  ltskeeper lts-conf get
  ltskeeper lts-conf get --hostname ws17 --ip 10.0.1.17 LDM_SERVER`,
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "hostname", Usage: "the client's name is `H`"},
					&cli.StringFlag{Name: "ip", Usage: "the client's address is `A`"},
					&cli.StringFlag{Name: "mac", Usage: "the client's MAC is `M`"},
					&cli.StringFlag{Name: "chroot", Usage: "the client runs the image of chroot `NAME`"},
				},
				Action: t.withKeeper(t.ltsConfGet),
			},
			{
				Name:      "check",
				Usage:     "find every problem of an lts.conf",
				ArgsUsage: "FILE",
				Description: `Prints what clients would reject, drop, or take for something else, with its line. Errors are exit code 1,
warnings are not.

  ltskeeper lts-conf check /etc/ltskeeper/lts.conf`,
				Action: t.ltsConfCheck,
			},
		},
	}
}

func (t *tool) ltsConf(ctx *cli.Context, k *keeper.Keeper) error {
	data, err := renderLTSConf(k, ctx.Args().Slice())
	if err != nil {
		return err
	}
	return t.print(rawDocument{"lts_conf": string(data)})
}

// renderLTSConf renders the lts.conf for the chroots that were named, or for all of them. It must
// be the same for each.
func renderLTSConf(k *keeper.Keeper, chroots []string) ([]byte, error) {
	f := k.Farm()
	if len(chroots) == 0 {
		chroots = f.ChrootNames()
	}
	if len(chroots) == 0 {
		return nil, missingChrootError(f)
	}
	var first []byte
	for i, name := range chroots {
		data, err := k.LTSConf(name)
		switch {
		case err != nil:
			return nil, err
		case i > 0 && !bytes.Equal(data, first):
			return nil, usagef("the chroots get different ones, so name one: %s", oneOf(f.ChrootNames()))
		}
		first = data
	}
	return first, nil
}

func missingChrootError(f *farm.Farm) error {
	return usagef("no chroot is declared: put one into %s as [[chroot]]", f.Path)
}

func (t *tool) ltsConfGet(ctx *cli.Context, k *keeper.Keeper) error {
	args := ctx.Args().Slice()
	var chroots []string
	if ctx.IsSet("chroot") {
		chroots = []string{ctx.String("chroot")}
	}
	data, err := renderLTSConf(k, chroots)
	if err != nil {
		return err
	}
	conf, err := ltsconf.Parse("lts.conf", data)
	if err != nil {
		return err
	}
	id := ltsconf.Identity{Hostname: ctx.String("hostname"), IP: ctx.String("ip"), MAC: ctx.String("mac")}
	settings := slices.DeleteFunc(conf.Lookup(id), func(s ltsconf.Setting) bool {
		return len(args) == 1 && !strings.EqualFold(s.Key, args[0])
	})
	if err := t.print(settingsDocument{notNil(settings), len(args) == 1}); err != nil {
		return err
	}
	if len(args) == 1 && len(settings) == 0 {
		return fmt.Errorf("%s is not set for this client", args[0])
	}
	return nil
}

// A settingsDocument is what a client sees of lts.conf.
type settingsDocument struct {
	Settings  []ltsconf.Setting `json:"settings"`
	valueOnly bool
}

func (d settingsDocument) text(p *page) {
	var t rows
	for _, s := range d.Settings {
		if d.valueOnly {
			p.raw(s.Value + "\n")
			continue
		}
		t.add(s.Key, "= "+s.Value, "["+s.Section+"]")
	}
	p.table(0, t)
}

func (t *tool) ltsConfCheck(ctx *cli.Context) error {
	args := ctx.Args().Slice()
	src, err := regular.ReadGiven(ctx.Context, args[0], regular.MaxText)
	if err != nil {
		return fmt.Errorf("check lts.conf: %w", err)
	}
	readFile, done := t.clientReader(args[0])
	defer done()
	problems := ltsconf.Check(args[0], src, readFile)
	if err := t.print(problemsDocument{args[0], notNil(problems)}); err != nil {
		return err
	}
	if n := countIf(problems, func(p ltsconf.Problem) bool { return p.Severity == ltsconf.Error }); n > 0 {
		return errors.New(args[0] + " is not fit for clients: " + countNoun(n, "error", "errors"))
	}
	return nil
}

// clientReader returns a reader of included files that finds them where clients do: in the chroot
// that the file is declared for or that it is in, otherwise beside the file.
func (t *tool) clientReader(file string) (readFile func(string) ([]byte, error), done func()) {
	if k, err := keeper.Open(t.config); err == nil {
		abs, _ := filepath.Abs(file)
		for _, c := range k.Farm().Chroots {
			if abs != c.LTSConf && !strings.HasPrefix(abs, strings.TrimSuffix(c.Path, "/")+"/") {
				continue
			}
			if root, err := chroot.Open(c.Path); err == nil {
				return root.Read, func() { root.Close() }
			}
		}
	}
	return readBeside(file), func() {}
}

// readBeside returns a reader of included files. A relative name is beside the including file, as
// on a client whose getltscfg runs in that folder.
func readBeside(file string) func(string) ([]byte, error) {
	return func(path string) ([]byte, error) {
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(file), path)
		}
		return regular.Read(path, regular.MaxText)
	}
}

// A problemsDocument is what is wrong with an lts.conf.
type problemsDocument struct {
	File     string            `json:"file"`
	Problems []ltsconf.Problem `json:"problems"`
}

func (d problemsDocument) text(p *page) {
	for _, x := range d.Problems {
		p.printf("%s\n", x)
	}
	if len(d.Problems) == 0 && !p.quiet {
		p.printf("%s: no problem found\n", d.File)
	}
}
