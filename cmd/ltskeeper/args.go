package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"ltskeeper/farm"

	"github.com/urfave/cli/v2"
)

// permute puts a command line that people type into the order that cli wants: the options of the
// program, the command, the options of the command, "--", the arguments. People put options
// anywhere:
//
//	ltskeeper server add --json app04 --address 10.0.0.14 --config lab.toml
//	ltskeeper --config=lab.toml --json server add --address=10.0.0.14 -- app04
//
// The first line becomes the second. Options keep their order among themselves, so that the last of
// two equal ones wins, and arguments theirs. What follows "--" is arguments only. "help server add"
// and "server add --help" are the same. An error is a usageError and names what was probably meant.
func permute(app *cli.App, args []string) ([]string, error) {
	words, rest, given, err := split(allFlags(app), args[1:])
	if err != nil {
		return nil, err
	}
	help := typed(given, "help")
	if len(words) > 0 && words[0] == "help" {
		words, help = words[1:], true
	}
	path, words, err := resolve(app, words)
	line := args[:1:1]
	switch {
	case err != nil:
		return nil, err
	case help: // whatever else is there, people want to read
		return append(append(line, "help"), names(path)...), nil
	case typed(given, "version"):
		return append(line, "--version"), nil
	}
	var own []string
	for _, o := range given {
		f := flagOf(app.Flags, o.name)
		switch {
		case f != nil:
			line = append(line, o.String())
		case len(path) > 0:
			f = flagOf(path[len(path)-1].Flags, o.name)
			own = append(own, o.String())
		}
		switch {
		case f == nil:
			return nil, misplaced(app, path, o.name)
		case o.bare && takesValue(f):
			_, usage := flagWords(f)
			return nil, usagef("--%s needs a value: %s", o.name, usage)
		}
	}
	line = append(line, names(path)...)
	line = append(line, own...)
	if words = append(words, rest...); len(words) > 0 {
		line = append(append(line, "--"), words...)
	}
	return line, nil
}

// An option is one that was typed, under its full name.
type option struct {
	name, value string
	bare        bool // without a value
}

func (o option) String() string {
	if o.bare {
		return "--" + o.name
	}
	return "--" + o.name + "=" + o.value
}

func typed(given []option, name string) bool {
	return slices.ContainsFunc(given, func(o option) bool { return o.name == name })
}

// split parts a command line into words, what follows "--", and options.
func split(flags map[string]cli.Flag, args []string) (words, rest []string, given []option, err error) {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--":
			return words, args[i+1:], given, nil
		case arg == "-" || !strings.HasPrefix(arg, "-"):
			words = append(words, arg)
		case strings.HasPrefix(arg, "--"):
			o, next, err := long(flags, arg, args[i+1:])
			if err != nil {
				return nil, nil, nil, err
			}
			given = append(given, o)
			i += next
		default:
			options, err := short(flags, arg)
			if err != nil {
				return nil, nil, nil, err
			}
			given = append(given, options...)
		}
	}
	return words, nil, given, nil
}

// long reads "--name", "--name=value" or "--name value", and says how many of the following words
// it took.
func long(flags map[string]cli.Flag, arg string, following []string) (o option, next int, err error) {
	name, value, glued := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
	f, ok := flags[name]
	if !ok || len(name) == 1 {
		return o, 0, unknownOption(flags, "--"+name)
	}
	o = option{name: f.Names()[0], value: value, bare: !glued}
	if glued {
		return o, 0, checkValue(f, value)
	}
	if !takesValue(f) {
		return o, 0, nil
	}
	if len(following) == 0 || following[0] == "--" || isOption(flags, following[0]) {
		return o, 0, nil // what is missing depends on the command
	}
	o.value, o.bare = following[0], false
	return o, 1, checkValue(f, o.value)
}

// short reads "-q" and "-qv". No short option takes a value.
func short(flags map[string]cli.Flag, arg string) ([]option, error) {
	var options []option
	for _, letter := range arg[1:] {
		f, ok := flags[string(letter)]
		switch {
		case !ok && len(arg) > 2 && nearest(arg[1:], longNames(flags)) != "": // -json
			return nil, unknownOption(flags, arg)
		case !ok:
			return nil, unknownOption(flags, "-"+string(letter))
		}
		options = append(options, option{name: f.Names()[0], bare: true})
	}
	return options, nil
}

func isOption(flags map[string]cli.Flag, arg string) bool {
	name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
	_, ok := flags[name]
	return ok && strings.HasPrefix(arg, "-")
}

