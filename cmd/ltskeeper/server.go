package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"ltskeeper/farm"
	"ltskeeper/keeper"
	"ltskeeper/keys"
	"ltskeeper/keys/scan"

	"github.com/urfave/cli/v2"
)

func (t *tool) defineServer() *cli.Command {
	return &cli.Command{
		Name:  "server",
		Usage: "declare the application servers",
		Subcommands: []*cli.Command{
			{
				Name:      "add",
				Usage:     "declare servers and collect their keys",
				ArgsUsage: "NAME...",
				Description: `Writes servers.d/NAME.toml beside the declaration, asks the server for its host keys and shows their
fingerprints. On a terminal it asks whether they are right; yes trusts them. Without a terminal it
asks nothing: first-use in the declaration decides. Keys that known_hosts.local has for the server, as
init took them over, are trusted at once, and no others. A server that does not answer is declared all
the same. A server that was removed before is never trusted by itself again.

  ltskeeper server add app04
  ltskeeper server add app01 app02 app03 --port 2222
  ltskeeper server add app05 --address 10.0.0.15 --address fd00::15 --group cad
  ltskeeper server add app06 --pin SHA256:nntmvzDwIGkvvfyiDdSlSaEK/GhqP4/+S3P5objo10E`,
				Flags: []cli.Flag{
					&cli.StringSliceFlag{Name: "address",
						Usage: "connect to `A`, an IP address or a name, instead of NAME"},
					&cli.IntFlag{Name: "port", Usage: "its SSH port is `N` (default 22)"},
					&cli.StringSliceFlag{Name: "alias", Usage: "users know it as `N` too"},
					&cli.StringSliceFlag{Name: "group", Usage: "it belongs to group `G`"},
					&cli.Float64Flag{Name: "weight",
						Usage: "it takes `N` times the users of a server with weight 1 (default 1)"},
					&cli.StringSliceFlag{Name: "pin", Usage: "trust only the key with fingerprint `F`"},
				},
				Before: t.checkAdd,
				Action: t.withKeeper(t.serverAdd),
			},
			{
				Name:      "remove",
				Usage:     "undeclare a server and retire its keys",
				ArgsUsage: "NAME",
				Description: `Removes servers.d/NAME.toml and the server's keys. On a terminal it asks first. If a server of that name
is added again, its keys need a person's word, whatever first-use says.

  ltskeeper server remove app04`,
				Action: t.withKeeper(t.serverRemove),
			},
			t.defineServerAddToHosts(),
			{
				Name:   "list",
				Usage:  "list the declared servers",
				Action: t.withKeeper(t.serverList),
				Flags:  []cli.Flag{liveFlag()},
				Description: `With --live it asks the servers how they are now: up with a rating from 0 (full) to 100 (idle), draining,
alive (SSH answers, ldminfod does not), or down.

  ltskeeper server list
  ltskeeper server list --live
  ltskeeper server list --json | jq -r '.servers[].name'`,
			},
		},
	}
}

// checkAdd refuses options of server add that do not fit its names or each other.
func (t *tool) checkAdd(ctx *cli.Context) error {
	args := ctx.Args().Slice()
	for _, flag := range []string{"address", "alias", "pin"} {
		if len(args) > 1 && ctx.IsSet(flag) {
			return usagef("--%s is for one server, and these are %d: %s", flag, len(args), strings.Join(args, ", "))
		}
	}
	if len(args) == 2 && !isAddress(args[0]) && isAddress(args[1]) && !ctx.IsSet("address") {
		return usagef("%[2]s would be a second server; if it is the address of %[1]s: %[3]s; if it is one, name it first",
			args[0], args[1], t.commandLine("server add", args[0], "--address", args[1]))
	}
	if ctx.IsSet("port") && ctx.Int("port") == 0 {
		return usagef("--port wants a number from 1 to 65535, not 0")
	}
	if ctx.IsSet("weight") && ctx.Float64("weight") == 0 {
		return usagef("--weight wants a number above zero; a server that is to get no new users is drained there: man ldminfod")
	}
	return nil
}

