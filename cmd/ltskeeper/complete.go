package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"ltskeeper/farm"
	"ltskeeper/image"
	"ltskeeper/keeper"
	"ltskeeper/keys"
	"ltskeeper/keys/trust"
	"ltskeeper/ltsconf"

	"github.com/urfave/cli/v2"
)

// What may stand where the cursor is, for the completions of shells in dist/completions. They give
// the words of the line up to the cursor, and get a line for each candidate:
//
//	$ ltskeeper complete -- keys accept app03 ""
//	SHA256:nntmvzDwIGkvvfyiDdSlSaEK/GhqP4/+S3P5objo10E<TAB>ED25519
//
// A line with nothing before the tab says "files": the shell knows those best. Whatever is broken
// or cannot be read only makes for fewer candidates. Nothing is asked of servers, no lock is taken,
// and a candidate is a word that no shell takes for anything else.

// A candidate is a word that may stand there, and what it is.
type candidate struct{ word, what string }

// anyFile stands for all candidates that a shell finds by itself.
var anyFile = candidate{"", "files"}

// A source knows what may stand in a place of a command line.
type source func(*line) []candidate

// values is what options may have as their values, by the options' names.
type values map[string]source

// completes declares, as its BashComplete, what a command's options and arguments may be: each
// argument in turn, and the last for all that follow where the command takes many.
func (t *tool) completes(options values, arguments ...source) cli.BashCompleteFunc {
	return func(*cli.Context) { t.completion = completion{options, arguments} }
}

// A completion is what completes was given.
type completion struct {
	options   values
	arguments []source
}

func (t *tool) completionOf(declared cli.BashCompleteFunc) completion {
	declared(nil)
	return t.completion
}

func (t *tool) completeCommand() *cli.Command {
	return &cli.Command{
		Name:      "complete",
		Usage:     "say what may stand where the cursor is, for a shell",
		ArgsUsage: "-- [WORD]...",
		Hidden:    true,
		HideHelp:  true,

		BashComplete: t.completes(nil),
		Action: func(ctx *cli.Context) error {
			var b strings.Builder
			for _, c := range t.candidates(ctx.App, ctx.Args().Slice()) {
				if plainWord(c.word) {
					fmt.Fprintf(&b, "%s\t%s\n", c.word, visible(c.what))
				}
			}
			return t.write([]byte(b.String()))
		},
	}
}

func plainWord(word string) bool {
	return !strings.ContainsFunc(word, func(r rune) bool { return !strings.ContainsRune(unquoted, r) })
}

// A line is a command line up to the cursor.
type line struct {
	app     *cli.App
	command *cli.Command // nil where none has been typed yet
	args    []string     // before the cursor
	given   map[string]bool
	config  string

	// The option whose value the cursor is at, and what of that word is no part of it, like
	// "--format=".
	option string
	glued  string
	ended  bool // there was a "--"

	// farm is the declaration; nothing is declared if it is not sound.
	farm func() *farm.Farm
}

// candidates is what may stand in place of the last of the words.
func (t *tool) candidates(app *cli.App, words []string) []candidate {
	if len(words) == 0 {
		return nil
	}
	here := words[len(words)-1]
	l := t.read(app, words[:len(words)-1], here)
	if l == nil {
		return nil
	}
	var now completion
	if l.command != nil {
		now = t.completionOf(l.command.BashComplete)
	}
	switch {
	case l.option != "":
		if hasFlag(app.Flags, l.option) {
			now = t.completionOf(app.BashComplete)
		}
		return l.from(now.options[l.option])
	case strings.HasPrefix(here, "-") && !l.ended:
		return l.options()
	}
	return append(l.commands(), l.arguments(now.arguments)...)
}

