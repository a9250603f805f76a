// Command ldmselect lets a user of a thin client choose the application server to log in to, from a
// table that fills the terminal and is kept up to date. It prints the choice on standard output, so
// that any login script can use it:
//
//	LDM_SERVER=$(ldmselect) || exit
//
// The table is drawn on the terminal itself. The first row, "automatic", leaves the choice to the
// farm's policy, as get_hosts does. Settings come from the environment and lts.conf, as for
// get_hosts: LDM_SERVER (or the arguments), LDM_BALANCE, LDM_SERVER_WEIGHTS, SSH_OVERRIDE_PORT, and
// LDM_SERVER_GROUPS, like "app01=cad,office app02=office".
//
// Exit codes: 0 a server was chosen, 1 none was, 2 the command line is wrong.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"

	"ltskeeper/internal/names"
	"ltskeeper/internal/thinclient"
	"ltskeeper/ldm"

	tea "charm.land/bubbletea/v2"
)

const usage = `Usage: ldmselect [OPTION]... [SERVER]...
Let the user choose an application server, and print it.

  --lts-conf FILE    where to look for what the environment does not say (/etc/lts.conf)

Servers are the arguments, else LDM_SERVER. LDM_SERVER_GROUPS names their groups: "app01=cad,office app02=office".
`

func main() {
	choice, err := run(os.Args[1:], os.Getenv)
	switch {
	case err == nil:
		fmt.Println(choice)
	case errors.Is(err, flag.ErrHelp):
		fmt.Print(usage)
	case errors.Is(err, errUsage):
		fmt.Fprintf(os.Stderr, "ldmselect: %v\n%s", err, usage)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "ldmselect:", err)
		os.Exit(1)
	}
}

var (
	errUsage = errors.New("the command line is wrong")
	errNone  = errors.New("no server was chosen")
)

// options are those of the command line.
type options struct{ conf string }

func (o *options) flags() *flag.FlagSet {
	flags := flag.NewFlagSet("ldmselect", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.conf, "lts-conf", thinclient.ConfPath, "")
	return flags
}

func run(args []string, getenv func(string) string) (choice string, err error) {
	var o options
	flags := o.flags()
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return "", err
	} else if err != nil {
		return "", fmt.Errorf("%w: %w", errUsage, err)
	}
	settings := thinclient.NewSettings(getenv, o.conf)
	servers, err := settings.Servers(flags.Args())
	if err != nil {
		return "", err
	}
	in, out, err := tea.OpenTTY()
	if err != nil {
		return "", fmt.Errorf("open the terminal: %w", err)
	}
	defer in.Close()
	defer out.Close()

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	t := openTable(ctx, servers, settings)
	t.blocks = isUTF8(getenv)
	last, err := tea.NewProgram(t, tea.WithInput(in), tea.WithOutput(out)).Run()
	if err != nil && !errors.Is(err, tea.ErrInterrupted) {
		return "", err
	}
	if t, ok := last.(*table); ok && t.choice != "" {
		return t.choice, nil
	}
	return "", errNone
}

// openTable makes a table of servers according to the settings.
func openTable(ctx context.Context, servers []string, settings *thinclient.Settings) *table {
	t := newTable(servers, parseGroups(settings.Get("LDM_SERVER_GROUPS")))
	dice := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	t.choose = newChooser(settings.Policy(), settings.Weights(), dice)
	t.ask = newAsker(ctx, settings.SSHPort())
	return t
}

// parseGroups reads LDM_SERVER_GROUPS.
func parseGroups(list string) map[string]string {
	groups := map[string]string{}
	for field := range strings.FieldsSeq(list) {
		name, of, _ := strings.Cut(field, "=")
		if valid := ldm.SplitNames(strings.ReplaceAll(of, ",", " ")); names.IsValid(name) && len(valid) > 0 {
			groups[name] = strings.Join(valid, " ")
		}
	}
	return groups
}

// isUTF8 reports whether the terminal can show more than ASCII (locale(7)).
func isUTF8(getenv func(string) string) bool {
	locale := strings.ToLower(cmp.Or(getenv("LC_ALL"), getenv("LC_CTYPE"), getenv("LANG")))
	return strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")
}

// newChooser returns what "automatic" means: the server that get_hosts would put first, "" if all
// are down.
func newChooser(policy ldm.Policy, weights map[string]float64, dice *rand.Rand) func([]ldm.Reply) string {
	return func(replies []ldm.Reply) string {
		candidates := ldm.ListCandidates(replies, weights)
		first := candidates[policy.Choose(candidates, dice)]
		if first.State == ldm.Down {
			return ""
		}
		return first.Name
	}
}

// newAsker returns a command that asks a server.
func newAsker(ctx context.Context, sshPort int) func(name string) tea.Cmd {
	a := ldm.Asker{Timeout: patience, SSHPort: sshPort}
	return func(name string) tea.Cmd {
		return func() tea.Msg { return replyMsg(a.Ask(ctx, []ldm.Server{{Name: name}})[0]) }
	}
}
