package main

import (
	"fmt"
	"strings"

	"ltskeeper/keeper"
)

// allStates is every state of a server, in the order in which they are told.
var allStates = []keeper.ServerState{
	keeper.Trusted, keeper.Pending, keeper.Changed, keeper.Revoked,
	keeper.Unreadable, keeper.Unreachable, keeper.Throttled, keeper.Unscanned,
}

// countStates counts servers by state: "12 servers (10 trusted, 1 changed, 1 unreachable)".
func countStates(servers []keeper.Server) string {
	counts := map[keeper.ServerState]int{}
	for _, s := range servers {
		counts[s.State]++
	}
	var parts []string
	for _, state := range allStates {
		if n := counts[state]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, state))
		}
	}
	all := countNoun(len(servers), "server", "servers")
	if len(counts) == 1 {
		return all + " " + string(servers[0].State)
	}
	return all + " (" + strings.Join(parts, ", ") + ")"
}

// printExtraKeys writes the pending keys of further types beside trusted ones. They are no alarm,
// so the mail of a cron job does not have them.
func printExtraKeys(p *page, servers ...keeper.Server) {
	for _, s := range servers {
		if s.Decision || len(s.Pending) == 0 {
			continue
		}
		how := p.commandLine("keys accept", s.Name)
		if len(s.Declared.Pins) > 0 {
			how = "add them to the pins in servers.d/" + s.Name + ".toml"
		}
		p.keyList(s.Name+" also shows keys that nobody has trusted yet; to trust them: "+how, s.Pending)
	}
}

// printDecision writes what a person has to decide about a server's keys, and how.
func printDecision(p *page, s keeper.Server) {
	p.heading(s.Name + " " + describeNeed(s) + ":")
	p.reasons(s)
	p.comparison(4, keepConcerned(s))
	if len(s.Pending) == 0 {
		return
	}
	p.printf("  Compare with what the server's own console says: %s\n", consoleCommand(s.Pending))
	reject := p.commandLine("keys reject "+s.Name, listFingerprints(s.Pending)...)
	same, not := "If it is the same:", "If not:"
	accept := p.commandLine("keys accept "+s.Name, listFingerprints(s.Pending)...)
	switch {
	case len(s.Declared.Pins) > 0:
		accept = "add it to the pins in servers.d/" + s.Name + ".toml"
	case hasTwoOfOneType(s.Pending):
		same, not = "If one is the same:", "If none is:"
		accept = p.commandLine("keys accept " + s.Name + " FINGERPRINT")
	}
	p.table(2, rows{{same, accept}, {not, reject}})
}

// describeNeed says what a server needs from a person: a decision about pending keys, or a look.
func describeNeed(s keeper.Server) string {
	if len(s.Pending) == 0 {
		return "needs attention"
	}
	return "needs a decision"
}

// reasons writes a line for each thing that is wrong with a server.
func (p *page) reasons(s keeper.Server) {
	if len(s.Message) == 0 {
		p.wrapped(2, string(s.State))
	}
	for _, reason := range s.Message {
		p.wrapped(2, reason)
	}
}

// keepConcerned returns the server with those trusted keys that the decision is about: all of them,
// unless the pending keys replace only some.
func keepConcerned(s keeper.Server) keeper.Server {
	if same := sameTypes(s.Keys, s.Pending); len(same) > 0 {
		s.Keys = same
	}
	return s
}

// describeServer returns the remark about a server in a row of a table.
func describeServer(s keeper.Server) string {
	switch {
	case s.State == keeper.Unreadable:
		return s.Message.String()
	case s.Quarantined != nil && s.Listed:
		return "stays listed: too many others are out"
	case s.Quarantined != nil:
		return "kept out of the list since " + formatTime(*s.Quarantined)
	case s.Decision:
		return describeNeed(s)
	case len(s.Pending) > 0:
		return "shows further keys"
	}
	return ""
}

// state returns a server's state in its colour.
func (p *page) state(s keeper.ServerState) styled {
	switch s {
	case keeper.Trusted:
		return p.paint(green, string(s))
	case keeper.Changed, keeper.Revoked, keeper.Unreadable:
		return p.paint(red, string(s))
	case keeper.Unscanned:
		return p.paint(plain, string(s))
	}
	return p.paint(yellow, string(s))
}