func (t *tool) serverAdd(ctx *cli.Context, k *keeper.Keeper) error {
	var all []addedServer
	var report keeper.Report
	for _, name := range ctx.Args().Slice() {
		added, err := t.addServer(ctx, k, name)
		if err != nil {
			if len(all) > 0 {
				err = errors.Join(t.print(newAddedDocument(all)), err)
			}
			return err
		}
		all = append(all, added)
		report.Servers = append(report.Servers, added.Server)
	}
	if err := t.print(newAddedDocument(all)); err != nil {
		return err
	}
	return decideOutcome(&report)
}

func isAddress(word string) bool {
	_, err := netip.ParseAddr(word)
	return err == nil
}

// addServer declares one server and looks at its keys.
func (t *tool) addServer(ctx *cli.Context, k *keeper.Keeper, name string) (d addedServer, err error) {
	err = k.AddServer(farm.Server{
		Name:      name,
		Addresses: ctx.StringSlice("address"),
		Port:      ctx.Int("port"),
		Aliases:   ctx.StringSlice("alias"),
		Groups:    ctx.StringSlice("group"),
		Weight:    ctx.Float64("weight"),
		Pins:      ctx.StringSlice("pin"),
	})
	if err != nil {
		return d, err
	}
	d.File = k.Farm().ServerPath(name)
	d.Server, d.asked, err = t.firstLook(ctx.Context, k, name)
	if err != nil {
		return d, fmt.Errorf("%s is declared in %s, but nothing is decided about its keys: %w", name, d.File, err)
	}
	return d, nil
}

// firstLook collects a new server's keys and, if a person is there, asks whether they are right.
func (t *tool) firstLook(ctx context.Context, k *keeper.Keeper, name string) (s keeper.Server, asked bool, err error) {
	report, stop := t.watch("scan " + name)
	r, err := k.CollectKeys(ctx, keeper.CollectOptions{
		Servers: []string{name}, HoldFirstUse: t.term.person, Progress: report,
	})
	stop()
	if err != nil {
		return s, false, err
	}
	s = r.Servers[0]
	if !t.term.person || len(s.Pending) == 0 || hasTwoOfOneType(s.Pending) || len(s.Declared.Pins) > 0 {
		return s, false, nil
	}
	p := t.newPage()
	switch {
	case s.State == keeper.Trusted && len(s.Message) == 0:
		p.keyList(s.Name+" is trusted with what known_hosts.local has for it:", s.Keys)
	case s.State != keeper.Pending:
		p.reasons(s)
	}
	these := "these host keys"
	if len(s.Pending) == 1 {
		these = "this host key"
	}
	p.keyList(s.Name+" shows "+these+":", s.Pending)
	p.printf("Compare with what its own console says: %s\n", consoleCommand(s.Pending))
	right, err := t.term.ask(ctx, p, "Are they right?")
	if err != nil || !right {
		return s, true, err
	}
	accepted, err := k.AcceptKeys(s.Name, listFingerprints(s.Pending))
	if err != nil {
		return s, true, err
	}
	s.State, s.Decision, s.Message = keeper.Trusted, false, nil
	s.Keys, s.Added, s.Pending = slices.Concat(s.Keys, accepted), accepted, nil
	return s, true, nil
}

// hasTwoOfOneType reports whether keys contradict each other: the addresses of the server show
// different ones.
func hasTwoOfOneType(shown []keeper.Key) bool {
	types := map[string]bool{}
	for _, k := range shown {
		types[k.Type] = true
	}
	return len(types) < len(shown)
}

func listFingerprints(shown []keeper.Key) []string {
	return mapEach(shown, keeper.Key.Fingerprint)
}

// An addedDocument is servers that were added with one command. In JSON a single one is an object
// of its own.
type addedDocument struct {
	*addedServer
	Added []addedServer `json:"added,omitempty"` // several
}

// An addedServer is a server that was added, and what it showed.
type addedServer struct {
	File   string        `json:"file"`
	Server keeper.Server `json:"server"`
	asked  bool          // a person has seen the keys
}

func newAddedDocument(servers []addedServer) addedDocument {
	if len(servers) == 1 {
		return addedDocument{addedServer: &servers[0]}
	}
	return addedDocument{Added: servers}
}

func (d addedDocument) text(p *page) {
	servers, what := d.Added, "know them"
	if d.addedServer != nil {
		servers, what = []addedServer{*d.addedServer}, "know it"
	}
	known := false
	for _, s := range servers {
		s.report(p)
		known = known || len(s.Server.Keys) > 0
	}
	if known && !p.quiet {
		p.nextUpdate(what)
	}
}

