package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"ltskeeper/internal/remedy"
	"ltskeeper/keys"
)

func checkLTSPInitrd(f *facts, r *results) {
	path := f.farm.LTSP.KnownHosts
	if path == "" {
		return
	}
	initrd := filepath.Join(f.farm.TFTP, "ltsp.img") // where `ltsp initrd` writes it
	known, err := os.Stat(path)
	if err != nil {
		return // files-behind says it
	}
	packed, err := os.Stat(initrd)
	isBehind, _ := f.farm.State.InitrdBehind().Exists()
	conf, confErr := os.Stat(f.ltspConf.Path)
	message := ""
	switch {
	case err != nil:
		message = "There is none."
	case isBehind, packed.ModTime().Before(known.ModTime()):
		message = fmt.Sprintf("It is older than %s.", path)
	case confErr == nil && packed.ModTime().Before(conf.ModTime()):
		message = fmt.Sprintf("It is older than %s.", f.ltspConf.Path)
	default:
		return
	}
	r.findAt(Machine, initrd, "%s", message).
		fix("have it packed", remedy.If{Condition: "that is to happen by itself after a change of known_hosts",
			Then: f.setting("ltsp", "initrd", "true")}, remedy.Program{"ltsp", "initrd"})
}

func checkLTSPServer(f *facts, r *results) {
	if f.farm.LTSP.KnownHosts == "" || f.rendered == nil {
		return
	}
	use := map[string]string{"server": "by which LTSP's clients know the machine they log in to"}
	order := []string{"server"}
	for _, s := range f.ltspConf.Settings {
		if s.Key == "SSH_SERVER" && s.Plain && s.Value != "" && use[s.Value] == "" {
			use[s.Value] = fmt.Sprintf("which line %d of %s has clients log in to", s.Line, f.ltspConf.Path)
			order = append(order, s.Value)
		}
	}
	all, _ := keys.ReadLines(f.rendered)
	port := f.farm.Lists()[0].Port
	for _, name := range order {
		if slices.ContainsFunc(all, func(l keys.Line) bool {
			return l.Marker != "@revoked" && l.Hosts != "" && l.For([]string{name}, port)
		}) {
			continue
		}
		alias := f.setting("alias", "name", fmt.Sprintf("%q", name))
		finding := r.findAt(Machine, f.farm.LTSP.KnownHosts, "It holds no key of %s, %s.", name, use[name])
		if name == "server" {
			finding.fixBy(alias, remedy.If{Condition: "it is this machine itself",
				Then: remedy.Advice("have its own keys taken over")},
				remedy.Command{"init", "--adopt"}, remedy.Command{"update-image"})
		} else {
			finding.fix("declare it as a server", alias)
		}
	}
}
