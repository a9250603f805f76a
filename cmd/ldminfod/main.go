// Command ldminfod tells thin clients about an application server: its desktops and languages, and
// a rating from 0 (full) to 100 (idle), in the lines of LDM's info protocol. It replaces LDM's own
// ldminfod, on the same port.
//
//	ldminfod                   print the lines: for inetd, or a systemd socket with Accept=yes
//	ldminfod --listen :9571    answer everybody, from lines that are at most a second old
//	ldminfod --explain         show where the rating comes from
//	ldminfod drain             no new logins here, please, until ldminfod undrain
//
// A listening socket that systemd passes in is served, too. The rating is the free part of the
// scarcest of CPU, memory, and sessions (see rating.go). ldminfod needs no privilege except for
// drain and undrain. It reads nothing that comes over the network, and writes only the mark of
// drain.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

const usage = `Usage:
  ldminfod [--capacity N]                     print what this server says of itself
  ldminfod [--capacity N] --listen ADDRESS    say it to everybody who connects, say to :9571
  ldminfod [--capacity N] --explain           show where the rating comes from
  ldminfod drain                              ask for no new logins, also after a restart
  ldminfod undrain                            take logins again

With a socket from systemd it serves that one. Options:
  --capacity N     the server is meant for N sessions; without, sessions do not count
  --listen ADDRESS
  --explain
  --state DIR      where drain leaves its mark (/var/lib/ldminfod)
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s := server{files: os.DirFS("/"), clock: time.Now}
	err := run(ctx, &s, os.Args[1:], os.Stdout)
	switch {
	case err == nil:
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, "ldminfod:", err)
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "ldminfod:", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("the command line is wrong")

// options are those of the command line.
type options struct {
	capacity      int
	listen, state string
	explain       bool
}

func (o *options) flags() *flag.FlagSet {
	flags := flag.NewFlagSet("ldminfod", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.IntVar(&o.capacity, "capacity", 0, "")
	flags.StringVar(&o.listen, "listen", "", "")
	flags.BoolVar(&o.explain, "explain", false, "")
	flags.StringVar(&o.state, "state", "/var/lib/ldminfod", "")
	return flags
}

func run(ctx context.Context, s *server, args []string, out io.Writer) error {
	var o options
	flags := o.flags()
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		_, err := io.WriteString(out, usage)
		return err
	case err != nil:
		return fmt.Errorf("%w: %w", errUsage, err)
	case o.capacity < 0:
		return fmt.Errorf("%w: --capacity %d: write a number of sessions", errUsage, o.capacity)
	}
	s.capacity, s.mark = o.capacity, filepath.Join(o.state, "draining")

	switch command := flags.Arg(0); {
	case flags.NArg() > 1 || flags.NArg() == 1 && (o.listen != "" || o.explain) || o.listen != "" && o.explain:
		return fmt.Errorf("%w: too many words", errUsage)
	case command == "drain":
		return s.drain(out)
	case command == "undrain":
		return s.undrain(out)
	case command != "":
		return fmt.Errorf("%w: there is no command %q", errUsage, command)
	case o.explain:
		return s.explain(out)
	case o.listen != "":
		socket, err := openSocket(ctx, o.listen)
		if err != nil {
			return err
		}
		return serveSockets(ctx, []*os.File{socket}, &cache{fill: s.text})
	}
	sockets, conn, err := takeSockets()
	switch {
	case err != nil:
		return err
	case len(sockets) > 0:
		return serveSockets(ctx, sockets, &cache{fill: s.text})
	case conn != nil:
		conn.SetDeadline(time.Now().Add(5 * time.Second))
		_, err := conn.Write(s.text())
		return cmp.Or(err, conn.Close())
	}
	_, err = out.Write(s.text())
	return err
}
