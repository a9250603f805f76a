package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"ltskeeper/derive"
	"ltskeeper/farm"
	"ltskeeper/keeper"
	"ltskeeper/keys"
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
type source func(*cursor) []candidate

// A completion is what a command's options may have as their values, by the options' names, and
// what its arguments may be: each in turn, and the last for all that follow where there are many.
type completion struct {
	options   map[string]source
	arguments []source
}

// completions has every command that takes arguments or options with values. "" is the options of
// every command.
var completions = map[string]completion{
	"": {options: map[string]source{"config": listFiles}},
	"server add": {map[string]source{"address": anything, "port": anything, "alias": anything, "group": listGroups,
		"weight": anything, "pin": anything}, []source{anything}},
	"server remove":       {arguments: []source{listServers}},
	"server add-to-hosts": {arguments: []source{listServers, anything, listChroots}},
	"init":                {options: map[string]source{"chroot": listFiles}},
	"update-image":        {arguments: []source{listChroots}},
	"doctor":              {arguments: []source{listChrootsAndServers}},
	"keys collect":        {arguments: []source{listServers}},
	"keys list":           {arguments: []source{listServers}},
	"keys accept":         {arguments: []source{listServers, listPendingKeys}},
	"keys reject":         {arguments: []source{listServers, listPendingKeys}},
	"keys revoke":         {map[string]source{"file": listFiles}, []source{listServers, listTrustedKeys}},
	"keys forget-line":    {arguments: []source{listServers, listStrayKeys}},
	"keys import":         {arguments: []source{listServers, listFiles}},
	"keys export":         {options: map[string]source{"format": chooseFrom(derive.Formats), "ssh": listFiles}},
	"keys log":            {arguments: []source{listServers}},
	"image build":         {arguments: []source{listChroots}},
	"image verify":        {arguments: []source{listChroots}},
	"image diff": {arguments: []source{listChrootsAndGenerations, listGenerations,
		afterChroot(listGenerations)}},
	"image rollback": {arguments: []source{listChrootsAndGenerations, afterChroot(listGenerations)}},
	"image release":  {arguments: []source{listChroots}},
	"image pin":      {arguments: []source{listChrootsAndGenerations, afterChroot(listGenerations)}},
	"image unpin":    {arguments: []source{listChrootsAndGenerations, afterChroot(listGenerations)}},
	"image prune":    {arguments: []source{listChroots}},
	"lts-conf":       {arguments: []source{listChroots}},
	"lts-conf get": {map[string]source{"hostname": anything, "ip": anything, "mac": anything, "chroot": listChroots},
		[]source{listSettings}},
	"lts-conf check": {arguments: []source{listFiles}},
	"help":           {arguments: []source{listCommands}},
}

func (t *tool) defineComplete() *cli.Command {
	return &cli.Command{
		Name:      "complete",
		Usage:     "say what may stand where the cursor is, for a shell",
		ArgsUsage: "[WORD]...",
		Hidden:    true,
		HideHelp:  true,
		Action: func(ctx *cli.Context) error {
			var b strings.Builder
			for _, c := range t.findCandidates(ctx.App, ctx.Args().Slice()) {
				if isPlainWord(c.word) {
					fmt.Fprintf(&b, "%s\t%s\n", c.word, makeVisible(c.what))
				}
			}
			return t.write([]byte(b.String()))
		},
	}
}

// A cursor is a place in a command line.
type cursor struct {
	app     *cli.App
	command *cli.Command
	args    []string // of the command, before the cursor

	// farm is the declaration; nothing is declared if it is not sound.
	farm func() *farm.Farm
}

// findCandidates returns what may stand in place of the last of the words. Mistakes in those before
// it are reported when the line is run.
func (t *tool) findCandidates(app *cli.App, words []string) []candidate {
	if len(words) == 0 {
		return nil
	}
	here := words[len(words)-1]
	typed, _ := readWords(app, words[:len(words)-1])
	c, args, err := findCommand(app, typed.words)
	if err != nil {
		return nil
	}
	config := t.config
	for _, o := range typed.options {
		if o.name() == "config" {
			config = expandHome(o.value)
		}
	}
	at := &cursor{app, c, append(args, typed.rest...), sync.OnceValue(func() *farm.Farm {
		f, _ := farm.Load(config)
		return cmp.Or(f, new(farm.Farm))
	})}
	if typed.rest == nil {
		if n := len(typed.options); n > 0 && typed.options[n-1].lacksValue() {
			return at.values(typed.options[n-1], "")
		}
		word, _ := readWords(app, []string{here})
		if len(word.options) > 0 && !word.options[0].bare && takesValue(word.options[0].flag) {
			return at.values(word.options[0], here[:strings.Index(here, "=")+1])
		}
		if strings.HasPrefix(here, "-") {
			return at.options(typed)
		}
	}
	var found []candidate
	if len(at.args) == 0 {
		found = describeCommands(c)
	}
	return append(found, at.arguments()...)
}

// expandHome expands a leading ~/, as the shell will when the line is run.
func expandHome(path string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		return filepath.Join(os.Getenv("HOME"), rest)
	}
	return path
}

// readStatus returns what is on record. It is empty if the record cannot be read.
func (at *cursor) readStatus() *keeper.Status {
	if f := at.farm(); f.Path != "" {
		if status, err := keeper.New(f).ReadStatus(); err == nil {
			return status
		}
	}
	return new(keeper.Status)
}