// read reads what stands before the cursor and the word it is in, and makes no fuss about mistakes.
// It is nil if there is no such command.
func (t *tool) read(app *cli.App, before []string, here string) *line {
	l := &line{app: app, given: map[string]bool{}, config: t.config}
	l.farm = sync.OnceValue(func() *farm.Farm {
		f, _ := farm.Load(l.config)
		return cmp.Or(f, new(farm.Farm))
	})
	flags := allFlags(app)
	takes := func(word string) (name, value string, glued, ok bool) {
		name, value, glued = strings.Cut(strings.TrimPrefix(word, "--"), "=")
		f := flags[name]
		ok = f != nil && strings.HasPrefix(word, "--") && takesValue(f)
		return name, value, glued, ok
	}
	set := func(name, value string) {
		if l.given[name] = true; name == "config" {
			l.config = atHome(value)
		}
	}
	var words []string
	for i := 0; i < len(before) && !l.ended; i++ {
		word := before[i]
		name, value, glued, ok := takes(word)
		switch {
		case word == "--":
			l.ended, words = true, append(words, before[i+1:]...)
		case ok && glued:
			set(name, value)
		case ok && i+1 < len(before):
			i++
			set(name, before[i])
		case ok:
			l.option = name
		case strings.HasPrefix(word, "-") && word != "-":
			set(name, "")
		default:
			words = append(words, word)
		}
	}
	if name, _, glued, ok := takes(here); ok && glued && l.option == "" && !l.ended {
		l.option, l.glued = name, "--"+name+"="
	}
	commands := app.Commands
	for len(words) > 0 && len(commands) > 0 {
		c := find(commands, words[0])
		if c == nil {
			break
		}
		l.command, words, commands = c, words[1:], c.Subcommands
	}
	if len(words) > 0 && (l.command == nil || !takesArguments(l.command)) {
		return nil
	}
	l.args = words
	return l
}

// atHome is a path as a shell will take it, for which it is not yet time.
func atHome(path string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		return filepath.Join(os.Getenv("HOME"), rest)
	}
	return path
}

// from asks a source, if there is one.
func (l *line) from(s source) []candidate {
	if s == nil {
		return nil
	}
	found := s(l)
	for i := range found {
		if found[i] != anyFile {
			found[i].word = l.glued + found[i].word
		}
	}
	return found
}

// commands is those below the one that was typed.
func (l *line) commands() []candidate {
	switch {
	case len(l.args) > 0:
		return nil
	case l.command != nil:
		return listed(l.command.Subcommands)
	}
	return listed(l.app.Commands)
}

func listed(commands []*cli.Command) []candidate {
	var found []candidate
	for _, c := range shown(commands) {
		found = append(found, candidate{c.Name, c.Usage})
	}
	return found
}

// options is those of the command, and those of every command, but for what was given and cannot be
// given twice.
func (l *line) options() []candidate {
	flags := l.app.Flags
	if l.command != nil {
		flags = slices.Concat(l.command.Flags, flags)
	}
	var found []candidate
	for _, f := range flags {
		many, ok := f.(cli.DocGenerationSliceFlag)
		if name := f.Names()[0]; !l.given[name] || ok && many.IsSliceFlag() {
			_, what := flagWords(f)
			what, _, _ = strings.Cut(what, " (default ")
			found = append(found, candidate{"--" + name, what})
		}
	}
	return found
}

// arguments is what may stand in the place that the cursor is at.
func (l *line) arguments(sources []source) []candidate {
	if len(sources) == 0 {
		return nil
	}
	n := len(l.args)
	if many := strings.HasSuffix(l.command.ArgsUsage, "..."); n >= len(sources) && !many {
		return nil
	}
	found := l.from(sources[min(n, len(sources)-1)])
	return slices.DeleteFunc(found, func(c candidate) bool { return slices.Contains(l.args, c.word) })
}

func files(*line) []candidate { return []candidate{anyFile} }

// anything is what nobody can know beforehand.
func anything(*line) []candidate { return nil }

// oneWordOf is a fixed choice.
func oneWordOf(words []string) source {
	return func(*line) []candidate {
		var found []candidate
		for _, w := range words {
			found = append(found, candidate{w, ""})
		}
		return found
	}
}

