package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"ltskeeper/keys"
)

func ltspInitrd(f *facts) []Finding {
	path := f.farm.LTSP.KnownHosts
	if path == "" {
		return nil
	}
	initrd := filepath.Join(f.farm.TFTP.Directory, "ltsp.img") // where `ltsp initrd` writes it
	known, err := os.Stat(path)
	if err != nil {
		return nil // files-behind says it
	}
	packed, err := os.Stat(initrd)
	behind, _ := f.farm.State.InitrdBehind().Exists()
	conf, confErr := os.Stat(f.ltspConf.Path)
	message := ""
	switch {
	case err != nil:
		message = "There is none."
	case behind, packed.ModTime().Before(known.ModTime()):
		message = fmt.Sprintf("It is older than %s.", path)
	case confErr == nil && packed.ModTime().Before(conf.ModTime()):
		message = fmt.Sprintf("It is older than %s.", f.ltspConf.Path)
	default:
		return nil
	}
	return []Finding{{
		Kind: Machine, Subject: initrd, Message: message,
		Fix:      fmt.Sprintf("Have it packed; after a change of known_hosts that happens by itself with initrd = true under [ltsp] in %s:", f.farm.Path),
		Commands: []string{"ltsp initrd"},
	}}
}

func ltspServer(f *facts) (found []Finding) {
	if f.farm.LTSP.KnownHosts == "" || f.rendered == nil {
		return nil
	}
	from := map[string]string{"server": "by which LTSP's clients know the machine they log in to"}
	order := []string{"server"}
	for _, s := range f.ltspConf.Settings {
		if s.Key == "SSH_SERVER" && s.Plain && s.Value != "" && from[s.Value] == "" {
			from[s.Value] = fmt.Sprintf("which line %d of %s has clients log in to", s.Line, f.ltspConf.Path)
			order = append(order, s.Value)
		}
	}
	all, _ := keys.ReadLines(f.rendered)
	port := f.farm.Lists()[0].Port
	for _, name := range order {
		holds := func(l keys.Line) bool {
			return l.Marker != "@revoked" && l.Hosts != "" && l.For([]string{name}, port)
		}
		if slices.ContainsFunc(all, holds) {
			continue
		}
		finding := Finding{
			Kind: Machine, Subject: f.farm.LTSP.KnownHosts, Message: fmt.Sprintf("It holds no key of %s, %s.", name,
				from[name]),
			Fix: fmt.Sprintf("Declare it as a server, or as an [[alias]] in %s, with name = %q.", f.farm.Path, name),
		}
		if name == "server" {
			finding.Fix = fmt.Sprintf("Say which servers answer to it, as an [[alias]] in %s, with name = %q; for this machine itself, init takes its own keys over:", f.farm.Path, name)
			finding.Commands = []string{"ltskeeper init --adopt", "ltskeeper update-image"}
		}
		found = append(found, finding)
	}
	return found
}
