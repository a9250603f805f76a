package main

import (
	"maps"
	"slices"
	"strings"

	"ltskeeper/internal/spelling"

	"github.com/urfave/cli/v2"
)

// What was probably meant by a word that is wrong.

// unknownOptionError refuses an option that no command has, in a word such as "-qx".
func unknownOptionError(flags map[string]cli.Flag, name, word string) error {
	for _, typed := range []string{name, word} { // "-j" and "-json"
		if near := nearestOption(flags, typed); near != "" {
			return usagef("there is no option %s; did you mean %s?", typed, near)
		}
	}
	return usagef("there is no option %s; ltskeeper COMMAND --help lists them", name)
}

// misplacedOptionError refuses an option that only other commands have.
func misplacedOptionError(app *cli.App, c *cli.Command, name string) error {
	var owners []string
	for _, other := range allCommands(app) {
		if flagsByName(other.Flags)[name] != nil {
			owners = append(owners, commandPath(other))
		}
	}
	path := commandPath(c)
	if path == "" {
		return usagef("%s belongs to a command: %s", name, oneOf(owners))
	}
	if near := nearestOption(flagsByName(c.Flags), name); near != "" {
		return usagef("%s has no option %s; did you mean %s?", path, name, near)
	}
	return usagef("%s has no option %s; it belongs to %s", path, name, oneOf(owners))
}

// unknownCommandError refuses words of which the first is not a command below c.
func unknownCommandError(app *cli.App, c *cli.Command, words []string) error {
	typed := strings.TrimSpace(commandPath(c) + " " + words[0])
	if typed == "version" {
		return usagef("there is no command version; did you mean --version?")
	}
	if meant := suggestCommands(app, c, words); len(meant) > 0 {
		return usagef("there is no command %s; did you mean %s?", typed, joinCommands(meant))
	}
	return usagef("there is no command %s; there are %s: %s --help explains them", typed,
		strings.Join(commandNames(c), ", "), c.HelpName)
}

// suggestCommands returns the commands that were most likely meant by words of which the first is
// not a command below c. Their order, other words between them and how they are joined do not
// matter: "image update", "server-add", "keys app01 accept", "list". It returns none if there is no
// clear match.
func suggestCommands(app *cli.App, c *cli.Command, words []string) (best []string) {
	path := strings.Fields(commandPath(c))
	typed := append(slices.Clone(path), words...)
	var bestRank []int
	for _, other := range runnableCommands(app) {
		names := strings.Fields(commandPath(other))
		byPath, byFirst, byAll := 0, 0, 0
		for _, name := range names {
			byPath += compareName(name, path)
			byFirst += compareName(name, words[:1])
			byAll += compareName(name, typed)
		}
		rank := []int{byFirst, byAll, -len(names)}
		order := slices.Compare(rank, bestRank)
		if byAll == byPath || order < 0 {
			continue
		}
		if order > 0 {
			best, bestRank = nil, rank
		}
		best = append(best, commandPath(other))
	}
	return best
}

// compareName rates how clearly words mean a command's name: 2 for each of its parts that is among
// them, 2 for a synonym, 1 for something similar, 0 for nothing.
func compareName(name string, words []string) int {
	split := func(r rune) bool { return strings.ContainsRune(" -_", r) }
	parts, said := strings.FieldsFunc(name, split), strings.FieldsFunc(strings.Join(words, " "), split)
	switch {
	case !slices.ContainsFunc(parts, func(part string) bool { return !slices.Contains(said, part) }):
		return 2 * len(parts)
	case slices.ContainsFunc(words, func(w string) bool { return slices.Contains(otherWords[w], name) }):
		return 2
	case slices.ContainsFunc(words, func(w string) bool { return nearestWord(w, []string{name}) != "" }):
		return 1
	}
	return 0
}

// joinCommands returns "server list, keys list or image list", or "server add, remove or list" if
// all commands have the same parent.
func joinCommands(paths []string) string {
	first := strings.Fields(paths[0])
	parent := strings.Join(first[:len(first)-1], " ") + " "
	elsewhere := func(path string) bool { return !strings.HasPrefix(path, parent) }
	if !slices.ContainsFunc(paths, elsewhere) {
		for i := range paths[1:] {
			paths[i+1] = strings.TrimPrefix(paths[i+1], parent)
		}
	}
	return oneOf(paths)
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

// nearestOption returns the long option, such as "--json", that a word was most likely meant to be,
// or "".
func nearestOption(flags map[string]cli.Flag, word string) string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(flags)) {
		if long, is := strings.CutPrefix(name, "--"); is {
			names = append(names, long)
		}
	}
	if near := nearestWord(strings.TrimLeft(word, "-"), names); near != "" {
		return "--" + near
	}
	return ""
}

// nearestWord returns the candidate that word was most likely meant to be, or "": a synonym, the
// only one that begins with it, or one a few letters away.
func nearestWord(word string, candidates []string) string {
	for _, other := range otherWords[word] {
		if slices.Contains(candidates, other) {
			return other
		}
	}
	begun := slices.DeleteFunc(slices.Clone(candidates), func(c string) bool { return !strings.HasPrefix(c, word) })
	if len(word) > 1 && len(begun) == 1 {
		return begun[0]
	}
	return spelling.FindNearest(word, candidates)
}

func commandNames(c *cli.Command) []string {
	return mapEach(c.VisibleCommands(), func(sub *cli.Command) string { return sub.Name })
}
