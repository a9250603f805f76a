package keeper

import (
	"errors"
	"strings"
	"testing"
)

// A list that no server can be put into is not set, and somebody is told why.
func TestEmptyLists(t *testing.T) {
	t.Parallel()
	p := newTestFarm(t)
	p.write("ltskeeper.toml", p.read("ltskeeper.toml")+`
[[client]]
match = "lab*"
group = "kad"
[[client]]
match = "office*"
group = "cad"
`)
	p.write("servers.d/app01.toml", "addresses = [\"127.0.0.1\"]\nport = 1\ngroups = [\"cad\"]\n") // nobody there
	r := p.update(UpdateOptions{})
	want := []string{
		"LDM_SERVER of [default] is not set: no server of its list has a trusted key",
		`LDM_SERVER of [lab*] is not set: no server is in the group "kad"; did you mean cad?`,
		"LDM_SERVER of [office*] is not set: no server of its list has a trusted key",
	}
	if got := errors.Join(r.Warnings...).Error(); got != strings.Join(want, "\n") {
		t.Errorf("warnings are\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	if conf := p.read("tftp/client/lts.conf"); strings.Contains(conf, "LDM_SERVER") {
		t.Errorf("lts.conf has a list:\n%s", conf)
	}
}