// report writes what became of one server.
func (d addedServer) report(p *page) {
	s := d.Server
	switch {
	case p.quiet:
	case len(s.Keys) == 0:
		p.printf("%s is declared in %s.\n", s.Name, d.File)
	case d.asked:
		p.printf("%s is declared in %s, and its keys are trusted.\n", s.Name, d.File)
	default:
		adopted := ""
		if slices.ContainsFunc(s.Added, func(k keeper.Key) bool { return k.Origin.How == keys.HowAdopted }) {
			adopted = ", as known_hosts.local has them"
		}
		p.keyList(fmt.Sprintf("%s is declared in %s, and these keys of it are trusted%s:", s.Name, d.File, adopted),
			s.Keys)
	}
	if !p.quiet {
		printExtraKeys(p, s)
	}
	for _, a := range s.Addresses {
		p.printf("No answer from %s: %s\n", a.Address, a.Error)
	}
	if s.State == keeper.Unreachable && !p.quiet {
		p.printf("To ask it again: %s\n", p.commandLine("keys collect", s.Name))
		if len(s.Declared.Addresses) == 0 && len(s.Addresses) == 1 && s.Addresses[0].Kind == scan.KindUnresolved {
			p.printf("If clients know it by another name or address: addresses = [\"10.0.0.11\"] in %s\n", d.File)
		}
	}
	if s.Decision {
		printDecision(p, s)
	}
}

func (t *tool) serverRemove(ctx *cli.Context, k *keeper.Keeper) error {
	s, err := k.Farm().FindServer(ctx.Args().First())
	if err != nil {
		return err
	}
	if t.term.person {
		p := t.newPage()
		p.printf("If a server called %s is added again, its keys need your word.\n", s.Name)
		refusal := fmt.Errorf("%s stays as it is", s.Name)
		if err := t.term.confirm(ctx.Context, p, "Remove "+s.Name+" and retire its keys?", refusal); err != nil {
			return err
		}
	}
	if err := k.RemoveServer(s.Name); err != nil {
		return err
	}
	return t.announceFields(map[string]any{"removed": s.Name}, func(p *page) {
		p.printf("%s is removed and its keys are retired.\n", s.Name)
		p.nextUpdate("forget it")
	})
}

func (t *tool) serverList(ctx *cli.Context, k *keeper.Keeper) error {
	var replies map[string]*live
	if ctx.Bool("live") {
		replies = askLive(ctx.Context, k.Farm())
	}
	servers := mapEach(k.Farm().Servers, func(s farm.Server) liveServer { return liveServer{s, replies[s.Name]} })
	return t.print(serversDocument{notNil(servers)})
}

// A serversDocument is the servers as they are declared.
type serversDocument struct {
	Servers []liveServer `json:"servers"`
}

// A liveServer is a server and, if it was asked, how it is.
type liveServer struct {
	farm.Server
	Live *live `json:"live,omitempty"`
}

func (d serversDocument) text(p *page) {
	if len(d.Servers) == 0 {
		if !p.quiet {
			printNoServer(p)
		}
		return
	}
	t := rows{p.head("NAME", "ADDRESSES", "PORT", "ALIASES", "GROUPS", "WEIGHT", "PINS")}
	if d.Servers[0].Live != nil {
		t = rows{p.head(append([]string{"NAME", "GROUPS", "WEIGHT"}, liveHeads...)...)}
	}
	for _, s := range d.Servers {
		if s.Live != nil {
			t.add(append([]any{s.Name, joinOrDash(s.Groups), s.Weight}, p.liveCells(s.Live)...)...)
			continue
		}
		t.add(s.Name, joinOrDash(s.Addresses), s.Port, joinOrDash(s.Aliases), joinOrDash(s.Groups), s.Weight,
			joinOrDash(s.Pins))
	}
	p.table(0, t)
}

// printNoServer writes how to declare a server where there is none.
func printNoServer(p *page) {
	p.printf("No server is declared. To declare one: %s\n", p.commandLine("server add NAME"))
}

func joinOrDash(words []string) string { return cmp.Or(strings.Join(words, " "), "-") }