func takesValue(f cli.Flag) bool {
	d, ok := f.(cli.DocGenerationFlag)
	return ok && d.TakesValue()
}

func checkValue(f cli.Flag, value string) error {
	name := f.Names()[0]
	switch f.(type) {
	case *cli.BoolFlag:
		if _, err := strconv.ParseBool(value); err != nil {
			return usagef("--%s is on or off and takes no value, not %q", name, value)
		}
	case *cli.IntFlag:
		if _, err := strconv.Atoi(value); err != nil {
			return usagef("--%s wants a number, not %q", name, value)
		}
	}
	return nil
}

// resolve follows words down the tree of commands, and returns the command's path and the
// arguments.
func resolve(app *cli.App, words []string) (path []*cli.Command, arguments []string, err error) {
	commands := app.Commands
	for len(words) > 0 && len(commands) > 0 {
		c := find(commands, words[0])
		if c == nil {
			if len(path) > 0 && takesArguments(path[len(path)-1]) {
				break
			}
			return nil, nil, unknownCommand(app, path, words)
		}
		path, words, commands = append(path, c), words[1:], c.Subcommands
	}
	return path, words, nil
}

// takesArguments says whether a command with subcommands does something by itself as well.
func takesArguments(c *cli.Command) bool { return c.ArgsUsage != "" }

func find(commands []*cli.Command, name string) *cli.Command {
	i := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.HasName(name) })
	if i < 0 {
		return nil
	}
	return commands[i]
}

// flagOf is the option with a name, nil if there is none.
func flagOf(flags []cli.Flag, name string) cli.Flag {
	i := slices.IndexFunc(flags, func(f cli.Flag) bool { return f.Names()[0] == name })
	if i < 0 {
		return nil
	}
	return flags[i]
}

func hasFlag(flags []cli.Flag, name string) bool { return flagOf(flags, name) != nil }

// allFlags is every option there is, by each of its names. An option of one name is the same kind
// of option for every command, so that it can be read before the command is known.
func allFlags(app *cli.App) map[string]cli.Flag {
	all := byName(app.Flags)
	for _, path := range allCommands(app.Commands) {
		maps.Copy(all, byName(path[len(path)-1].Flags))
	}
	return all
}

func byName(flags []cli.Flag) map[string]cli.Flag {
	all := map[string]cli.Flag{}
	for _, f := range flags {
		for _, name := range f.Names() {
			all[name] = f
		}
	}
	return all
}

// shown is the commands that people type.
func shown(commands []*cli.Command) []*cli.Command {
	return slices.DeleteFunc(slices.Clone(commands), func(c *cli.Command) bool { return c.Hidden })
}

// allCommands is the path of every command below these that people type, each before its own
// subcommands.
func allCommands(commands []*cli.Command, above ...*cli.Command) [][]*cli.Command {
	var paths [][]*cli.Command
	for _, c := range shown(commands) {
		path := append(slices.Clone(above), c)
		paths = append(paths, path)
		paths = append(paths, allCommands(c.Subcommands, path...)...)
	}
	return paths
}

func names(commands []*cli.Command) []string {
	names := make([]string, len(commands))
	for i, c := range commands {
		names[i] = c.Name
	}
	return names
}

func pathString(path []*cli.Command) string { return strings.Join(names(path), " ") }

func longNames(flags map[string]cli.Flag) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(flags)), func(name string) bool { return len(name) == 1 })
}

func unknownOption(flags map[string]cli.Flag, typed string) error {
	word := strings.TrimLeft(typed, "-")
	if near := nearest(word, longNames(flags)); near != "" {
		return usagef("there is no option %s; did you mean --%s?", typed, near)
	}
	return usagef("there is no option %s; ltskeeper COMMAND --help lists them", typed)
}

// misplaced is the error for an option that only other commands have.
func misplaced(app *cli.App, path []*cli.Command, name string) error {
	var owners []string
	for _, p := range allCommands(app.Commands) {
		if hasFlag(p[len(p)-1].Flags, name) {
			owners = append(owners, pathString(p))
		}
	}
	if len(path) == 0 {
		return usagef("--%s belongs to a command: %s", name, oneOf(owners))
	}
	if near := nearest(name, longNames(byName(path[len(path)-1].Flags))); near != "" {
		return usagef("%s has no option --%s; did you mean --%s?", pathString(path), name, near)
	}
	return usagef("%s has no option --%s; it belongs to %s", pathString(path), name, oneOf(owners))
}

