package main

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"
)

// permuteArgs puts a command line that people type into the order that cli wants: the options of
// the program, the command, the options of the command, "--", the arguments. People put options
// anywhere:
//
//	ltskeeper server add --json app04 --address 10.0.0.14 --config lab.toml
//	ltskeeper --config=lab.toml --json server add --address=10.0.0.14 -- app04
//
// The first line becomes the second. Options keep their order among themselves, so that the last of
// two equal ones wins, and so do arguments. What follows "--" is arguments only. "help server add"
// and "server add --help" are the same. An error is a usageError and names what was probably meant.
func permuteArgs(app *cli.App, args []string) ([]string, error) {
	typed, err := readWords(app, args[1:])
	if err != nil {
		return nil, err
	}
	help := typed.hasOption("help")
	if len(typed.words) > 0 && typed.words[0] == "help" {
		typed.words, help = typed.words[1:], true
	}
	c, words, err := findCommand(app, typed.words)
	if err != nil {
		return nil, err
	}
	line, path := args[:1:1], strings.Fields(commandPath(c))
	switch {
	case help: // whatever else is there, people want to read
		return append(append(line, "help"), path...), nil
	case typed.hasOption("version"):
		return append(line, "--version"), nil
	}
	global, ofCommand := flagsByName(app.Flags), flagsByName(c.Flags)
	var own []string
	for _, o := range typed.options {
		name := "--" + o.name()
		switch f := cmp.Or(global[name], ofCommand[name]); {
		case f == nil:
			return nil, misplacedOptionError(app, c, name)
		case o.lacksValue():
			_, usage := flagWords(f)
			return nil, usagef("%s needs a value: %s", name, usage)
		case global[name] != nil:
			line = append(line, o.String())
		default:
			own = append(own, o.String())
		}
	}
	line = slices.Concat(line, path, own)
	if words = append(words, typed.rest...); len(words) > 0 {
		line = append(append(line, "--"), words...)
	}
	if c.Args { // it checks them itself
		return line, nil
	}
	return line, checkArguments(c, words)
}

// checkArguments refuses arguments that a command has no use for, or too few of them, by its
// ArgsUsage: "[CHROOT] A B", "NAME [FINGERPRINT]...".
func checkArguments(c *cli.Command, args []string) error {
	known := strings.Fields(c.ArgsUsage)
	needed := slices.DeleteFunc(slices.Clone(known), func(word string) bool { return word[0] == '[' })
	if len(args) < len(needed) {
		return usagef("something is missing: %s", argumentUsage(c))
	}
	if len(args) > len(known) && !takesMany(c) {
		return unusedArgumentError(c, args[len(known)])
	}
	return nil
}

func takesMany(c *cli.Command) bool { return strings.HasSuffix(c.ArgsUsage, "...") }

func unusedArgumentError(c *cli.Command, arg string) error {
	return usagef("there is no use for %q: %s", arg, argumentUsage(c))
}

func argumentUsage(c *cli.Command) string { return strings.TrimSpace(c.HelpName + " " + c.ArgsUsage) }

// A typedLine is a command line that was taken apart.
type typedLine struct {
	words   []string // a command and its arguments
	options []option
	rest    []string // what follows "--"; nil without one
}

// An option is one that was typed.
type option struct {
	flag  cli.Flag // its definition, by some command
	value string
	bare  bool // without a value
}

func (o option) name() string { return o.flag.Names()[0] }

func (o option) lacksValue() bool { return o.bare && takesValue(o.flag) }

func (o option) String() string {
	if o.bare {
		return "--" + o.name()
	}
	return "--" + o.name() + "=" + o.value
}

func (l typedLine) hasOption(name string) bool {
	return slices.ContainsFunc(l.options, func(o option) bool { return o.name() == name })
}

// readWords takes a command line apart: "--name", "--name=value", "--name value", "-q" and "-qv",
// where no short option takes a value. It reads all of it even if something is wrong with it, and
// returns the first mistake.
func readWords(app *cli.App, args []string) (l typedLine, mistake error) {
	flags := allFlags(app)
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			l.rest = args[i+1:]
			break
		}
		if arg == "-" || !strings.HasPrefix(arg, "-") {
			l.words = append(l.words, arg)
			continue
		}
		names, value, glued := splitOption(arg)
		for _, name := range names {
			f := flags[name]
			if f == nil {
				mistake = cmp.Or(mistake, unknownOptionError(flags, name, arg))
				continue
			}
			o := option{f, value, !glued}
			// One that stays without a value is refused when the command is known.
			if o.lacksValue() && i+1 < len(args) && !isOption(flags, args[i+1]) {
				i++
				o.value, o.bare = args[i], false
			}
			l.options = append(l.options, o)
			mistake = cmp.Or(mistake, o.check())
		}
	}
	return l, mistake
}

