package main

import (
	"bytes"
	"strings"

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

// What help prints, as templates of cli's.
const (
	programHelp = `{{.Description}}

Commands:{{range commands}}
  {{path .}}{{"\t"}}{{.Usage}}{{end}}

Options of every command, anywhere on the line:{{template "options" .}}

ltskeeper COMMAND --help explains a command, man ltskeeper all of them, man ltskeeper.toml the declaration.
`
	commandHelp = `{{.HelpName}}: {{.Usage}}

Usage: {{usage .}}{{with .Description}}

{{.}}{{end}}{{with .Subcommands}}

Commands:{{range .}}
  {{path .}}{{"\t"}}{{.Usage}}{{end}}{{end}}{{if .Flags}}

Options:{{template "options" .}}{{end}}

Options of every command:{{template "options" app}}
`
	optionsHelp = `{{define "options"}}{{range .Flags}}
  {{option .}}{{end}}{{end}}`
)

// defineHelp prints what the definitions of commands and options say. permuteArgs turns every way
// to ask for help into this one.
func (t *tool) defineHelp() *cli.Command {
	return &cli.Command{
		Name:      "help",
		Usage:     "explain a command",
		ArgsUsage: "[COMMAND]...",
		Action: func(ctx *cli.Context) error {
			c, _, err := findCommand(ctx.App, ctx.Args().Slice())
			if err != nil {
				return err
			}
			return t.write(explainCommand(ctx.App, c))
		},
	}
}

// explainCommand returns the help for a command, or for the program.
func explainCommand(app *cli.App, c *cli.Command) []byte {
	template, data := commandHelp, any(c)
	if commandPath(c) == "" {
		template, data = programHelp, app
	}
	var b bytes.Buffer
	cli.HelpPrinterCustom(&b, optionsHelp+template, data, map[string]any{
		"app":      func() *cli.App { return app },
		"commands": func() []*cli.Command { return runnableCommands(app) },
		"path":     commandPath,
		"usage":    usageLine,
		"option": func(f cli.Flag) string {
			left, right := flagWords(f)
			return left + "\t" + right
		},
	})
	return b.Bytes()
}

// usageLine returns how a command is typed: "ltskeeper server add [OPTION]... NAME...".
func usageLine(c *cli.Command) string {
	line := c.HelpName
	switch {
	case !isRunnable(c):
		line += " COMMAND"
	case len(c.Flags) > 0:
		line += " [OPTION]..."
	}
	return strings.TrimSpace(line + " " + c.ArgsUsage)
}

func flagWords(f cli.Flag) (left, right string) {
	left, value, right := flagParts(f)
	if value != "" {
		left += " " + value
	}
	return left, strings.ReplaceAll(right, "`", "")
}

// flagParts returns how an option is typed, the name of its value, if it takes one, and what it is
// for. The name of the value is in backquotes there.
func flagParts(f cli.Flag) (names, value, text string) {
	names = "--" + f.Names()[0]
	for _, name := range f.Names()[1:] {
		names = "-" + name + ", " + names
	}
	d := f.(cli.DocGenerationFlag)
	text = d.GetUsage()
	if !d.TakesValue() {
		return names, "", text
	}
	value = "VALUE"
	if parts := strings.SplitN(text, "`", 3); len(parts) == 3 {
		value = parts[1]
	}
	if isRepeatable(f) {
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
