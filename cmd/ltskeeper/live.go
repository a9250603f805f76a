package main

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"time"

	"ltskeeper/farm"
	"ltskeeper/ldm"

	"github.com/urfave/cli/v2"
)

func liveFlag() cli.Flag {
	return &cli.BoolFlag{Name: "live", Usage: "ask each server how it is now, as clients do"}
}

// patienceLive is how long servers have to say how they are.
const patienceLive = 2 * time.Second

// A live is what a server says of itself, or what else is known of it: see package ldm.
type live struct {
	State    string `json:"state"` // up, alive (SSH answers, ldminfod does not), draining, down
	Rating   *int   `json:"rating,omitempty"`
	Sessions *int   `json:"sessions,omitempty"`
	Capacity int    `json:"capacity,omitempty"`
	Error    string `json:"error,omitempty"` // why there is no rating
}

// askLive asks all servers how they are, and returns their replies by name.
func askLive(ctx context.Context, f *farm.Farm) map[string]*live {
	servers := mapEach(f.Servers, func(s farm.Server) ldm.Server {
		return ldm.Server{Name: s.Name, Addresses: s.Addresses}
	})
	asker := ldm.Asker{Timeout: patienceLive, SSHPort: f.Lists()[0].Port}
	replies := map[string]*live{}
	for _, r := range asker.Ask(ctx, servers) {
		l := &live{State: r.State.String(), Capacity: r.Answer.Capacity}
		if r.State == ldm.Rated {
			l.Rating = &r.Answer.Rating
		}
		if r.Answer.Logins >= 0 {
			l.Sessions = &r.Answer.Logins
		}
		if r.Err != nil {
			l.Error = r.Err.Error()
		}
		replies[r.Name] = l
	}
	return replies
}

// liveHeads are the columns that liveCells fill.
var liveHeads = []string{"NOW", "RATING", "SESSIONS"}

func (p *page) liveCells(l *live) []any {
	colour := map[string]style{ldm.Rated.String(): green, ldm.Down.String(): red}[l.State]
	state := p.paint(cmp.Or(colour, yellow), l.State)
	rating, sessions := "-", "-"
	if l.Rating != nil {
		rating = strconv.Itoa(*l.Rating)
	}
	switch {
	case l.Sessions == nil:
	case l.Capacity > 0:
		sessions = fmt.Sprintf("%d of %d", *l.Sessions, l.Capacity)
	default:
		sessions = strconv.Itoa(*l.Sessions)
	}
	return []any{state, rating, sessions}
}
