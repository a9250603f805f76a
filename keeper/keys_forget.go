package keeper

import (
	"fmt"

	"ltskeeper/internal/durable"
	"ltskeeper/internal/remedy"
	"ltskeeper/keys"
)

// ForgetLines takes a server's names out of the lines of known_hosts.local that hold one of these
// keys, by their fingerprints. It returns those lines as they were; none if there is nothing to do.
func (k *Keeper) ForgetLines(server string, fingerprints []string) (forgotten []keys.Line, err error) {
	err = k.RunLocked(func() error {
		s, err := k.farm.FindServer(server)
		if err != nil {
			return err
		}
		path := k.farm.KnownHostsLocalPath()
		rest, lines, err := keys.ForgetHost(k.farm.KnownHostsLocal, s.Names(), s.Port, fingerprints)
		if err != nil {
			return remedy.AttachTo(fmt.Errorf("forget lines of %s: %w", path, err), remedy.Advice("change it by hand"))
		}
		if len(lines) == 0 {
			return nil
		}
		forgotten = lines
		return durable.RewriteFile(path, rest)
	})
	return forgotten, err
}
