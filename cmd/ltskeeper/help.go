package main

import (
	"bytes"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"
)

// overview is what ltskeeper --help begins with.
const overview = `ltskeeper keeps a thin-client farm in step. Declare each application server once; ltskeeper collects
its SSH host keys, derives the clients' known_hosts and lts.conf, and keeps the client images up to date.

A first farm:
  ltskeeper init                look at this machine and write the declaration
  ltskeeper server add app01    declare a server and look at its keys
  ltskeeper update-image        make the clients know it

Every night, from cron or a systemd timer:
  ltskeeper update-image --cron

Exit codes: 0 done or nothing to do, 1 failed, 2 the command line or the declaration is wrong,
3 something needs a person's decision, 4 some server could not be reached, 5 another run is at work.`

// helpCommand prints what the definitions of commands and options say. permute turns every way to
// ask for help into this one.
func (t *tool) helpCommand() *cli.Command {
	return &cli.Command{
		Name:         "help",
		Usage:        "explain a command",
		ArgsUsage:    "[COMMAND]...",
		BashComplete: t.completes(nil, commandWords),
		Action: func(ctx *cli.Context) error {
			path, _, err := resolve(ctx.App, ctx.Args().Slice())
			if err != nil {
				return err
			}
			if len(path) == 0 {
				return t.write(appHelp(ctx.App))
			}
			return t.write(commandHelp(ctx.App, path))
		},
	}
}

func appHelp(app *cli.App) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n\nCommands:\n", app.Description)
	for _, path := range allCommands(app.Commands) {
		if c := path[len(path)-1]; len(c.Subcommands) == 0 || takesArguments(c) {
			helpRow(&b, 22, pathString(path), c.Usage)
		}
	}
	fmt.Fprintf(&b, "\nOptions of every command, anywhere on the line:\n")
	flagHelp(&b, app.Flags)
	fmt.Fprintf(&b,
		"\nltskeeper COMMAND --help explains a command, man ltskeeper all of them, man ltskeeper.toml the declaration.\n")
	return b.Bytes()
}

func commandHelp(app *cli.App, path []*cli.Command) []byte {
	var b bytes.Buffer
	c := path[len(path)-1]
	fmt.Fprintf(&b, "ltskeeper %s: %s\n\n", pathString(path), c.Usage)
	fmt.Fprintf(&b, "Usage: %s\n", usageLine(path))
	if c.Description != "" {
		fmt.Fprintf(&b, "\n%s\n", strings.Trim(c.Description, "\n"))
	}
	if len(c.Subcommands) > 0 {
		fmt.Fprintf(&b, "\nCommands:\n")
		for _, s := range c.Subcommands {
			helpRow(&b, 22, pathString(path)+" "+s.Name, s.Usage)
		}
	}
	if len(c.Flags) > 0 {
		fmt.Fprintf(&b, "\nOptions:\n")
		flagHelp(&b, c.Flags)
	}
	fmt.Fprintf(&b, "\nOptions of every command:\n")
	flagHelp(&b, app.Flags)
	return b.Bytes()
}

// usageLine is how a command is typed.
func usageLine(path []*cli.Command) string {
	c := path[len(path)-1]
	line := "ltskeeper " + pathString(path)
	switch {
	case len(c.Subcommands) > 0 && !takesArguments(c):
		line += " COMMAND"
	case len(c.Flags) > 0:
		line += " [OPTION]..."
	}
	return strings.TrimSpace(line + " " + c.ArgsUsage)
}

func helpRow(b *bytes.Buffer, width int, left, right string) {
	fmt.Fprintf(b, "  %-*s  %s\n", width, left, right)
}

// flagHelp is a line for each option, like "--address A  connect to A (may be repeated)".
func flagHelp(b *bytes.Buffer, flags []cli.Flag) {
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, f := range flags {
		left, right := flagWords(f)
		fmt.Fprintf(w, "  %s\t%s\n", left, right)
	}
	w.Flush()
}

func flagWords(f cli.Flag) (left, right string) {
	left, value, right := flagParts(f)
	if value != "" {
		left += " " + value
	}
	return left, strings.ReplaceAll(right, "`", "")
}

// flagParts is an option's names, the name of its value, if it takes one, and what it is for, where the name of its
// value stands in backquotes.
func flagParts(f cli.Flag) (names, value, text string) {
	names = "--" + f.Names()[0]
	for _, name := range f.Names()[1:] {
		names = "-" + name + ", " + names
	}
	d, ok := f.(cli.DocGenerationFlag)
	if !ok {
		return names, "", ""
	}
	text = d.GetUsage()
	if !d.TakesValue() {
		return names, "", text
	}
	value = "VALUE"
	if parts := strings.SplitN(text, "`", 3); len(parts) == 3 {
		value = parts[1]
	}
	if s, ok := f.(cli.DocGenerationSliceFlag); ok && s.IsSliceFlag() {
		text += "; may be repeated"
	}
	if def := d.GetValue(); def != "" && def != "0" {
		text += " (default " + def
		if vars := d.GetEnvVars(); len(vars) > 0 {
			text += ", or the variable " + vars[0]
		}
		text += ")"
	}
	return names, value, text
}