// splitOption returns the options in a word, with their dashes, and the value after "=", if there
// is one.
func splitOption(word string) (names []string, value string, glued bool) {
	if strings.HasPrefix(word, "--") {
		name, value, glued := strings.Cut(word, "=")
		return []string{name}, value, glued
	}
	for _, letter := range word[1:] {
		names = append(names, "-"+string(letter))
	}
	return names, "", false
}

// isOption reports whether a word is an option that there is, or ends the options.
func isOption(flags map[string]cli.Flag, word string) bool {
	name, _, _ := strings.Cut(word, "=")
	return flags[name] != nil || word == "--"
}

func takesValue(f cli.Flag) bool { return f.(cli.DocGenerationFlag).TakesValue() }

func isRepeatable(f cli.Flag) bool {
	s, is := f.(cli.DocGenerationSliceFlag)
	return is && s.IsSliceFlag()
}

// check refuses a value that cli would refuse, in words of our own.
func (o option) check() error {
	var err error
	kind := "wants a number"
	switch o.flag.(type) {
	case *cli.BoolFlag:
		kind = "is on or off and takes no value"
		_, err = strconv.ParseBool(o.value)
	case *cli.IntFlag:
		_, err = strconv.Atoi(o.value)
	case *cli.Float64Flag:
		_, err = strconv.ParseFloat(o.value, 64)
	}
	if err != nil && !o.bare {
		return usagef("--%s %s, not %q", o.name(), kind, o.value)
	}
	return nil
}

// rootCommand returns the program itself as a command above all others.
func rootCommand(app *cli.App) *cli.Command {
	return &cli.Command{HelpName: app.Name, Subcommands: app.Commands}
}

// commandPath returns how a command is typed, without the program's name: "server add".
func commandPath(c *cli.Command) string {
	_, path, _ := strings.Cut(c.HelpName, " ")
	return path
}

// findCommand follows words down the tree of commands, and returns the command and its arguments.
func findCommand(app *cli.App, words []string) (c *cli.Command, arguments []string, err error) {
	c = rootCommand(app)
	for len(words) > 0 && len(c.Subcommands) > 0 {
		next := c.Command(words[0])
		if next == nil && isRunnable(c) {
			break
		}
		if next == nil {
			return c, nil, unknownCommandError(app, c, words)
		}
		c, words = next, words[1:]
	}
	return c, words, nil
}

// isRunnable reports whether a command does something by itself, whether or not it has others below
// it.
func isRunnable(c *cli.Command) bool { return len(c.Subcommands) == 0 || c.ArgsUsage != "" }

// allCommands returns every command that people type, each before those below it.
func allCommands(app *cli.App) []*cli.Command {
	var all []*cli.Command
	var add func(above *cli.Command)
	add = func(above *cli.Command) {
		for _, c := range above.VisibleCommands() {
			all = append(all, c)
			add(c)
		}
	}
	add(rootCommand(app))
	return all
}

// runnableCommands returns the commands that do something by themselves.
func runnableCommands(app *cli.App) []*cli.Command {
	return slices.DeleteFunc(allCommands(app), func(c *cli.Command) bool { return !isRunnable(c) })
}

// allFlags returns every option by each way to type it, such as "--quiet" and "-q". Options of one
// name are of one kind in all commands, so that they can be read before the command is known.
func allFlags(app *cli.App) map[string]cli.Flag {
	all := flagsByName(app.Flags)
	for _, c := range allCommands(app) {
		maps.Copy(all, flagsByName(c.Flags))
	}
	return all
}

func flagsByName(flags []cli.Flag) map[string]cli.Flag {
	all := map[string]cli.Flag{}
	for _, f := range flags {
		for _, name := range f.Names() {
			dashes := "--"
			if len(name) == 1 {
				dashes = "-"
			}
			all[dashes+name] = f
		}
	}
	return all
}