func commandWords(l *line) []candidate {
	commands := l.app.Commands
	for _, word := range l.args {
		c := find(commands, word)
		if c == nil {
			return nil
		}
		commands = c.Subcommands
	}
	return listed(commands)
}

func servers(l *line) []candidate {
	var found []candidate
	for _, s := range l.farm().Servers {
		found = append(found, candidate{s.Name, strings.Join(slices.Concat(s.Addresses, s.Groups), " ")})
	}
	return found
}

func groups(l *line) []candidate {
	f := l.farm()
	var words []string
	for _, s := range f.Servers {
		words = append(words, s.Groups...)
	}
	for _, c := range f.Clients {
		words = append(words, c.Group)
	}
	for _, a := range f.Aliases {
		words = append(words, a.Groups...)
	}
	slices.Sort(words)
	words = slices.DeleteFunc(slices.Compact(words), func(w string) bool { return w == "" })
	return oneWordOf(words)(l)
}

func chroots(l *line) []candidate {
	var found []candidate
	for _, c := range l.farm().Chroots {
		found = append(found, candidate{c.Name, c.Path})
	}
	return found
}

// namesChroot says whether a chroot was typed first.
func (l *line) namesChroot() bool {
	return len(l.args) > 0 &&
		slices.ContainsFunc(l.farm().Chroots, func(c farm.Chroot) bool { return c.Name == l.args[0] })
}

// generations is those of the chroot that was typed, or of the only one.
func generations(l *line) []candidate {
	f := l.farm()
	chroot := ""
	switch {
	case l.namesChroot():
		chroot = l.args[0]
	case len(f.Chroots) == 1:
		chroot = f.Chroots[0].Name
	default:
		return nil
	}
	store := image.Store{Name: chroot, Images: f.Image.Directory, TFTP: f.TFTP.Directory}
	list, err := store.List()
	if err != nil {
		return nil
	}
	var found []candidate
	for _, g := range slices.Backward(list) {
		what := "built " + stamp(g.Time)
		if g.Current {
			what += ", current"
		}
		found = append(found, candidate{fmt.Sprint(g.Number), what})
	}
	return found
}

func chrootsAndGenerations(l *line) []candidate { return append(chroots(l), generations(l)...) }

func chrootsAndServers(l *line) []candidate { return append(chroots(l), servers(l)...) }

// afterChroot is for what there is one more of behind the name of a chroot.
func afterChroot(s source) source {
	return func(l *line) []candidate {
		if !l.namesChroot() {
			return nil
		}
		return s(l)
	}
}

func waitingKeys(l *line) []candidate { return l.keysOf((*trust.Store).Pending) }

func trustedKeys(l *line) []candidate {
	return l.keysOf(func(s *trust.Store, name string) ([]keys.Stored, error) { return s.Trusted(name, nil) })
}

// keysOf is the fingerprints of keys of the server that was typed first.
func (l *line) keysOf(list func(s *trust.Store, name string) ([]keys.Stored, error)) []candidate {
	f := l.farm()
	if len(l.args) == 0 {
		return nil
	}
	server, err := f.Server(l.args[0])
	if err != nil {
		return nil
	}
	store, err := trust.Open(f.State.KeysPath(), true)
	if err != nil {
		return nil
	}
	all, err := list(store, server.Name)
	if err != nil {
		return nil
	}
	var found []candidate
	for _, k := range all {
		found = append(found, candidate{k.Fingerprint(), keyType(keeper.Key{Type: k.Type})})
	}
	return found
}

// settingKeys is what every client's lts.conf sets.
func settingKeys(l *line) []candidate {
	f := l.farm()
	var found []candidate
	for _, c := range f.Chroots {
		data, err := keeper.New(f).LTSConf(c.Name)
		if err != nil {
			continue
		}
		conf, err := ltsconf.Parse("lts.conf", data)
		if err != nil {
			continue
		}
		for _, s := range conf.Lookup(ltsconf.Identity{}) {
			if c := (candidate{s.Key, s.Value}); !slices.Contains(found, c) {
				found = append(found, c)
			}
		}
	}
	return found
}
