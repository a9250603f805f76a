// Command ldmselect lets a user of a thin client pick the application server to log in to, from a
// table that fills the terminal and stays fresh. The choice is printed on standard output, so that
// any login script can use it:
//
//	LDM_SERVER=$(ldmselect) || exit
//
// The table is drawn on the terminal itself. The first row, "automatic", leaves the choice to the
// farm's policy, as get_hosts makes it. Settings come from the environment and lts.conf, as for
// get_hosts: LDM_SERVER (or the arguments), LDM_BALANCE, LDM_SERVER_WEIGHTS, SSH_OVERRIDE_PORT; and
// LDM_SERVER_GROUPS, like "app01=cad,office app02=office".
//
// Exit codes: 0 a server was chosen, 1 none was, 2 the command line is wrong.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
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
	servers := ldm.SplitNames(strings.Join(flags.Args(), " "))
	if len(servers) == 0 {
		servers = ldm.SplitNames(settings.Get("LDM_SERVER"))
	}
	if len(servers) == 0 {
		return "",
			fmt.Errorf("there are no servers: neither an argument nor LDM_SERVER names one, here or in %s", o.conf)
	}
	in, out, err := tea.OpenTTY()
	if err != nil {
		return "", fmt.Errorf("open the terminal: %w", err)
	}
	defer in.Close()
	defer out.Close()

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	t := tableOf(ctx, servers, settings)
	t.blocks = speaksUTF8(getenv)
	last, err := tea.NewProgram(t, tea.WithInput(in), tea.WithOutput(out)).Run()
	if err != nil && !errors.Is(err, tea.ErrInterrupted) {
		return "", err
	}
	if t, ok := last.(*table); ok && t.choice != "" {
		return t.choice, nil
	}
	return "", errNone
}

// tableOf makes the table of these servers that the settings want.
func tableOf(ctx context.Context, servers []string, settings *thinclient.Settings) *table {
	policy, err := ldm.ParsePolicy(settings.Get("LDM_BALANCE"))
	if err != nil {
		policy = ldm.Two
	}
	port, _ := strconv.Atoi(settings.Get("SSH_OVERRIDE_PORT"))
	t := newTable(servers, groups(settings.Get("LDM_SERVER_GROUPS")))
	t.choose = chooser(policy, ldm.Weights(settings.Get("LDM_SERVER_WEIGHTS")),
		rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())))
	t.ask = asker(ctx, port)
	return t
}

// groups reads LDM_SERVER_GROUPS.
func groups(list string) map[string]string {
	groups := map[string]string{}
	for _, field := range strings.Fields(list) {
		name, of, _ := strings.Cut(field, "=")
		if names.IsValid(name) && len(ldm.SplitNames(strings.ReplaceAll(of, ",", " "))) > 0 {
			groups[name] = strings.Join(ldm.SplitNames(strings.ReplaceAll(of, ",", " ")), " ")
		}
	}
	return groups
}

// speaksUTF8 tells whether the terminal's user can read more than ASCII (locale(7)).
func speaksUTF8(getenv func(string) string) bool {
	for _, key := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale := strings.ToLower(getenv(key)); locale != "" {
			return strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")
		}
	}
	return false
}

// chooser returns what "automatic" means: the server that get_hosts would put first.
func chooser(policy ldm.Policy, weights map[string]float64, dice *rand.Rand) func([]ldm.Reply) string {
	return func(replies []ldm.Reply) string {
		var candidates []ldm.Candidate
		for _, r := range replies {
			weight, ok := weights[r.Name]
			if !ok {
				weight = 1
			}
			if r.State != ldm.Down {
				candidates = append(candidates, r.Candidate(weight))
			}
		}
		if len(candidates) == 0 {
			return ""
		}
		return candidates[policy.Choose(candidates, dice)].Name
	}
}

// asker returns a command that asks a server.
func asker(ctx context.Context, sshPort int) func(name string) tea.Cmd {
	a := ldm.Asker{Timeout: patience, SSHPort: sshPort}
	return func(name string) tea.Cmd {
		return func() tea.Msg { return told(a.Ask(ctx, []ldm.Server{{Name: name}})[0]) }
	}
}
