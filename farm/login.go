package farm

import (
	"fmt"
	"regexp"
)

// A Login is the account on the servers in which they prove their host keys.
type Login struct {
	User     string
	Identity string // path of a private key or of an agent's socket; "" is the agent of SSH_AUTH_SOCK
}

// agent is the identity that is not a path.
const agent = "agent"

// userName is what useradd takes, and what cannot be an option.
var userName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9._-]{0,31}\$?$`)

// login reads the login of [collect].
func (l *loader) login(p place) {
	login := Login{}
	p.table(readers{
		"user": func(p place) {
			if p.text(&login.User) && !userName.MatchString(login.User) {
				p.mistake(fmt.Sprintf("%q is no user's name", login.User), `write one like "ltskeeper"`)
			}
		},
		"identity": func(p place) {
			if p.value.text != agent {
				p.path(&login.Identity, l.farm.Dir)
			}
		},
	})
	if p.value.table == nil {
		return
	}
	for _, name := range []string{"user", "identity"} {
		if p.value.table.find(name) == nil {
			p.mistake("there is no "+name+" in it",
				`write { user = "ltskeeper", identity = "/etc/ltskeeper/id_ed25519" }`)
		}
	}
	l.farm.Collect.Login = &login
}
