// Command get_hosts prints which application servers a login on this thin client should try, in
// order. It is installed as /usr/share/ltsp/get_hosts in the clients' root, where LDM looks for it.
// Its output becomes LDM_SERVER.
//
//	get_hosts [SERVER]...       print them on one line
//	get_hosts --pamltsp         write the first into /etc/ltsp/pamltsp.conf, for LTSP since 2019
//
// It asks all servers at once, waits no longer than --timeout, and ranks them by the policy
// LDM_BALANCE. What is not in its environment it looks up in /etc/lts.conf, as this client: the
// servers (LDM_SERVER, unless they are arguments), LDM_BALANCE, LDM_SERVER_WEIGHTS,
// SSH_OVERRIDE_PORT, and LDM_GET_HOSTS, the admin's own program that ranks instead. See
// docs/balancing.md.
//
// It runs before anybody can log in, so it uses what it finds: a setting that makes no sense counts
// as not set. It prints nothing on standard error if it prints servers. If no server answers, it
// prints none and exits 1.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"ltskeeper/internal/thinclient"
	"ltskeeper/ldm"
)

const usage = `Usage: get_hosts [OPTION]... [SERVER]...
Print the application servers that a login should try, in order, on one line.

  --timeout TIME     for everything, like 700ms, the default
  --info-dir DIR     leave each server's answer there, as LDM's greeter reads it (/var/run/ldm)
  --pamltsp[=FILE]   print nothing, set SSH_SERVER in FILE (/etc/ltsp/pamltsp.conf)
  --lts-conf FILE    where to look for what the environment does not say (/etc/lts.conf)

Servers are the arguments, else LDM_SERVER. LDM_BALANCE is two, weighted, best, random or fixed.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	dice := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	err := run(ctx, os.Args[1:], os.Getenv, dice, os.Stdout)
	switch {
	case err == nil:
	case errors.Is(err, errUsage):
		fmt.Fprintf(os.Stderr, "get_hosts: %v\n%s", err, usage)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "get_hosts:", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("the command line is wrong")

// options are those of the command line.
type options struct {
	timeout       time.Duration
	infoDir, conf string
	pam           pamltsp
}

func (o *options) flags() *flag.FlagSet {
	flags := flag.NewFlagSet("get_hosts", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.DurationVar(&o.timeout, "timeout", 700*time.Millisecond, "")
	flags.StringVar(&o.infoDir, "info-dir", "", "")
	flags.StringVar(&o.conf, "lts-conf", thinclient.ConfPath, "")
	flags.Var(&o.pam, "pamltsp", "")
	return flags
}

func run(ctx context.Context, args []string, getenv func(string) string, dice *rand.Rand, out io.Writer) error {
	var o options
	flags := o.flags()
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		_, err := io.WriteString(out, usage)
		return err
	case err != nil:
		return fmt.Errorf("%w: %w", errUsage, err)
	case o.timeout <= 0:
		return fmt.Errorf("%w: --timeout %v leaves no time", errUsage, o.timeout)
	}
	end := time.Now().Add(o.timeout)

	settings := thinclient.NewSettings(getenv, o.conf)
	names, err := settings.Servers(flags.Args())
	if err != nil {
		return err
	}
	var servers []ldm.Server
	for _, name := range names {
		servers = append(servers, ldm.Server{Name: name})
	}
	script := settings.Get("LDM_GET_HOSTS")
	asker := ldm.Asker{Timeout: o.timeout, SSHPort: settings.SSHPort()}
	if script != "" {
		asker.Timeout /= 2 // the rest is for the script
	}
	replies := asker.Ask(ctx, servers)
	if o.infoDir != "" {
		writeAnswers(o.infoDir, replies) // if that fails, users can still log in
	}
	if !slices.ContainsFunc(replies, func(r ldm.Reply) bool { return r.State != ldm.Down }) {
		return newAllDownError(names)
	}

	candidates := ldm.ListCandidates(replies, settings.Weights())
	var order []string
	if script != "" {
		order, _ = rankByScript(ctx, end, script, candidates)
	}
	if order == nil {
		for _, c := range settings.Policy().Rank(candidates, dice) {
			order = append(order, c.Name)
		}
	}
	if o.pam != "" {
		return o.pam.writeServer(order[0])
	}
	_, err = fmt.Fprintln(out, strings.Join(order, " "))
	return err
}

func newAllDownError(names []string) error {
	who := "none of the application servers " + strings.Join(names, ", ") + " answers"
	switch {
	case len(names) == 1:
		who = "the application server " + names[0] + " does not answer"
	case len(names) > 5:
		who = fmt.Sprintf("none of the %d application servers answers", len(names))
	}
	return errors.New(who + ": check the network cable and try again, or call your administrator")
}
