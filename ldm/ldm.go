// Package ldm asks application servers for their rating, in the info protocol of LDM, LTSP's
// display manager, to choose the one that a login should use.
//
//	asker := ldm.Asker{Timeout: 700 * time.Millisecond}
//	replies := asker.Ask(ctx, []ldm.Server{{Name: "app01"}, {Name: "app02"}})
//	ranked := ldm.Two.Rank(candidates, rand.New(rand.NewPCG(seed, seed)))
//
// The protocol has no request: a server writes its lines to everybody who connects to port 9571,
// and closes. Nothing in it is authenticated, and any server may send anything, for ever. So an
// answer is bounded in size and time, what could harm a terminal or a shell is dropped, and an
// answer is only about the server that was asked.
//
// Choosing is pure: the same candidates and the same random numbers give the same order. The
// package reads no configuration, writes no file, and does not log in anywhere.
package ldm

import (
	"strings"

	"ltskeeper/internal/names"
)

// Port is where servers answer (TCP).
const Port = 9571

// SplitNames splits a list of servers as in LDM_SERVER. It drops what cannot name a server, because
// the list goes from a file to a shell that runs as root, and names that are in it already.
func SplitNames(list string) (split []string) {
	seen := map[string]bool{}
	for _, name := range strings.Fields(list) {
		if names.IsValid(name) && !seen[name] {
			seen[name] = true
			split = append(split, name)
		}
	}
	return split
}