// unknownCommand is the error for words of which the first is no command below a path.
func unknownCommand(app *cli.App, path []*cli.Command, words []string) error {
	commands, word := app.Commands, words[0]
	if len(path) > 0 {
		commands = path[len(path)-1].Subcommands
	}
	typed := strings.TrimSpace(pathString(path) + " " + word)
	if c := inAnyOrder(app, append(names(path), words...)); c != "" {
		return usagef("there is no command %s; did you mean %s?", typed, c)
	}
	if m := meant(commands, words); m != "" {
		return usagef("there is no command %s; did you mean %s?", typed, strings.TrimSpace(pathString(path)+" "+m))
	}
	if others := commandsEnding(app, word); len(others) > 0 {
		return usagef("there is no command %s; did you mean %s?", typed, oneOf(others))
	}
	if len(path) == 0 && word == "version" {
		return usagef("there is no command version; did you mean --version?")
	}
	help := strings.Join(append(append([]string{"ltskeeper"}, names(path)...), "--help"), " ")
	return usagef("there is no command %s; there are %s: %s explains them", typed,
		strings.Join(names(shown(commands)), ", "), help)
}

// meant is what was most likely meant by words of which the first is none of the commands, down to
// one that does something, or to all there are of those. It is "" if that is anybody's guess.
func meant(commands []*cli.Command, words []string) string {
	var path []string
	for len(words) > 0 && len(commands) > 0 {
		near := words[0]
		if find(shown(commands), near) == nil {
			near = nearest(near, names(shown(commands)))
		}
		if near == "" {
			break
		}
		c := find(commands, near)
		path, words, commands = append(path, near), words[1:], c.Subcommands
		if takesArguments(c) {
			commands = nil
		}
	}
	if len(path) > 0 && len(commands) > 0 {
		path = append(path, oneOf(names(shown(commands))))
	}
	return strings.Join(path, " ")
}

// inAnyOrder is the command of several words that were all typed, whatever their order, what stands
// between them and how they are joined: "image update", "server-add", "keys app01 accept". It is ""
// if there is none.
func inAnyOrder(app *cli.App, words []string) string {
	best, most := "", 1
	typed := parts(words)
	for _, path := range allCommands(app.Commands) {
		lacks := func(part string) bool { return !slices.Contains(typed, part) }
		if wanted := parts(names(path)); len(wanted) > most && !slices.ContainsFunc(wanted, lacks) {
			best, most = pathString(path), len(wanted)
		}
	}
	return best
}

// parts is words without the hyphens in them.
func parts(words []string) []string {
	return strings.FieldsFunc(strings.Join(words, " "), func(r rune) bool { return strings.ContainsRune(" -_", r) })
}

// commandsEnding is the commands whose last word this is, or means: people forget the first.
func commandsEnding(app *cli.App, word string) []string {
	meanings := append([]string{word}, otherWords[word]...)
	var found []string
	for _, path := range allCommands(app.Commands) {
		if len(path) > 1 && slices.Contains(meanings, path[len(path)-1].Name) {
			found = append(found, pathString(path))
		}
	}
	return found
}

// otherWords is what other programs, and people, call what commands and options here are called.
var otherWords = map[string][]string{
	"rm": {"remove"}, "delete": {"remove"}, "del": {"remove"},
	"ls": {"list"}, "show": {"list"},
	"new": {"add"}, "create": {"add", "build"},
	"approve": {"accept"}, "trust": {"accept"},
	"revert": {"rollback"}, "undo": {"rollback"},
	"scan": {"collect"}, "keyscan": {"collect"}, "ssh-keyscan": {"collect"},
	"setup": {"init"}, "install": {"init"}, "configure": {"init"},
	"diagnose": {"doctor"}, "health": {"doctor"}, "test": {"doctor"},
	"apply": {"update-image"}, "sync": {"update-image"}, "rebuild": {"update-image"}, "publish": {"update-image"},
	"info": {"status"},
	"ip":   {"address"}, "host": {"address"},
}

// nearest is the candidate that word was most likely meant to be: one that means the same, one that
// it begins, or one a few letters away.
func nearest(word string, candidates []string) string {
	for _, other := range otherWords[word] {
		if slices.Contains(candidates, other) {
			return other
		}
	}
	var begun []string
	for _, c := range candidates {
		if len(word) > 1 && strings.HasPrefix(c, word) {
			begun = append(begun, c)
		}
	}
	if len(begun) == 1 {
		return begun[0]
	}
	return farm.Nearest(word, candidates)
}

// oneOf joins words as a sentence does: a, b or c.
func oneOf(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return fmt.Sprintf("%s or %s", strings.Join(words[:last], ", "), words[last])
}