func describeCommands(above *cli.Command) []candidate {
	return mapEach(above.VisibleCommands(), func(c *cli.Command) candidate { return candidate{c.Name, c.Usage} })
}

// options returns the options of the command and those of every command. Those that were given and
// cannot be repeated are left out.
func (at *cursor) options(typed typedLine) []candidate {
	var found []candidate
	for _, f := range slices.Concat(at.command.Flags, at.app.Flags) {
		if name := f.Names()[0]; isRepeatable(f) || !typed.hasOption(name) {
			_, what := flagWords(f)
			what, _, _ = strings.Cut(what, " (default ")
			found = append(found, candidate{"--" + name, what})
		}
	}
	return found
}

// values returns what the value of an option may be. Each candidate begins with prefix, such as
// "--format=".
func (at *cursor) values(o option, prefix string) []candidate {
	s, own := completions[commandPath(at.command)].options[o.name()]
	if !own {
		s = completions[""].options[o.name()]
	}
	if s == nil { // only other commands have it
		return nil
	}
	found := s(at)
	for i := range found {
		if found[i] != anyFile {
			found[i].word = prefix + found[i].word
		}
	}
	return found
}

// arguments returns what the argument at the cursor may be.
func (at *cursor) arguments() []candidate {
	sources, n := completions[commandPath(at.command)].arguments, len(at.args)
	if len(sources) == 0 || n >= len(sources) && !takesMany(at.command) {
		return nil
	}
	found := sources[min(n, len(sources)-1)](at)
	return slices.DeleteFunc(found, func(c candidate) bool { return slices.Contains(at.args, c.word) })
}

func listFiles(*cursor) []candidate { return []candidate{anyFile} }

// anything is the source for values that cannot be known beforehand.
func anything(*cursor) []candidate { return nil }

// chooseFrom is the source for a fixed list of words.
func chooseFrom(words []string) source {
	return func(*cursor) []candidate {
		return mapEach(words, func(w string) candidate { return candidate{word: w} })
	}
}

func listCommands(at *cursor) []candidate {
	c, rest, err := findCommand(at.app, at.args)
	if err != nil || len(rest) > 0 {
		return nil
	}
	return describeCommands(c)
}

func listServers(at *cursor) []candidate {
	return mapEach(at.farm().Servers, func(s farm.Server) candidate {
		return candidate{s.Name, strings.Join(slices.Concat(s.Addresses, s.Groups), " ")}
	})
}

func listGroups(at *cursor) []candidate {
	f := at.farm()
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
	return chooseFrom(words)(at)
}

func listChroots(at *cursor) []candidate {
	return mapEach(at.farm().Chroots, func(c farm.Chroot) candidate { return candidate{c.Name, c.Path} })
}

// namesChroot reports whether the first argument is a chroot.
func (at *cursor) namesChroot() bool {
	return len(at.args) > 0 &&
		slices.ContainsFunc(at.farm().Chroots, func(c farm.Chroot) bool { return c.Name == at.args[0] })
}

// listGenerations returns the generations of the chroot that was typed, or of the only one.
func listGenerations(at *cursor) []candidate {
	var found []candidate
	images := at.readStatus().Images
	for _, i := range images {
		if at.namesChroot() && i.Chroot != at.args[0] || !at.namesChroot() && len(images) > 1 {
			continue
		}
		for _, g := range slices.Backward(i.Generations) {
			what := "built " + formatTime(g.Time)
			if g.Current {
				what += ", current"
			}
			found = append(found, candidate{fmt.Sprint(g.Number), what})
		}
	}
	return found
}

func listChrootsAndGenerations(at *cursor) []candidate {
	return append(listChroots(at), listGenerations(at)...)
}

func listChrootsAndServers(at *cursor) []candidate {
	return append(listChroots(at), listServers(at)...)
}

// afterChroot is the source for an argument that is there only if the first one is a chroot.
func afterChroot(s source) source {
	return func(at *cursor) []candidate {
		if !at.namesChroot() {
			return nil
		}
		return s(at)
	}
}

func listPendingKeys(at *cursor) []candidate {
	return at.listKeys(func(s keeper.Server) []keeper.Key { return s.Pending })
}

func listTrustedKeys(at *cursor) []candidate {
	return at.listKeys(func(s keeper.Server) []keeper.Key { return s.Keys })
}

// listStrayKeys returns the keys that known_hosts.local has for the server and that are not
// trusted.
func listStrayKeys(at *cursor) []candidate {
	return at.listKeys(func(s keeper.Server) (strays []keeper.Key) {
		for _, l := range s.Strays {
			strays = append(strays, keeper.Key{Stored: l.KeyWithOrigin()})
		}
		return strays
	})
}

// listKeys returns fingerprints of keys of the server that is the first argument.
func (at *cursor) listKeys(choose func(keeper.Server) []keeper.Key) []candidate {
	if len(at.args) == 0 {
		return nil
	}
	var found []candidate
	for _, s := range at.readStatus().Servers {
		if strings.EqualFold(s.Name, at.args[0]) {
			for _, k := range choose(s) {
				if c := (candidate{k.Fingerprint(), keys.ShortType(k.Type)}); !slices.Contains(found, c) {
					found = append(found, c)
				}
			}
		}
	}
	return found
}

// listSettings returns what lts.conf sets for every client.
func listSettings(at *cursor) []candidate {
	f := at.farm()
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
