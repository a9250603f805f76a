// Command ltskeeper keeps a thin-client farm in step: it collects the SSH host keys of the declared
// application servers, derives the clients' known_hosts and lts.conf, and keeps the client images
// up to date.
//
//	ltskeeper init                   look at this machine, write /etc/ltskeeper/ltskeeper.toml
//	ltskeeper server add app04       declare a server and collect its keys
//	ltskeeper update-image           make the clients know it
//	ltskeeper status                 one screen
//
// This folder holds flags, words and exit codes. What is done, and in which order, is decided in
// package keeper.
package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"

	"ltskeeper/keeper"

	"github.com/urfave/cli/v2"
)

// version is set by the linker.
var version = ""

const defaultConfig = "/etc/ltskeeper/ltskeeper.toml"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), endingSignals()...)
	context.AfterFunc(ctx, stop) // so that a second signal kills
	t := &tool{out: os.Stdout, term: openTerminal()}
	err := t.run(ctx, os.Args)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = errors.New("interrupted")
	}
	t.complain(os.Stderr, err)
	os.Exit(exitCode(err))
}

// endingSignals returns the signals that end a run in an orderly way. The hangup of a terminal is
// one of them, unless nohup ignores it.
func endingSignals() []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}

// A tool is one run of ltskeeper.
type tool struct {
	out  *os.File
	term *terminal

	// The options that every command has.
	config               string
	quiet, verbose, json bool

	cron bool // update-image --cron: quiet, but for a line about what changed
}

// run runs a command line.
func (t *tool) run(ctx context.Context, args []string) error {
	app := t.defineApp()
	line, err := permuteArgs(app, args)
	if err != nil {
		return err
	}
	return app.RunContext(ctx, line)
}

// defineApp defines every command and option.
func (t *tool) defineApp() *cli.App {
	app := &cli.App{
		Name:        "ltskeeper",
		Usage:       "keeps a thin-client farm in step",
		Description: overview,
		Flags: []cli.Flag{
			&cli.StringFlag{
				Name: "config", Value: defaultConfig, EnvVars: []string{"LTSKEEPER_CONFIG"},
				Usage: "the declaration is `FILE`", Destination: &t.config,
			},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print only what needs attention",
				Destination: &t.quiet},
			&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "print also what is in order",
				Destination: &t.verbose},
			&cli.BoolFlag{Name: "json", Usage: "print one JSON document", Destination: &t.json},
			&cli.BoolFlag{Name: "version", Usage: "print the version"},
			&cli.BoolFlag{Name: "help", Aliases: []string{"h"}, Usage: "explain a command"},
		},
		Commands: []*cli.Command{
			t.defineInit(),
			t.defineServer(),
			t.defineUpdateImage(),
			t.defineStatus(),
			t.defineDoctor(),
			t.defineKeys(),
			t.defineImage(),
			t.defineKnownHosts(),
			t.defineLTSConf(),
			t.defineHelp(),
			t.defineComplete(),
		},
		Before: t.checkGlobals,
		Action: t.withoutCommand,

		HideHelp:                  true, // help.go
		HideVersion:               true,
		DisableSliceFlagSeparator: true,
		ExitErrHandler:            func(*cli.Context, error) {}, // exit.go
	}
	app.Setup()
	for _, c := range allCommands(app) {
		c.HideHelp = true
		for _, sub := range c.Subcommands {
			sub.HelpName = c.HelpName + " " + sub.Name
		}
		if c.Action == nil {
			c.Action = func(*cli.Context) error {
				return usagef("%s needs a command: %s", commandPath(c), oneOf(commandNames(c)))
			}
		}
	}
	return app
}

func (t *tool) checkGlobals(*cli.Context) error {
	if t.config == "" { // the variable is there, but empty
		t.config = defaultConfig
	}
	if t.quiet && t.verbose {
		return usagef("--quiet and --verbose exclude each other")
	}
	if info, err := os.Stat(t.config); err == nil && info.IsDir() {
		return usagef("--config %s is a folder; did you mean %s?", t.config,
			filepath.Join(t.config, filepath.Base(defaultConfig)))
	}
	return nil
}

func (t *tool) withoutCommand(ctx *cli.Context) error {
	if ctx.Bool("version") {
		return t.write([]byte("ltskeeper " + versionString() + "\n"))
	}
	return usagef("what to do? ltskeeper --help lists the commands; ltskeeper status shows the farm")
}

// versionString returns the version that was linked in, or the commit that the binary was built
// from.
func versionString() string {
	if version != "" {
		return version
	}
	info, _ := debug.ReadBuildInfo()
	if info == nil || info.Main.Version == "" {
		return "of unknown version"
	}
	return strings.Trim(info.Main.Version, "()")
}

// withKeeper returns an action that loads the declaration first.
func (t *tool) withKeeper(action func(*cli.Context, *keeper.Keeper) error) cli.ActionFunc {
	return func(ctx *cli.Context) error {
		k, err := keeper.Open(t.config)
		if err != nil {
			return err
		}
		return action(ctx, k)
	}
}

// withServers returns an action on the servers that a command line names, by their declared names.
func (t *tool) withServers(action func(*cli.Context, *keeper.Keeper, []string) error) cli.ActionFunc {
	return t.withKeeper(func(ctx *cli.Context, k *keeper.Keeper) error {
		var names []string
		for _, typed := range ctx.Args().Slice() {
			s, err := k.Farm().FindServer(typed)
			if err != nil {
				return err
			}
			names = append(names, s.Name)
		}
		return action(ctx, k, names)
	})
}

// withChroots returns an action on the chroots that a command line names, which are declared.
func (t *tool) withChroots(action func(*cli.Context, *keeper.Keeper, []string) error) cli.ActionFunc {
	return t.withKeeper(func(ctx *cli.Context, k *keeper.Keeper) error {
		chroots := ctx.Args().Slice()
		if err := checkChroots(k.Farm(), chroots); err != nil {
			return err
		}
		return action(ctx, k, chroots)
	})
}
