package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"ltskeeper/internal/state"
	"ltskeeper/internal/testkit/sshdtest"
)

const serverCount = 200

// measureKeysAlone calls this program once more, in a network that has nothing but loopback, for
// keys: there sshd can listen on a whole range of addresses and yet be reached by nobody.
func (b *bench) measureKeysAlone(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", "-alone", "-ltskeeper", b.ltskeeper, "-work", b.work, "-pairs",
		strconv.Itoa(b.pairs))
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

// measureKeys compares collecting host keys with ssh-keyscan: 200 names, one sshd with three keys
// behind them all.
func (b *bench) measureKeys(ctx context.Context) error {
	printTitle("Collect the host keys of %d servers, all of them one sshd with an Ed25519, an ECDSA and an RSA key",
		serverCount)
	dir := filepath.Join(b.work, "keys")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	sshd, err := startServer(ctx, filepath.Join(dir, "sshd"))
	if err != nil {
		return err
	}
	defer sshd.Stop()

	list := filepath.Join(dir, "names")
	var addresses bytes.Buffer
	for i := range serverCount {
		fmt.Fprintln(&addresses, serverAddress(i))
	}
	if err := os.WriteFile(list, addresses.Bytes(), 0o600); err != nil {
		return err
	}
	keyscan := contender{name: "ssh-keyscan", run: func(ctx context.Context, round int) (measure, error) {
		out := filepath.Join(dir, fmt.Sprintf("known_hosts-%d", round))
		m, err := runProcess(ctx, out, "sh", "-c",
			`exec ssh-keyscan -p "$1" -t rsa,ecdsa,ed25519 -f "$2" >"$3" 2>/dev/null`, "sh", strconv.Itoa(sshd.Port),
			list, out)
		if err == nil {
			err = countKeys(out)
		}
		return m, err
	}}
	collect := func(ctx context.Context, round int) (measure, error) {
		config := filepath.Join(dir, fmt.Sprintf("farm-%d", round), "ltskeeper.toml")
		return runProcess(ctx, "", b.ltskeeper, "--config", config, "--quiet", "keys", "collect")
	}
	first := contender{name: "ltskeeper keys collect, the first"}
	first.run = func(ctx context.Context, round int) (measure, error) {
		farm := filepath.Join(dir, fmt.Sprintf("farm-%d", round))
		if err := declareServers(farm, sshd.Port); err != nil {
			return measure{}, err
		}
		m, err := collect(ctx, round)
		if err == nil {
			files := state.Folder(filepath.Join(farm, "state")).ListKeyPaths()
			err = countKeys(slices.DeleteFunc(files, func(path string) bool { return filepath.Ext(path) != ".pub" })...)
		}
		return m, err
	}
	again := contender{name: "ltskeeper keys collect, again", run: collect}
	if err := runContenders(ctx, b.pairs, nil, &keyscan, &first, &again); err != nil {
		return err
	}
	printAtLeast("times as fast as ssh-keyscan", divideTimes(&keyscan, &first), 7)
	printAtMost("of ssh-keyscan's own CPU time", first.best.cpu.Seconds()/keyscan.best.cpu.Seconds(), 0.1)
	return nil
}

// startServer switches loopback on, and starts an sshd that answers on every address of it. That
// would be every address of the machine, so it does it only in a network that has no other.
func startServer(ctx context.Context, dir string) (*sshdtest.Server, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	for _, i := range interfaces {
		if i.Flags&net.FlagUp != 0 && i.Flags&net.FlagLoopback == 0 {
			return nil, fmt.Errorf("start sshd on all addresses: %s is up beside loopback: run this through make bench",
				i.Name)
		}
	}
	if _, err := runProcess(ctx, "", "ip", "link", "set", "lo", "up"); err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	o := sshdtest.Options{Address: "0.0.0.0", Config: []string{"MaxStartups 1000", "PerSourcePenalties no"}}
	sshd, err := sshdtest.New(dir, o)
	if err != nil { // before 9.8 it knows no penalties
		o.Config = o.Config[:1]
		sshd, err = sshdtest.New(dir, o)
	}
	return sshd, err
}

func serverAddress(i int) string { return fmt.Sprintf("127.77.%d.%d", i/100, 1+i%100) }

// declareServers writes a farm with all the servers and nothing known about them.
func declareServers(dir string, port int) error {
	servers := filepath.Join(dir, "servers.d")
	if err := os.MkdirAll(servers, 0o700); err != nil {
		return err
	}
	for i := range serverCount {
		path := filepath.Join(servers, fmt.Sprintf("app%03d.toml", i))
		server := fmt.Appendf(nil, "addresses = [%q]\nport = %d\n", serverAddress(i), port)
		if err := os.WriteFile(path, server, 0o600); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "ltskeeper.toml"), []byte("state = \"state\"\n"), 0o600)
}

// countKeys checks that these files hold as many keys, one a line, as there are to be found.
func countKeys(paths ...string) error {
	found := 0
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		found += bytes.Count(data, []byte("\n"))
	}
	if found != 3*serverCount {
		return fmt.Errorf("count keys: %d instead of %d in %q", found, 3*serverCount, paths)
	}
	return nil
}
