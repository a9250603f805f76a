// Command get_hosts says which application servers a login on this thin client should try, in
// order. It stands at /usr/share/ltsp/get_hosts in the clients' root, where LDM looks for it; its
// output becomes LDM_SERVER.
//
//	get_hosts [SERVER]...       print them on one line
//	get_hosts --pamltsp         write the first into /etc/ltsp/pamltsp.conf, for LTSP since 2019
//
// It asks all servers at once how they are, waits no longer than --timeout, and ranks them by the
// policy LDM_BALANCE. What it is not told in its environment it looks up in /etc/lts.conf, as this
// client: the servers (LDM_SERVER, unless they are arguments), LDM_BALANCE, LDM_SERVER_WEIGHTS,
// SSH_OVERRIDE_PORT, and LDM_GET_HOSTS, a program of the admin's own that ranks instead. See
// docs/balancing.md.
//
// It runs before anybody can log in, so it makes do with what it finds: a setting that makes no
// sense counts as not set. It says nothing on standard error if it prints servers. If no server
// answers, it prints none and exits 1.
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
	"strconv"
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
	names := ldm.SplitNames(strings.Join(flags.Args(), " "))
	if len(names) == 0 {
		names = ldm.SplitNames(settings.Get("LDM_SERVER"))
	}
	if len(names) == 0 {
		return fmt.Errorf("there are no servers: neither an argument nor LDM_SERVER names one, here or in %s", o.conf)
	}
	script := settings.Get("LDM_GET_HOSTS")
	asker := ldm.Asker{Timeout: o.timeout}
	if script != "" {
		asker.Timeout /= 2 // the rest is the script's
	}
	asker.SSHPort, _ = strconv.Atoi(settings.Get("SSH_OVERRIDE_PORT"))
	replies := asker.Ask(ctx, servers(names))
	if o.infoDir != "" {
		leave(o.infoDir, replies) // where it cannot, users can log in all the same
	}
	if !slices.ContainsFunc(replies, func(r ldm.Reply) bool { return r.State != ldm.Down }) {
		return allDown(names)
	}

	candidates := candidates(replies, ldm.Weights(settings.Get("LDM_SERVER_WEIGHTS")))
	var order []string
	if script != "" {
		order, _ = rankedBy(ctx, end, script, candidates)
	}
	if order == nil {
		policy, err := ldm.ParsePolicy(settings.Get("LDM_BALANCE"))
		if err != nil {
			policy = ldm.Two
		}
		for _, c := range policy.Rank(candidates, dice) {
			order = append(order, c.Name)
		}
	}
	if o.pam != "" {
		return o.pam.set(order[0])
	}
	_, err := fmt.Fprintln(out, strings.Join(order, " "))
	return err
}

func servers(names []string) []ldm.Server {
	var servers []ldm.Server
	for _, name := range names {
		servers = append(servers, ldm.Server{Name: name})
	}
	return servers
}

func candidates(replies []ldm.Reply, weights map[string]float64) []ldm.Candidate {
	var candidates []ldm.Candidate
	for _, r := range replies {
		weight, ok := weights[r.Name]
		if !ok {
			weight = 1
		}
		candidates = append(candidates, r.Candidate(weight))
	}
	return candidates
}

func allDown(names []string) error {
	who := "none of the application servers " + strings.Join(names, ", ") + " answers"
	switch {
	case len(names) == 1:
		who = "the application server " + names[0] + " does not answer"
	case len(names) > 5:
		who = fmt.Sprintf("none of the %d application servers answers", len(names))
	}
	return errors.New(who + ": check the network cable and try again, or call your administrator")
}
