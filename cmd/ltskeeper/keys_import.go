package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"ltskeeper/internal/regular"
	"ltskeeper/keeper"
	"ltskeeper/keys"

	"github.com/urfave/cli/v2"
)

func (t *tool) defineKeysImport() *cli.Command {
	return &cli.Command{
		Name:      "import",
		Usage:     "trust keys that you bring from elsewhere",
		ArgsUsage: "NAME [FILE]",
		Description: `Trusts the server's keys in FILE, or in standard input: what keys export prints on the server itself,
known_hosts lines for NAME (hashed names, too), the output of ssh-keyscan, or a folder of *.pub files. You
answer for them. Nothing is replaced: a key of a type of which another is trusted waits for keys accept,
and the exit code is 3.

  ssh app03 ltskeeper keys export | ltskeeper keys import app03
  ltskeeper keys import app03 /etc/ltsp/ssh_known_hosts.old
  ltskeeper keys import app03 /mnt/app03/etc/ssh`,
		Action: t.withKeeper(t.keysImport),
	}
}

func (t *tool) keysImport(ctx *cli.Context, k *keeper.Keeper) error {
	args := ctx.Args().Slice()
	s, err := k.Farm().FindServer(args[0])
	if err != nil {
		return err
	}
	source := "standard input"
	var data []byte
	switch {
	case len(args) == 2:
		source = args[1]
		data, err = readKeyFiles(ctx.Context, source)
	case t.term.person:
		return usagef("name a file, or put the keys into standard input: ltskeeper keys import NAME FILE")
	default:
		if data, err = regular.ReadUpTo(os.Stdin, 0, maxImport); err != nil {
			err = fmt.Errorf("read standard input: %w", err)
		}
	}
	if err != nil {
		return fmt.Errorf("import keys: %w", err)
	}
	lines, mistakes := keys.ReadLines(data)
	for _, m := range mistakes {
		printWarning(os.Stderr, fmt.Sprintf("%s:%v; the line is left out", source, m))
	}
	done, err := k.ImportKeys(s.Name, lines)
	if err != nil {
		return err
	}
	if len(done.New)+len(done.Known)+len(done.Conflicts)+len(done.Refused) == 0 {
		return fmt.Errorf("import keys: there is no key of %s in %s", s.Name, source)
	}
	if err := t.print(importDocument{done}); err != nil {
		return err
	}
	if len(done.Conflicts)+len(done.Refused) > 0 {
		return outcome(exitDecision)
	}
	return nil
}

const maxImport = 8 << 20 // bytes; 10,000 servers with three keys each are some 4 MB

// readKeyFiles reads a file that a person named, or all *.pub in a folder.
func readKeyFiles(ctx context.Context, path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return regular.ReadGiven(ctx, path, maxImport)
	}
	files, err := filepath.Glob(filepath.Join(path, "*.pub"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("there is no *.pub in %s", path)
	}
	var all []byte
	var faults []error
	for _, file := range files {
		data, err := regular.Read(file, regular.MaxRecord)
		if regular.IsOdd(err) {
			err = fmt.Errorf("%w; move it away", err)
		}
		faults = append(faults, err)
		all = append(append(all, data...), '\n')
		if err := regular.CheckSize(int64(len(all)), maxImport); err != nil {
			return nil, fmt.Errorf("read *.pub in %s: %w", path, err)
		}
	}
	return all, errors.Join(faults...)
}

// An importDocument is what became of imported keys.
type importDocument struct{ *keeper.Import }

func (d importDocument) text(p *page) {
	if !p.quiet {
		p.keyList(d.Server+" now trusts, which is new:", d.New)
		p.keyList("Known before:", d.Known)
	}
	p.keyList("In conflict with another trusted or a rejected key, so they wait for your decision:", d.Conflicts)
	if len(d.Conflicts) > 0 {
		p.printf("  If they are right: %s\n", p.commandLine("keys accept "+d.Server, listFingerprints(d.Conflicts)...))
	}
	for _, r := range d.Refused {
		p.printf("Refused: %s %s: %s\n", keys.ShortType(r.Key.Type), r.Fingerprint(), r.Reason)
	}
	if p.quiet {
		return
	}
	if d.Skipped > 0 {
		p.printf("%s about others, or with a marker, left out.\n", countNoun(d.Skipped, "line is", "lines are"))
	}
	if len(d.New) > 0 {
		p.nextUpdate("know it")
	}
}
